"""Transformations compose, undo and interpolate as their numbers say."""

from __future__ import annotations

import math
from dataclasses import dataclass

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from equicoherence.paths import (
    SE2,
    Blur,
    ColorJitter,
    Compose,
    Grayscale,
    Perspective,
    Pyramid,
    ResizedCrop,
    Rotation,
    Scale,
    Solarize,
    State,
    Transformation,
    Translation,
    named_path,
    render,
)
from equicoherence.paths import color as colors
from equicoherence.paths.expected import expected_pixels, pixel_deviation
from equicoherence.paths.geometry import is_affine
from equicoherence.paths.transformation import Mirror, Parameter, distance, in_mirror

from .pictures import inner, shown, smooth

ALL = [
    Rotation(),
    Translation(),
    SE2(),
    Scale(),
    ResizedCrop(),
    ColorJitter(),
    Grayscale(0.5),
    Blur(),
    Blur(path="linear"),
    Solarize(probability=0.5),
    Perspective(),
    Compose(SE2(), Scale(), ColorJitter(), Blur()),
    Compose(ResizedCrop(), Perspective(), SE2(), ColorJitter(), Blur()),
]
angles = st.floats(-180, 180, width=32)
shifts = st.floats(-40, 40, width=32)


@pytest.mark.parametrize("transformation", ALL, ids=lambda t: type(t).__name__)
def test_every_transformation_passes_its_own_check(transformation: Transformation) -> None:
    found = transformation.check()
    assert len(found) >= 5
    if isinstance(transformation, (Rotation, Translation, SE2, Scale, Perspective)):
        assert "inverse undoes" in found


@pytest.mark.parametrize("transformation", ALL, ids=lambda t: type(t).__name__)
def test_what_is_called_affine_is_and_what_is_affine_is_called_so(transformation: Transformation) -> None:
    state = transformation.state(transformation.sample(20, torch.Generator().manual_seed(0)))
    assert state.affine == bool(is_affine(state.geometry).all())


def test_check_names_the_law_that_is_broken() -> None:
    class Wrong(Rotation):
        def inverse(self, theta: torch.Tensor) -> torch.Tensor:
            return theta

    with pytest.raises(ArithmeticError, match="Wrong: 'inverse undoes' is off by"):
        Wrong().check()


@pytest.mark.parametrize("mirror", ["left-right", "up-down"])
@pytest.mark.parametrize("transformation", ALL, ids=lambda t: type(t).__name__)
def test_what_is_declared_odd_changes_its_sign_in_a_mirror_and_all_else_stays(
    transformation: Transformation, mirror: Mirror
) -> None:
    theta = transformation.sample(64, torch.Generator().manual_seed(0))
    seen = transformation.state(transformation.mirrored(theta, mirror))
    assert distance(seen, in_mirror(transformation.state(theta), mirror)) < 1e-4


def test_the_mirror_image_of_a_state_is_what_its_mirrored_numbers_show() -> None:
    images, path = smooth(3, 64), Compose(SE2(), Perspective(), Blur())
    theta = path.sample(3, torch.Generator().manual_seed(0))
    for mirror, axis in (("left-right", -1), ("up-down", -2)):
        whole, still = Pyramid.build(images.flip(axis), 64), State.identity(3)
        seen = render(whole, still, path.state(path.mirrored(theta, mirror)), size=64)  # type: ignore[arg-type]
        expected = render(Pyramid.build(images, 64), still, path.state(theta), size=64).flip(axis)
        assert torch.allclose(inner(seen), inner(expected), atol=1e-4)


def test_check_finds_a_sign_that_no_mirror_turns() -> None:
    class Grown(Scale):
        def __init__(self) -> None:
            super().__init__()
            self.parameters = (Parameter("octaves", -0.5, 0.5, odd=("up-down",)),)

    with pytest.raises(ArithmeticError, match=r"Grown: 'in a mirror \(up-down\) odd parameters change their sign'"):
        Grown().check()


def test_check_compares_pixels_so_a_tilt_that_no_pixel_shows_fails() -> None:
    class Dropped(Perspective):
        def state(self, theta: torch.Tensor) -> State:
            return super().state(theta).replace(affine=True)  # the third row is not looked at by torch's renderer

    with pytest.raises(ArithmeticError, match="Dropped: 'pixels show the end of a path' is off by"):
        Dropped().check()


