"""How folders, archives and shards are read that are not one folder per class: what is taken, and what is said."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from equicoherence.data import ImageSource, check_data, data_identity, describe_images, open_images
from equicoherence.data.layout import split_name

from .pictures import noise
from .test_open import names, write_images
from .test_shards import write_tar


def sides(root: Path) -> tuple[ImageSource, ImageSource]:
    return open_images(root, "train"), open_images(root, "val")


def told(source: ImageSource, held_out: ImageSource | None = None) -> tuple[str, str]:
    """Return the line on images, and the second one, "" where there is none."""
    line, _, more = describe_images(source, held_out).partition("\n")
    return line, more


@pytest.mark.parametrize(
    ("training", "held_out"),
    [
        ("train", "valid"),
        ("Training", "Validation"),
        ("TRAIN", "dev"),
        ("train_set", "test_set"),
        ("train2017", "val2017"),
        ("train", "eval"),
        ("training", "testing"),
    ],
)
def test_folders_are_sides_by_the_names_that_are_usual(tmp_path, training, held_out):
    write_images(tmp_path, f"{training}/ant/1.png", f"{training}/bee/2.png", f"{held_out}/ant/3.png")
    train, val = sides(tmp_path)
    assert (names(train), names(val)) == (["ant/1.png", "bee/2.png"], ["ant/3.png"])
    assert train.classes == val.classes == ["ant", "bee"]
    assert told(train) == (
        f"2 images, 2 classes (ant, bee), held out: folder {held_out!r}",
        f"only in {training!r}: bee",
    )
    assert told(train, val)[0].endswith(f"held out: 1 images (folder {held_out!r})")


def test_words_that_begin_like_a_side_are_none():
    assert [split_name(name) for name in ("trains", "testicle", "valley", "devices", "train_wagon", "mytest")] == [
        None
    ] * 6


def test_of_several_folders_that_are_held_out_one_is_taken_and_it_is_said(tmp_path):
    write_images(tmp_path, "train/ant/1.png", "train/bee/1.png", "test/ant/2.png", "val/ant/3.png", "val/bee/3.png")
    train, val = sides(tmp_path)
    assert names(val) == ["ant/3.png", "bee/3.png"]
    assert "'val' is held out, 'test' is not used" in told(train)[1]


def test_what_lies_beside_both_sides_is_named(tmp_path):
    write_images(
        tmp_path, "train/ant/1.png", "train/bee/1.png", "val/ant/2.png", "val/bee/2.png", "loose.png", "more/1.png"
    )
    write_tar(tmp_path / "more.tar", {})
    train, _ = sides(tmp_path)
    assert told(train)[1] == (
        "'more', 'more.tar' are not used, beside 'train' and 'val'; 1 images beside 'train' and 'val' are not used"
    )


def test_sides_that_cannot_be_told_are_refused(tmp_path):
    write_images(tmp_path / "two", "train/1.png", "Training/1.png", "val/1.png")
    with pytest.raises(ValueError, match=r"'Training' and 'train', which both say that they are for training"):
        open_images(tmp_path / "two")
    write_images(tmp_path / "alone", "train/1.png", "training/1.png")
    with pytest.raises(ValueError, match=r"'train' and 'training', which both say that they are for training"):
        open_images(tmp_path / "alone")
    write_images(tmp_path / "none", "val/1.png", "test/1.png")
    with pytest.raises(ValueError, match=r"holds 'test', 'val' and no folder for training: give one of them"):
        open_images(tmp_path / "none")


def test_a_folder_in_a_folder_is_no_class(tmp_path):
    write_images(tmp_path / "a", "pets/cat/1.png", "pets/dog/2.png")
    assert open_images(tmp_path / "a").classes == ["cat", "dog"]
    assert told(open_images(tmp_path / "a"))[1] == (
        f"'pets' is all that {str(tmp_path / 'a')!r} holds, and no class: what is in it is read"
    )
    write_images(tmp_path / "b", *(f"cat/{number}.png" for number in range(20)))
    train, val = sides(tmp_path / "b")
    assert train.classes == val.classes == []
    assert (train.labels.max(), val.labels.max()) == (-1, -1)
    assert told(train)[1] == "'cat' is the only class, which tells nothing apart: images have no labels"
    write_images(tmp_path / "c", "images/train/ant/1.png", "images/train/bee/1.png", "images/valid/ant/2.png")
    assert names(open_images(tmp_path / "c", "val")) == ["ant/2.png"]
    write_images(tmp_path / "d", "train/images/ant/1.png", "train/images/bee/1.png", "val/images/bee/2.png")
    train, val = sides(tmp_path / "d")
    assert (names(train), val.labels.tolist()) == (["ant/1.png", "bee/1.png"], [1])


def test_a_side_that_came_without_the_other_is_no_class(tmp_path):
    write_images(tmp_path, *(f"train/{number}.png" for number in range(20)))
    assert names(open_images(tmp_path))[0] == "0.png"
    assert told(open_images(tmp_path))[1].startswith("'train' is all that")


def test_links_in_a_circle_of_lone_folders_end(tmp_path):
    (tmp_path / "again").symlink_to(tmp_path, target_is_directory=True)
    with pytest.raises(ValueError, match="no images in"):
        open_images(tmp_path)


def test_a_single_class_is_no_label_and_the_held_out_side_may_have_one_of_several(tmp_path):
    write_images(tmp_path / "a", *(f"cat/{number}.png" for number in range(20)), "loose.png")
    source = open_images(tmp_path / "a")
    assert (source.classes, set(source.labels.tolist())) == ([], {-1})
    assert told(source) == (
        "21 images, no classes, held out: none",
        "'cat' is the only class, which tells nothing apart: images have no labels",
    )
    write_images(tmp_path / "b", "train/ant/1.png", "train/bee/1.png", "val/bee/1.png")
    assert open_images(tmp_path / "b", "val").labels.tolist() == [1]


def test_folders_of_sides_in_each_class_are_sides(tmp_path):
    images = [
        f"{kind}/{side}/{part}/1.png" for kind in ("bolt", "nut") for side, part in (("train", "good"), ("test", "x"))
    ]
    write_images(tmp_path, *images, "nut/ground_truth/x/1.png")
    train, val = sides(tmp_path)
    assert names(train) == ["bolt/train/good/1.png", "nut/train/good/1.png"]
    assert names(val) == ["bolt/test/x/1.png", "nut/test/x/1.png"]
    assert val.labels.tolist() == [0, 1]
    assert told(train) == (
        "2 images, 2 classes (bolt, nut), held out: 2 images (the folders 'test' of the classes)",
        "1 images in neither 'train' nor 'test' of their classes are not used (ground_truth)",
    )
    write_images(tmp_path, "washer/1.png")  # and now there is a class of which no image is for training
    assert len(open_images(tmp_path)) == 6


def test_images_beside_their_labels_of_boxes_are_split_as_they_lie_there(tmp_path):
    write_images(tmp_path, "images/train/1.png", "images/val/2.png")
    (tmp_path / "labels" / "train").mkdir(parents=True)
    (tmp_path / "labels" / "train" / "1.txt").touch()
    train, val = sides(tmp_path)
    assert (names(train), names(val), train.classes) == (["images/train/1.png"], ["images/val/2.png"], [])


def test_files_that_are_not_read_are_counted_and_named(tmp_path):
    write_images(tmp_path, "cat/1.png", "dog/1.png")
    for name in ("cat/2.HEIC", "cat/3.heic", "dog/notes.txt", "dog/README", "old.zip", "cat/._1.png", ".DS_Store"):
        (tmp_path / name).touch()
    line, more = told(open_images(tmp_path))
    assert line == "2 images, 2 classes (cat, dog), held out: none"
    assert more == (
        "not read: 2 .heic ('cat/2.HEIC', ...), 1 .zip ('old.zip'), 1 .txt ('dog/notes.txt'), 1 hidden "
        "('cat/._1.png'), 1 without an ending ('dog/README'); pictures of these kinds must be converted, to .jpg or "
        ".png"
    )


def test_a_folder_of_pictures_that_are_not_read_says_what_to_do(tmp_path):
    for number in range(3):
        (tmp_path / f"{number}.heic").touch()
    with pytest.raises(ValueError, match=r"it holds 3 \.heic \('0\.heic', \.\.\.\); pictures of these kinds"):
        open_images(tmp_path)


def test_the_hash_split_says_how_many_are_held_out(tmp_path):
    write_images(tmp_path, *(f"{kind}/{number}.png" for kind in "abcdefg" for number in range(10)))
    train, val = sides(tmp_path)
    held_out = f"held out: {len(val)} images (a fifth by a hash of their names)"
    assert told(train) == told(train, val) == (f"{len(train)} images, 7 classes (a, b, c, ...), {held_out}", "")
    assert told(val)[0].endswith("held out: these (a fifth by a hash of their names)")


def test_shards_whose_names_say_a_side_are_split_by_them(tmp_path):
    for side, count in (("train", 3), ("val", 2)):
        for part in range(2):
            members = {f"{part}{k}.png": noise(k) for k in range(count)} | {
                f"{part}{k}.cls": b"%d" % k for k in range(count)
            }
            write_tar(tmp_path / f"pets-{side}-{part:03}.tar", members)
    train, val = sides(tmp_path)
    assert (len(train), len(val), train.classes, val.classes) == (6, 4, ["0", "1", "2"], ["0", "1", "2"])
    assert told(train) == ("6 images, 3 classes (0, 1, 2), held out: the shards of 'val'", "")
    assert told(train, val)[1] == "only in 'training': 2"
    write_tar(tmp_path / "more.tar", {"0.png": noise(0)})
    with pytest.raises(ValueError, match=r"of 'train', of 'val', and 1 whose names say neither, such as 'more.tar'"):
        open_images(tmp_path)


def test_images_beside_shards_are_refused(tmp_path):
    write_tar(tmp_path / "0.tar", {"0.png": noise(0)})
    write_images(tmp_path, "cat/1.png")
    with pytest.raises(ValueError, match=r"holds \.tar files and images: keep them apart"):
        open_images(tmp_path)


def test_one_data_set_has_one_identity_however_it_is_written(tmp_path, monkeypatch):
    write_images(tmp_path / "d", "1.png")
    (tmp_path / "link").symlink_to("d")
    monkeypatch.chdir(tmp_path)
    written = ["d", "./d", "d/", "link", str(tmp_path / "d"), Path("d"), "../" + tmp_path.name + "/d"]
    assert {data_identity(each) for each in written} == {str((tmp_path / "d").resolve())}
    assert data_identity("objects") == "objects" != data_identity("./objects")


def test_data_are_checked_without_being_read(tmp_path):
    write_images(tmp_path / "good", "cat/1.png")
    write_tar(tmp_path / "shards.tar", {"0.png": noise(0)})
    (tmp_path / "good" / "cat" / "1.png").write_bytes(b"nothing looks into it")
    for data in ("objects", tmp_path / "good", tmp_path / "shards.tar"):
        check_data(data)
    (tmp_path / "broken.zip").write_bytes(b"PK\3\4 and no more")
    with pytest.raises(ValueError, match=r"broken\.zip' is damaged or not an archive"):
        check_data(tmp_path / "broken.zip")
    (tmp_path / "empty" / "cat").mkdir(parents=True)
    with pytest.raises(ValueError, match=r"no images in '.*empty.*cat': files must end in"):
        check_data(tmp_path / "empty")
    with pytest.raises(FileNotFoundError, match=r"is it '.*/good' that you mean"):
        check_data(tmp_path / "godo" / "cat")
    with pytest.raises(FileNotFoundError, match=r"is it 'good' that you mean"):
        check_data(tmp_path / "GOOOD")
    with pytest.raises(ValueError, match=r"data is '', which names nothing"):
        check_data("")
    with pytest.raises(FileNotFoundError, match=r"there is no user whose folder '~nobody-of-this-name/x'"):
        check_data("~nobody-of-this-name/x")


def test_an_archive_of_shard_members_says_that_its_labels_are_not_read(tmp_path):
    write_tar(tmp_path / "x.tar", {"0.png": noise(0), "0.cls": b"1", "1.png": noise(1), "1.cls": b"0"})
    assert "not read: 2 .cls ('0.cls', ...)" in told(open_images(tmp_path / "x.tar"))[1]


def test_files_are_listed_and_not_looked_at_one_by_one(tmp_path, monkeypatch):
    write_images(tmp_path, *(f"{kind}/{number}.png" for kind in "ab" for number in range(30)))
    looked_at, stat, opened = [], os.stat, open
    with monkeypatch.context() as patch:
        patch.setattr(os, "stat", lambda path, **more: (looked_at.append(str(path)), stat(path, **more))[1])
        patch.setattr("builtins.open", lambda path, *more: (looked_at.append(str(path)), opened(path, *more))[1])
        source = open_images(tmp_path)
    assert np.bincount(source.labels).tolist() == [30, 30]
    assert str(tmp_path) in looked_at
    assert not [path for path in looked_at if path.endswith(".png")]
