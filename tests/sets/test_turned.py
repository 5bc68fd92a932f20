"""Photographs that were turned: images, scenes and angles as the list has them, and what is said of odd ones."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from equicoherence.sets.find import find_sets
from equicoherence.sets.turned import LIST, TURNED, Turned

ANGLES = (-35.0, -12.0, 4.0, 20.0, 41.0)


def slope(angle: float, side: int, bright: float = 0.3, seed: int = 0) -> np.ndarray:
    """Return an image (side, side + 8, 3) that is brightest above, as seen by a camera that turns it by an angle."""
    down, across = np.meshgrid(np.arange(side), np.arange(side + 8), indexing="ij")
    x, y = (across + 0.5) / side * 2 - 1 - 8 / side, (down + 0.5) / side * 2 - 1
    turn = math.radians(angle)
    grey = 0.5 - bright * (math.sin(turn) * x + math.cos(turn) * y) / math.sqrt(2)
    speckled = grey[..., None] + np.random.default_rng(seed).normal(0, 0.03, (side, side + 8, 3))
    return (speckled.clip(0, 1) * 255).round().astype(np.uint8)


def write_turned(root: Path, scenes: int = 12) -> Path:
    """Write a tree of scenes, each at angles of its own; return it."""
    lines, generator = ["file, base, angle"], np.random.default_rng(0)
    for scene in range(scenes):
        (root / f"scene{scene:02}").mkdir(parents=True)
        for number, angle in enumerate(ANGLES):
            angle = round(angle + generator.uniform(-5, 5), 1)
            file = f"scene{scene:02}/{number}.png"
            Image.fromarray(slope(angle, 40 + scene, 0.25 + scene / 100, 10 * scene + number)).save(root / file)
            lines.append(f"{file}, scene {scene:02}, {angle}")
    (root / LIST).write_text("\n".join(lines) + "\n")
    return root


def test_a_tree_is_found_and_its_scenes_are_parted(tmp_path: Path) -> None:
    root = write_turned(tmp_path / "turns")
    (found,) = find_sets(tmp_path, [TURNED])
    assert found.declaration is TURNED
    train, test = Turned(root, "train"), Turned(root, "val")
    assert (len(train), len(test)) == (45, 15)
    assert not set(train.scenes) & set(test.scenes)
    assert test.name(5) == "scene05/0.png"
    assert test.image(5).shape == (45, 53, 3)
    said = {line.split(", ")[0]: line.split(", ")[2] for line in (root / LIST).read_text().splitlines()[1:]}
    assert [float(said[test.name(i)]) for i in range(15)] == test.angles.tolist()


def test_exif_rotation_is_applied_as_viewers_do(tmp_path: Path) -> None:
    root = write_turned(tmp_path, 3)
    image = Image.open(root / "scene00/0.png")
    exif = image.getexif()
    exif[274] = 6
    image.save(root / "scene00/0.png", exif=exif)
    assert Turned(root, "val").image(0).shape == (48, 40, 3)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("file, base, angle", "file, scene, angle", r"has no column base \(its first line has file, scene, angle\)"),
        ("scene00/1.png", "scene00/9.png", "1 files are missing"),
        ("scene00/1.png", "../1.png", "names '../1.png', which is not in"),
        ("scene00/1.png, scene 00, ", "scene00/1.png, scene 00, up", "its angle is 'up-?[0-9.]+', which is no number"),
        ("scene00/1.png, scene 00, ", "scene00/1.png, , ", "it names no base"),
        ("scene00/1.png, scene 00, ", "scene00/1.png, scene 00, inf\nscene00/1.png, x, ", "which is not finite"),
    ],
)
def test_odd_lists_are_refused_with_what_is_wrong(tmp_path: Path, old: str, new: str, said: str) -> None:
    root = write_turned(tmp_path, 3)
    text = (root / LIST).read_text()
    assert old in text
    (root / LIST).write_text(text.replace(old, new, 1))
    with pytest.raises(ValueError, match=said):
        Turned(root, "train")


def test_few_scenes_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="lists 2 scenes with images at two angles or more; at least 3 are needed"):
        Turned(write_turned(tmp_path, 2), "train")


def test_scenes_that_were_not_turned_do_not_count(tmp_path: Path) -> None:
    root = write_turned(tmp_path, 4)
    rows = [line.split(", ") for line in (root / LIST).read_text().splitlines()]
    still = [(file, base, "360" if number == 0 else "0") for number, (file, base, _) in enumerate(rows[1:6])]
    (root / LIST).write_text("\n".join(", ".join(row) for row in [rows[0], *still, *rows[6:]]))
    assert {Turned(root, split).name(0)[:7] for split in ("train", "val")} == {"scene01", "scene02"}
    (root / LIST).write_text("\n".join(", ".join(row) for row in [rows[0], *still, *rows[11:]]))
    with pytest.raises(ValueError, match="lists 2 scenes with images at two angles"):
        Turned(root, "train")