def test_check_refuses_a_state_with_numbers_that_no_renderer_reads() -> None:
    @dataclass(frozen=True)
    class Bent(State):
        bend: float = 0.0

    class Bend(Rotation):
        def state(self, theta: torch.Tensor) -> State:
            return Bent(**{**vars(super().state(theta)), "bend": 0.5})

    with pytest.raises(TypeError, match="Bent is not what the renderer reads"):
        Bend().check()


@pytest.mark.parametrize("field", ["geometry", "color", "sigma", "threshold"])
def test_pixels_are_held_to_each_number_of_a_state(field: str) -> None:
    mapped = Compose(SE2(), Perspective(), ColorJitter(), Blur((1.0, 2.0)), Solarize(probability=1.0))
    states = [mapped.state(mapped.sample(8, torch.Generator().manual_seed(seed))) for seed in (0, 1)]
    other = states[0].threshold - 0.3 if field == "threshold" else getattr(states[1], field)  # type: ignore[operator]
    pixels, settled = expected_pixels(states[0], torch.full((8, 3), 0.5))
    changed, settled_too = expected_pixels(states[0].replace(**{field: other}), torch.full((8, 3), 0.5))
    assert float(((pixels - changed) * settled * settled_too).abs().max()) > 0.02
    assert pixel_deviation(states[0]) < 0.02


@settings(max_examples=40, deadline=None)
@given(st.tuples(angles, shifts, shifts), st.tuples(angles, shifts, shifts))
def test_se2_composes_and_inverts(first: tuple[float, float, float], second: tuple[float, float, float]) -> None:
    se2 = SE2()
    a, b = torch.tensor([first]), torch.tensor([second])
    assert distance(se2.state(se2.compose(a, b)), se2.state(a).then(se2.state(b))) < 1e-4
    assert distance(se2.state(a).then(se2.state(se2.inverse(a))), State.identity(1)) < 1e-4


@settings(max_examples=25, deadline=None)
@given(st.tuples(angles, shifts, shifts), st.tuples(angles, shifts, shifts), st.tuples(angles, shifts, shifts))
def test_se2_is_associative(a: tuple, b: tuple, c: tuple) -> None:
    se2, (x, y, z) = SE2(), (torch.tensor([v]) for v in (a, b, c))
    left, right = se2.compose(se2.compose(x, y), z), se2.compose(x, se2.compose(y, z))
    assert distance(se2.state(left), se2.state(right)) < 1e-4


@settings(max_examples=25, deadline=None)
@given(angles, st.floats(0, 1), st.floats(0, 1))
def test_a_rotation_path_is_a_one_parameter_group(angle: float, s: float, t: float) -> None:
    turn, theta = Rotation(), torch.tensor([[angle]])
    walked = turn.state(turn.at(theta, s)).then(turn.state(turn.at(theta, t)))
    assert distance(walked, turn.state((s + t) * theta)) < 1e-5


def test_a_path_of_30_degrees_passes_10_and_20_degrees() -> None:
    theta = torch.tensor([[30.0]])
    between = [float(Rotation().interpolate(theta, k, 2)) for k in range(4)]
    assert between == [0.0, pytest.approx(10.0, abs=1e-5), pytest.approx(20.0, abs=1e-5), 30.0]
    with pytest.raises(ValueError, match="state 4 of 2 does not exist"):
        Rotation().interpolate(theta, 4, 2)


@settings(max_examples=30, deadline=None)
@given(st.floats(0.1, 3), st.floats(0.1, 3))
def test_blurs_add_their_variances(first: float, second: float) -> None:
    state = Blur().state(torch.tensor([[first]])).then(Blur().state(torch.tensor([[second]])))
    assert float(state.sigma) == pytest.approx(math.hypot(first, second), rel=1e-5)


def test_the_heat_path_spends_variance_evenly_and_the_linear_path_sigma() -> None:
    theta = torch.tensor([[2.0]])
    assert float(Blur().at(theta, 0.25)) == pytest.approx(1.0)
    assert float(Blur(path="linear").at(theta, 0.25)) == pytest.approx(0.5)


