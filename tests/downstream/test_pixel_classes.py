"""What is counted of predicted pixels agrees with torchmetrics and a slow loop."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torchmetrics.classification import MulticlassConfusionMatrix, MulticlassJaccardIndex

from equicoherence.downstream.segmentation.pixel_classes import (
    confusion,
    constant,
    intersection_over_union,
    nearest_labels,
    pixel_loss,
)
from equicoherence.sets import IGNORE

CLASSES = 7


def guesses(seed: int, classes: int = CLASSES) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    truth = torch.randint(classes, (3, 20, 24), generator=generator)
    predicted = torch.where(
        torch.rand(truth.shape, generator=generator) < 0.6,
        truth,
        torch.randint(classes, truth.shape, generator=generator),
    )
    truth[torch.rand(truth.shape, generator=generator) < 0.1] = IGNORE
    return predicted, truth


@pytest.mark.parametrize("seed", range(3))
def test_confusion_and_iou_are_those_of_torchmetrics(seed: int) -> None:
    predicted, truth = guesses(seed)
    counts = confusion(predicted, truth.to(torch.uint8), CLASSES)
    assert torch.equal(counts, MulticlassConfusionMatrix(CLASSES, ignore_index=IGNORE)(predicted, truth))
    each = MulticlassJaccardIndex(CLASSES, average="none", ignore_index=IGNORE)(predicted, truth)
    mean = MulticlassJaccardIndex(CLASSES, average="macro", ignore_index=IGNORE)(predicted, truth)
    iou = intersection_over_union(counts)
    assert torch.allclose(iou, each, atol=1e-6)
    assert torch.allclose(iou.nanmean(), mean, atol=1e-6)


def test_iou_is_that_of_a_slow_loop_and_absent_classes_have_none() -> None:
    predicted, truth = guesses(5, classes=5)  # classes 5 and 6 are never true nor predicted
    iou = intersection_over_union(confusion(predicted, truth, CLASSES))
    for wanted in range(CLASSES):
        both = either = 0
        for said, is_so in zip(predicted.flatten().tolist(), truth.flatten().tolist()):
            if is_so != IGNORE:
                both += said == is_so == wanted
                either += wanted in (said, is_so)
        assert float(iou[wanted]) == pytest.approx(both / either if either else float("nan"), nan_ok=True, abs=1e-6)
    assert np.isfinite(float(iou.nanmean()))


def test_counts_of_parts_add_up_and_ignored_pixels_count_for_nothing() -> None:
    predicted, truth = guesses(2)
    whole = confusion(predicted, truth, CLASSES)
    assert torch.equal(whole, torch.stack([confusion(p, t, CLASSES) for p, t in zip(predicted, truth)]).sum(dim=0))
    assert int(whole.sum()) == int((truth != IGNORE).sum())
    assert not confusion(predicted, torch.full_like(truth, IGNORE), CLASSES).any()


def test_a_constant_prediction_is_counted_without_being_made() -> None:
    predicted, truth = guesses(4)
    same = constant(confusion(predicted, truth, CLASSES), 3)
    assert torch.equal(same, confusion(torch.full_like(predicted, 3), truth, CLASSES))


def test_the_nearest_labels_are_those_below_the_centres() -> None:
    labels = torch.arange(30 * 40).view(1, 30, 40)
    assert nearest_labels(labels, (30, 40)) is labels
    for size in ((15, 20), (8, 10), (7, 11), (60, 80)):
        expected = torch.nn.functional.interpolate(labels[None].double(), size, mode="nearest-exact")[0].long()
        assert torch.equal(nearest_labels(labels, size), expected)


def test_the_loss_is_the_mean_over_pixels_that_count() -> None:
    _, truth = guesses(0)
    logits = torch.randn(3, CLASSES, 20, 24, generator=torch.Generator().manual_seed(0))
    chances = logits.softmax(dim=1)
    told = [-float(chances[b, truth[b, y, x], y, x].log()) for b, y, x in torch.nonzero(truth != IGNORE).tolist()]
    assert float(pixel_loss(logits, truth.to(torch.uint8))) == pytest.approx(np.mean(told), abs=1e-5)


def test_a_batch_of_ignored_pixels_has_no_loss_and_no_gradient() -> None:
    logits = torch.ones(1, 2, 3, 3, requires_grad=True)
    loss = pixel_loss(logits, torch.full((1, 6, 6), IGNORE, dtype=torch.uint8))
    loss.backward()
    assert float(loss.detach()) == 0
    assert logits.grad is not None
    assert not logits.grad.any()
