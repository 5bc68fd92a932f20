"""The head over several layers: each mapped to the tokens of the first, against a slow reference."""

import math

import pytest
import torch
import torch.nn.functional as F

from equicoherence.models import Encoder, Features
from equicoherence.models.layered_head import LayeredHead
from equicoherence.models.split import LinearReader
from equicoherence.models.token_maps import on_grid

GRIDS, WIDTHS, REDUCTIONS = [(4, 4), (8, 8), (2, 2)], [5, 3, 7], [8, 4, 16]


def _features(grids=GRIDS):
    generator = torch.Generator().manual_seed(0)
    tapped = tuple(torch.randn(2, h * w, c, generator=generator) for (h, w), c in zip(grids, WIDTHS))
    return Features(None, torch.zeros(2, 4, 9), (2, 2), tapped, tuple(grids))


def test_layers_are_added_up_at_the_tokens_of_the_first():
    torch.manual_seed(0)
    head, features = LayeredHead(WIDTHS, REDUCTIONS, 6, tapped=True), _features()
    maps = []
    for tokens, grid, width in zip(features.tapped, GRIDS, WIDTHS):
        index = len(maps)
        mean, deviation = tokens.mean(-1, keepdim=True), tokens.var(-1, keepdim=True, unbiased=False)
        picture = ((tokens - mean) / (deviation + 1e-5).sqrt()).transpose(1, 2).view(2, width, *grid)
        side = 2 if index == 1 else 1
        read = torch.zeros(2, 6, grid[0] // side, grid[1] // side)
        weight, bias = head.reads[index].weight, head.reads[index].bias
        for row in range(read.shape[2]):
            for column in range(read.shape[3]):
                part = picture[:, :, row * side : (row + 1) * side, column * side : (column + 1) * side]
                read[:, :, row, column] = torch.einsum("bchw,dchw->bd", part, weight) + bias
        maps.append(read if index < 2 else F.interpolate(read, (4, 4), mode="bilinear"))
    total = maps[0] + maps[1] + maps[2]
    wanted = (total + head.mix(total)).view(2, 6, 16).transpose(1, 2)
    assert torch.allclose(head(features), wanted, atol=1e-5)


def test_moments_tell_the_mean_of_z_equi_where_things_are():
    torch.manual_seed(0)
    head, plain = (LayeredHead([8], [1], 8, moments=moments, tapped=False) for moments in (True, False))
    plain.load_state_dict(head.state_dict())
    tokens = torch.randn(2, 12, 8)
    found, other = (each(Features(None, tokens, (3, 4))).view(2, 3, 4, 8) for each in (head, plain))
    for row in range(3):
        for column in range(4):
            across, down = math.cos(math.pi * (column + 0.5) / 4), math.cos(math.pi * (row + 0.5) / 3)
            weights = torch.tensor([1, 1, 1, 1, across, across, down, down])
            assert torch.allclose(found[:, row, column], other[:, row, column] * weights, atol=1e-6)
    spot = torch.zeros(2, 5, 5, 8)
    spot[0, 1, 1], spot[1, 3, 3] = tokens[0, 0], tokens[0, 0]  # the same thing at two places, inside
    means = [each(Features(None, spot.flatten(1, 2), (5, 5))).mean(dim=1) for each in (head, plain)]
    with_moments, without = ((first - second).abs().max() for first, second in means)
    assert with_moments > 0.02 > 0.001 > without


def test_no_map_is_copied_into_another_memory_layout():
    torch.manual_seed(0)
    head, layouts = LayeredHead(WIDTHS, REDUCTIONS, 6, tapped=True), []
    for part in (*head.reads, *head.mix):
        part.register_forward_hook(
            lambda part, given, found: layouts.append(found.is_contiguous(memory_format=torch.channels_last))
        )
    assert head(_features()).is_contiguous()
    assert layouts == [True] * 9


def test_a_head_reads_the_output_or_the_tapped_layers_and_never_one_for_the_other():
    torch.manual_seed(0)
    head, output = LayeredHead([9], [1], 6, tapped=True), LayeredHead([9], [1], 6, tapped=False)
    output.load_state_dict(head.state_dict())
    patches, others = torch.randn(2, 4, 9), torch.randn(2, 4, 9)
    tapped, plain = Features(None, others, (2, 2), (patches,), ((2, 2),)), Features(None, patches, (2, 2))
    assert head(tapped).shape == (2, 4, 6)
    assert torch.equal(head(tapped), output(plain))
    assert not torch.equal(head(tapped), output(tapped))
    linear = LinearReader(9, 6, tapped=True)
    assert torch.equal(linear(tapped), F.linear(patches, linear.weight, linear.bias))
    for reader in (head, linear):
        with pytest.raises(
            ValueError, match="z_equi is read from 1 of the encoder's layers, but these features have 0"
        ):
            reader(plain)


@pytest.mark.parametrize(
    ("name", "args", "layers", "side"),
    [
        ("resnet18", {"channels": [8, 8, 8, 8], "layers": [1, 1, 1, 1]}, (2, 1, -1), 6),
        (
            "vit_tiny_patch16_224",
            {"img_size": 48, "patch_size": 8, "embed_dim": 24, "depth": 3, "num_heads": 2},
            (1, 0),
            6,
        ),
    ],
)
def test_layers_of_real_encoders_in_the_order_asked(name, args, layers, side):
    torch.manual_seed(0)
    encoder = Encoder(name, args, layers=layers).eval()
    features = encoder(torch.rand(2, 3, 48, 48))
    assert [tokens.shape[2] for tokens in features.tapped] == encoder.tapped_widths
    head = LayeredHead(encoder.tapped_widths, encoder.tapped_reductions, 6, tapped=True)
    assert head(features).shape == (2, features.tapped_grids[0][0] ** 2, 6)
    assert features.tapped_grids[0] == (side, side)
    _, every = encoder.every_layer(torch.rand(2, 3, 48, 48, generator=torch.Generator().manual_seed(0)))
    assert [every[layer].grid for layer in layers] == list(features.tapped_grids)


@pytest.mark.parametrize(("first", "second", "reductions"), [(2, 24, [32, 2]), (13, 25, [8, 4]), (1, 10, [16, 1])])
def test_every_token_of_a_finer_layer_is_read_where_sides_do_not_divide(first, second, reductions):
    torch.manual_seed(0)
    head = LayeredHead([3, 3], reductions, 4, tapped=True)
    coarse, fine = torch.randn(1, first**2, 3), torch.randn(1, second**2, 3, requires_grad=True)
    features = Features(None, coarse, (first, first), (coarse, fine), ((first, first), (second, second)))
    head(features).square().sum().backward()
    assert (fine.grad.abs().sum(dim=2) > 0).all()


def test_a_map_that_gets_smaller_on_either_side_is_antialiased():
    row = torch.tensor([0.0, 0.0, 7.0, 0.0])
    wanted = torch.tensor([1.0, 3.0])  # a triangle two tokens wide on each side: weights 3, 3, 1 and 1, 3, 3 of 7
    assert torch.allclose(on_grid(row.view(1, 1, 1, 4), (1, 2)).flatten(), wanted)
    assert torch.allclose(on_grid(row.repeat(3, 1).T[None, None], (2, 3))[0, 0], wanted[:, None].expand(2, 3))
