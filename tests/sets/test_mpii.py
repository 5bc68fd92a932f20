"""MPII: the cut-out of each person and its points, from each form of the annotations."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from equicoherence.sets.find import Found, find_sets
from equicoherence.sets.mpii import MIRRORED, MPII, MPII_SET, NAMES, SIDE, cut_out

PEOPLE = 3
WIDTH, HEIGHT = 120, 90


def _points(person: int) -> np.ndarray:
    """Return points (16, 2) on marked pixels, numbered from 1 as published."""
    return np.stack([20 + 4 * np.arange(16) + person, 30 + 2 * np.arange(16)], axis=1)


def _person(person: int) -> dict[str, Any]:
    labelled = [1] * 16
    labelled[3] = 0
    return {
        "image": f"{person:09d}.jpg",
        "joints": _points(person).astype(float).tolist(),
        "joints_vis": labelled,
        "center": [60.0, 40.0],
        "scale": 0.3,
    }


def _write_images(root: Path) -> None:
    """Write black images with a white pixel at each point, in PNG, whatever the name says, for exact pixels."""
    (root / "images").mkdir(parents=True)
    for person in range(PEOPLE):
        pixels = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
        for x, y in _points(person):
            pixels[y - 1, x - 1] = 255
        Image.fromarray(pixels).save(root / "images" / f"{person:09d}.jpg", format="PNG")


def _write_heads(path: Path, missing: int = 5) -> None:
    savemat = pytest.importorskip("scipy.io").savemat
    boxes = np.zeros((2, 2, PEOPLE))
    boxes[1] = [[3.0], [4.0]]
    not_labelled = np.zeros((16, PEOPLE), np.uint8)
    not_labelled[missing] = 1
    savemat(path, {"headboxes_src": boxes, "jnt_missing": not_labelled})


@pytest.fixture(
    params=[("annot", "train", "valid", "gt_valid"), ("annotations", "mpii_train", "mpii_val", "mpii_gt_val")]
)
def mpii(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Path, Path]:
    folder, train, valid, heads = request.param
    _write_images(tmp_path)
    (tmp_path / folder).mkdir()
    for name in (train, valid):
        (tmp_path / folder / f"{name}.json").write_text(json.dumps([_person(i) for i in range(PEOPLE)]))
    _write_heads(tmp_path / folder / f"{heads}.mat")
    return tmp_path, tmp_path / folder


def _only(root: Path) -> Found:
    (found,) = find_sets(root, [MPII_SET])
    return found


def test_points_lie_on_their_pixels_in_the_cut_out(mpii: tuple[Path, Path]) -> None:
    images = MPII(mpii[0], "train")
    assert len(images) == PEOPLE
    for person in range(PEOPLE):
        pixels, truth = images.image(person), images.keypoints(person)
        assert pixels.shape == (round(SIDE * 0.3), round(SIDE * 0.3), 3)
        x, y = (truth.points - 0.5).T  # the first pixel's centre is at a half
        inside = (x >= 0) & (x < pixels.shape[1])
        assert inside.sum() > 10
        assert (pixels[y[inside].astype(int), x[inside].astype(int)] == 255).all()
        assert np.array_equal(x, x.astype(int))
        assert truth.scored.sum() == 15
        assert not truth.scored[3]


def test_scored_are_the_points_that_the_official_file_has_without_pelvis_and_thorax(mpii: tuple[Path, Path]) -> None:
    truth = MPII(mpii[0], "val").keypoints(1)
    assert [NAMES[i] for i in np.flatnonzero(~truth.scored)] == ["left ankle", "pelvis", "thorax"]
    assert truth.length == pytest.approx(0.6 * 5)


def test_left_and_right_change_places_in_a_mirrored_image() -> None:
    exchange = {"left": "right", "right": "left"}
    expected = [" ".join(exchange.get(word, word) for word in name.split()) for name in NAMES]
    assert [NAMES[i] for i in MIRRORED] == expected


def test_the_square_is_black_beyond_the_image() -> None:
    image = np.full((10, 20, 3), 7, np.uint8)
    square = cut_out(image, -3, 4, 12)
    assert (square[:6, 3:] == 7).all()
    assert square.sum() == 7 * 3 * 6 * 9
    assert not cut_out(image, 30, 0, 5).any()


def test_missing_and_damaged_files_are_named(mpii: tuple[Path, Path]) -> None:
    root, folder = mpii
    (heads,) = folder.glob("*.mat")
    heads.write_bytes(b"no matlab")
    with pytest.raises(ValueError, match=f"mpii .val. .*{heads.name} cannot be read"):
        _only(root).open("val")
    heads.unlink()
    with pytest.raises(FileNotFoundError, match=f"no file .*{heads.name}, which has the boxes of the heads"):
        _only(root).open("val")
    (root / "images" / "000000001.jpg").unlink()
    with pytest.raises(ValueError, match=r"1 files are missing: .*000000001\.jpg"):
        _only(root).open("train")
    train = next(path for path in folder.glob("*.json") if "train" in path.name)
    people = [_person(0), _person(1)]
    del people[1]["center"]
    train.write_text(json.dumps(people))
    with pytest.raises(
        ValueError, match=f"{train.name}: 1 of 2 people .*person 1: KeyError 'center'; each needs image"
    ):
        _only(root).open("train")
    train.write_text("[{")
    with pytest.raises(ValueError, match=f"{train.name} is no json"):
        _only(root).open("train")
    train.unlink()
    with pytest.raises(FileNotFoundError, match=f"no file .*{train.name}"):
        _only(root).open("train")


def test_head_boxes_of_other_people_are_refused(mpii: tuple[Path, Path]) -> None:
    root, folder = mpii
    valid = next(path for path in folder.glob("*.json") if "val" in path.name)
    valid.write_text(json.dumps([_person(0)]))
    with pytest.raises(ValueError, match="not those of 1 people"):
        MPII(root, "val")


def test_a_folder_without_annotations_is_no_mpii(tmp_path: Path) -> None:
    _write_images(tmp_path)
    assert find_sets(tmp_path, [MPII_SET]) == []
    with pytest.raises(FileNotFoundError, match="no annotations of MPII"):
        MPII(tmp_path, "train")


def test_the_published_file_gives_the_labelled_people_of_its_training_images(tmp_path: Path) -> None:
    savemat = pytest.importorskip("scipy.io").savemat
    (tmp_path / "images").mkdir()
    kinds = [("image", "O"), ("annorect", "O"), ("vididx", "O")]
    names = [f"{number:09d}.jpg" for number in range(30)]
    images = np.empty((1, 31), dtype=kinds)
    for number, name in enumerate([*names, "test.jpg"]):
        points = np.empty((1, 2), dtype=[("x", "O"), ("y", "O"), ("id", "O")])
        points[0, 0], points[0, 1] = (30.0, 40.0, 9), (31.0, 55.0, 8)
        whole = {"scale": 2.0, "objpos": {"x": 33.0, "y": 60.0}, "annopoints": {"point": points}}
        unlabelled = {**whole, "annopoints": np.empty((0, 0))}
        head = {"x1": 10.0, "y1": 10.0, "x2": 16.0, "y2": 18.0}
        people = np.empty((1, 2), dtype=[(key, "O") for key in [*whole, *head]])
        for place, person in enumerate((whole, unlabelled)):
            people[0, place] = tuple({**person, **head}.values())
        images[0, number] = ({"name": name}, people, number // 2 + 1)  # two images of each video
        Image.new("RGB", (64, 64)).save(tmp_path / "images" / name)
    labelled = np.array([[1] * 30 + [0]], np.uint8)
    savemat(tmp_path / "mpii_human_pose_v1_u12_1.mat", {"RELEASE": {"annolist": images, "img_train": labelled}})
    train, val = (MPII(tmp_path, split) for split in ("train", "val"))
    assert isinstance(val, MPII)
    found = [[each.name(i).split(",")[0] for i in range(len(each))] for each in (train, val)]
    assert sorted(found[0] + found[1]) == names
    assert 0 < len(found[1]) < 15
    videos = [{int(Path(name).stem) // 2 for name in side} for side in found]
    assert not videos[0] & videos[1], "frames of one video show the same people"
    truth = val.keypoints(0)
    assert truth.length == pytest.approx(6.0)
    assert [NAMES[i] for i in np.flatnonzero(truth.scored)] == ["upper neck", "head top"]
    left, top = round(33 - 0.5 - 250), round(60 - 0.5 + 30 - 250)
    np.testing.assert_allclose(truth.points[9], [29.5 - left, 39.5 - top])
