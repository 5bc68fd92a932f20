"""Lists of images, in the forms in which people keep them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from equicoherence.data import BadImage, check_data, describe_images, open_images

from .pictures import noise


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    for number in range(6):
        file = tmp_path / "pictures" / f"my {number}.png"
        file.parent.mkdir(exist_ok=True)
        file.write_bytes(noise(number))
    return tmp_path


@pytest.mark.parametrize(
    ("name", "text", "labels", "classes"),
    [
        ("set.csv", "pictures/my 1.png,cat\npictures/my 0.png,ant\n", [1, 0], ["ant", "cat"]),
        ("set.csv", "path,label\npictures/my 1.png,10\n\npictures/my 0.png,9\n", [1, 0], ["9", "10"]),
        ("set.csv", 'id;class;image_path\n7;ant;"pictures/my 1.png"\n8;;pictures/my 0.png\n', [0, -1], ["ant"]),
        ("set.csv", "\ufeffpictures/my 1.png\npictures/my 0.png\n", [-1, -1], []),
        ("set.tsv", "pictures/my 1.png\tcat\npictures/my 0.png\tcat\n", [0, 0], ["cat"]),
        ("set.txt", "# mine\npictures/my 1.png 3\npictures/my 0.png 12\n", [0, 1], ["3", "12"]),
        ("set.txt", "pictures/my 1.png\npictures/my 0.png\n", [-1, -1], []),
        ("set.csv", "label,path\n,pictures/my 1.png\nb,pictures/my 0.png\n", [-1, 0], ["b"]),
        ("set.csv", "pictures/my 1.png,10\npictures/my 0.png,9\npictures/my 2.png,-1\n", [1, 0, -1], ["9", "10"]),
        ("set.csv", "pictures/my 1.png,1\npictures/my 0.png,01\n", [1, 0], ["01", "1"]),
        ("set.csv", "filename,kind\npictures/my 1.png,b\npictures/my 0.png,a\n", [1, 0], ["a", "b"]),
    ],
)
def test_a_line_is_a_path_and_perhaps_a_label(
    pictures: Path, name: str, text: str, labels: list[int], classes: list[str]
) -> None:
    file = pictures / name
    file.write_text(text, "utf-8")
    check_data(file)
    source = open_images(file)
    single = len(set(labels)) == 1 and labels[0] >= 0  # which tells nothing apart
    lone = len({label for label in labels if label >= 0}) == 1
    assert source.labels.tolist() == ([-1, -1] if single or lone else labels)
    assert source.classes == ([] if lone else classes)
    assert [source.name(index) for index in range(2)] == ["pictures/my 1.png", "pictures/my 0.png"]
    direct = open_images(pictures / "pictures")
    assert np.array_equal(source.load(0, 20).pixels, direct.load(1, 20).pixels)


def test_what_was_found_is_said(pictures: Path) -> None:
    for number in range(60):
        (pictures / f"{number}.png").write_bytes(noise(number % 2))
    lines = [f"{number}.png,{'ab'[number % 2]}" for number in range(60)]
    (pictures / "set.csv").write_text("\n".join(lines))
    train, held_out = (open_images(pictures / "set.csv", side) for side in ("train", "val"))
    count, beside = len(train), len(held_out)
    assert count + beside == 60
    expected = f"{count} images, 2 classes (a, b), held out: {beside} images (a fifth by a hash of their names)"
    assert describe_images(train, held_out) == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a.png,0\n,1\na.png,1,2,3\n", r"line 2: ',1' .*, line 3: 'a.png,1,2,3' \(1 or 2 fields are expected\)"),
        ("path,label\npictures/my 1.png\n", r"line 2: 'pictures/my 1.png' \(1 to 2 fields are expected\)"),
        ("label,path\ndog,\n", r"line 2: 'dog,' \(2 to 2 fields are expected\)"),
        ("width,height\n1,2\n", "line 1: 'width,height' neither names an image"),
        ("path,label\n", "names no image beside its header"),
        ("\n\n", "names no image: write a path on each line"),
    ],
)
def test_bad_lines_are_quoted_with_their_numbers(pictures: Path, text: str, message: str) -> None:
    (pictures / "set.csv").write_text(text)
    with pytest.raises(ValueError, match=message):
        open_images(pictures / "set.csv")


def test_paths_are_relative_to_the_list(pictures: Path) -> None:
    (pictures / "pictures" / "set.csv").write_text("path\npictures/my 1.png\n")
    with pytest.raises(FileNotFoundError, match=r"line 2: there is no file .*paths are relative to the folder"):
        open_images(pictures / "pictures" / "set.csv")
    (pictures / "set.csv").write_text("pictures/my 1.png\npictures/gone.png\n")
    with pytest.raises(BadImage, match=r"pictures/gone.png: cannot be read: .*\(set.csv, line 2\)"):
        open_images(pictures / "set.csv").load(1, 8)


def test_a_list_that_is_no_text_is_refused(pictures: Path) -> None:
    (pictures / "set.txt").write_bytes(noise(0))
    with pytest.raises(ValueError, match="is no text in UTF-8"):
        open_images(pictures / "set.txt")
