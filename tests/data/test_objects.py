"""Rendered objects: upright, recognisable, the same each time, made once."""

from __future__ import annotations

import dataclasses
import hashlib
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from equicoherence import drawing
from equicoherence.data.objects import CATEGORIES, VIEW_NAMES, ObjectsSource, View, build, draw_view, scene_of, store
from equicoherence.data.objects.draw import ObjectsPlan, draw_all, draw_object
from equicoherence.data.objects.store import store_path
from equicoherence.data.open import Split
from equicoherence.drawing import ColouredMesh, Painter

TINY = ObjectsPlan(size=16, views=1, objects_per_category=5)
VIEW = View(
    yaw=0.5,
    elevation=0.25,
    distance=2.7,
    shift_x=0.0,
    shift_y=0.0,
    floor_hue=0.1,
    sky_hue=0.6,
    light_azimuth=0.0,
    light_elevation=0.8,
    light_hue=0.0,
    tiles=0.0,
)


@pytest.fixture
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("EQUICOHERENCE_CACHE", str(tmp_path))
    return tmp_path


def tiny(size: int = TINY.size) -> ObjectsSource:
    return ObjectsSource("all", size=size, views=TINY.views, objects_per_category=TINY.objects_per_category)


def small(split: Split = "all") -> ObjectsSource:
    """Open the one set that all tests share which only read."""
    return ObjectsSource(split, size=32, views=2, objects_per_category=5)


def render(mesh: ColouredMesh, view: View, size: int) -> np.ndarray:
    return Painter(size).picture(mesh, scene_of(view))


def object_mask(mesh_category: str, view: View, size: int = 64) -> np.ndarray:
    """Find the object's pixels as those that change with its colours."""
    mesh = build(mesh_category, np.random.default_rng(3))
    black = dataclasses.replace(mesh, face_colours=np.zeros_like(mesh.face_colours))
    white = dataclasses.replace(mesh, face_colours=np.ones_like(mesh.face_colours))
    return (render(black, view, size) != render(white, view, size)).any(axis=2)


@pytest.mark.parametrize("category", CATEGORIES)
def test_an_object_fills_the_unit_sphere_with_valid_coloured_triangles(category: str) -> None:
    for seed in range(8):
        mesh = build(category, np.random.default_rng(seed))
        assert mesh.vertices.dtype == np.float32
        assert mesh.faces.dtype == np.int32
        assert mesh.face_colours.dtype == np.float32
        assert np.linalg.norm(mesh.vertices, axis=1).max() == pytest.approx(1, abs=1e-5)
        np.testing.assert_allclose(mesh.vertices.min(axis=0), -mesh.vertices.max(axis=0), atol=1e-5)
        assert mesh.faces.min() >= 0
        assert mesh.faces.max() < len(mesh.vertices)
        assert mesh.face_colours.shape == (len(mesh.faces), 3)
        assert mesh.face_colours.min() >= 0
        assert mesh.face_colours.max() <= 1


