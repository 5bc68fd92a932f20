"""Sets with boxes and masks: COCO's json, coco128's text files, and rendered objects."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from pycocotools import mask as reference

from equicoherence.data.source import BadImage
from equicoherence.rendering import render
from equicoherence.sets.coco import COCO, COCO_IMAGES
from equicoherence.sets.coco128 import COCO128
from equicoherence.sets.coco_masks import decode_mask, decompress_runs, polygon_to_mask, runs_to_mask
from equicoherence.sets.find import find_sets
from equicoherence.sets.kinds import DetectionSet
from equicoherence.sets.photographs import PHOTOGRAPHS
from equicoherence.sets.rendered_detection import RENDERED_DETECTION

SIZE = (20, 30)  # height, width
CROWD = [300, 40, 260]
# pycocotools was built before NumPy 2
OLD_NUMPY = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
CATEGORIES = [{"id": 3, "name": "car"}, {"id": 1, "name": "person"}, {"id": 90, "name": "toothbrush"}]


def _write_image(path: Path, colour: tuple[int, int, int] = (10, 200, 30)) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", SIZE[::-1], colour).save(path)


def _annotations(compressed: str) -> dict[str, Any]:
    square = [2, 3, 12, 3, 12, 9, 2, 9]
    common = {"image_id": 9, "iscrowd": 0}
    return {
        "images": [
            {"id": 25, "file_name": "000000000025.jpg", "height": SIZE[0], "width": SIZE[1]},
            {"id": 9, "file_name": "000000000009.jpg", "height": SIZE[0], "width": SIZE[1]},
        ],
        "categories": CATEGORIES,
        "annotations": [
            common | {"id": 1, "category_id": 3, "bbox": [2, 3, 10, 6], "segmentation": [square]},
            common
            | {
                "id": 2,
                "category_id": 90,
                "bbox": [15, 0, 2, 20],
                "iscrowd": 1,
                "segmentation": {"size": list(SIZE), "counts": CROWD},
            },
            common
            | {
                "id": 3,
                "category_id": 1,
                "bbox": [0, 0, 5, 5],
                "segmentation": {"size": list(SIZE), "counts": compressed},
            },
        ],
    }


@pytest.fixture
def coco(tmp_path: Path) -> Path:
    """Return a folder in COCO's layout: an image of three objects and one of none, in both splits."""
    mask = np.zeros(SIZE, dtype=np.uint8, order="F")
    mask[:5, :5] = 1
    compressed = reference.encode(mask)["counts"].decode()
    (tmp_path / "annotations").mkdir()
    for split in ("train", "val"):
        text = json.dumps(_annotations(compressed))
        (tmp_path / "annotations" / f"instances_{split}2017.json").write_text(text)
        for name in ("000000000009.jpg", "000000000025.jpg"):
            _write_image(tmp_path / f"{split}2017" / name)
    return tmp_path


def _open(declaration: Any, root: Path, split: str = "val") -> DetectionSet:
    (found,) = find_sets(root, [declaration])
    return found.declaration.open(found.folder, split)  # type: ignore[return-value, arg-type]


def test_coco_gives_boxes_labels_crowd_and_masks_in_order_of_ids(coco: Path) -> None:
    data = _open(COCO, coco)
    assert data.classes == ("person", "car", "toothbrush")
    assert [data.name(i) for i in range(len(data))] == ["000000000009", "000000000025"]
    assert data.image(0).shape == (*SIZE, 3)
    objects = data.objects(0)
    np.testing.assert_array_equal(objects.boxes, [[2, 3, 12, 9], [15, 0, 17, 20], [0, 0, 5, 5]])
    np.testing.assert_array_equal(objects.labels, [1, 2, 0])
    np.testing.assert_array_equal(objects.crowd, [False, True, False])
    assert objects.masks is not None
    expected = np.zeros((3, *SIZE), dtype=bool)
    expected[0, 3:9, 2:12], expected[1, :, 15:17], expected[2, :5, :5] = True, True, True
    np.testing.assert_array_equal(objects.masks, expected)


