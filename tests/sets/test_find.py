"""Finding data sets: which folders and archives are taken, which are left alone, and what is said about them."""

from __future__ import annotations

import os
import re
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from equicoherence.data import cache_folder
from equicoherence.data.source import BadImage
from equicoherence.sets import DECLARATIONS, Declaration, Found, find, find_sets
from equicoherence.sets.archive_names import make_skeleton
from equicoherence.sets.camvid import CAMVID
from equicoherence.sets.files import survey
from equicoherence.sets.photographs import PHOTOGRAPHS
from equicoherence.sets.sevenscenes import SEVEN_SCENES


def _write(folder: Path, count: int) -> None:
    folder.mkdir(parents=True)
    for number in range(count):
        Image.new("RGB", (9, 5)).save(folder / f"{number:02d}.png")


def _camvid(root: Path) -> Path:
    for name in ("train", "trainannot", "test", "testannot"):
        _write(root / name, 25)
    return root


def _packed(path: Path, folder: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".zip":
        with zipfile.ZipFile(path, "w") as archive:
            for file in sorted(folder.rglob("*")):
                archive.write(file, file.relative_to(folder))
    else:
        with tarfile.open(path, "w:gz") as archive:
            archive.add(folder, ".")
    return path


def _unpacked() -> set[str]:
    folder = cache_folder() / "archives"
    return set(os.listdir(folder)) if folder.is_dir() else set()


def test_folders_of_other_data_sets_and_what_holds_them_are_no_photographs(tmp_path: Path) -> None:
    _camvid(tmp_path / "a" / "CamVid")
    assert find_sets(tmp_path, [PHOTOGRAPHS]) == []
    assert find_sets(tmp_path / "a" / "CamVid", [PHOTOGRAPHS]) == []
    voc = tmp_path / "b" / "VOCdevkit" / "VOC2012"
    for name in ("JPEGImages", "SegmentationClass", "ImageSets/Segmentation"):
        _write(voc / name, 25)
    ade = tmp_path / "c" / "ADEChallengeData2016"
    for kind in ("images", "annotations"):
        for split in ("training", "validation"):
            _write(ade / kind / split, 25)
    _write(tmp_path / "d" / "holidays", 25)
    (found,) = find_sets(tmp_path, [PHOTOGRAPHS])
    assert found.folder == tmp_path / "d"


def test_photographs_that_have_boxes_are_photographs(tmp_path: Path) -> None:
    _write(tmp_path / "train", 25)
    _write(tmp_path / "val", 25)
    (tmp_path / "boxes.tsv").write_text("path\tx0\ty0\tx1\ty1\n")
    assert [found.declaration.name for found in find_sets(tmp_path, DECLARATIONS)] == [
        "tiny_imagenet_boxes",
        "photographs",
    ]


def test_links_are_followed_and_a_circle_of_them_once(tmp_path: Path) -> None:
    _write(tmp_path / "elsewhere", 25)
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "linked").symlink_to(tmp_path / "elsewhere", target_is_directory=True)
    (tmp_path / "set" / "up").symlink_to(tmp_path / "set", target_is_directory=True)
    (found,) = find_sets(tmp_path / "set", [PHOTOGRAPHS])
    train, val = found.open("train"), found.open("val")
    assert len(train) + len(val) == 25


