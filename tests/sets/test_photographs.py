"""Any folder of photographs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from equicoherence.data.source import BadImage
from equicoherence.sets.files import read_image
from equicoherence.sets.find import find_sets
from equicoherence.sets.photographs import PHOTOGRAPHS, PhotographFolder


def _write(folder: Path, count: int) -> None:
    folder.mkdir(parents=True)
    for number in range(count):
        Image.new("RGB", (9, 5 + number % 2)).save(folder / f"{number:02d}.png")


def test_folders_of_splits_are_followed_at_any_depth(tmp_path: Path) -> None:
    _write(tmp_path / "train" / "cats", 12)
    _write(tmp_path / "train" / "dogs", 12)
    _write(tmp_path / "validation", 3)
    _write(tmp_path / "train" / ".hidden", 2)
    (found,) = find_sets(tmp_path, [PHOTOGRAPHS])
    train, val = (found.declaration.open(found.folder, split) for split in ("train", "val"))
    assert (len(train), len(val)) == (24, 3)
    assert isinstance(train, PhotographFolder)
    assert train.name(13) == "dogs/01.png"
    assert train.image(13).shape == (6, 9, 3)


def test_sides_of_any_usual_name_are_followed_below_a_lone_folder(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _write(tmp_path / "holidays" / "Training", 24)
    _write(tmp_path / "holidays" / "valid", 3)
    (tmp_path / "holidays" / "valid" / "x.heic").touch()
    (found,) = find_sets(tmp_path, [PHOTOGRAPHS])
    assert [len(found.open("train")), len(found.open("val"))] == [24, 3]
    said = capsys.readouterr().err
    assert "'holidays' is all that" in said
    assert "not read: 1 .heic ('x.heic')" in said


def test_other_folders_are_parted_by_name(tmp_path: Path) -> None:
    _write(tmp_path / "any", 40)
    parts = [PhotographFolder(tmp_path, split) for split in ("train", "val")]
    names = [[part.name(i) for i in range(len(part))] for part in parts]
    assert sorted(names[0] + names[1]) == [f"any/{number:02d}.png" for number in range(40)]
    assert 2 <= len(names[1]) <= 16


def test_photographs_are_turned_by_exif_and_images_with_ground_truth_are_not(tmp_path: Path) -> None:
    _write(tmp_path / "train", 1)
    _write(tmp_path / "val", 1)
    exif = Image.Exif()
    exif[0x0112] = 6  # on its side
    Image.new("RGB", (9, 5)).save(tmp_path / "val" / "00.png", exif=exif)
    assert PhotographFolder(tmp_path, "val").image(0).shape == (9, 5, 3)
    assert read_image(tmp_path / "val" / "00.png").shape == (5, 9, 3)


def test_a_folder_with_a_picture_or_two_is_no_set_of_photographs(tmp_path: Path) -> None:
    _write(tmp_path / "few", 19)
    assert find_sets(tmp_path, [PHOTOGRAPHS]) == []


def test_what_is_wrong_is_named(tmp_path: Path) -> None:
    _write(tmp_path / "train", 2)
    (tmp_path / "val").mkdir()
    with pytest.raises(ValueError, match=r"no images for val in .*val"):
        PhotographFolder(tmp_path, "val")
    with pytest.raises(FileNotFoundError, match=r"no folder .*nowhere"):
        PhotographFolder(tmp_path / "nowhere", "train")
    (tmp_path / "train" / "00.png").write_bytes(b"damaged")
    with pytest.raises(BadImage, match=r"00\.png"):
        PhotographFolder(tmp_path, "train").image(0)


def test_the_sample_of_clothing_is_found(shared_data: Callable[[str], Path]) -> None:
    (found,) = find_sets(shared_data("clothing_small"), [PHOTOGRAPHS])
    assert (len(found.open("train")), len(found.open("val"))) == (3068, 341)
