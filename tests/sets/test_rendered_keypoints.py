"""Keypoints of rendered objects lie where their vertices are seen."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import yaml

from equicoherence.data.source import BadImage
from equicoherence.rendering import render
from equicoherence.rendering.camera import extrinsics, intrinsics
from equicoherence.rendering.meshes import find_meshes
from equicoherence.sets.find import find_sets
from equicoherence.sets.rendered_keypoints import (
    DIRECTIONS,
    RENDERED_KEYPOINTS,
    RenderedKeypoints,
    outermost,
    project,
    visible,
)
from tests.rendered import rendered_set


@pytest.fixture(scope="module")
def rendered(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return rendered_set(tmp_path_factory.mktemp("rendered"), paths=0)


def test_all_vertices_together_span_the_box_of_the_mask(rendered: Path) -> None:
    images = RenderedKeypoints(rendered, "val")
    points = [images.keypoints(index) for index in range(0, len(images), 5)]
    boxes = []
    for index in range(0, len(images), 5):
        category, name, file = images.name(index).split("/")
        with np.load(rendered / category / name / "dense.npz") as dense:
            boxes.append(dense["boxes"][int(file[6:-4])])
    for each, box in zip(points, boxes):
        assert (each.points > box[:2] - 1).all()
        assert (each.points < box[2:] + 1).all()
        assert each.length == pytest.approx(0.2 * max(box[2] - box[0], box[3] - box[1]))


def test_points_are_seen_where_the_camera_puts_their_vertices(rendered: Path) -> None:
    images = RenderedKeypoints(rendered, "train")
    entries = {entry.path: entry for entry in find_meshes("procedural", objects=5).entries}
    for index in (0, 40, 100):
        category, name, file = images.name(index).split("/")
        vertices = entries[f"{category}/{name}"].load().vertices
        x, y, z = np.load(rendered / category / name / f"latent_{file[6:-4]}.npy")[:3]
        about_x = [[1, 0, 0], [0, np.cos(x), -np.sin(x)], [0, np.sin(x), np.cos(x)]]
        about_y = [[np.cos(y), 0, np.sin(y)], [0, 1, 0], [-np.sin(y), 0, np.cos(y)]]
        about_z = [[np.cos(z), -np.sin(z), 0], [np.sin(z), np.cos(z), 0], [0, 0, 1]]
        expected = []
        for direction in DIRECTIONS:
            vertex = max(vertices, key=lambda v, d=direction: float(v @ d))
            turned = np.array(about_z) @ about_y @ about_x @ vertex
            seen = intrinsics(32) @ (extrinsics() @ [*turned, 1])[:3]
            expected.append(seen[:2] / seen[2])
        np.testing.assert_allclose(images.keypoints(index).points, expected, atol=1e-4)


def test_no_two_points_of_a_box_are_the_same_corner() -> None:
    corners = np.array([[x, y, z] for x in (-0.2, 0.2) for y in (-0.9, 0.9) for z in (-0.4, 0.4)])
    points = outermost(corners)
    assert len(np.unique(points, axis=0)) == 6
    assert points[0, 0] == points[1, 0] * -1 == 0.2
    assert points[2, 1] == points[3, 1] * -1 == 0.9
    assert points[4, 2] == points[5, 2] * -1 == 0.4


def test_points_behind_something_or_outside_are_not_scored() -> None:
    depth = np.full((8, 8), 3.0)
    depth[:, 4:] = 2.0
    points = np.array([[2.5, 2.5], [6.5, 2.5], [6.5, 2.5], [8.5, 2.5], [-0.5, 2.5]])
    distances = np.array([3.0, 3.0, 2.05, 2.0, 3.0])
    assert visible(points, distances, depth, focal=40.0).tolist() == [True, False, True, False, False]


def test_a_point_in_the_middle_of_the_image_is_on_the_axis() -> None:
    points, distances = project(np.zeros((1, 3)), intrinsics(32), extrinsics())
    np.testing.assert_allclose(points, [[16, 16]])
    np.testing.assert_allclose(distances, [3.2])


def test_some_points_are_scored_and_some_hidden(rendered: Path) -> None:
    images = RenderedKeypoints(rendered, "train")
    scored = np.stack([images.keypoints(index).scored for index in range(0, len(images), 10)])
    assert 0.5 < scored.mean() < 0.95
    assert images.mirrored == ()
    assert images.image(0).shape == (32, 32, 3)


def test_it_is_found_and_damage_is_named(tmp_path: Path) -> None:
    folder = tmp_path / "set"
    render("procedural", folder, views=2, size=16, objects=5, workers=1)
    (found,) = find_sets(tmp_path, [RENDERED_KEYPOINTS])
    images = found.declaration.open(found.folder, "val")
    assert isinstance(images, RenderedKeypoints)
    category, name, _ = images.name(0).split("/")
    (folder / category / name / "dense.npz").write_bytes(b"PK")
    with pytest.raises(BadImage, match=f"{category}/{name}/dense.npz: cannot be read"):
        images.keypoints(0)
    contents = yaml.safe_load((folder / "render.yaml").read_text())
    for change, error, message in (
        ({"meshes": str(tmp_path / "none")}, FileNotFoundError, "say under 'meshes' in .*render.yaml"),
        ({"meshes_digest": "other"}, ValueError, "the meshes at 'procedural' are not those"),
    ):
        (folder / "render.yaml").write_text(yaml.safe_dump({**contents, **change}))
        with pytest.raises(error, match=message):
            found.open("val")
    (folder / "render.yaml").write_text("views: 2")
    with pytest.raises(ValueError, match=r"render.yaml cannot be read: KeyError 'meshes'"):
        found.open("train")
