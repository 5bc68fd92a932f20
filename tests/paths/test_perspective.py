"""Perspective: a tilt is the projective map that it says, in both renderers, with every border."""

from __future__ import annotations

import warnings

import pytest
import torch
import torch.nn.functional as F
import torchvision.transforms.v2.functional as TF
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from equicoherence.paths import (
    SE2,
    Blur,
    ColorJitter,
    Compose,
    PathViews,
    Perspective,
    Pyramid,
    ResizedCrop,
    Rotation,
    State,
    Transformation,
    augmentation,
    geometry,
    named_path,
    render,
)
from equicoherence.paths.sampling import BORDERS, Border
from equicoherence.paths.transformation import distance

from .pictures import smooth, textured

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # kornia's own, at import
    import kornia

tilts = st.tuples(*[st.floats(-0.45, 0.45)] * 2)
HALF = ResizedCrop((0.25, 0.25), (1.0, 1.0), flip=0.0)
MIDDLE = [0.0, 0.0, -0.6931472, -0.6931472, 0.0]  # of HALF: the middle of the source, magnified twice
STEEP = torch.tensor([[0.9, 0.7], [-0.6, 0.8], [0.0, -1.5]])  # the horizon crosses the picture


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def drawn(transformation: Transformation, batch: int, seed: int = 0) -> State:
    return transformation.state(transformation.sample(batch, seeded(seed)))


def tilted(*tilt: float, batch: int = 1) -> State:
    return Perspective().state(torch.tensor([tilt] * batch))


def both(images: Tensor, size: int) -> list[Pyramid]:
    """Return the same bytes for the compiled renderer and for torch's."""
    pyramid = Pyramid.build((images * 255).round().byte(), size)
    return [pyramid, pyramid.with_atlas()]


# --- algebra


@settings(max_examples=40, deadline=None)
@given(tilts, tilts)
def test_tilts_add_and_their_negatives_undo(first: tuple[float, float], second: tuple[float, float]) -> None:
    tilt, a, b = Perspective(), torch.tensor([first]), torch.tensor([second])
    assert distance(tilt.state(tilt.compose(a, b)), tilt.state(a).then(tilt.state(b))) < 1e-6
    assert distance(tilt.state(a).then(tilt.state(tilt.inverse(a))), State.identity(1)) < 1e-6
    assert distance(tilt.state(a).then(tilt.state(b)), tilt.state(b).then(tilt.state(a))) < 1e-6


@settings(max_examples=40, deadline=None)
@given(tilts, st.floats(0, 1), st.floats(0, 1))
def test_a_path_of_tilts_is_a_one_parameter_group(end: tuple[float, float], s: float, t: float) -> None:
    tilt, theta = Perspective(), torch.tensor([end])
    walked = tilt.state(tilt.at(theta, s)).then(tilt.state(tilt.at(theta, t)))
    assert distance(walked, tilt.state((s + t) * theta)) < 1e-6
    generator = tilt.state(theta).geometry - torch.eye(3)
    assert torch.allclose(torch.linalg.matrix_exp(t * generator), tilt.state(t * theta).geometry, atol=1e-6)


def test_a_state_a_third_of_the_way_has_a_third_of_the_tilt() -> None:
    state = Perspective().state(Perspective().interpolate(torch.tensor([[0.15, -0.12]]), 1, 2))
    assert torch.allclose(state.geometry[0, 2], torch.tensor([0.05, -0.04, 1.0]))
    assert torch.equal(state.geometry[0, :2], torch.eye(3)[:2])


def test_a_positive_tilt_brings_the_right_side_nearer() -> None:
    squares = torch.zeros(1, 3, 96, 96)
    squares[..., 40:56, 8:24] = squares[..., 40:56, 72:88] = 1
    seen = render(Pyramid.build(squares, 96), State.identity(1), tilted(0.2, 0.0), size=96)
    assert float(seen[..., 48:].sum()) > 1.5 * float(seen[..., :48].sum())
    upright = render(Pyramid.build(squares.mT, 96), State.identity(1), tilted(0.0, 0.2), size=96)
    assert torch.allclose(upright, seen.mT, atol=1e-5)


def test_no_draw_reaches_the_horizon() -> None:
    tilt = Perspective((-0.5, 0.3), (-0.2, 0.49))
    corners = torch.cartesian_prod(torch.tensor([-0.5, 0.3]), torch.tensor([-0.2, 0.49]))
    assert float(geometry.depths(tilt.state(corners).geometry)[1].min()) == pytest.approx(0.01, abs=1e-6)
    with pytest.raises(ValueError, match=r"tilts of up to \(-0.5, 0.3\) and \(-0.2, 0.5\) .* below 1, it is 1"):
        Perspective((-0.5, 0.3), (-0.2, 0.5))