def test_a_coco_image_of_another_size_than_its_annotations_is_named(coco: Path) -> None:
    Image.new("RGB", (SIZE[1] // 2, SIZE[0] // 2)).save(coco / "val2017" / "000000000009.jpg")
    data = _open(COCO, coco)
    with pytest.raises(BadImage, match=f"its annotations are for {SIZE[0]} x {SIZE[1]} pixels, it has"):
        data.image(0)


def test_names_in_coco_annotations_stay_in_its_folder(coco: Path) -> None:
    path = coco / "annotations" / "instances_val2017.json"
    path.write_text(path.read_text().replace("000000000009.jpg", "/etc/hostname.jpg"))
    with pytest.raises(ValueError, match=r"names '/etc/hostname.jpg', which is not in"):
        _open(COCO, coco)


def test_images_of_coco_are_photographs_too(coco: Path) -> None:
    (found,) = find_sets(coco, [COCO_IMAGES, PHOTOGRAPHS])
    assert found.declaration is COCO_IMAGES
    splits = [found.open(split) for split in ("train", "val")]  # type: ignore[arg-type]
    assert [len(each) for each in splits] == [2, 2]
    assert splits[1].name(0) == "000000000009.jpg"


def test_a_coco_image_without_annotations_has_no_objects(coco: Path) -> None:
    objects = _open(COCO, coco).objects(1)
    assert objects.boxes.shape == (0, 4)
    assert objects.masks is not None
    assert objects.masks.shape == (0, *SIZE)


def test_damaged_coco_files_are_named(coco: Path) -> None:
    (found,) = find_sets(coco, [COCO])
    (coco / "val2017" / "000000000025.jpg").unlink()
    with pytest.raises(ValueError, match=r"coco \(val\).*1 files are missing: .*000000000025.jpg"):
        found.open("val")
    path = coco / "annotations" / "instances_train2017.json"
    path.write_text(path.read_text()[:-20])
    with pytest.raises(ValueError, match=r"instances_train2017.json is damaged"):
        found.open("train")
    path.write_text('{"images": []}')
    with pytest.raises(ValueError, match=r"instances_train2017.json is not in COCO's format: KeyError: 'categories'"):
        found.open("train")


def test_a_damaged_coco_mask_is_named_when_it_is_asked_for(coco: Path) -> None:
    path = coco / "annotations" / "instances_val2017.json"
    contents = json.loads(path.read_text())
    contents["annotations"][1]["segmentation"]["counts"] = [1, 2]
    path.write_text(json.dumps(contents))
    data = _open(COCO, coco)
    with pytest.raises(BadImage, match=r"mask 1 of image 000000000009: run lengths add up to 3"):
        data.objects(0)


def _add(coco: Path, *annotations: dict[str, Any]) -> None:
    path = coco / "annotations" / "instances_val2017.json"
    contents = json.loads(path.read_text())
    contents["annotations"] += annotations
    path.write_text(json.dumps(contents))


def test_annotations_of_coco_without_a_mask_are_left_out_and_it_is_said(
    coco: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    common = {"image_id": 25, "category_id": 3, "bbox": [2, 3, 10, 6], "iscrowd": 0}
    square = [2, 3, 12, 3, 12, 9, 2, 9]
    _add(coco, common | {"id": 4, "segmentation": []}, common | {"id": 5, "segmentation": [[1, 2, 3, 4]]})
    _add(
        coco,
        common | {"id": 6, "segmentation": [[1, 2, 3, 4], square]},
        common | {"image_id": 7, "segmentation": [square]},
    )
    data = _open(COCO, coco)
    objects = data.objects(1)
    assert objects.boxes.tolist() == [[2, 3, 12, 9]]
    assert objects.masks is not None
    assert objects.masks.sum() == 60
    said = capsys.readouterr().err
    assert "2 of 7 annotations have no segmentation, and are left out as Detectron2 does" in said
    assert "1 annotations are of images that it does not list" in said


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"bbox": [0, 0, float("nan"), 3]}, "ValueError its box is"),
        ({"bbox": [1, 2]}, "ValueError not enough values"),
        ({"category_id": 77}, "KeyError 77"),
        ({"segmentation": [["a"]]}, "ValueError could not convert"),
    ],
)
def test_a_broken_annotation_among_many_is_left_out_and_among_few_refused(
    coco: Path, capsys: pytest.CaptureFixture[str], change: dict[str, Any], reason: str
) -> None:
    whole = {"image_id": 25, "category_id": 3, "bbox": [2, 3, 10, 6], "segmentation": [[2, 3, 12, 3, 12, 9]]}
    _add(coco, whole | {"id": 44} | change)
    with pytest.raises(ValueError, match=rf"1 of 4 annotations cannot be used, such as annotation 44: {reason}"):
        _open(COCO, coco)
    _add(coco, *[whole] * 100)
    assert len(_open(COCO, coco).objects(1).boxes) == 100
    assert "1 of 104 annotations cannot be used, such as annotation 44" in capsys.readouterr().err