def test_lines_say_which_set_is_taken_and_which_is_ignored(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _camvid(tmp_path / "first")
    _camvid(tmp_path / "second")
    (found,) = find_sets(tmp_path, [CAMVID])
    assert found.folder == tmp_path / "first"
    assert capsys.readouterr().err.splitlines() == [
        f"camvid: {tmp_path / 'first'}",
        f"camvid: {tmp_path / 'first'} is taken, {tmp_path / 'second'} is ignored",
    ]


@pytest.mark.parametrize("name", ["x.zip", "x.tar.gz"])
def test_only_archives_that_hold_a_wanted_set_are_unpacked(tmp_path: Path, name: str) -> None:
    _packed(tmp_path / "sets" / "0" / name, _camvid(tmp_path / "CamVid"))
    _write(tmp_path / "holidays", 25)
    _packed(tmp_path / "sets" / "1" / name, tmp_path / "holidays")
    before = _unpacked()
    (found,) = find_sets(tmp_path / "sets", [CAMVID])
    assert len(found.open("val")) == 25
    assert len(_unpacked() - before) == 1
    (found,) = find_sets(tmp_path / "sets", [PHOTOGRAPHS])  # and not CamVid's, which comes first
    assert len(_unpacked() - before) == 2
    assert len(found.open("train")) + len(found.open("val")) == 25


def test_an_archive_that_was_unpacked_is_not_listed_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _packed(tmp_path / "sets" / "x.tar.gz", _camvid(tmp_path / "CamVid"))
    (first,) = find_sets(tmp_path / "sets", [CAMVID])
    monkeypatch.setattr(find, "make_skeleton", lambda *given: pytest.fail("listed again"))
    (again,) = find_sets(tmp_path / "sets", [CAMVID])
    assert again.folder == first.folder


def test_a_skeleton_has_the_names_and_the_first_bytes(tmp_path: Path) -> None:
    (tmp_path / "top" / "set" / "inner").mkdir(parents=True)
    data = np.random.default_rng(0).bytes(5000)
    for number, count in enumerate((5000, 512, 0)):
        (tmp_path / "top" / "set" / "inner" / f"{number}.png").write_bytes(data[:count])
    for archive in ("x.zip", "x.tar.gz"):
        (tmp_path / f"room {archive}").mkdir()
        folder = make_skeleton(_packed(tmp_path / archive, tmp_path / "top"), tmp_path / f"room {archive}")
        assert folder.name == "set"
        found = {path.name: path.read_bytes() for path in sorted((folder / "inner").iterdir())}
        assert found == {"0.png": data[:256], "1.png": data[:256], "2.png": b""}


def _damaged(path: Path, folder: Path) -> None:
    _packed(path, folder).write_bytes(path.read_bytes()[:-200])


def _unsafe(path: Path, folder: Path) -> None:
    with tarfile.open(path, "w:gz") as archive:
        archive.add(folder, "../outside")


def _huge(path: Path, folder: Path) -> None:
    member = tarfile.TarInfo("zeros.bin")
    member.size = 2**32 + 1
    with tarfile.open(path, "w:gz") as archive:
        archive.addfile(tarfile.TarInfo("first.txt"))
        assert archive.fileobj is not None
        archive.fileobj.write(member.tobuf())


@pytest.mark.parametrize(
    ("make", "why"),
    [(_damaged, "damaged or not an archive"), (_unsafe, "not safe to unpack"), (_huge, "more than .* 4 GiB")],
)
def test_archives_that_cannot_be_trusted_are_named_and_left_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], make: Callable[[Path, Path], None], why: str
) -> None:
    _camvid(tmp_path / "sets" / "good")
    make(tmp_path / "sets" / "bad.tar.gz", tmp_path / "sets" / "good")
    (found,) = find_sets(tmp_path / "sets", [CAMVID])
    assert found.folder == tmp_path / "sets" / "good"
    (line,) = (line for line in capsys.readouterr().err.splitlines() if "bad.tar.gz is left alone" in line)
    assert re.search(why, line)


def test_folders_that_cannot_be_read_are_named_and_left_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    if os.geteuid() == 0:
        pytest.skip("permissions do not hold the superuser")
    _camvid(tmp_path / "good")
    (tmp_path / "bad").mkdir(mode=0)
    (found,) = find_sets(tmp_path, [CAMVID])
    assert found.folder == tmp_path / "good"
    assert f"{tmp_path / 'bad'} is left alone: " in capsys.readouterr().err


@pytest.mark.parametrize(
    ("raised", "kind"),
    [
        (ImportError("h5py is missing"), ImportError),
        (PermissionError(13, "Permission denied"), OSError),
        (FileNotFoundError("no file"), FileNotFoundError),
        (UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid"), ValueError),
        (BadImage("x.png", "damaged"), ValueError),
    ],
)
def test_whatever_makes_a_set_unusable_is_said_with_its_name(raised: Exception, kind: type[Exception]) -> None:
    def broken(root: Path, split: str) -> None:
        raise raised

    declaration = Declaration("mine", "depth", "files", "somewhere", lambda root: True, broken)  # type: ignore[arg-type]
    with pytest.raises(kind, match=r"mine \(val\) in 'folder' cannot be used: .*files. Get it from somewhere"):
        Found(declaration, Path("folder"), Path("folder")).open("val")


def test_packed_sequences_of_7_scenes_are_to_be_unpacked(tmp_path: Path) -> None:
    for name in ("TrainSplit.txt", "TestSplit.txt"):
        (tmp_path / name).write_text("sequence1\n")
    _write(tmp_path / "frames", 1)
    _packed(tmp_path / "seq-01.zip", tmp_path / "frames")
    (found,) = find_sets(tmp_path, [SEVEN_SCENES])
    with pytest.raises(FileNotFoundError, match=r"no folder .*seq-01.*: unpack seq-01\.zip"):
        found.open("val")


def test_a_survey_goes_on_past_what_cannot_be_read_and_follows_links_once(tmp_path: Path) -> None:
    _write(tmp_path / "set", 2)
    before = survey(tmp_path / "set")
    assert [name for name, _ in before.sizes] == sorted(path.name for path in (tmp_path / "set").iterdir())
    (tmp_path / "set" / "loop").symlink_to(tmp_path / "set" / "loop")
    (tmp_path / "set" / "again").symlink_to(tmp_path / "set")
    (tmp_path / "set" / ".hidden").touch()
    after = survey(tmp_path / "set")
    assert set(after.sizes) - set(before.sizes) == {("loop", -1)}
    assert after.newest == before.newest