@pytest.mark.parametrize("category", CATEGORIES)
def test_an_object_differs_from_the_next_and_is_the_same_from_the_same_seed(category: str) -> None:
    first, again, other = (render(build(category, np.random.default_rng(seed)), VIEW, 32) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert np.abs(first.astype(int) - other).mean() > 1


def test_an_unknown_category_is_named_in_the_error() -> None:
    with pytest.raises(ValueError, match=r"'zeppelin'.*airplane"):
        build("zeppelin", np.random.default_rng(0))


def test_the_sky_is_above_and_the_floor_below_in_their_hues() -> None:
    view = dataclasses.replace(VIEW, floor_hue=0.0, sky_hue=0.66, light_hue=0.5)
    image = render(build("chair", np.random.default_rng(0)), view, 64).astype(int)
    assert (image[0, :, 2] > image[0, :, 0] + 20).all(), "the sky is blue"
    assert (image[-1, :, 0] > image[-1, :, 2] + 20).all(), "the floor is red"


def test_an_object_is_upright_in_the_image() -> None:
    rows, _ = np.nonzero(object_mask("umbrella", VIEW))
    widths = np.bincount(rows)[rows.min() : rows.max() + 1]
    half = len(widths) // 2
    assert widths[:half].sum() > 2 * widths[half:].sum(), "the canopy is at the top"


def test_the_shifts_move_the_object_right_and_down_by_the_share_they_say() -> None:
    rows, columns = np.nonzero(object_mask("snowman", VIEW))
    moved_rows, moved_columns = np.nonzero(
        object_mask("snowman", dataclasses.replace(VIEW, shift_x=0.125, shift_y=-0.0625))
    )
    assert moved_columns.mean() - columns.mean() == pytest.approx(0.125 * 32, abs=0.1)
    assert moved_rows.mean() - rows.mean() == pytest.approx(-0.0625 * 32, abs=0.1)


def test_a_farther_camera_sees_a_smaller_object() -> None:
    near, far = (object_mask("teapot", dataclasses.replace(VIEW, distance=d)).sum() for d in (2.4, 3.0))
    assert near > 1.3 * far


def test_the_whole_object_stays_in_the_image() -> None:
    rng = np.random.default_rng(0)
    for category in CATEGORIES:
        mask = object_mask(category, draw_view(rng))
        border = mask[0].sum() + mask[-1].sum() + mask[:, 0].sum() + mask[:, -1].sum()
        assert border <= 6, f"{category} is cut off"
        assert mask.sum() > 100, f"{category} is too small to be seen"


def test_yaw_turns_the_object_counter_clockwise_from_above() -> None:
    quarter = np.pi / 2  # the mug's handle points to +x at yaw 0, and away from the camera a quarter later
    right, behind, left = (
        np.nonzero(object_mask("mug", dataclasses.replace(VIEW, yaw=yaw)))[1] for yaw in (0.0, quarter, 2 * quarter)
    )
    assert right.max() > behind.max() + 3
    assert left.min() < behind.min() - 3


def test_the_shadow_falls_away_from_the_light() -> None:
    mesh = build("rocket", np.random.default_rng(3))
    floor = ~object_mask("rocket", VIEW)
    floor[:40] = False  # and the sky, above the horizon
    left, right = floor.copy(), floor.copy()
    left[:, 32:] = right[:, :32] = False
    for azimuth, bright, dark in ((-1.5, left, right), (1.5, right, left)):
        image = render(mesh, dataclasses.replace(VIEW, light_azimuth=azimuth), 64).astype(int).sum(axis=2)
        shadow = image < 0.7 * np.median(image[floor])
        assert shadow[dark].sum() > 40
        assert shadow[dark].sum() > 3 * shadow[bright].sum()


def test_the_number_of_threads_changes_no_pixel() -> None:
    seen: list[int] = []
    images, poses = draw_all(TINY, workers=1)
    images_by_two, poses_by_two = draw_all(TINY, workers=2, advance=seen.append)
    np.testing.assert_array_equal(images, images_by_two)
    np.testing.assert_array_equal(poses, poses_by_two)
    assert sum(seen) == len(images) == 5 * len(CATEGORIES)


def test_an_object_is_the_same_in_a_larger_set() -> None:
    images, poses = draw_object(TINY, 3, 2, Painter(16))
    more_images, more_poses = draw_object(
        dataclasses.replace(TINY, views=3, objects_per_category=50), 3, 2, Painter(16)
    )
    np.testing.assert_array_equal(images, more_images[:1])
    np.testing.assert_array_equal(poses, more_poses[:1])
    assert (np.diff(more_poses[:, VIEW_NAMES.index("yaw")]) != 0).all(), "each view is another one"


def test_the_split_is_by_object() -> None:
    train, val, everything = small("train"), small("val"), small("all")
    assert len(train) == 4 * 2 * len(CATEGORIES)
    assert len(val) == 2 * len(CATEGORIES)
    names = [{source.name(i).rsplit("-")[0] for i in range(len(source))} for source in (train, val, everything)]
    assert names[0].isdisjoint(names[1])
    assert names[0] | names[1] == names[2]
    assert len({everything.name(i) for i in range(len(everything))}) == len(everything)


def test_labels_names_poses_and_images_belong_together() -> None:
    source = small("val")
    assert source.labels.dtype == np.int64
    assert source.pose_names == VIEW_NAMES
    assert source.poses.shape == (len(source), len(VIEW_NAMES))
    for index in (0, 7, len(source) - 1):
        category = source.classes[source.labels[index]]
        assert source.name(index) == f"{category}/0004-{index % 2}"
        mesh = build(category, np.random.default_rng([0, source.labels[index], 4]))
        again = render(mesh, View(*map(float, source.poses[index])), 32)
        # float32 poses move an edge now and then
        assert (np.abs(again.astype(int) - source.images[index]) > 2).mean() < 0.01


def test_loading_resizes_with_a_filter() -> None:
    source = small()
    whole, half = source.load(3, 32), source.load(3, 16)
    np.testing.assert_array_equal(whole.pixels, source.images[3])
    assert whole.aspect == half.aspect == 1.0
    assert half.pixels.shape == (16, 16, 3)
    mean = source.images[3].reshape(16, 2, 16, 2, 3).mean(axis=(1, 3))
    assert np.abs(half.pixels - mean).mean() < 6
    whole.pixels[:] = 0
    assert source.images[3].any(), "a caller may change what it loaded"


def test_a_seed_makes_its_own_objects() -> None:
    first, second = (draw_object(dataclasses.replace(TINY, seed=seed), 0, 0, Painter(16))[0] for seed in (0, 1))
    assert (first != second).mean() > 0.5


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"size": 4}, "size must be between 8 and 1024, got 4"),
        ({"views": 0}, "views must be at least 1, got 0"),
        ({"objects_per_category": 4}, "objects_per_category must be at least 5, got 4"),
        ({"seed": -1}, "seed must be at least 0, got -1"),
        ({"split": "test"}, "split must be one of 'train', 'val', 'all', got 'test'"),
    ],
)
def test_a_wrong_argument_is_quoted(change: dict[str, int], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ObjectsSource(**change)  # type: ignore[arg-type]


def test_a_set_is_rendered_once(own_cache: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first = tiny()
    assert "rendered 100 images" in capsys.readouterr().err
    again = tiny()
    assert capsys.readouterr().err == ""
    np.testing.assert_array_equal(first.images, again.images)


@pytest.mark.parametrize("module", [store._HERE / "furniture.py", Path(drawing.__file__).with_name("shadow.py")])
def test_a_set_is_rendered_again_where_code_that_draws_has_changed(
    own_cache: Path, module: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = store_path(TINY)
    monkeypatch.setattr(store, "_KEEPING", (*store._KEEPING, module))  # as if the file were another
    assert module.exists()
    assert store_path(TINY) != path


def test_a_damaged_cache_file_is_rendered_again_with_a_line_that_says_so(
    own_cache: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    right = tiny().images
    path = store_path(TINY)
    whole = path.read_bytes()
    flipped = bytearray(whole)
    flipped[len(flipped) // 2] ^= 4
    tiny(size=8)
    other = store_path(dataclasses.replace(TINY, size=8)).read_bytes()
    for damaged in (bytes(flipped), whole[:-100], b"", other):
        path.write_bytes(damaged)
        capsys.readouterr()
        np.testing.assert_array_equal(tiny().images, right)
        said = capsys.readouterr().err
        assert f"{path} is damaged" in said
    assert path.read_bytes() == whole


SCRIPT = """
import hashlib
from equicoherence.data.objects import ObjectsSource

input("ready\\n")
source = ObjectsSource("all", size=16, views=3, objects_per_category=5)
print(hashlib.sha256(source.images.tobytes() + source.poses.tobytes()).hexdigest())
"""


def test_two_processes_at_once_render_one_set(
    own_cache: Path, tmp_path_factory: pytest.TempPathFactory, capsys: pytest.CaptureFixture[str]
) -> None:
    script = tmp_path_factory.mktemp("script") / "train.py"
    script.write_text(SCRIPT)
    pipe = subprocess.PIPE
    with subprocess.Popen([sys.executable, str(script)], stdin=pipe, stdout=pipe, stderr=pipe, text=True) as other:
        assert other.stdin is not None
        assert other.stdout is not None
        assert other.stdout.readline() == "ready\n"
        other.stdin.write("\n")
        other.stdin.flush()
        source = ObjectsSource("all", size=16, views=3, objects_per_category=5)
        digest, other_said = other.communicate(timeout=60)
    said = capsys.readouterr().err + other_said
    assert digest.strip() == hashlib.sha256(source.images.tobytes() + source.poses.tobytes()).hexdigest(), other_said
    assert said.count("rendered 300 images") == 1
    assert said.count("another process renders the objects") == 1
    assert sorted(path.suffix for path in own_cache.iterdir()) == [".lock", ".safetensors"], "nothing half made is left"


def test_colour_alone_does_not_tell_the_class() -> None:
    source = small()
    mean = source.images[:, 8:28, 8:24].mean(axis=(1, 2))
    held_out = source.objects >= 3
    distance = np.linalg.norm(mean[held_out][:, None] - mean[~held_out][None], axis=2)
    accuracy = (source.labels[~held_out][distance.argmin(axis=1)] == source.labels[held_out]).mean()
    assert accuracy < 0.2, f"{accuracy:.2f} of the classes are told by the mean colour, chance is 0.05"