def test_the_default_shows_no_more_than_a_turn_of_45_degrees() -> None:
    ends = torch.cartesian_prod(torch.tensor([-0.15, 0.15]), torch.tensor([-0.15, 0.15]))
    x, half_width, y, half_height = geometry.bounding_boxes(Perspective().state(ends).geometry).unbind(-1)
    reach = torch.stack([x.abs() + half_width, y.abs() + half_height])
    assert float(reach.max()) == pytest.approx(1 / 0.7)
    turned = geometry.bounding_boxes(Rotation().state(torch.tensor([[45.0]])).geometry)[0, 1]
    assert float(reach.max()) == pytest.approx(float(turned), rel=0.02)


# --- pixels


def homographies(batch: int) -> State:
    """Return turned, shifted, tilted maps that read the middle of the source, magnified: from the first level alone."""
    path = Compose(Rotation((-30, 30)), Perspective(), SE2((-20, 20), (-8, 8), (-8, 8)))
    return HALF.state(torch.tensor([MIDDLE] * batch)).then(drawn(path, batch))


@pytest.mark.parametrize("renderer", [0, 1], ids=["compiled", "torch"])
def test_it_is_kornias_warp_perspective(images: Tensor, renderer: int) -> None:
    images = images.repeat(3, 1, 1, 1)
    pyramid, state = both(images, 96)[renderer], homographies(6)
    pixels = torch.tensor([[2 / 96, 0, 1 / 96 - 1], [0, 2 / 96, 1 / 96 - 1], [0, 0, 1]])  # places of pixels, normalised
    forwards = torch.linalg.inv(torch.linalg.inv(pixels) @ state.geometry @ pixels)
    theirs = kornia.geometry.warp_perspective(pyramid.images.float() / 255, forwards, (96, 96))
    assert float((render(pyramid, state, size=96) - theirs).abs().max()) < 2e-4


@pytest.mark.parametrize("renderer", [0, 1], ids=["compiled", "torch"])
def test_it_is_torchvisions_perspective(images: Tensor, renderer: int) -> None:
    pyramid, state = both(images, 96)[renderer], homographies(2)
    edges = torch.tensor([[2 / 96, 0, -1], [0, 2 / 96, -1], [0, 0, 1]])  # of the pixels' upper left corners
    matrices = torch.linalg.inv(edges) @ state.geometry @ edges
    ours = render(pyramid, state, size=96)
    for image, matrix, mine in zip(pyramid.images.float() / 255, matrices, ours):
        eight = (matrix / matrix[2, 2]).flatten()[:8].tolist()
        theirs = TF.perspective(image, None, None, interpolation=TF.InterpolationMode.BILINEAR, coefficients=eight)
        assert float((mine - theirs).abs().max()) < 2e-4


@pytest.mark.parametrize("border", BORDERS)
@pytest.mark.parametrize(("source", "size"), [(96, 64), (160, 24), (64, 96)])
def test_both_renderers_give_the_same_pixels(source: int, size: int, border: Border) -> None:
    first = Compose(augmentation(), Perspective())
    path = Compose(SE2((-170, 170), (-60, 60), (-60, 60)), Perspective((-0.3, 0.3), (-0.3, 0.3)), ColorJitter(), Blur())
    base, state = drawn(first, 12), drawn(path, 12, seed=1)
    plain, atlas = (render(p, base, state, size=size, border=border) for p in both(smooth(12, source), size))
    difference = (plain - atlas).abs()  # at the edge of black or of a level, either side may be read
    assert float((difference > 3 / 255).float().mean()) < (2e-3 if border == "zeros" else 1e-4)


@pytest.mark.parametrize("renderer", [0, 1], ids=["compiled", "torch"])
def test_reflection_mirrors_the_base_image(renderer: int) -> None:
    images, state = smooth(3, 128), tilted(0.2, 0.15, batch=3)
    base = HALF.state(torch.tensor([MIDDLE] * 3))
    pyramid = both(images, 64)[renderer]
    u = render(pyramid, base, size=64)
    expected = render(both(u, 64)[renderer], State.identity(3), state, size=64)  # beyond a source, it is mirrored
    mirrored, content = (render(pyramid, base, state, size=64, border=name) for name in ("reflection", "content"))
    beyond = (mirrored - content).abs().amax(dim=1, keepdim=True) > 0.05
    assert 0.05 < float(beyond.float().mean()) < 0.5
    difference = (mirrored - expected).abs()
    assert float(difference.mean()) < 2e-3
    assert float((difference * beyond).sum() / beyond.sum() / 3) < 0.01  # the very edge is read to half a pixel


