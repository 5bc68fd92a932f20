"""The auxiliary task: its controls, and the claim that it needs no labels."""

import dataclasses

import pytest
import torch

from equicoherence.coherence import CoherenceConfig, CoherenceTask, ThetaRegression
from equicoherence.paths import SE2, PathViews, Rotation, augmentation
from tests.host import FromTheHost, no_waiting

MEAN, STD = (0.5, 0.5, 0.5), (0.25, 0.25, 0.25)


def _views(positions, path=None, device="cpu"):
    images = torch.randint(0, 256, (4, 3, 40, 40), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    augment = augmentation(blur=0)
    make = PathViews(augment, augment, path or SE2(), size=32, positions=positions)
    return make(images.to(device), torch.Generator(device).manual_seed(0))


def _tokens():
    torch.manual_seed(0)
    return torch.randn(4, 16, 8), torch.randn(4, 16, 8)


@pytest.mark.parametrize(
    ("config", "positions"),
    [
        (CoherenceConfig(states=0), ()),
        (CoherenceConfig(states=1), (0.5,)),
        (CoherenceConfig(states=2), (1 / 3, 2 / 3)),
        (CoherenceConfig(states=5), (1 / 6, 2 / 6, 3 / 6, 4 / 6, 5 / 6)),
        (CoherenceConfig(targets="final"), (1.0,)),
        (CoherenceConfig(targets="either", decoder="cross-attention"), (1.0,)),
        (CoherenceConfig(targets="base"), (0.0,)),
        (CoherenceConfig(states=2, targets="intermediate+final"), (1 / 3, 2 / 3, 1.0)),
        (CoherenceConfig(decoder="oracle"), ()),
    ],
)
def test_targets_lie_where_the_configuration_says(config, positions):
    assert config.positions() == pytest.approx(positions)


def test_bad_controls_are_quoted():
    with pytest.raises(ValueError, match="-1"):
        CoherenceConfig(states=-1).positions()
    with pytest.raises(ValueError, match="middle"):
        CoherenceConfig(targets="middle").positions()  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="konv"):
        CoherenceTask(8, 2, 32, (4, 4), decoder="konv")  # type: ignore[arg-type]


def test_combinations_that_train_nothing_are_refused():
    with pytest.raises(ValueError, match="'final' would be free"):
        CoherenceConfig(decoder="render", targets="final")


@pytest.mark.parametrize("changes", [{"targets": "final"}, {"targets": "views"}, {"targets": "intermediate+final"}])
@pytest.mark.parametrize("decoder", ["render", "render+conv"])
def test_a_decoder_that_starts_from_view_two_is_not_asked_for_it(decoder, changes):
    with pytest.raises(ValueError, match="would be free"):
        CoherenceConfig(decoder=decoder, **changes)


@pytest.mark.parametrize("decoder", ["conv", "cross-attention", "render"])
def test_the_task_sends_no_constant(decoder):
    views, (z1, z2) = _views((1 / 3, 2 / 3)), _tokens()
    task = CoherenceTask(8, 2, 32, (4, 4), decoder=decoder, parts=("affine", "color", "blur", "flow"))
    with FromTheHost() as made:
        task(z1, z2, views)
    assert made.count == 0


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("decoder", ["conv", "cross-attention", "render"])
def test_a_gpu_never_waits_for_the_task(decoder):
    device = torch.device("cuda")
    views = _views((1 / 3, 2 / 3), device=device)
    z1, z2 = (z.to(device).requires_grad_() for z in _tokens())
    parts = ("affine", "color", "blur", "flow")
    task = CoherenceTask(8, 2, 32, (4, 4), decoder=decoder, parts=parts).to(device)
    task(z1, z2, views).loss.backward()
    with no_waiting():
        with torch.autocast("cuda", torch.bfloat16):
            loss = task(z1, z2, views).loss
        loss.backward()


@pytest.mark.parametrize("decoder", ["conv", "cross-attention", "cross-attention-other", "render"])
def test_the_loss_is_the_mean_squared_error_to_the_normalised_targets(decoder):
    views, (z1, z2) = _views((1 / 3, 2 / 3)), _tokens()
    torch.manual_seed(0)
    task = CoherenceTask(8, 2, 32, (4, 4), decoder=decoder, mean=MEAN, std=STD)
    output = task(z1, z2, views)
    assert output.decoded.shape == views.targets.shape
    expected = ((output.decoded - views.targets) / 0.25).square().mean()
    assert torch.allclose(output.loss, expected, rtol=1e-4)


def test_nothing_of_theta_reaches_the_loss():
    views, (z1, z2) = _views((1 / 3, 2 / 3)), _tokens()
    other = dataclasses.replace(views, theta=torch.full_like(views.theta, float("nan")))
    for decoder in ("conv", "cross-attention", "render"):
        torch.manual_seed(0)
        task = CoherenceTask(8, 2, 32, (4, 4), decoder=decoder)
        assert torch.equal(task(z1, z2, views).loss, task(z1, z2, other).loss)


def test_gradients_reach_the_tokens_of_both_views():
    views, tokens = _views((1 / 3, 2 / 3)), _tokens()
    z1, z2 = (z.requires_grad_() for z in tokens)
    CoherenceTask(8, 2, 32, (4, 4), decoder="conv")(z1, z2, views).loss.backward()
    assert z1.grad.abs().sum() > 0
    assert z2.grad.abs().sum() > 0


