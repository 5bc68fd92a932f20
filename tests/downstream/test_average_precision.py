"""Average precision of made-up detections is what pycocotools says of them."""

from __future__ import annotations

import contextlib
import io
import sys
from typing import Any

import numpy as np
import pytest
import torch
from pycocotools import mask as masks_of_coco
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval
from torch import Tensor

from equicoherence.downstream.detection.average_precision import AveragePrecision
from equicoherence.sets import Objects

SIZE = (60, 80)
CLASSES = 3


def _boxes(generator: np.random.Generator, count: int) -> np.ndarray:
    corners = generator.random((count, 2, 2)) * (SIZE[1], SIZE[0])
    corners.sort(axis=1)
    corners[:, 1] += 3
    return corners.reshape(-1, 4).clip(0, [SIZE[1], SIZE[0]] * 2).astype(np.float32)


def _masks(boxes: np.ndarray) -> np.ndarray:
    """Fill the ellipse within each box."""
    y, x = np.mgrid[: SIZE[0], : SIZE[1]] + 0.5
    left, top, right, bottom = boxes.T[:, :, None, None]
    return ((2 * x - left - right) / (right - left)) ** 2 + ((2 * y - top - bottom) / (bottom - top)) ** 2 <= 1


def _images(seed: int, count: int = 12) -> list[tuple[Objects, dict[str, Tensor]]]:
    """Make up images: of six objects, most are found more or less well, some are crowds; the second is empty."""
    generator = np.random.default_rng(seed)
    images = []
    for number in range(count):
        boxes = _boxes(generator, 0 if number == 1 else 6)
        labels, crowd = generator.integers(0, CLASSES, len(boxes)), generator.random(len(boxes)) < 0.2
        truth = Objects(boxes, labels, crowd, _masks(boxes))
        near = boxes[generator.random(len(boxes)) < 0.8]
        near = near + generator.normal(0, 1.5, near.shape).astype(np.float32)
        near[:, 2:] = np.maximum(near[:, 2:], near[:, :2] + 1)
        found = np.concatenate([near, _boxes(generator, 3)])
        guesses = generator.integers(0, CLASSES, len(found))
        guesses[: len(near)] = np.where(generator.random(len(near)) < 0.8, np.resize(labels, len(near)), 0)
        images.append(
            (
                truth,
                {
                    "boxes": torch.from_numpy(found),
                    "scores": torch.from_numpy(generator.random(len(found)).astype(np.float32)),
                    "labels": torch.from_numpy(guesses),
                    "masks": torch.from_numpy(_masks(found)),
                },
            )
        )
    return images


def _run_lengths(mask: np.ndarray) -> dict[str, Any]:
    return masks_of_coco.encode(np.asfortranarray(mask.astype(np.uint8)))


def _wide(box: np.ndarray) -> list[float]:
    left, top, right, bottom = box.astype(float).tolist()
    return [left, top, right - left, bottom - top]


def _by_pycocotools(images: list[tuple[Objects, dict[str, Tensor]]], kind: str) -> list[float]:
    annotations, results = [], []
    for number, (truth, found) in enumerate(images):
        assert truth.masks is not None
        for box, label, crowd, mask in zip(truth.boxes, truth.labels, truth.crowd, truth.masks):
            annotation = {"id": len(annotations) + 1, "image_id": number, "category_id": int(label), "area": 1.0}
            shape = {"bbox": _wide(box), "segmentation": _run_lengths(mask), "iscrowd": int(crowd)}
            annotations.append(annotation | shape)
        for place, box in enumerate(found["boxes"].numpy()):
            result = {"image_id": number, "category_id": int(found["labels"][place]), "bbox": _wide(box)}
            score = {"score": float(found["scores"][place])}
            shape = {"segmentation": _run_lengths(found["masks"][place].numpy())} if kind == "segm" else {}
            results.append(result | score | shape)
    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO()
        truth.dataset = {
            "info": {},
            "images": [{"id": number, "height": SIZE[0], "width": SIZE[1]} for number in range(len(images))],
            "categories": [{"id": label, "name": str(label)} for label in range(CLASSES)],
            "annotations": annotations,
        }
        truth.createIndex()
        evaluation = COCOeval(truth, truth.loadRes(results), kind)
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return list(evaluation.stats[:3])


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # pycocotools before NumPy 2
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_boxes_and_masks_score_as_by_pycocotools_crowds_included(seed: int) -> None:
    images = _images(seed)
    measured = AveragePrecision(masks=True)
    for truth, found in images:
        measured.add(found, truth)
    scores = measured.scores()
    expected = _by_pycocotools(images, "bbox") + _by_pycocotools(images, "segm")
    assert list(scores) == ["apb", "apb50", "apb75", "apm", "apm50", "apm75"]
    assert all(0.05 < value < 0.9 for value in expected)
    np.testing.assert_allclose(list(scores.values()), expected, atol=1e-9)


def test_boxes_alone_score_as_with_masks_and_a_crowd_is_neither_right_nor_wrong() -> None:
    both, alone, strict = AveragePrecision(masks=True), AveragePrecision(masks=False), AveragePrecision(masks=False)
    for truth, found in _images(0):
        both.add(found, truth)
        found = {name: values for name, values in found.items() if name != "masks"}
        alone.add(found, truth)
        strict.add(found, Objects(truth.boxes, truth.labels, np.zeros_like(truth.crowd)))
    scores = alone.scores()
    assert scores == {name: value for name, value in both.scores().items() if name in scores}
    assert scores["apb"] != strict.scores()["apb"]


def test_the_truth_itself_scores_one_and_nothing_to_find_is_no_number() -> None:
    measured = AveragePrecision(masks=False)
    boxes = _boxes(np.random.default_rng(0), 4)
    truth = Objects(boxes, np.array([0, 1, 1, 2]), np.zeros(4, dtype=bool))
    found = {"boxes": torch.from_numpy(boxes), "scores": torch.ones(4), "labels": torch.from_numpy(truth.labels)}
    measured.add(found, truth)
    assert measured.scores() == {"apb": 1.0, "apb50": 1.0, "apb75": 1.0}
    empty = AveragePrecision(masks=False)
    none = Objects(np.zeros((0, 4), np.float32), np.zeros(0, np.int64), np.zeros(0, bool))
    empty.add(found, none)
    assert np.isnan(empty.scores()["apb"])


def test_the_extra_is_named_where_it_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "faster_coco_eval", None)
    with pytest.raises(ImportError, match=r"pip install 'equicoherence\[coco\]'"):
        AveragePrecision(masks=False)