@pytest.mark.parametrize("renderer", [0, 1], ids=["compiled", "torch"])
def test_zeros_is_black_beyond_the_tilted_base_image_alone(renderer: int) -> None:
    state = tilted(0.3, -0.2)
    seen = render(both(torch.ones(1, 3, 64, 64), 64)[renderer], State.identity(1), state, size=64, border="zeros")
    y, x = torch.meshgrid(*[(torch.arange(64) * 2 + 1) / 64 - 1] * 2, indexing="ij")
    reach = torch.stack([x, y]).abs().amax(dim=0) / (1 + 0.3 * x - 0.2 * y)
    assert float(seen[0, :, reach > 1.001].max()) == 0
    assert float(seen[0, :, reach < 0.999].min()) > 0.999
    assert 0.05 < float((reach > 1).float().mean()) < 0.5


@pytest.mark.parametrize("border", BORDERS)
@pytest.mark.parametrize("renderer", [0, 1], ids=["compiled", "torch"])
def test_behind_the_horizon_all_is_black(renderer: int, border: Border) -> None:
    state = State.identity(3).replace(geometry=geometry.tilt(*STEEP.unbind(dim=1)))
    pyramid = both(0.5 + 0.5 * textured(3, 96), 32)[renderer]
    seen = render(pyramid, State.identity(3), state, size=32, border=border)
    y, x = torch.meshgrid(*[(torch.arange(32) * 2 + 1) / 32 - 1] * 2, indexing="ij")
    depth = 1 + STEEP[:, 0, None, None] * x + STEEP[:, 1, None, None] * y
    behind = (depth <= 0)[:, None].expand(-1, 3, -1, -1)
    assert bool(behind.flatten(1).any(dim=1).all())
    assert bool(torch.isfinite(seen).all())
    assert float(seen[behind].abs().max()) == 0
    if border != "zeros":
        assert float(seen[(depth > 0.01)[:, None].expand(-1, 3, -1, -1)].min()) > 0.49


def averaged(images: Tensor, state: State, size: int, finer: int = 12) -> Tensor:
    """Return what a camera sees: the mean over each output pixel of a rendering with as many pixels as it takes."""
    one_level = Pyramid(images, Pyramid.build(images, size).sizes[:1])
    return F.avg_pool2d(render(one_level, state, size=size * finer), finer)


def test_near_and_far_are_each_antialiased_by_their_own_minification() -> None:
    images, size, state = textured(4, 192), 64, tilted(0.45, 0.0, batch=4)
    expected = averaged(images, state, size)
    pyramid = Pyramid.build(images, size, smallest_view=0.25)
    off = (render(pyramid, state, size=size) - expected).abs().mean(dim=(0, 1, 2))  # by column: far left, near right
    aliased = (render(Pyramid(images, pyramid.sizes[:1]), state, size=size) - expected).abs().mean(dim=(0, 1, 2))
    flat = State.identity(4).replace(geometry=geometry.scaling(torch.full((4,), 0.55**1.5)), affine=True)
    one_size = pyramid.level(int(pyramid.level_at(pyramid.needed(flat.geometry, size)).max()))
    blurred = (render(Pyramid(one_size, ((*one_size.shape[2:], 0),)), state, size=size) - expected).abs()
    assert float(off[:16].mean()) < 0.6 * float(aliased[:16].mean())
    assert float(off[-16:].mean()) < 0.6 * float(blurred.mean(dim=(0, 1, 2))[-16:].mean())


def test_both_renderers_change_levels_at_the_same_places() -> None:
    images, state = (
        textured(6, 256),
        drawn(Compose(Rotation((-180, 180)), Perspective((-0.45, 0.45), (-0.45, 0.45))), 6),
    )
    pyramid = Pyramid.build((images * 255).byte(), 48, smallest_view=0.1)
    plain, atlas = (render(p, State.identity(6), state, size=48) for p in (pyramid, pyramid.with_atlas()))
    assert float((plain - atlas).abs().mean()) < 1e-3
    assert float(((plain - atlas).abs() > 4 / 255).float().mean()) < 1e-3


# --- what goes with the matrix


def test_the_box_of_a_frame_holds_all_it_reads_and_no_more() -> None:
    frames = drawn(Compose(ResizedCrop(), SE2(), Perspective()), 50).geometry
    x, y = torch.meshgrid(*[torch.linspace(-1, 1, 65)] * 2, indexing="xy")
    points = frames @ torch.stack([x.flatten(), y.flatten(), torch.ones(65 * 65)])
    points = points[:, :2] / points[:, 2:]
    centre_x, half_width, centre_y, half_height = geometry.bounding_boxes(frames).unbind(-1)
    low, high = points.amin(dim=-1), points.amax(dim=-1)
    assert torch.allclose(low, torch.stack([centre_x - half_width, centre_y - half_height], dim=-1), atol=1e-5)
    assert torch.allclose(high, torch.stack([centre_x + half_width, centre_y + half_height], dim=-1), atol=1e-5)


