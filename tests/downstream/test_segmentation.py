"""Segmentation: a head on frozen or trained features tells regions apart, and scores are those of its predictions."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torchmetrics.classification import MulticlassJaccardIndex

from equicoherence.data.source import UnusableData
from equicoherence.downstream.class_pictures import draw_classes
from equicoherence.downstream.palette import painted, palette, side_by_side
from equicoherence.downstream.segmentation import scoring
from equicoherence.downstream.segmentation.scoring import segment
from equicoherence.downstream.segmentation.task import Segmentation
from equicoherence.evaluation.task import TaskScore, no_bar
from equicoherence.sets import IGNORE

from .colour_regions import ColourRegions, small_model

LINEAR = Segmentation(pixels=32, steps=60, batch=8, lr=1e-2)
TUNED = dataclasses.replace(LINEAR, encoder="fine-tuned", tuned_steps=20, tuned_batch=4, tuned_lr=2e-3, channels=8)


def value(score: TaskScore, metric: str, parameter: str = "") -> float:
    (found,) = (row.value for row in score.rows if (row.metric, row.parameter) == (metric, parameter))
    return found


@pytest.mark.parametrize("task", [LINEAR, TUNED], ids=["frozen", "fine-tuned"])
def test_regions_of_two_colours_are_told_apart_and_the_model_stays(task: Segmentation) -> None:
    model = small_model()
    before = {name: weight.clone() for name, weight in model.encoder.state_dict().items()}
    score = task.score(model, ColourRegions(24, 0), ColourRegions(10, 1), no_bar)
    assert value(score, "iou", "left") > 0.8
    assert value(score, "iou", "right") > 0.8
    assert value(score, "accuracy") > 0.9
    assert score.counts["val"] == 10
    assert score.counts["train"] == 24 if task is LINEAR else score.counts["train"] <= 24
    assert all(torch.equal(weight, before[name]) for name, weight in model.encoder.state_dict().items())
    assert not model.encoder.training
    assert {row.metric for row in score.rows} == set(task.metrics)


@pytest.mark.parametrize("task", [LINEAR, TUNED], ids=["frozen", "fine-tuned"])
def test_the_same_seed_gives_the_same_numbers_and_another_others(task: Segmentation) -> None:
    sets = ColourRegions(8, 0), ColourRegions(4, 1)
    task = dataclasses.replace(task, steps=4, tuned_steps=2)
    first = task.score(small_model(), *sets, no_bar)
    torch.manual_seed(99)
    assert task.score(small_model(), *sets, no_bar).rows == first.rows
    assert dataclasses.replace(task, seed=1).score(small_model(), *sets, no_bar).rows != first.rows


def test_the_floor_is_the_most_common_class_of_training_everywhere() -> None:
    train, test = ColourRegions(12, 0), ColourRegions(6, 1)
    score = dataclasses.replace(LINEAR, steps=1).score(small_model(), train, test, no_bar)
    counts = [
        sum(int((each.mask(index) == label).sum()) for index in range(len(each)))
        for each in (train, test)
        for label in (0, 1)
    ]
    common = int(counts[1] > counts[0])
    share = counts[2 + common] / (counts[2] + counts[3])
    floors = {row.metric: row.floor for row in score.rows if not row.parameter}
    assert floors["accuracy"] == pytest.approx(share, abs=1e-6)
    assert floors["miou"] == pytest.approx(share / 2, abs=1e-6), "0 for the other class that is there"


def test_images_of_many_sizes_are_scored_at_their_masks_own_size(monkeypatch: pytest.MonkeyPatch) -> None:
    test = ColourRegions(21, 3, sizes=((20, 31), (32, 32), (20, 31), (45, 17)))
    weights = torch.randn(3, 3, generator=torch.Generator().manual_seed(0))

    def predict(images: torch.Tensor) -> torch.Tensor:
        return torch.einsum("kc,bchw->bkhw", weights, F.avg_pool2d(images, 4))

    counts, pictures = segment(predict, test, range(21), (32, 40), torch.device("cpu"), no_bar)
    metric = MulticlassJaccardIndex(3, average="none", ignore_index=IGNORE)
    for index in range(21):
        image = scoring.resize_image(test.image(index), (32, 40))
        logits = predict(torch.from_numpy(image).permute(2, 0, 1)[None] / 255)
        truth = torch.from_numpy(test.mask(index)).long()
        metric.update(F.interpolate(logits, truth.shape, mode="bilinear").argmax(dim=1), truth[None])
    iou = scoring.intersection_over_union(counts)
    assert torch.allclose(iou.nan_to_num(), metric.compute(), atol=1e-6)
    assert len(pictures) == 6
    monkeypatch.setattr(scoring, "LARGEST_LOGITS", 1)
    assert torch.equal(segment(predict, test, range(21), (32, 40), torch.device("cpu"), no_bar)[0], counts)


def test_a_class_that_is_neither_true_nor_predicted_has_no_row_and_no_part_in_the_mean() -> None:
    rows = scoring.segmentation_rows(torch.tensor([[5, 1, 0], [0, 4, 0], [0, 0, 0]]), 0, ColourRegions.classes)
    assert {row.parameter: row.value for row in rows if row.metric == "iou"} == {
        "left": pytest.approx(5 / 6),
        "right": pytest.approx(4 / 5),
    }
    assert rows[0].value == pytest.approx((5 / 6 + 4 / 5) / 2)
    assert rows[0].parameter == rows[0].target == ""


def test_pictures_show_input_truth_and_prediction() -> None:
    test = ColourRegions(9, 1, sizes=((30, 40),))
    score = LINEAR.score(small_model(), ColourRegions(24, 0), test, no_bar)
    assert list(score.pictures) == [f"edge {index}" for index in (0, 2, 3, 5, 6, 8)]
    picture = score.pictures["edge 3"]
    assert list(picture.given) == ["image", "true classes"]
    assert np.array_equal(picture.given["image"], test.image(3))
    assert np.array_equal(picture.given["true classes"], painted(test.mask(3)))
    said = picture.predicted
    assert (said == painted(test.mask(3))).all(axis=2).mean() > 0.8
    assert set(map(tuple, said.reshape(-1, 3).tolist())) <= set(map(tuple, palette()[:3].tolist()))
    assert [(name, color) for _, name, color in picture.legend] == [
        ("left", "#000000"),
        ("right", "#800000"),
        ("not scored", "#e0e0c0"),
    ]


def test_the_legend_names_the_classes_that_are_true_or_predicted_and_no_others() -> None:
    image, true = np.zeros((640, 20, 3), np.uint8), np.full((640, 20), 2, np.uint8)
    picture = draw_classes(image, true, np.full_like(true, 12), ("a", "b", "c"))
    assert [(number, name) for number, name, _ in picture.legend] == [(2, "c"), (12, "12")]
    shapes = {pixels.shape for pixels in (picture.predicted, *picture.given.values())}
    assert shapes == {(320, 10, 3)}, "reduced, without new colors"
    assert (picture.predicted == palette()[12]).all()


def test_panels_are_at_most_320_pixels_high() -> None:
    tall = np.zeros((641, 300, 3), dtype=np.uint8)
    assert side_by_side([tall, tall]).shape == (320, 2 * 150 + 4, 3)


def test_the_palette_is_that_of_pascal_voc() -> None:
    colours = palette()
    assert colours[:4].tolist() == [[0, 0, 0], [128, 0, 0], [0, 128, 0], [128, 128, 0]]
    assert colours[[8, 15, 20, 255]].tolist() == [[64, 0, 0], [192, 128, 128], [0, 64, 128], [224, 224, 192]]
    assert len(np.unique(colours, axis=0)) == 256


def test_a_limit_of_images_is_kept() -> None:
    task = dataclasses.replace(LINEAR, train=3, test=2, steps=2)
    score = task.score(small_model(), ColourRegions(9, 0), ColourRegions(9, 1), no_bar)
    assert score.counts == {"train": 3, "val": 2}


def test_fine_tuning_counts_what_it_saw_and_leaves_a_convolutional_model_as_it_was() -> None:
    model = small_model("resnet10t", {"output_stride": 8})
    before = {name: weight.clone() for name, weight in model.encoder.state_dict().items()}
    task = dataclasses.replace(TUNED, tuned_steps=2, tuned_batch=2)
    score = task.score(model, ColourRegions(30, 0), ColourRegions(2, 1), no_bar)
    assert score.counts == {"train": 4, "val": 2}
    assert all(torch.equal(weight, before[name]) for name, weight in model.encoder.state_dict().items())


def test_a_windowed_encoder_of_one_size_is_fine_tuned_at_another() -> None:
    args = {"img_size": 64, "depths": (1, 1), "embed_dim": 24, "num_heads": (1, 2)}
    model = small_model("swin_tiny_patch4_window7_224", args)
    model = dataclasses.replace(model, size=64)
    task = dataclasses.replace(TUNED, pixels=48, tuned_steps=2, steps=2)
    for each in (task, dataclasses.replace(task, encoder="frozen")):
        assert 0 <= value(each.score(model, ColourRegions(4, 0), ColourRegions(2, 1), no_bar), "miou") <= 1


def test_masks_without_a_class_are_an_error() -> None:
    class Blank(ColourRegions):
        def mask(self, index: int) -> np.ndarray:
            return np.full(self.image(index).shape[:2], IGNORE, dtype=np.uint8)

    few = dataclasses.replace(LINEAR, steps=1)
    with pytest.raises(UnusableData, match="no pixel of the training images has a class"):
        few.score(small_model(), Blank(4, 0), ColourRegions(4, 1), no_bar)
    with pytest.raises(UnusableData, match="no pixel of the test images has a class, so there is nothing to measure"):
        few.score(small_model(), ColourRegions(4, 0), Blank(4, 1), no_bar)


@pytest.mark.parametrize(
    ("setting", "says"),
    [
        ({"encoder": "thawed"}, "'thawed'"),
        ({"tuned_batch": 1}, "tuned_batch must be at least 2, got 1"),
        ({"pixels": 0}, "got 0"),
    ],
)
def test_settings_out_of_their_ranges_are_refused(setting: dict[str, object], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        Segmentation(**setting)  # type: ignore[arg-type]
