"""What a view shows lies where the camera and the latent say, exactly."""

from __future__ import annotations

import numpy as np
import pytest

from equicoherence.data.objects import draw_view, scene_of
from equicoherence.drawing import Camera, ColouredMesh, Painter
from equicoherence.drawing.shade import DEPTH_STEP
from equicoherence.rendering.latent import draw_latent, rotation_matrix
from equicoherence.rendering.presets import find_preset

from .shapes import arrow, ball

SIZE = 96
scene = find_preset("3diebench").scene
STILL = np.array([0, 0, 0, 0.3, 0.4, 1.0, 0.1])
CAMERA = scene(STILL).camera


@pytest.fixture(scope="module")
def painter() -> Painter:
    return Painter(SIZE)


def rays(camera: Camera = CAMERA) -> np.ndarray:
    """(S, S, 3), camera coordinates, of pixel centres; z is 1."""
    x, y = np.meshgrid(np.arange(SIZE) + 0.5, np.arange(SIZE) + 0.5)
    return np.stack([x, y, np.ones_like(x)], axis=-1) @ np.linalg.inv(camera.intrinsics(SIZE)).T


def seen(mesh: ColouredMesh, latent: np.ndarray, view: Camera = CAMERA) -> tuple[np.ndarray, np.ndarray]:
    """Pixel coordinates and depths of the vertices, by the convention of the docstrings."""
    placed = mesh.vertices.astype(float) @ rotation_matrix(latent[:3]).T
    camera = (view.extrinsics() @ np.c_[placed, np.ones(len(placed))].T)[:3]
    pixels = view.intrinsics(SIZE) @ camera
    return (pixels[:2] / pixels[2]).T, camera[2]


@pytest.mark.parametrize("key", range(6))
def test_the_box_is_that_of_the_projected_vertices(painter: Painter, key: int) -> None:
    mesh, latent = arrow(), draw_latent(np.random.default_rng(key))
    drawing, (pixels, _) = painter.draw(mesh, scene(latent)), seen(mesh, latent)
    expected = np.concatenate([pixels.min(0), pixels.max(0)])
    np.testing.assert_allclose(drawing.box, expected, atol=1.0)


@pytest.mark.parametrize("key", range(6))
def test_depths_lie_between_those_of_the_vertices(painter: Painter, key: int) -> None:
    mesh, latent = arrow(), draw_latent(np.random.default_rng(key))
    drawing, (_, depths) = painter.draw(mesh, scene(latent)), seen(mesh, latent)
    depth = (drawing.depth * DEPTH_STEP)[drawing.mask == 1]
    assert depths.min() - DEPTH_STEP <= depth.min() < depths.min() + 0.04  # a pixel is 0.02 wide
    assert depth.max() <= depths.max() + DEPTH_STEP


def test_arms_point_where_the_axes_do(painter: Painter) -> None:
    drawing = painter.draw(arrow(), scene(STILL))
    image = drawing.image.astype(int) * drawing.mask[..., None]
    places = []
    for k in range(3):
        rows, columns = np.nonzero(image[..., k] > 2 * np.maximum(image[..., k - 1], image[..., k - 2]))
        places.append((rows.mean(), columns.mean()))
    red, green, blue = places
    assert red[1] > max(green[1], blue[1]) + SIZE / 8, "x runs to the right"
    assert green[0] < min(red[0], blue[0]) - SIZE / 8, "y runs up"
    assert blue[0] > red[0], "z runs to the camera, which looks down on it"


@pytest.mark.parametrize("key", range(3))
def test_depth_of_the_floor_is_exact(painter: Painter, key: int) -> None:
    drawing = painter.draw(arrow(), scene(draw_latent(np.random.default_rng(key))))
    world = rays() @ CAMERA.extrinsics()[:3, :3]
    eye = -CAMERA.extrinsics()[:3, :3].T @ CAMERA.extrinsics()[:3, 3]
    expected = (drawing.floor - eye[1]) / world[..., 1]
    floor = drawing.mask == 0
    assert floor.sum() > SIZE
    np.testing.assert_allclose((drawing.depth * DEPTH_STEP)[floor], expected[floor], atol=0.51 * DEPTH_STEP)


def test_depth_and_normals_of_a_sphere_are_exact(painter: Painter) -> None:
    drawing, directions = painter.draw(ball(), scene(STILL)), rays()
    centre = CAMERA.extrinsics()[:3, 3]
    square, along = (directions**2).sum(-1), directions @ centre
    root = along**2 - square * (centre @ centre - 1)
    # an edge of the polyhedron is seen through the sphere's rim: stay clear of it
    inside = root > 0.3
    expected = (along - np.sqrt(np.maximum(root, 0))) / square
    assert (drawing.mask[inside] == 1).all()
    np.testing.assert_allclose((drawing.depth * DEPTH_STEP)[inside], expected[inside], atol=1.5e-3)
    normals = directions * expected[..., None] - centre
    cosines = (normals * drawing.normals).sum(-1) / np.linalg.norm(drawing.normals, axis=-1)
    assert cosines[inside].min() > 0.999
    assert drawing.floor == pytest.approx(-1, abs=1e-6)