def test_blurring_twice_is_blurring_once_by_the_summed_variance() -> None:
    images = smooth(2, 64)
    twice = shown(shown(images, Blur((0, 3)), [1.2]), Blur((0, 3)), [1.6])
    assert float((twice - shown(images, Blur((0, 3)), [2.0])).abs().max()) < 2e-3


def test_a_blur_grows_with_a_later_magnification() -> None:
    state = Blur().state(torch.tensor([[1.0]])).then(Scale().state(torch.tensor([[1.0]])))
    assert float(state.sigma) == pytest.approx(2.0)


@settings(max_examples=25, deadline=None)
@given(st.lists(st.floats(-0.4, 0.4), min_size=3, max_size=3), st.lists(st.floats(-0.4, 0.4), min_size=3, max_size=3))
def test_color_maps_compose_as_pixels_do(first: list[float], second: list[float]) -> None:
    one, two = (ColorJitter().state(torch.tensor([[*v, 0.05]])).color for v in (first, second))
    x, mean = torch.rand(3, 50, generator=torch.Generator().manual_seed(0)), torch.tensor([0.2, 0.5, 0.7])[:, None]

    def act(color: torch.Tensor, pixels: torch.Tensor, mean: torch.Tensor) -> torch.Tensor:
        return color[0, :, :3] @ pixels + color[0, :, 3:] @ mean

    both = act(colors.then(one, two), x, mean)
    assert torch.allclose(both, act(two, act(one, x, mean), act(one, mean, mean)), atol=1e-5)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (Rotation(), Translation()),
        (Translation(), Rotation()),
        (SE2(), Scale()),
        (Rotation(), Blur((0, 2))),
        (ColorJitter(0.2, 0.2, 0.2, 0.05), SE2()),
        (Perspective(), SE2()),
        (Rotation(), Perspective()),
    ],
    ids=lambda t: type(t).__name__,
)
def test_rendering_composed_states_is_doing_one_after_the_other(first: Transformation, second: Transformation) -> None:
    images, generator = 0.3 + 0.4 * smooth(8, 96), torch.Generator().manual_seed(3)
    a, b = first.state(first.sample(8, generator)), second.state(second.sample(8, generator))
    pyramid = Pyramid.build(images, 96)
    mean = images.mean(dim=(2, 3))
    between = render(pyramid, State.identity(8), a, size=96)
    after = render(Pyramid.build(between, 96), State.identity(8), b, size=96)
    at_once = render(pyramid, a, b, size=96, mean=mean)
    assert float(inner(at_once - after, 32).abs().mean()) < 2e-3
    assert float(inner(at_once - after, 32).abs().max()) < 0.02


def test_compose_keeps_the_names_apart() -> None:
    both = Compose(Rotation(), SE2())
    assert both.names == ("rotation_angle", "se2_angle", "x", "y")
    assert named_path("se2+blur").names == ("angle", "x", "y", "sigma")


def test_samples_stay_in_their_ranges_and_probability_leaves_rows_at_zero() -> None:
    theta = SE2(angle=(-30, 10), probability=0.25).sample(2000, torch.Generator().manual_seed(0))
    assert -30 <= float(theta[:, 0].min()) < -29
    assert 9 < float(theta[:, 0].max()) <= 10
    assert 0.2 < float((theta != 0).all(dim=1).float().mean()) < 0.3
    assert bool(((theta == 0).all(dim=1) | (theta != 0).all(dim=1)).all())


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Parameter("angle", 3.0, 1.0), r"angle: range \(3.0, 1.0\) is empty"),
        (lambda: Rotation(probability=1.5), "got 1.5"),
        (lambda: ResizedCrop((0.0, 1.0)), r"got \(0.0, 1.0\)"),
        (lambda: ColorJitter(brightness=(-1.5, 0.0)), r"brightness range \(-1.5, 0.0\)"),
        (lambda: Blur((-1.0, 1.0)), r"got \(-1.0, 1.0\)"),
        (lambda: Blur(path="cubic"), "'cubic'"),  # type: ignore[arg-type]
        (lambda: Compose(), "at least one"),
        (lambda: named_path("se2+shear"), "'shear' is unknown"),
    ],
)
def test_bad_settings_are_quoted(make, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()


def test_a_family_without_composition_says_so() -> None:
    with pytest.raises(TypeError, match="ColorJitter is not closed under composition"):
        ColorJitter().compose(torch.zeros(1, 4), torch.zeros(1, 4))