def test_contrast_keeps_the_mean_of_what_a_tilted_frame_shows() -> None:
    images = torch.full((1, 3, 64, 64), 0.2)
    images[..., 32:] = 0.6
    frame = ResizedCrop().state(torch.tensor([[0.5, 0.0, -0.6931472, 0.0, 0.0]])).then(tilted(0.15, 0.0))
    left = -(1 / 0.85 - 1) / 2  # of the middle: the far side reaches beyond the half it frames
    share = -left / (0.5 + 0.5 / 1.15 - left)
    expected = 0.6 - 0.4 * share
    for pyramid in both(images, 32):
        assert torch.allclose(pyramid.mean(frame.geometry), torch.full((1, 3), expected), atol=2e-3)
        flat = ColorJitter(contrast=(-1.0, 0.0)).state(torch.tensor([[0.0, -1.0, 0.0, 0.0]]))
        assert torch.allclose(render(pyramid, frame.then(flat), size=32), torch.tensor(expected), atol=3e-3)


def test_a_blur_grows_with_the_magnification_at_the_centre() -> None:
    off_centre = geometry.translation(torch.tensor([-0.4]), torch.tensor([0.0]))  # of a plane tilted by .2
    seen = State.identity(1).replace(geometry=geometry.tilt(torch.tensor([0.2]), torch.tensor([0.0])) @ off_centre)
    step = torch.tensor([[1e-3, 0, 1], [0, 0, 1], [0, 1e-3, 1]], dtype=torch.float64).T
    points = seen.geometry.double() @ step
    points = (points[:, :2] / points[:, 2:])[0]
    across, down = points[:, 0] - points[:, 1], points[:, 2] - points[:, 1]
    area = float((across[0] * down[1] - across[1] * down[0]).abs()) / 1e-6
    assert float(Blur().state(torch.tensor([[1.0]])).then(seen).sigma) == pytest.approx(area**-0.5, rel=2e-3)


@pytest.mark.parametrize("renderer", [0, 1], ids=["compiled", "torch"])
def test_an_image_does_not_depend_on_whether_others_are_tilted(renderer: int) -> None:
    images = textured(8, 96)
    theta = Perspective().sample(8, seeded()) * (torch.arange(8) % 2)[:, None]
    state, base = Perspective().state(theta), drawn(augmentation(), 8)
    tilted_too = render(both(images, 32)[renderer], base, state, size=32)
    alone = render(both(images, 32)[renderer], base, size=32)
    assert float((tilted_too - alone)[::2].abs().max()) < 1e-5
    assert float((tilted_too - alone)[1::2].abs().mean()) > 0.01


def test_views_and_crops_may_be_tilted_too() -> None:
    images, tilt = textured(5, 96), Perspective()
    first, crop = Compose(ResizedCrop((0.5, 1.0)), tilt), Compose(ResizedCrop((0.1, 0.3)), tilt)
    settings = {"size": 32, "crops": 2, "crop_size": 16, "crop": crop, "flip": "independent"}
    views = PathViews(first, first, named_path("perspective+blur"), **settings)  # type: ignore[arg-type]
    made = views(images, seeded(4))
    again = seeded(4)
    first.sample(5, again)
    base, theta = first.state(first.sample(5, again)), named_path("perspective+blur").sample(5, again)
    assert torch.equal(theta, made.theta)
    pyramid = Pyramid.build(images, 32)
    end = named_path("perspective+blur").state(theta)
    assert torch.allclose(render(pyramid, base, end, size=32), made.v2, atol=1e-5)
    numbers = crop.sample(10, again).view(2, 5, -1)
    assert made.crops is not None
    for seen, theta in zip(made.crops, numbers):
        assert torch.allclose(seen, render(Pyramid.build(images, 16), crop.state(theta), size=16), atol=1e-4)


def test_multiples_of_a_matrix_are_the_same_map() -> None:
    images, state = textured(2, 64), homographies(2)
    for pyramid in both(images, 64):
        once = render(pyramid, state, size=64)
        assert float((render(pyramid, state.replace(geometry=3 * state.geometry), size=64) - once).abs().max()) < 1e-4
    assert distance(state, state.replace(geometry=3 * state.geometry)) < 1e-6