def test_a_folder_without_annotations_is_no_coco(coco: Path) -> None:
    (coco / "annotations" / "instances_val2017.json").unlink()
    assert find_sets(coco, [COCO]) == []


@OLD_NUMPY
@pytest.mark.parametrize("seed", range(4))
def test_polygons_are_drawn_pixel_by_pixel_as_by_pycocotools(seed: int) -> None:
    rng = np.random.default_rng(seed)
    for _ in range(50):
        height, width = (int(side) for side in rng.integers(3, 90, 2))
        polygon = (rng.uniform(-0.1, 1.1, (rng.integers(3, 15), 2)) * (width, height)).round(2).ravel()
        expected = reference.decode(reference.frPyObjects([polygon.tolist()], height, width))[:, :, 0]
        np.testing.assert_array_equal(polygon_to_mask(polygon, (height, width)), expected)


@OLD_NUMPY
@pytest.mark.parametrize("density", [0.01, 0.3, 0.99])
def test_run_lengths_are_read_as_by_pycocotools(density: float) -> None:
    mask = np.asfortranarray(np.random.default_rng(0).random((70, 50)) < density)
    counts = reference.encode(mask.astype(np.uint8))["counts"].decode()
    np.testing.assert_array_equal(decode_mask({"size": [70, 50], "counts": counts}, (70, 50)), mask)
    plain = decompress_runs(counts)
    again = reference.frPyObjects({"size": [70, 50], "counts": plain}, 70, 50)
    assert again["counts"].decode() == counts
    np.testing.assert_array_equal(runs_to_mask(plain, (70, 50)), mask)


