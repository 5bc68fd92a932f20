"""Detection: a detector on frozen or trained tokens finds squares, and its geometry is that of the image."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np
import pytest
import torch

from equicoherence.data.source import UnusableData
from equicoherence.downstream.box_pictures import PREDICTED, TRUE, draw_boxes, show_boxes
from equicoherence.downstream.detection.agnostic import AgnosticSet
from equicoherence.downstream.detection.detector import UNIT, build_detector, detect, detection_loss
from equicoherence.downstream.detection.pyramid import SimpleFeaturePyramid
from equicoherence.downstream.detection.targets import (
    ConstantDetection,
    detection_target,
    in_pixels,
    mirrored,
)
from equicoherence.downstream.detection.task import Detection
from equicoherence.evaluation.task import no_bar
from equicoherence.sets import Objects

from .bright_squares import SquareBoxes, SquareObjects
from .colour_regions import small_model

TASK = Detection(pixels=32, steps=30, batch=4, channels=16, regions=16, lr=3e-3)
TUNED = dataclasses.replace(TASK, encoder="fine-tuned")
TWO = Objects(
    np.array([[2, 3, 12, 9], [20, 5, 60, 20]], np.float32),
    np.array([1, 0]),
    np.array([False, False]),
    np.zeros((2, 20, 40), dtype=bool),
)
TWO.masks[0, 3:9, 2:12] = True  # type: ignore[index]
TWO.masks[1, 5:, 20:] = True  # type: ignore[index]


def test_squares_are_found_better_than_by_a_constant_and_the_model_stays() -> None:
    model = small_model()
    before = {name: weight.clone() for name, weight in model.encoder.state_dict().items()}
    score = TASK.score(model, SquareObjects(32, 0, empty=(1,)), SquareObjects(8, 1, empty=(2,)), no_bar)
    rows = {row.metric: row for row in score.rows}
    assert set(rows) == set(TASK.metrics)
    for name in ("apb50", "apm50"):
        assert rows[name].value > (rows[name].floor or 0) + 0.1
    assert score.counts == {"train": 31, "val": 8}, "of 32, those that 30 steps of 4 show"
    assert len(score.pictures) == 6
    for picture in score.pictures.values():
        for pixels in (picture.predicted, picture.given["true boxes"]):
            assert pixels.shape[0] <= 320
            assert pixels.dtype == np.uint8
    assert all(torch.equal(weight, before[name]) for name, weight in model.encoder.state_dict().items())


@pytest.mark.parametrize("task", [TASK, TUNED], ids=["frozen", "fine-tuned"])
@pytest.mark.parametrize("network", [{}, {"name": "resnet10t", "args": {"output_stride": 8}}], ids=["vit", "resnet"])
def test_the_same_seed_gives_the_same_pictures_and_another_others(task: Detection, network: dict[str, Any]) -> None:
    task = dataclasses.replace(task, steps=2, batch=2)
    model, sets = small_model(**network), (SquareBoxes(6, 0), SquareBoxes(2, 1))
    before = {name: weight.clone() for name, weight in model.encoder.state_dict().items()}
    first, again = (task.score(model, *sets, no_bar) for _ in range(2))
    other = dataclasses.replace(task, seed=1).score(model, *sets, no_bar)
    assert {row.metric for row in first.rows} == {"apb", "apb50", "apb75"}
    assert [row.value for row in first.rows] == [row.value for row in again.rows]
    predicted, repeated, others = (
        [picture.predicted for picture in of.pictures.values()] for of in (first, again, other)
    )
    assert all(map(np.array_equal, predicted, repeated))
    assert not all(map(np.array_equal, predicted, others))
    assert all(torch.equal(weight, before[name]) for name, weight in model.encoder.state_dict().items())


def test_agnostic_detection_takes_all_classes_for_one() -> None:
    data = SquareObjects(8, 0)
    one = AgnosticSet(data)
    assert one.classes == ("object",)
    assert (len(one), one.has_masks) == (8, True)
    assert any(data.objects(index).labels.any() for index in range(8)), "the set has several classes"
    for index in range(8):
        assert not one.objects(index).labels.any()
        assert np.array_equal(one.objects(index).boxes, data.objects(index).boxes)
    task = dataclasses.replace(TASK, steps=2, batch=2, labels="agnostic")
    assert task.protocol == "frozen, class-agnostic Mask R-CNN of 16 channels"
    score = task.score(small_model(), data, SquareObjects(2, 1), no_bar)
    assert set(score.pictures) == {data.name(i) for i in range(2)}


def test_settings_that_make_no_sense_are_quoted() -> None:
    with pytest.raises(ValueError, match="encoder must be 'frozen' or 'fine-tuned', got 'thawed'"):
        Detection(encoder="thawed")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="steps must be at least 1, got 0"):
        Detection(steps=0)


@pytest.mark.parametrize("encoder", ["frozen", "fine-tuned"])
def test_only_images_that_are_drawn_are_read_for_training_and_counted(encoder: str) -> None:
    task = dataclasses.replace(TASK, encoder=encoder, steps=2, batch=2)  # type: ignore[arg-type]
    assert task.score(small_model(), SquareBoxes(40, 0), SquareBoxes(2, 1), no_bar).counts == {"train": 4, "val": 2}


def test_an_encoder_off_its_stride_is_refused() -> None:
    model = small_model("resnet10t", {"output_stride": 8})
    model.encoder.model.feature_info = [{"reduction": 16}]  # type: ignore[assignment]
    with pytest.raises(ValueError, match="resnet10t gives 4 x 8 tokens where its stride says 2 x 4"):
        TASK.score(model, SquareBoxes(4, 0), SquareBoxes(2, 1), no_bar)


def test_masks_that_shrink_keep_to_the_pixel_in_the_middle() -> None:
    target = detection_target(TWO, (20, 40), (4, 8), masks=True)
    rows, columns = np.arange(4) * 5 + 2, np.arange(8) * 5 + 2
    assert TWO.masks is not None
    assert np.array_equal(target["masks"].numpy(), TWO.masks[:, rows][:, :, columns])
    plain, turned = (detection_target(each, (20, 40), (4, 8), masks=True)["masks"] for each in (TWO, _turned(TWO)))
    assert torch.equal(plain.flip(-1), turned), "no side is favoured"


def _turned(objects: Objects) -> Objects:
    assert objects.masks is not None
    boxes = np.stack([40 - objects.boxes[:, 2], objects.boxes[:, 1], 40 - objects.boxes[:, 0], objects.boxes[:, 3]], 1)
    return dataclasses.replace(objects, boxes=boxes, masks=np.ascontiguousarray(objects.masks[:, :, ::-1]))


def test_training_images_without_objects_are_refused() -> None:
    with pytest.raises(UnusableData, match="hold no objects"):
        TASK.score(small_model(), SquareBoxes(3, 0, empty=(0, 1, 2)), SquareBoxes(2, 1), no_bar)


def test_test_images_without_objects_leave_nothing_to_measure() -> None:
    task = dataclasses.replace(TASK, steps=1)
    with pytest.raises(UnusableData, match="no test image has an object, so there is nothing to measure"):
        task.score(small_model(), SquareBoxes(3, 0), SquareBoxes(2, 1, empty=(0, 1)), no_bar)


def test_the_pyramid_has_four_maps_of_one_width() -> None:
    maps = SimpleFeaturePyramid(24, 12)(torch.randn(2, 24, 4, 6))
    assert [tuple(level.shape) for level in maps.values()] == [
        (2, 12, 16, 24), (2, 12, 8, 12), (2, 12, 4, 6), (2, 12, 2, 3),
    ]  # fmt: skip


def test_the_strides_of_the_detector_are_powers_of_two() -> None:
    frame = (4 * UNIT, 6 * UNIT)
    detector = build_detector(24, 12, 3, frame, masks=True, regions=8).eval()
    (found,) = detect(detector, torch.randn(1, 24, 4, 6))
    assert detector.roi_heads.box_roi_pool.scales == [1 / 4, 1 / 8, 1 / 16, 1 / 32]
    assert found["boxes"].min() >= 0
    assert found["boxes"][:, 2].max() <= frame[1]
    assert found["boxes"][:, 3].max() <= frame[0]
    assert found["labels"].min() >= 1
    assert found["labels"].max() <= 3


def test_an_image_without_objects_has_a_loss_that_can_be_followed_down() -> None:
    detector = build_detector(8, 8, 2, (64, 64), masks=True, regions=8).train()
    empty = {
        "boxes": torch.zeros(0, 4),
        "labels": torch.zeros(0, dtype=torch.long),
        "masks": torch.zeros(0, 64, 64, dtype=torch.uint8),
    }
    loss = detection_loss(detector, torch.randn(1, 8, 4, 4), [empty])
    loss.backward()
    assert math.isfinite(loss.detach())


def test_targets_are_squashed_cut_at_the_border_and_without_crowds() -> None:
    target = detection_target(TWO, (20, 40), (40, 120), masks=True)
    torch.testing.assert_close(target["boxes"], torch.tensor([[6.0, 6, 36, 18], [60, 10, 120, 40]]))
    assert target["labels"].tolist() == [2, 1]
    assert target["masks"].shape == (2, 40, 120)
    ys, xs = target["masks"][0].nonzero().T
    assert (int(xs.min()), int(ys.min()), int(xs.max()) + 1, int(ys.max()) + 1) == (6, 6, 36, 18)
    crowded = dataclasses.replace(TWO, crowd=np.array([False, True]))
    assert detection_target(crowded, (20, 40), (40, 120), masks=True)["labels"].tolist() == [2]
    thin = dataclasses.replace(TWO, boxes=np.array([[2, 3, 2.2, 9], [41, 5, 60, 20]], np.float32))
    assert not len(detection_target(thin, (20, 40), (20, 40), masks=False)["boxes"])


def test_a_mirror_moves_boxes_with_masks_and_twice_is_not_at_all() -> None:
    target = detection_target(TWO, (20, 40), (20, 40), masks=True)
    once = mirrored(target, 40)
    for mask, box in zip(once["masks"], once["boxes"].int().tolist()):
        ys, xs = mask.nonzero().T
        assert [int(xs.min()), int(ys.min()), int(xs.max()) + 1, int(ys.max()) + 1] == box
    twice = mirrored(once, 40)
    assert all(torch.equal(twice[name], values) for name, values in target.items())


def test_detections_come_back_in_the_pixels_of_the_image() -> None:
    target = detection_target(TWO, (20, 40), (40, 120), masks=False)
    found = target | {"scores": torch.ones(2), "masks": torch.ones(2, 1, 28, 28)}
    back = in_pixels(found, (40, 120), (20, 40))
    torch.testing.assert_close(back["boxes"], torch.tensor([[2.0, 3, 12, 9], [20, 5, 40, 20]]))
    assert back["labels"].tolist() == [1, 0]
    assert back["masks"].shape == (2, 20, 40)
    assert back["masks"][0, 4:8, 3:11].all()
    assert not back["masks"][0, :, 14:].any()


def test_the_constant_is_the_mean_box_of_the_most_common_class() -> None:
    boxes = np.array([[0, 0, 10, 10], [10, 10, 20, 20], [0, 0, 20, 20]], np.float32)
    some = Objects(boxes, np.array([1, 1, 0]), np.zeros(3, dtype=bool))
    constant = ConstantDetection.mean([some], [(20, 40)])
    assert constant.label == 1
    torch.testing.assert_close(constant.box, torch.tensor([0.125, 0.25, 0.375, 0.75]))
    found = constant.detected((40, 80), masks=True)
    torch.testing.assert_close(found["boxes"], torch.tensor([[10.0, 10, 30, 30]]))
    assert int(found["masks"].sum()) == 400


def test_predicted_boxes_are_solid_and_true_ones_dashed() -> None:
    picture = draw_boxes(
        np.zeros((320, 300, 3), np.uint8), np.array([[10, 10, 60, 60]]), np.array([[100, 10, 180, 60]])
    )
    assert (picture[10, 10:60] == PREDICTED).all()
    dashes = (picture[10, 100:180] == TRUE).all(axis=-1)
    assert 0.3 < dashes.mean() < 0.8
    assert draw_boxes(np.zeros((900, 400, 3), np.uint8), np.zeros((0, 4)), np.zeros((0, 4))).shape == (320, 142, 3)
    assert draw_boxes(np.zeros((64, 64, 3), np.uint8), np.zeros((0, 4)), np.zeros((0, 4))).shape == (320, 320, 3)


def test_true_boxes_are_shown_alone_with_those_classes_that_fit() -> None:
    image, boxes = (
        np.zeros((320, 300, 3), np.uint8),
        np.array([[10, 10, 60, 60], [100, 10, 180, 60], [200, 10, 220, 60]]),
    )
    picture = show_boxes(image, boxes[:1], boxes[1:], ["cat 0.90"], ["dog", "elephant"])
    true, predicted = picture.given["true boxes"], picture.predicted
    assert (true[10, 100:180] == TRUE).all(axis=-1).any()
    assert not true[..., 0].any(), "no predicted box"
    assert (predicted[10, 10:60] == PREDICTED).all()
    assert true[14:28, 104:170].any()
    assert not predicted[14:28, 104:170].any(), "the class is not repeated"
    assert not true[14:28, 204:216].any(), "too long a word for the box"


def test_small_images_are_enlarged_with_clean_edges() -> None:
    image = np.zeros((32, 32, 3), np.uint8)
    image[:, 16:] = 255
    enlarged = draw_boxes(image, np.zeros((0, 4)), np.zeros((0, 4)))
    assert enlarged.shape == (320, 320, 3)
    assert set(np.unique(enlarged)) == {0, 255}
