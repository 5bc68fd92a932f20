"""Segmentation sets are read in the layouts they are published in; what is missing or damaged is named."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from equicoherence.data.source import BadImage
from equicoherence.rendering import render
from equicoherence.sets import DECLARATIONS, IGNORE, Found, SegmentationSet, find_sets
from tests.rendering.shapes import write_folder


def only(root: Path, name: str) -> Found:
    (found,) = (each for each in find_sets(root, DECLARATIONS) if each.declaration.name == name)
    return found


def opened(root: Path, name: str, split: str) -> SegmentationSet:
    found = only(root, name)
    opened = found.declaration.open(found.folder, split)  # type: ignore[arg-type]
    assert isinstance(opened, SegmentationSet)
    return opened


def write(path: Path, pixels: object, palette: bool = False) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.fromarray(np.array(pixels, dtype=np.uint8))
    if palette:
        image = image.convert("P") if image.mode != "L" else image
        image.putpalette([number * 7 % 256 for number in range(768)])
    image.save(path)


def grey(level: int) -> np.ndarray:
    return np.full((4, 6, 3), level, dtype=np.uint8)


def labels(first: int, rest: int = 0) -> np.ndarray:
    numbers = np.full((4, 6), rest, dtype=np.uint8)
    numbers[0] = first
    return numbers


@pytest.fixture
def camvid(tmp_path: Path) -> Path:
    """SegNet's layout: images are PNG, masks hold numbers."""
    for folder, count in (("train", 3), ("val", 1), ("test", 2)):
        for number in range(count):
            write(tmp_path / "CamVid" / folder / f"0001TP_{number}.png", grey(10 * number))
            write(tmp_path / "CamVid" / f"{folder}annot" / f"0001TP_{number}.png", labels(11, number))
    (tmp_path / "CamVid" / "train.txt").write_text("/SegNet/CamVid/train/0001TP_0.png /SegNet/...\n")
    return tmp_path


@pytest.fixture
def ade20k(tmp_path: Path) -> Path:
    root = tmp_path / "ADEChallengeData2016"
    for split, short, count in (("training", "train", 3), ("validation", "val", 2)):
        for number in range(1, count + 1):
            name = f"ADE_{short}_{number:08d}"
            write(root / "images" / split / f"{name}.jpg", grey(50 * number))
            write(root / "annotations" / split / f"{name}.png", labels(0, 150))
    lines = [f"{number}\t0.1\t1\t1\t1\tname {number}, other" for number in range(1, 151)]
    (root / "objectInfo150.txt").write_text("\n".join(["Idx\tRatio\tTrain\tVal\tStuff\tName", *lines]) + "\n")
    return tmp_path


@pytest.fixture
def voc(tmp_path: Path) -> Path:
    root = tmp_path / "VOCdevkit" / "VOC2012"
    names = {"train": ["2007_000032", "2007_000039"], "val": ["2007_000033"]}
    for split, members in names.items():
        lists = root / "ImageSets" / "Segmentation"
        lists.mkdir(parents=True, exist_ok=True)
        (lists / f"{split}.txt").write_text("".join(f"{name}\n" for name in members))
        for name in members:
            write(root / "JPEGImages" / f"{name}.jpg", grey(90))
            write(root / "SegmentationClass" / f"{name}.png", labels(255, 20), palette=True)
    write(root / "JPEGImages" / "2012_004331.jpg", grey(0))  # of another task
    return tmp_path


