"""The path between two views: its ends are the views, and what lies on it is what the algebra says."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from equicoherence.paths import (
    SE2,
    Between,
    Blur,
    ColorJitter,
    Compose,
    PathViews,
    Perspective,
    Pyramid,
    ResizedCrop,
    Rotation,
    Scale,
    State,
    Transformation,
    augmentation,
    render,
)
from equicoherence.paths.between import Geodesic
from equicoherence.paths.views import spread
from tests.host import FromTheHost, no_waiting

from .pictures import smooth, textured

ALL = augmentation(blur=0.5, solarize=0.3, rotation=40.0)
UNBLURRED = augmentation(blur=0.0, grayscale=0.0, rotation=40.0)
STILL = ResizedCrop((1.0, 1.0), (1.0, 1.0), flip=0.0)
GREY = torch.full((2, 64, 3), 0.5)
positions = st.floats(0, 1, width=32)


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def states(first: Transformation, second: Transformation, seed: int = 0, batch: int = 64) -> tuple[State, State]:
    """Return states of two views that share their flip."""
    drawn = [each.sample(batch, seeded(seed + i)) for i, each in enumerate((first, second))]
    for (column, _), (other, _) in zip(first.flips, second.flips):
        drawn[1][:, other] = drawn[0][:, column]
    one, two = (each.state(theta) for each, theta in zip((first, second), drawn))
    return one, two


def pair(first: Transformation, second: Transformation | None = None, seed: int = 0) -> Geodesic:
    return Geodesic.between(*states(first, second or first, seed), GREY)


def moved(path: Geodesic, t: float) -> State:
    return path.at(torch.full((64,), t))


def numbers(state: State) -> list[Tensor]:
    found = [state.geometry, state.color, state.sigma]
    return found if state.threshold is None else [*found, state.threshold.clamp_max(1)]  # above white is none


@pytest.mark.parametrize("augment", [ALL, UNBLURRED, Compose(STILL, SE2(), Scale(), ColorJitter(), Blur())])
@pytest.mark.parametrize("end", [0, 1])
def test_a_path_begins_at_view_1_and_ends_at_view_2(augment: Transformation, end: int) -> None:
    path = pair(augment)
    for found, expected in zip(numbers(moved(path, float(end))), numbers(path.ends[end])):
        assert torch.allclose(found, expected, atol=1e-5)


def test_a_path_between_strongly_jittered_colors_ends_at_view_2_and_is_seldom_straight() -> None:
    count, augment = 4096, augmentation(jitter=(0.8, 0.8, 0.8, 0.4), grayscale=0.0, rotation=80.0)
    path = Geodesic.between(*states(augment, augment, batch=count), torch.full((2, count, 3), 0.5))
    error = (path.at(torch.ones(count)).color - path.ends[1].color).abs().amax(dim=(1, 2))
    assert float(error.max()) < 1e-5
    assert float(path.tints.float().mean()) > 0.9


@settings(max_examples=20)
@given(seed=st.integers(0, 10**6), s=positions, t=positions)
def test_a_part_of_a_path_is_the_path_between_its_ends(seed: int, s: float, t: float) -> None:
    path = pair(UNBLURRED, seed=seed)
    begin, end = moved(path, s), moved(path, 1.0)
    part = Geodesic.between(begin, end, torch.ones(2, 64, 3))
    whole = moved(path, s + t * (1 - s))
    found = part.at(torch.full((64,), t))
    assert torch.allclose(found.geometry, whole.geometry, atol=3e-5)
    assert torch.allclose(found.color, whole.color, atol=3e-5)


@settings(max_examples=20)
@given(first=st.floats(-80, 80, width=32), second=st.floats(-80, 80, width=32), t=positions)
def test_between_two_turns_the_angle_changes_evenly(first: float, second: float, t: float) -> None:
    turn = Rotation()
    begin, end = (turn.state(torch.tensor([[angle]])) for angle in (first, second))
    path = Geodesic.between(begin, end, torch.full((2, 1, 3), 0.5))
    expected = turn.state(torch.tensor([[first + t * (second - first)]]))
    assert torch.allclose(path.at(torch.tensor([t])).geometry, expected.geometry, atol=1e-5)


@settings(max_examples=20)
@given(first=st.floats(-1, 1, width=32), second=st.floats(-1, 1, width=32), t=positions)
def test_between_two_scales_the_octaves_change_evenly(first: float, second: float, t: float) -> None:
    scale = Scale((-1.0, 1.0))
    begin, end = (scale.state(torch.tensor([[octaves]])) for octaves in (first, second))
    path = Geodesic.between(begin, end, torch.full((2, 1, 3), 0.5))
    expected = scale.state(torch.tensor([[first + t * (second - first)]]))
    assert torch.allclose(path.at(torch.tensor([t])).geometry, expected.geometry, atol=1e-5)


@settings(max_examples=20)
@given(first=st.floats(-0.5, 0.5, width=32), second=st.floats(-0.5, 0.5, width=32), t=positions)
def test_between_two_brightnesses_the_factor_is_their_geometric_mean(first: float, second: float, t: float) -> None:
    jitter = ColorJitter(0.5, 0.0, 0.0, 0.0)
    begin, end = (jitter.state(torch.tensor([[bright, 0.0, 0.0, 0.0]])) for bright in (first, second))
    path = Geodesic.between(begin, end, torch.full((2, 1, 3), 0.5))
    factor = (1 + first) ** (1 - t) * (1 + second) ** t
    assert torch.allclose(path.at(torch.tensor([t])).color[:, :, :3], factor * torch.eye(3), atol=1e-5)


def test_the_variance_of_the_blur_changes_evenly() -> None:
    path = pair(Compose(STILL, Blur((0.0, 2.0))))
    a, b = (end.sigma.square() for end in path.ends)
    assert torch.allclose(moved(path, 0.3).sigma.square(), 0.7 * a + 0.3 * b, atol=1e-5)


def test_without_a_logarithm_the_colors_go_straight_from_one_view_to_the_other() -> None:
    path = pair(augmentation(grayscale=0.5, jitter_probability=1.0))
    a, b = path.ends
    singular = [torch.linalg.det(end.color[..., :3]).abs() < 1e-4 for end in path.ends]
    straight = singular[0] | singular[1]
    assert 10 < int(straight.sum()) < 60
    assert torch.equal(straight, ~path.tints)
    assert torch.allclose(moved(path, 0.5).color[straight], (a.color + b.color)[straight] / 2, atol=1e-6)
    assert float((moved(path, 0.5).color - (a.color + b.color) / 2)[~straight].abs().max()) > 0.01


def test_solarizing_begins_at_white() -> None:
    path = pair(augmentation(solarize=0.5))
    thresholds = [end.threshold for end in path.ends]
    assert thresholds[0] is not None
    assert thresholds[1] is not None
    appears = (thresholds[0] > 1) & (thresholds[1] < 1)
    assert int(appears.sum()) > 5
    found = [moved(path, t).threshold for t in (0.0, 0.5)]
    assert found[0] is not None
    assert found[1] is not None
    assert bool((found[0][appears] > 1).all())
    assert torch.allclose(found[1][appears], torch.tensor(0.75), atol=1e-4)


def test_mirrored_views_go_straight_through_a_line_and_are_refused() -> None:
    flipped, plain = (ResizedCrop(flip=p) for p in (1.0, 0.0))
    first, second = (each.state(each.sample(64, seeded())) for each in (flipped, plain))
    path = Geodesic.between(first, second, GREY)
    assert not bool(path.moves.any())
    assert torch.allclose(moved(path, 0.5).geometry, (first.geometry + second.geometry) / 2, atol=1e-6)
    with pytest.raises(ValueError, match="flip 'independent'"):
        PathViews(ALL, ALL, Between(), size=32, flip="independent")


def test_a_perspective_is_refused() -> None:
    tilted = Compose(ResizedCrop(), Perspective())
    with pytest.raises(ValueError, match="perspective"):
        pair(tilted)


@pytest.mark.parametrize("as_bytes", [True, False])
def test_the_views_are_those_without_a_path(as_bytes: bool) -> None:
    images = textured(16, 48)
    images = (images * 255).byte() if as_bytes else images
    made = PathViews(ALL, ALL, Between(), size=32, positions=(0.0, 1.0))(images, seeded())
    plain = PathViews(ALL, ALL, None, size=32)(images, seeded())
    for view, expected in ((made.v1, plain.v1), (made.v2, plain.v2), (made.targets[:, 0], made.v1)):
        assert torch.allclose(view, expected, atol=1e-5)
    unsolarized = PathViews(UNBLURRED, UNBLURRED, Between(), size=32, positions=(1.0,))(images, seeded())
    assert torch.allclose(unsolarized.targets[:, 0], unsolarized.v2, atol=1e-4)


def test_states_are_rendered_from_the_source_once() -> None:
    images = smooth(8, 64)
    made = PathViews(UNBLURRED, UNBLURRED, Between(), size=32, positions=(0.5,))(images, seeded())
    pyramid = Pyramid.build(images, 32, 0.5)
    generator = seeded()
    one, two = UNBLURRED.sample(8, generator), UNBLURRED.sample(8, generator)
    two[:, 4] = one[:, 4]
    first, second = UNBLURRED.state(one), UNBLURRED.state(two)
    means = torch.stack([pyramid.mean(state.geometry) for state in (first, second)])
    halfway = Geodesic.between(first, second, means).at(torch.full((8,), 0.5))
    expected = render(pyramid, halfway, size=32, mean=torch.ones(8, 3))
    assert torch.allclose(made.targets[:, 0], expected, atol=1e-6)


def test_theta_is_what_leads_from_view_1_to_view_2() -> None:
    path = pair(ALL)
    assert path.theta.shape == (64, len(Between.parameters)) == (64, 19)
    assert torch.equal(path.theta[:, :6], path.move[:, :2].flatten(1))
    assert torch.equal(path.theta[:, 6:18][path.tints], path.tint[:, :3].flatten(1)[path.tints])
    straight = (path.colors[1] - path.colors[0])[:, :3].flatten(1)
    assert torch.equal(path.theta[:, 6:18][~path.tints], straight[~path.tints])
    assert torch.allclose(path.theta[:, 18], path.second.sigma**2 - path.first.sigma**2)
    mean, deviation = Between().scale(ALL, ALL, "shared")
    scaled = (path.theta - mean) / deviation
    assert float(scaled.mean().abs()) < 0.2
    assert 0.6 < float(scaled.std()) < 1.4


def test_multi_crop_and_a_share_of_the_batch_leave_the_two_views_as_they_are() -> None:
    images = (textured(12, 48) * 255).byte()
    crop = augmentation(area=(0.05, 0.25))
    whole = PathViews(ALL, ALL, Between(), size=32)(images, seeded())
    made = PathViews(ALL, ALL, Between(), size=32, share=0.5, base=True, crops=2, crop_size=16, crop=crop)
    part = made(images, seeded())
    assert part.base is None
    assert part.crops is not None
    assert part.crops.shape == (2, 12, 3, 16, 16)
    assert part.targets.shape == (6, 2, 3, 32, 32)
    for found, expected in ((part.v1, whole.v1), (part.v2, whole.v2), (part.targets, whole.targets[:6])):
        assert torch.allclose(found, expected, atol=1e-5)
    assert torch.allclose(part.theta, whole.theta, atol=1e-5)


def test_random_positions_lie_each_in_its_own_piece_and_ends_stay() -> None:
    drawn = spread((0.0, 1 / 3, 2 / 3, 1.0), 512, seeded())
    for column, holds in enumerate((drawn[:, 0] == 0, drawn[:, 1] < 0.5, drawn[:, 2] >= 0.5, drawn[:, 3] == 1)):
        assert bool(holds.all()), column
    assert 0.2 < float(drawn[:, 1].mean()) < 0.3
    assert 0.13 < float(drawn[:, 2].std()) < 0.16


@pytest.mark.parametrize("path", [Between(), Compose(SE2(), ColorJitter(), Blur())])
def test_random_states_lie_where_they_say(path: Between | Transformation) -> None:
    images = (textured(6, 48) * 255).byte()
    views = PathViews(UNBLURRED, UNBLURRED, path, size=32, spacing="random")(images, seeded())
    assert float(views.times.std(dim=0).min()) > 0.05
    # the same draws, with the states of each image in turn where those of the first, second, ... were drawn
    for k in range(2):
        for row in range(2):
            place = (float(views.times[row, k]),)
            even = PathViews(UNBLURRED, UNBLURRED, path, size=32, positions=place)
            assert torch.allclose(even(images, seeded()).targets[row, 0], views.targets[row, k], atol=1e-4)


def test_a_second_step_sends_no_constant() -> None:
    images = textured(4, 48)  # which goes the way of an accelerator
    make = PathViews(ALL, ALL, Between(), size=32, spacing="random")
    make(images, seeded())
    with FromTheHost() as made:
        make(images, seeded())
    assert made.count == 0


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_gpu_never_waits_for_the_views() -> None:
    device = torch.device("cuda")
    images = (textured(4, 48) * 255).byte().to(device)
    make = PathViews(ALL, ALL, Between(), size=32, spacing="random")
    generator = torch.Generator(device).manual_seed(0)
    make(images, generator)
    with no_waiting():
        make(images, generator)