def test_without_targets_the_loss_is_zero_and_can_still_be_trained():
    views, (z1, z2) = _views(()), _tokens()
    output = CoherenceTask(8, 0, 32, (4, 4))(z1.requires_grad_(), z2, views)
    assert output.loss == 0
    assert output.decoded is None
    output.loss.backward()


@pytest.mark.parametrize("orders", ["both", "alternate"])
def test_other_orders_are_for_view_two_alone(orders):
    z1, z2 = _tokens()
    task = CoherenceTask(8, 2, 32, (4, 4), orders=orders)
    with pytest.raises(ValueError, match=r"view 2 and view 1, but the targets are at positions \(0\.3.*, 1\.0\)"):
        task(z1, z2, _views((1 / 3, 1.0)))


def test_unknown_orders_are_quoted():
    with pytest.raises(ValueError, match="orders 'symmetric' is unknown; choose one of one, both, alternate"):
        CoherenceTask(8, 1, 32, (4, 4), orders="symmetric")


def test_both_orders_also_reconstruct_view_one():
    views, (z1, z2) = _views((1.0,)), _tokens()
    torch.manual_seed(0)
    task = CoherenceTask(8, 1, 32, (4, 4), decoder="cross-attention", orders="both")
    swapped = dataclasses.replace(views, v1=views.v2, v2=views.v1, targets=views.v1[:, None])
    assert torch.allclose(task(z1, z2, views).loss, task(z2, z1, swapped).loss, atol=1e-6)


def test_alternate_reconstructs_view_two_of_the_first_half_and_view_one_of_the_others():
    views, (z1, z2) = _views((1.0,)), _tokens()
    torch.manual_seed(0)
    task = CoherenceTask(8, 1, 32, (4, 4), decoder="cross-attention", orders="alternate")
    decode = task.decoder
    errors = [
        (decode(*tokens, (4, 4), (views.v1, views.v2), views.times)[:, 0] - (seen - task.mean) / task.std).square()
        for tokens, seen in (((z1, z2), views.v2), ((z2, z1), views.v1))
    ]
    expected = torch.cat([errors[0][:2], errors[1][2:]]).mean()
    output = task(z1, z2, views)
    assert torch.allclose(output.loss, expected, rtol=1e-5)
    assert output.decoded is None
    both = torch.cat(errors).mean()
    output = task.eval()(z1, z2, views)
    assert torch.allclose(output.loss, both, rtol=1e-5)
    assert output.decoded.shape == (4, 1, 3, 32, 32)


def test_views_made_for_other_positions_are_refused():
    z1, z2 = _tokens()
    with pytest.raises(ValueError, match="number of positions"):
        CoherenceTask(8, 2, 32, (4, 4))(z1, z2, _views((0.5,)))


def test_the_render_decoder_learns_a_rotation_it_is_never_told():
    """With tokens that hold the angle, the loss falls far below that of the identity."""
    y, x = torch.meshgrid(torch.linspace(-1, 1, 32), torch.linspace(-1, 1, 32), indexing="ij")
    images = torch.sigmoid(torch.stack([4 * y, 3 * x, 2 * (x + y)])).expand(32, 3, 32, 32)
    views = _rotations(images)
    torch.manual_seed(0)
    task = CoherenceTask(1, 2, 32, (1, 1), decoder="render", parts=("affine",), mean=MEAN, std=STD)
    z1, z2 = torch.zeros(32, 1, 1), views.theta[:, None] / 45
    optimizer = torch.optim.Adam(task.parameters(), 3e-3)
    losses = []
    for _ in range(80):
        loss = task(z1, z2, views).loss
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.25 * losses[0]


def _rotations(images):
    whole = augmentation((1.0, 1.0), jitter_probability=0, grayscale=0, blur=0, flip=0)
    return PathViews(whole, whole, Rotation(), size=32)(images, torch.Generator().manual_seed(0))


def test_the_oracle_regresses_standardised_parameters():
    views, (z1, z2) = _views(()), _tokens()
    torch.manual_seed(0)
    oracle = ThetaRegression(8, SE2().parameters)
    predicted = oracle.mlp(torch.cat([z1.mean(1), z2.mean(1)], -1))
    scaled = views.theta / torch.tensor([90.0, 20.0, 20.0]) * 12**0.5
    assert torch.allclose(oracle(z1, z2, views).loss, (predicted - scaled).square().mean(), rtol=1e-4)


@pytest.mark.parametrize(("count", "width"), [(17, 8), (16, 4)])
def test_tokens_that_the_task_was_not_built_for_are_refused_with_their_shape(count, width):
    task = CoherenceTask(d_equi=8, targets=1, size=32, grid=(4, 4), decoder="cross-attention")
    tokens = torch.zeros(2, count, width)
    views = PathViews(augmentation(), augmentation(), SE2(), size=32, positions=(0.5,))
    made = views(torch.zeros(2, 3, 32, 32, dtype=torch.uint8), torch.Generator())
    with pytest.raises(ValueError, match=rf"must be \(B, 16, 8\).*got \(2, {count}, {width}\)"):
        task(tokens, tokens, made)


def test_a_size_without_a_patch_of_whole_pixels_for_each_token_is_refused():
    with pytest.raises(ValueError, match=r"views of 33 pixels have 5 x 5 tokens: give .* such as 35, or another"):
        CoherenceTask(d_equi=8, targets=1, size=33, grid=(5, 5), decoder="cross-attention")