@pytest.fixture(scope="module")
def rendered(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("rendered")
    render(write_folder(folder / "meshes"), folder / "set", views=2, size=16, workers=1)
    return folder


def test_camvid_in_segnets_layout(camvid: Path) -> None:
    train, test = opened(camvid, "camvid", "train"), opened(camvid, "camvid", "val")
    assert (len(train), len(test)) == (3, 2)
    assert train.name(2) == "0001TP_2"
    assert np.array_equal(train.image(2), grey(20))
    assert np.array_equal(train.mask(2), labels(IGNORE, 2))
    assert len(train.classes) == 11


def test_camvid_with_an_annotation_missing_names_it(camvid: Path) -> None:
    (camvid / "CamVid" / "trainannot" / "0001TP_1.png").unlink()
    with pytest.raises(ValueError, match=r"camvid \(train\).*trainannot.0001TP_1.png"):
        only(camvid, "camvid").open("train")


def test_camvid_with_a_mask_in_color_names_it(camvid: Path) -> None:
    data = opened(camvid, "camvid", "val")
    path = sorted((camvid / "CamVid" / "testannot").glob("*.png"))[0]
    Image.new("RGB", (4, 4)).save(path)
    with pytest.raises(BadImage, match=rf"{path.name}: an image of shape \(4, 4, 3\), not a mask"):
        data.mask(0)


def test_camvid_without_images_says_where_it_looked(camvid: Path) -> None:
    for path in (camvid / "CamVid" / "test").iterdir():
        path.unlink()
    with pytest.raises(FileNotFoundError, match=r"camvid \(val\).*no files \*.png.*Get it from"):
        only(camvid, "camvid").open("val")


def test_a_folder_without_masks_is_no_camvid(camvid: Path) -> None:
    (camvid / "CamVid" / "testannot").rename(camvid / "elsewhere")
    assert not [each for each in find_sets(camvid / "CamVid", DECLARATIONS) if each.declaration.name == "camvid"]


def test_the_real_camvid_has_segnets_split(shared_data: Callable[[str], Path]) -> None:
    train, test = (opened(shared_data("camvid"), "camvid", split) for split in ("train", "val"))
    assert (len(train), len(test)) == (367, 233)
    for sample in (train, test):
        mask = sample.mask(5)
        assert sample.image(5).shape == (360, 480, 3)
        assert mask.shape == (360, 480)
        assert set(np.unique(mask)) <= {*range(11), IGNORE}
    road = np.mean([train.mask(index)[300:] == train.classes.index("road") for index in range(0, 367, 60)])
    sky = np.mean([train.mask(index)[:60] == train.classes.index("sky") for index in range(0, 367, 60)])
    assert road > 0.3
    assert sky > 0.15


def test_ade20k_is_shifted_by_one_and_named(ade20k: Path) -> None:
    train, test = opened(ade20k, "ade20k", "train"), opened(ade20k, "ade20k", "val")
    assert (len(train), len(test), len(train.classes)) == (3, 2, 150)
    assert train.classes[0] == "name 1, other"
    assert test.name(0) == "ADE_val_00000001"
    assert np.array_equal(test.mask(0), labels(IGNORE, 149))
    assert np.abs(train.image(1).astype(int) - 100).max() <= 2


def test_ade20k_without_names_counts_its_classes(ade20k: Path) -> None:
    (ade20k / "ADEChallengeData2016" / "objectInfo150.txt").unlink()
    assert opened(ade20k, "ade20k", "train").classes[149] == "150"


def test_ade20k_with_a_name_missing_is_refused(ade20k: Path) -> None:
    path = ade20k / "ADEChallengeData2016" / "objectInfo150.txt"
    path.write_text("\n".join(path.read_text().splitlines()[:-1]))
    with pytest.raises(ValueError, match=r"objectInfo150.txt does not list classes 1 to 150"):
        only(ade20k, "ade20k").open("train")


def test_ade20k_with_masks_of_the_full_data_set_is_refused(ade20k: Path) -> None:
    train = opened(ade20k, "ade20k", "train")
    folder = ade20k / "ADEChallengeData2016" / "annotations" / "training"
    write(folder / "ADE_train_00000001.png", grey(3))  # the full data set has colours
    write(folder / "ADE_train_00000002.png", labels(151))
    for index in range(2):
        with pytest.raises(BadImage, match=rf"ADE_train_0000000{index + 1}.png.*not a mask of 150 classes"):
            train.mask(index)


def test_ade20k_lacking_a_mask_names_it(ade20k: Path) -> None:
    (ade20k / "ADEChallengeData2016" / "annotations" / "validation" / "ADE_val_00000002.png").unlink()
    with pytest.raises(ValueError, match=r"ade20k \(val\).*1 files are missing.*ADE_val_00000002.png"):
        only(ade20k, "ade20k").open("val")


@pytest.mark.parametrize("below", ["", "VOCdevkit", "VOCdevkit/VOC2012"])
def test_voc_is_found_from_each_of_its_folders(voc: Path, below: str) -> None:
    train, test = opened(voc / below, "voc2012", "train"), opened(voc / below, "voc2012", "val")
    assert (len(train), len(test), len(train.classes)) == (2, 1, 21)
    assert train.name(1) == "2007_000039"
    assert np.array_equal(train.mask(1), labels(IGNORE, 20)), "indices of the palette, not its colours"


def test_voc_of_2007_is_another_data_set(voc: Path) -> None:
    for split in ("train", "val"):
        (voc / f"VOCdevkit/VOC2012/ImageSets/Segmentation/{split}.txt").write_text("000032\n000033\n")
    assert find_sets(voc, DECLARATIONS) == []


def test_voc_trains_on_trainaug_where_it_is_there(voc: Path) -> None:
    root = voc / "VOCdevkit" / "VOC2012"
    (root / "ImageSets" / "Segmentation" / "trainaug.txt").write_text("2012_004331\n2007_000032\n2007_000039\n")
    with pytest.raises(ValueError, match=r"voc2012 \(train\).*SegmentationClass.2012_004331.png"):
        only(voc, "voc2012").open("train")
    for name in ("2012_004331", "2007_000032", "2007_000039"):
        write(root / "SegmentationClassAug" / f"{name}.png", labels(1, 2))  # grey, not of a palette
    train = opened(voc, "voc2012", "train")
    assert len(train) == 3
    assert np.array_equal(train.mask(0), labels(1, 2))
    assert len(opened(voc, "voc2012", "val")) == 1


def test_voc_with_a_mask_of_other_numbers_names_it(voc: Path) -> None:
    train = opened(voc, "voc2012", "train")
    write(voc / "VOCdevkit" / "VOC2012" / "SegmentationClass" / "2007_000032.png", labels(21), palette=True)
    with pytest.raises(BadImage, match=r"2007_000032.png.*not a mask of 21 classes"):
        train.mask(0)


@pytest.mark.parametrize(("text", "says"), [("", "names no images"), ("../../secret\n", "no name of an image")])
def test_voc_with_a_bad_list_is_refused(voc: Path, text: str, says: str) -> None:
    (voc / "VOCdevkit" / "VOC2012" / "ImageSets" / "Segmentation" / "val.txt").write_text(text)
    with pytest.raises(ValueError, match=rf"val.txt.*{says}"):
        only(voc, "voc2012").open("val")


def test_voc_without_a_list_names_it(voc: Path) -> None:
    (voc / "VOCdevkit" / "VOC2012" / "ImageSets" / "Segmentation" / "val.txt").unlink()
    with pytest.raises(ValueError, match=r"1 files are missing.*val.txt"):
        only(voc, "voc2012").open("val")


def test_a_damaged_image_and_a_damaged_mask_are_named(voc: Path) -> None:
    root, train = voc / "VOCdevkit" / "VOC2012", opened(voc, "voc2012", "train")
    for path, read in (
        (root / "JPEGImages" / "2007_000032.jpg", train.image),
        (root / "SegmentationClass" / "2007_000032.png", train.mask),
    ):
        path.write_bytes(path.read_bytes()[:-30])
        with pytest.raises(BadImage, match=path.name):
            read(0)


def test_rendered_masks_are_those_of_the_objects(rendered: Path) -> None:
    train, test = (opened(rendered, "rendered_segmentation", split) for split in ("train", "val"))
    assert (len(train), len(test)) == (16, 4), "8 and 2 objects of 2 views each"
    assert test.name(1) == "flat/box_4/1"
    assert train.image(0).shape == (16, 16, 3)
    with np.load(rendered / "set" / "flat" / "box_4" / "dense.npz") as dense:
        assert np.array_equal(test.mask(1), dense["mask_1"])
        left, top, right, bottom = dense["boxes"][1]
    rows, columns = np.nonzero(test.mask(1))
    assert (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1) == (left, top, right, bottom)
    assert set(np.unique(train.mask(3))) == {0, 1}


def test_a_rendered_set_with_damaged_arrays_names_them(rendered: Path, tmp_path: Path) -> None:
    test = opened(rendered, "rendered_segmentation", "val")
    path = rendered / "set" / "flat" / "box_4" / "dense.npz"
    whole = path.read_bytes()
    try:
        path.write_bytes(whole[: len(whole) // 2])
        with pytest.raises(BadImage, match=r"dense.npz.*mask_0 cannot be read"):
            test.mask(0)
        path.unlink()
        with pytest.raises(ValueError, match=r"rendered_segmentation \(val\).*box_4.dense.npz"):
            only(rendered, "rendered_segmentation").open("val")
    finally:
        path.write_bytes(whole)
