"""Decoders: shapes, independence, and what the render decoder can and cannot do."""

import pytest
import torch
from torchvision.transforms.v2 import functional as transforms

from equicoherence.models.decoders.conv import ConvDecoder, stage_factors
from equicoherence.models.decoders.cross_attention import CrossAttentionDecoder
from equicoherence.models.decoders.render import RenderDecoder, affine_points, soften

GRID = (4, 4)
TIMES = torch.tensor([[1 / 3, 2 / 3]]).expand(2, -1)


def _tokens(seed: int = 0):
    torch.manual_seed(seed)
    return torch.randn(2, 16, 8), torch.randn(2, 16, 8), torch.rand(2, 2, 3, 32, 32).unbind()


@pytest.mark.parametrize("targets", [1, 2, 5])
@pytest.mark.parametrize(
    "build",
    [
        ConvDecoder,
        CrossAttentionDecoder,
        lambda *a: RenderDecoder(*a[:2]),
        lambda *a: RenderDecoder(*a[:2], parts=("affine", "flow")),
        lambda *a: CrossAttentionDecoder(*a, other_only=True),
    ],
)
def test_every_decoder_gives_all_targets_at_full_size(build, targets):
    z1, z2, views = _tokens()
    decoder = build(8, targets, 32, GRID)
    out = decoder(z1, z2, GRID, views, TIMES)
    assert out.shape == (2, targets, 3, 32, 32)
    out.sum().backward()
    assert all(p.grad is not None for p in decoder.parameters())


def test_queries_projected_once_read_what_they_would_each_for_itself():
    torch.manual_seed(0)
    decoder = CrossAttentionDecoder(8, 2, 32, GRID, width=16)
    torch.nn.init.normal_(decoder.attention.in_proj_bias)
    memory = torch.randn(3, 32, 16)
    queries = decoder.queries.expand(3, -1, -1)
    expected = decoder.attention(queries, memory, memory, need_weights=False)[0]
    assert torch.allclose(decoder._attended(decoder.queries, memory), expected, atol=1e-6)


