"""Tiny-ImageNet with a box for each image: as published, and with a table beside the images or their archive."""

from __future__ import annotations

import tarfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from equicoherence.sets.find import find_sets
from equicoherence.sets.kinds import BoxSet
from equicoherence.sets.tiny_imagenet_boxes import TINY_IMAGENET_BOXES

HEADER = "path\tx0\ty0\tx1\ty1\n"


def _write_image(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (64, 64), (200, 30, 60)).save(path, "JPEG")


@pytest.fixture
def published(tmp_path: Path) -> Path:
    """Return a folder in the layout of tiny-imagenet-200.zip: two classes of two training images, two others."""
    root = tmp_path / "tiny-imagenet-200"
    for wnid in ("n01443537", "n01629819"):
        for number in range(2):
            _write_image(root / "train" / wnid / "images" / f"{wnid}_{number}.JPEG")
        lines = [f"{wnid}_{number}.JPEG\t{number}\t10\t63\t58\n" for number in range(2)]
        (root / "train" / wnid / f"{wnid}_boxes.txt").write_text("".join(lines))
    for number in range(2):
        _write_image(root / "val" / "images" / f"val_{number}.JPEG")
    text = "val_0.JPEG\tn01443537\t0\t32\t44\t62\nval_1.JPEG\tn01629819\t5\t5\t5\t5\n"
    (root / "val" / "val_annotations.txt").write_text(text)
    return root


def _open(root: Path, split: str) -> BoxSet:
    (found,) = find_sets(root, [TINY_IMAGENET_BOXES])
    return found.open(split)  # type: ignore[return-value, arg-type]


def test_the_published_layout_is_read_with_the_last_pixel_within_the_box(published: Path) -> None:
    train, val = _open(published.parent, "train"), _open(published.parent, "val")
    assert [train.name(i) for i in range(4)] == ["n01443537_0", "n01443537_1", "n01629819_0", "n01629819_1"]
    np.testing.assert_array_equal(train.box(3), [1, 10, 64, 59])
    np.testing.assert_array_equal([val.box(0), val.box(1)], [[0, 32, 45, 63], [5, 5, 6, 6]])
    assert val.image(1).shape == (64, 64, 3)


def test_missing_and_damaged_files_of_the_published_layout_are_named(published: Path) -> None:
    (found,) = find_sets(published, [TINY_IMAGENET_BOXES])
    boxes = published / "train" / "n01629819" / "n01629819_boxes.txt"
    boxes.write_text("n01629819_0.JPEG\t5\t5\t4\t9\n")
    with pytest.raises(ValueError, match=r"n01629819_boxes.txt: 1 of 1 lines .*line 1: no box that spans any"):
        found.open("train")
    boxes.write_text("n01629819_0.JPEG\t5\t5\n")
    with pytest.raises(ValueError, match=r"n01629819_boxes.txt: 1 of 1 lines .*line 1: no box of 4 numbers"):
        found.open("train")
    boxes.unlink()
    with pytest.raises(FileNotFoundError, match=r"no file .*n01629819_boxes.txt"):
        found.open("train")
    (published / "val" / "images" / "val_1.JPEG").unlink()
    with pytest.raises(ValueError, match=r"1 files are missing: .*val_1.JPEG"):
        found.open("val")


def _tabled(root: Path) -> Path:
    names = ["train/n01443537/n01443537_0.JPEG", "train/n01443537/n01443537_1.JPEG", "val/n01443537/val_7.JPEG"]
    for name in names:
        _write_image(root / name)
    (root / "boxes.tsv").write_text(HEADER + "".join(f"{name}\t1\t2\t30\t40\n" for name in names))
    return root


def test_a_table_beside_the_images_is_read(tmp_path: Path) -> None:
    root = _tabled(tmp_path / "set")
    assert (len(_open(root, "train")), len(_open(root, "val"))) == (2, 1)
    np.testing.assert_array_equal(_open(root, "val").box(0), [1, 2, 31, 41])


def test_a_table_beside_the_archive_is_read(tmp_path: Path) -> None:
    made, root = _tabled(tmp_path / "made"), tmp_path / "data" / "set"
    root.mkdir(parents=True)
    (made / "boxes.tsv").rename(root / "boxes.tsv")
    with tarfile.open(root / "images.tar.gz", "w:gz") as archive:
        for folder in ("train", "val"):
            archive.add(made / folder, folder)
    data = _open(root.parent, "val")
    assert (data.name(0), data.image(0).shape) == ("val_7", (64, 64, 3))
    (root / "images.tar.gz").rename(root / "images.zip")
    (root / "another.tar.gz").write_bytes(b"")
    with pytest.raises(FileNotFoundError, match=r"boxes.tsv' needs train/ and val/ or one archive beside it, not 2"):
        TINY_IMAGENET_BOXES.open(root, "val")


def test_the_sample_has_a_box_for_each_image(shared_data: Callable[[str], Path]) -> None:
    (found,) = find_sets(shared_data("tiny_imagenet_100"), [TINY_IMAGENET_BOXES])
    val = found.open("val")
    assert isinstance(val, BoxSet)
    boxes = np.stack([val.box(i) for i in range(len(val))])
    assert (len(val), val.image(0).shape) == (5000, (64, 64, 3))
    assert (boxes[:, 2:] > boxes[:, :2]).all()
    assert (boxes.min(), boxes.max()) == (0, 64)