@pytest.mark.parametrize("key", range(3))
def test_normals_are_unit_and_face_the_camera(painter: Painter, key: int) -> None:
    drawing = painter.draw(arrow(), scene(draw_latent(np.random.default_rng(key))))
    normals = drawing.normals / 127
    np.testing.assert_allclose(np.linalg.norm(normals, axis=-1), 1, atol=0.01)
    assert ((normals * rays()).sum(-1) < 0.02).all()


def test_the_mask_is_what_lies_before_the_floor(painter: Painter) -> None:
    drawing = painter.draw(arrow(), scene(STILL))
    world = rays() @ CAMERA.extrinsics()[:3, :3]
    eye = -CAMERA.extrinsics()[:3, :3].T @ CAMERA.extrinsics()[:3, 3]
    height = eye[1] + (world * (drawing.depth * DEPTH_STEP)[..., None])[..., 1] - drawing.floor
    assert (np.abs(height[drawing.mask == 0]) < 1e-3).all()
    assert (height[drawing.mask == 1] > -1e-3).all()
    assert (height[drawing.mask == 1] > 1e-2).mean() > 0.95


def test_winding_changes_nothing(painter: Painter) -> None:
    mesh = arrow()
    turned = ColouredMesh(mesh.vertices, np.ascontiguousarray(mesh.faces[:, ::-1]), mesh.face_colours)
    first, second = painter.draw(mesh, scene(STILL)), painter.draw(turned, scene(STILL))
    assert np.abs(first.image.astype(int) - second.image).max() <= 1
    np.testing.assert_array_equal(first.normals, second.normals)


def test_edges_are_antialiased(painter: Painter) -> None:
    image = painter.draw(ball(), scene(STILL)).image
    assert len(np.unique(image[SIZE // 2 - 8 : SIZE // 2 + 8, :12].reshape(-1, 3), axis=0)) > 5


def test_shadows_fall_away_from_the_light_and_have_soft_edges() -> None:
    latent = STILL.copy()
    latent[4], latent[5] = np.pi / 4, np.pi / 2  # from the right
    soft = []
    for size in (64, 192):
        drawing = Painter(size).draw(ball(3), scene(latent))
        brightness, floor = drawing.image.astype(int).sum(-1), drawing.mask == 0
        lit, dark = brightness[0, 0], brightness[floor].min()
        assert dark < 0.7 * lit
        share = (brightness - dark) / (lit - dark)
        shadow = floor & (share < 0.3)
        assert shadow[:, : size // 2].sum() > 4 * shadow[:, size // 2 :].sum()
        soft.append((floor & (share > 0.2) & (share < 0.8)).sum())
    assert soft[1] > 4 * soft[0], "an edge that is as soft in every size grows in both directions"


@pytest.mark.parametrize("column", [3, 6])
def test_hues_change_color_and_nothing_else(painter: Painter, column: int) -> None:
    other = STILL.copy()
    other[column] += 0.5
    first, second = painter.draw(arrow(), scene(STILL)), painter.draw(arrow(), scene(other))
    assert np.abs(first.image.astype(int) - second.image).mean() > 3
    np.testing.assert_array_equal(first.depth, second.depth)
    np.testing.assert_array_equal(first.mask, second.mask)


@pytest.mark.parametrize("key", range(3))
def test_under_a_sky_too_floor_and_object_lie_where_a_shifted_camera_says(painter: Painter, key: int) -> None:
    view, mesh = draw_view(np.random.default_rng(key)), arrow()
    drawn, camera = painter.draw(mesh, scene_of(view)), scene_of(view).camera
    pixels, depths = seen(mesh, np.array([0, view.yaw, 0]), camera)
    np.testing.assert_allclose(drawn.box, np.concatenate([pixels.min(0), pixels.max(0)]), atol=1.0)
    depth = drawn.depth * DEPTH_STEP
    assert depths.min() - DEPTH_STEP <= depth[drawn.mask == 1].min() < depths.min() + 0.04
    world = rays(camera) @ camera.extrinsics()[:3, :3]
    eye = -camera.extrinsics()[:3, :3].T @ camera.extrinsics()[:3, 3]
    sky, floor = world[..., 1] >= 0, (world[..., 1] < 0) & (drawn.mask == 0)
    assert sky.sum() > SIZE
    np.testing.assert_array_equal(drawn.depth[sky & (drawn.mask == 0)], 65535)
    np.testing.assert_array_equal(drawn.normals[sky & (drawn.mask == 0)], 0)
    expected = np.minimum((drawn.floor - eye[1]) / world[..., 1], 65535 * DEPTH_STEP)
    np.testing.assert_allclose(depth[floor], expected[floor], atol=0.51 * DEPTH_STEP)


def test_the_picture_is_the_drawing_s_image(painter: Painter) -> None:
    view = scene_of(draw_view(np.random.default_rng(0)))
    np.testing.assert_array_equal(painter.picture(arrow(), view), painter.draw(arrow(), view).image)


@pytest.mark.parametrize("size", [4, 5000])
def test_a_size_out_of_range_is_refused(size: int) -> None:
    with pytest.raises(ValueError, match=f"got {size}"):
        Painter(size)