def test_conv_decoders_are_independent_of_each_other():
    z1, z2, views = _tokens()
    decoder = ConvDecoder(8, 2, 32, GRID)
    decoder(z1, z2, GRID, views, TIMES)[:, 0].sum().backward()
    half = decoder.last.weight.shape[0] // 2
    assert decoder.last.weight.grad[:half].abs().sum() > 0
    assert decoder.last.weight.grad[half:].abs().sum() == 0
    assert decoder.stages[0].weight.grad[decoder.stages[0].weight.shape[0] // 2 :].abs().sum() == 0


def test_conv_decoder_is_one_linear_and_four_convolutions():
    kinds = [type(m).__name__ for m in ConvDecoder(8, 2, 32, GRID).modules()]
    assert kinds.count("Linear") == 1
    assert kinds.count("UpsampledConv") == 4


@pytest.mark.parametrize(
    ("size", "grid", "factors"),
    [
        (32, (4, 4), [2, 2, 2]),
        (64, (4, 4), [4, 2, 2]),
        (64, (8, 8), [2, 2, 2]),
        (8, (8, 8), [1, 1, 1]),
        (98, (7, 7), [4, 2, 2]),  # 14 px a patch: to 112
        (100, (4, 4), [4, 4, 2]),  # 25 px a patch: to 128
        (96, (3, 3), [4, 4, 2]),
        (32, (8, 4), [2, 2, 2]),
        (6, (8, 8), [1, 1, 1]),
    ],
)
def test_upsampling_multiplies_to_the_patch_size(size, grid, factors):
    assert stage_factors(size, grid) == factors


@pytest.mark.parametrize(("size", "grid"), [(98, (7, 7)), (100, (4, 4)), (48, (6, 3)), (6, (8, 8)), (15, (1, 1))])
@pytest.mark.parametrize("any_time", [False, True])
def test_conv_decoder_draws_views_of_any_size_from_any_grid(size, grid, any_time):
    torch.manual_seed(0)
    decoder = ConvDecoder(4, 2, size, grid, channels=12, any_time=any_time)
    z = torch.randn(2, 3, grid[0] * grid[1], 4)
    out = decoder(z[0], z[1], grid, (torch.empty(0), torch.empty(0)), TIMES[:1].expand(3, -1))
    assert out.shape == (3, 2, 3, size, size)
    out.square().mean().backward()
    assert all(parameter.grad.abs().sum() > 0 for parameter in decoder.parameters())


def test_where_the_patch_is_no_power_of_two_the_same_layers_draw_larger_pictures_that_are_resized_whole():
    decoder, larger = (ConvDecoder(4, 2, size, (7, 7), channels=12) for size in (98, 112))
    decoder.load_state_dict(larger.state_dict())
    z = torch.randn(2, 1, 49, 4, generator=torch.Generator().manual_seed(0))
    no_views = (torch.empty(0), torch.empty(0))
    out, whole = (each(z[0], z[1], (7, 7), no_views, TIMES) for each in (decoder, larger))
    resized = transforms.resize(whole.flatten(0, 1), [98, 98], antialias=False)
    assert torch.allclose(out.flatten(0, 1), resized, atol=1e-6)


def test_render_decoder_begins_at_the_identity():
    z1, z2, views = _tokens()
    for parts in (("affine", "color", "blur"), ("flow",)):
        out = RenderDecoder(8, 2, parts=parts)(z1, z2, GRID, views, TIMES)
        assert torch.allclose(out, views[1][:, None].expand_as(out), atol=1e-5)


def test_render_decoder_quotes_unknown_parts():
    with pytest.raises(ValueError, match="afine"):
        RenderDecoder(8, 2, parts=("afine",))


def test_cross_attention_to_the_other_view_ignores_view_two():
    z1, z2, views = _tokens()
    decoder = CrossAttentionDecoder(8, 1, 32, GRID, other_only=True)
    assert torch.equal(decoder(z1, z2, GRID, views, TIMES), decoder(z1, torch.zeros_like(z2), GRID, views, TIMES))


def test_affine_points_agree_with_torch():
    matrix = torch.randn(3, 2, 3)
    expected = torch.nn.functional.affine_grid(matrix, [3, 3, 8, 8], align_corners=False)
    assert torch.allclose(affine_points(matrix, 8), expected, atol=1e-6)


@pytest.mark.parametrize("parts", [("affine",), ("color",), ("blur",), ("affine", "color", "blur", "flow")])
def test_render_decoder_keeps_the_digits_of_view_two_under_autocast(parts):
    z1, z2, views = _tokens()
    decoder = RenderDecoder(8, 2, parts=parts)
    with torch.autocast("cpu", torch.bfloat16):
        out = decoder(z1, z2, GRID, views, TIMES)
    assert out.dtype == torch.float32
    assert torch.allclose(out, views[1][:, None].expand_as(out), atol=1e-5)


def test_softening_is_the_binomial_filter_mirrored_at_the_border():
    pictures = torch.rand(2, 3, 8, 6, generator=torch.Generator().manual_seed(0))
    taps = torch.tensor([0.25, 0.5, 0.25])
    padded = torch.nn.functional.pad(pictures, [1] * 4, mode="reflect")
    expected = torch.nn.functional.conv2d(padded, (taps[:, None] * taps).expand(3, 1, 3, 3), groups=3)
    assert torch.allclose(soften(pictures), expected, atol=1e-6)


@pytest.mark.parametrize("size", [2, 3, 5])
def test_the_gradient_of_softening_is_that_of_its_values(size):
    torch.manual_seed(0)
    pictures = torch.randn(1, 1, size, size, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(soften, pictures)
    assert torch.autograd.gradgradcheck(soften, pictures)


def test_softening_keeps_flat_pictures():
    flat = torch.full((1, 3, 8, 8), 0.3)
    assert torch.allclose(soften(flat), flat)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 1e30])
def test_a_diverged_render_decoder_gives_no_finite_loss_and_no_crash(value):
    z1, z2, views = _tokens()
    decoder = RenderDecoder(8, 2)
    torch.nn.init.constant_(decoder.mlp[2].bias, value)
    loss = decoder(z1, z2, GRID, views, TIMES).square().mean()
    loss.backward()
    assert not torch.isfinite(loss)
