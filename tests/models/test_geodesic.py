"""The geodesic decoder: its states are those of one path, and with the true numbers they are the targets."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from equicoherence.coherence import CoherenceTask
from equicoherence.coherence.task import squared_error
from equicoherence.models.decoders import DECODERS, Decoding
from equicoherence.models.decoders.geodesic import GeodesicDecoder
from equicoherence.models.decoders.render import RenderDecoder
from equicoherence.paths import Between, Blur, ColorJitter, Compose, PathViews, ResizedCrop, Rotation, Views
from tests.host import FromTheHost
from tests.paths.pictures import smooth

GRID = (4, 4)
MEAN, STD = torch.tensor([0.48, 0.45, 0.4]), torch.tensor([0.23, 0.22, 0.25])
AUGMENT = Compose(ResizedCrop((0.5, 1.0), flip=0.5), Rotation((-30.0, 30.0)), ColorJitter(0.2, 0.2, 0.2, 0.05))


def made(augment: Compose = AUGMENT, positions: tuple[float, ...] = (0.2, 0.6), **settings: object) -> Views:
    make = PathViews(augment, augment, Between(), size=64, positions=positions, **settings)  # type: ignore[arg-type]
    return make(smooth(16, 96) * 0.6 + 0.2, torch.Generator().manual_seed(0))


def normalised(images: Tensor) -> Tensor:
    return (images - MEAN[:, None, None]) / STD[:, None, None]


class Given(nn.Module):
    """Say what is to be predicted, whatever the tokens."""

    def __init__(self, numbers: Tensor) -> None:
        super().__init__()
        self.numbers = nn.Parameter(numbers)

    def forward(self, pooled: Tensor) -> Tensor:
        return self.numbers


def true_numbers(theta: Tensor) -> Tensor:
    """Return theta with its colors, which are in [0, 1], as numbers of normalised colors."""
    move, tint, blur = theta.split([6, 12, 1], dim=1)
    to = torch.eye(4)
    to[:3, :3], to[:3, 3] = torch.diag(1 / STD), -MEAN / STD
    tint = F.pad(tint.view(-1, 3, 4), (0, 0, 0, 1))
    tint = to @ tint @ torch.linalg.inv(to)
    return torch.cat([move, tint[:, :3].flatten(1), blur], dim=1)


def decoded(views: Views, numbers: Tensor, scales: tuple[int, ...] = (1,)) -> Tensor:
    decoder = GeodesicDecoder(8, scales=scales)
    decoder.mlp = Given(numbers)  # type: ignore[assignment]
    z = torch.zeros(len(views.v1), 16, 8)
    return decoder(z, z, GRID, (normalised(views.v1), normalised(views.v2)), views.times).detach()


def visible(views: Views) -> Tensor:
    """Return the pixels (B, T, 1, S, S) of the states that lie well inside one of the views."""
    still = torch.ones_like(views.v1), torch.ones_like(views.v2)
    black = [F.pad(each[..., 4:-4, 4:-4], [4] * 4) for each in still]
    one = Views(black[0], black[1], views.targets, views.positions, views.theta, times=views.times)
    move = true_numbers(views.theta).clone()
    move[:, 6:] = 0
    shown = decoded(one, move) * STD[:, None, None] + MEAN[:, None, None]
    return (shown[:, :, :1] > 0.98).float()


def test_with_the_true_numbers_the_states_are_the_targets() -> None:
    views = made()
    shown = visible(views)
    error = (decoded(views, true_numbers(views.theta)) - normalised(views.targets)).abs() * shown
    still = (decoded(views, torch.zeros(16, 19)) - normalised(views.targets)).abs() * shown
    assert float(shown.mean()) > 0.5
    assert float(error.mean()) < 0.005 < 0.1 < float(still.mean())
    assert float(error.flatten().quantile(0.99)) < 0.05


@pytest.mark.parametrize("turned", [range(6), range(6, 18)], ids=["place", "colors"])
def test_the_true_numbers_are_better_than_their_opposites(turned: range) -> None:
    views = made()
    numbers = true_numbers(views.theta)
    wrong = numbers.clone()
    wrong[:, list(turned)] *= -1
    errors = [squared_error(decoded(views, each), normalised(views.targets)) for each in (numbers, wrong)]
    assert float(errors[0]) < 0.2 * float(errors[1])


def test_the_change_of_blur_is_a_variance() -> None:
    still = Compose(ResizedCrop((1.0, 1.0), (1.0, 1.0), flip=0.0), Blur((0.0, 1.0)))
    images = torch.rand(16, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    make = PathViews(still, still, Between(), size=64, positions=(0.15, 0.85))
    views = make(images, torch.Generator().manual_seed(0))
    targets = normalised(views.targets)
    errors = {}
    for factor in (-1.0, 0.0, 1.0):
        errors[factor] = float((decoded(views, factor * true_numbers(views.theta)) - targets).square().mean())
    assert errors[1.0] < errors[0.0] < errors[-1.0]


def test_the_states_begin_as_the_mean_of_both_views() -> None:
    views = made()
    z = torch.randn(16, 16, 8, generator=torch.Generator().manual_seed(0))
    first, second = normalised(views.v1), normalised(views.v2)
    out = GeodesicDecoder(8, scales=(1,))(z, z, GRID, (first, second), views.times)
    assert torch.allclose(out, ((first + second) / 2)[:, None].expand_as(out), atol=1e-4)


def test_states_are_those_of_one_path_however_many_are_asked_for() -> None:
    views = made(positions=(0.2, 0.5, 0.6))
    numbers = true_numbers(views.theta)
    three = decoded(views, numbers)
    one = decoded(views.of_positions((1,)), numbers)
    assert torch.allclose(three[:, 1:2], one, atol=1e-5)


def test_views_in_the_other_order_give_the_path_in_the_other_direction() -> None:
    views = made()
    numbers = true_numbers(views.theta)
    there = decoded(views, numbers)
    back = Views(views.v2, views.v1, views.targets, views.positions, views.theta, times=1 - views.times)
    flat = numbers.clone()
    flat[:, 18] = 0
    assert torch.allclose(decoded(back, -numbers), there, atol=1e-4)


def test_in_training_pixels_are_those_of_the_finest_scale() -> None:
    views = made()
    task = CoherenceTask(8, 2, 64, GRID, decoder="geodesic", scales=(2, 4), mean=MEAN.tolist(), std=STD.tolist())
    z = torch.zeros(16, 16, 8)
    coarse = task(z, z, views)
    assert coarse.decoded is None
    assert task.eval()(z, z, views).decoded.shape == views.targets.shape
    pools = [F.avg_pool2d(images.flatten(0, -4), 2) for images in (views.v1, views.v2, views.targets)]
    target = pools[2].unflatten(0, (16, 2))
    still = ((pools[0] + pools[1]) / 2)[:, None].expand_as(target)
    error = (still - target) / STD[:, None, None]
    fourth = F.avg_pool2d(error.flatten(0, 1), 2)
    assert float(coarse.loss.detach()) == pytest.approx(
        float((error.square().mean() + fourth.square().mean()) / 2), rel=1e-3
    )


def test_the_error_on_a_pyramid_is_the_mean_over_its_squares() -> None:
    a, b = torch.rand(2, 2, 3, 3, 8, 8, generator=torch.Generator().manual_seed(0)).unbind()
    expected = [(a - b).unfold(-2, s, s).unfold(-2, s, s).mean(dim=(-1, -2)).square().mean() for s in (1, 2, 4)]
    assert torch.allclose(squared_error(a, b, (1, 2, 4)), sum(expected) / 3)
    assert torch.allclose(squared_error(a, b), (a - b).square().mean())


def test_all_its_parameters_learn_and_gradients_are_finite() -> None:
    views = made(Compose(AUGMENT, Blur((0.1, 1.0))), spacing="random")
    torch.manual_seed(0)
    decoder = GeodesicDecoder(8, scales=(1, 2, 4))
    optimizer = torch.optim.Adam(decoder.parameters(), 2e-2)
    z1, z2 = torch.randn(2, 16, 16, 8).unbind()
    seen, errors = (normalised(views.v1), normalised(views.v2)), []
    for _ in range(15):
        out = decoder(z1, z2, GRID, seen, views.times)
        error = squared_error(out, normalised(views.targets), decoder.scales)
        optimizer.zero_grad()
        error.backward()
        assert all(p.grad is not None and bool(p.grad.isfinite().all()) for p in decoder.parameters())
        optimizer.step()
        errors.append(float(error.detach()))
    assert errors[-1] < 0.7 * errors[0]


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 1e30])
def test_a_diverged_decoder_gives_no_finite_loss_and_no_crash(value: float) -> None:
    views = made()
    assert not bool(decoded(views, torch.full((16, 19), value)).square().mean().isfinite())


@pytest.mark.parametrize("name", ["conv", "cross-attention", "cross-attention-other", "render"])
def test_decoders_of_any_time_are_one_for_all_states_and_depend_on_where_they_lie(name: str) -> None:
    wanted = Decoding(8, 2, 32, GRID, ("affine", "color", "blur", "flow"), any_time=True)
    torch.manual_seed(0)
    decoder = DECODERS[name].build(wanted)
    if isinstance(decoder, RenderDecoder):  # which begins at the identity
        for last in (decoder.mlp[2], decoder.flow):
            nn.init.normal_(last.weight, std=0.05)  # type: ignore[union-attr]
    z1, z2 = torch.randn(2, 2, 16, 8).unbind()
    views = torch.rand(2, 2, 3, 32, 32).unbind()
    times = torch.tensor([[0.1, 0.5, 0.5], [0.7, 0.2, 0.9]])
    out = decoder(z1, z2, GRID, views, times)
    assert out.shape == (2, 3, 3, 32, 32)
    assert torch.allclose(out[0, 1], out[0, 2], atol=1e-5)
    assert not torch.allclose(out[0, 0], out[0, 1], atol=1e-4)
    single = decoder(z1, z2, GRID, views, times[:, 1:2])
    assert torch.allclose(single, out[:, 1:2], atol=1e-5)
    out.sum().backward()
    assert all(p.grad is not None for p in decoder.parameters())
    fixed = sum(p.numel() for p in DECODERS[name].build(Decoding(8, 5, 32, GRID, ("affine",))).parameters())
    assert sum(p.numel() for p in decoder.parameters()) < fixed


@pytest.mark.parametrize("name", ["geodesic", "solid", "conv", "cross-attention", "render"])
def test_a_second_step_sends_no_constant(name: str) -> None:
    views = made(spacing="random")
    task = CoherenceTask(8, 2, 64, (8, 8), decoder=name, any_time=True)
    z = torch.zeros(16, 64, 8)
    for _ in range(2):
        with FromTheHost() as sent:
            task(z, z, views)
    assert sent.count == 0