@pytest.mark.parametrize(
    ("segmentation", "message"),
    [
        ([], "list of polygons"),
        ([[1, 2, 3, 4]], "three points"),
        ([[0, 0, 5e6, 0, 0, 5]], "reaches from 0 to 5e"),
        ({"size": [4, 4], "counts": [16]}, "size"),
        ({"size": list(SIZE), "counts": "~"}, "does not occur"),
        ({"size": list(SIZE), "counts": "P"}, "break off"),
        ({"size": list(SIZE)}, "list or a string"),
    ],
)
def test_segmentations_that_say_nothing_are_refused(segmentation: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        decode_mask(segmentation, SIZE)


@pytest.fixture
def coco128(tmp_path: Path) -> Path:
    """Return a folder in coco128's layout, an image with two boxes and one without a file of boxes in each split."""
    (tmp_path / "object_detection_config.yaml").write_text("path: .\nnames:\n  0: person\n  1: bicycle\n")
    for split in ("train2017", "val2017"):
        for name in ("000000000009", "000000000250"):
            _write_image(tmp_path / "images" / split / f"{name}.jpg")
        (tmp_path / "boxes" / split).mkdir(parents=True)
        (tmp_path / "boxes" / split / "000000000009.txt").write_text("1 0.5 0.5 0.2 1.0\n0 0.1 0.25 0.2 0.5\n")
    return tmp_path


def test_coco128_gives_boxes_in_pixels_and_no_masks(coco128: Path) -> None:
    data = _open(COCO128, coco128)
    assert (data.classes, data.has_masks, len(data)) == (("person", "bicycle"), False, 2)
    objects = data.objects(0)
    np.testing.assert_allclose(objects.boxes, [[12, 0, 18, 20], [0, 0, 6, 10]], atol=1e-5)
    np.testing.assert_array_equal(objects.labels, [1, 0])
    assert objects.masks is None
    assert data.objects(1).boxes.shape == (0, 4)


def test_coco128_is_read_as_it_is_published_and_its_polygons_are_not_boxes(coco128: Path) -> None:
    (coco128 / "boxes").rename(coco128 / "labels")
    (coco128 / "object_detection_config.yaml").rename(coco128 / "config.yaml")
    (coco128 / "config.yaml").write_text("names: [person, bicycle]\n")
    data = _open(COCO128, coco128)
    assert data.classes == ("person", "bicycle")
    np.testing.assert_array_equal(data.objects(0).labels, [1, 0])
    for path in (coco128 / "labels").glob("*/*.txt"):
        path.write_text("1 0.5 0.5 0.2 1.0 0.3 0.7\n")
    assert find_sets(coco128, [COCO128]) == []


@pytest.mark.parametrize("line", ["1 0.5 0.5 0.2", "2 0.5 0.5 0.2 0.2", "0 nan 0.5 0.2 0.2", "a b c d e"])
def test_damaged_lines_of_coco128_are_named(coco128: Path, line: str) -> None:
    path = coco128 / "boxes" / "val2017" / "000000000009.txt"
    path.write_text(f"0 0.5 0.5 0.2 0.2\n{line}\n")
    with pytest.raises(BadImage, match=r"000000000009.txt: line 2"):
        _open(COCO128, coco128).objects(0)


def test_missing_parts_of_coco128_are_named(coco128: Path) -> None:
    (found,) = find_sets(coco128, [COCO128])
    (coco128 / "boxes" / "val2017" / "000000000009.txt").unlink()
    with pytest.raises(FileNotFoundError, match=r"no files \*.txt in .*val2017"):
        found.open("val")
    (coco128 / "object_detection_config.yaml").write_text("names: [")
    with pytest.raises(ValueError, match=r"object_detection_config.yaml holds no names"):
        found.open("train")


def test_the_sample_of_coco128_has_the_boxes_its_note_says(shared_data: Callable[[str], Path]) -> None:
    (found,) = find_sets(shared_data("coco128"), [COCO128])
    train = found.open("train")
    assert isinstance(train, DetectionSet)
    assert (len(train), len(train.classes), train.classes[45]) == (128, 80, "bowl")
    objects, (height, width) = train.objects(0), train.image(0).shape[:2]
    assert len(objects.boxes) == 8
    assert (objects.boxes >= -0.5).all()
    assert (objects.boxes <= np.array([width, height] * 2) + 0.5).all()
    names = [train.name(i) for i in range(len(train))]
    assert not len(train.objects(names.index("000000000250")).boxes)


def test_rendered_objects_have_exact_boxes_and_masks(tmp_path: Path) -> None:
    root = tmp_path / "rendered"
    render("procedural", root, views=2, size=16, objects=1, workers=1)
    data = _open(RENDERED_DETECTION, root, "train")
    assert len(data) == 2 * len(np.load(root / "train_images.npy"))
    labels = np.load(root / "train_labels.npy")
    for index in (0, 1, len(data) - 1):
        category, name, view = data.name(index).split("/")
        objects = data.objects(index)
        with np.load(root / category / name / "dense.npz") as dense:
            np.testing.assert_array_equal(objects.boxes[0], dense["boxes"][int(view)])
        assert data.classes[int(objects.labels[0])] == category
        assert objects.masks is not None
        assert objects.masks.shape == (1, 16, 16)
        assert data.image(index).shape == (16, 16, 3)
    assert sorted({int(data.objects(i).labels[0]) for i in range(0, len(data), 2)}) == sorted(set(labels.tolist()))
    broken = root / data.name(0).rsplit("/", 1)[0] / "dense.npz"
    broken.write_bytes(broken.read_bytes()[:100])
    with pytest.raises(BadImage, match=r"dense.npz"):
        data.objects(0)
    broken.unlink()
    with pytest.raises(ValueError, match=r"1 files are missing: .*dense.npz"):
        _open(RENDERED_DETECTION, root, "train")
