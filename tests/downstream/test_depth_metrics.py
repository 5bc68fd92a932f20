"""Errors of depth maps are the published ones, over the pixels that the papers count."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from equicoherence.downstream.depth.losses import gradient_loss, silog_loss
from equicoherence.downstream.depth.metrics import (
    depth_errors,
    eigen_crop,
    garg_crop,
    scored_pixels,
)
from equicoherence.downstream.depth.task import Depth


def depths(seed: int, *shape: int) -> Tensor:
    return 0.2 + 9 * torch.rand(*shape, generator=torch.Generator().manual_seed(seed))


def slow_errors(predicted: Tensor, truth: Tensor, scored: Tensor) -> list[float]:
    """The definitions, one pixel after the other."""
    pairs = [(p, t) for p, t, s in zip(predicted.flatten().tolist(), truth.flatten().tolist(), scored.flatten()) if s]
    count = len(pairs)
    logs = [math.log(p) - math.log(t) for p, t in pairs]
    mean = sum(logs) / count
    return [
        math.sqrt(sum((p - t) ** 2 for p, t in pairs) / count),
        sum(abs(p - t) / t for p, t in pairs) / count,
        sum((p - t) ** 2 / t for p, t in pairs) / count,
        sum(abs(math.log10(p / t)) for p, t in pairs) / count,
        math.sqrt(sum(e * e for e in logs) / count),
        100 * math.sqrt(sum(e * e for e in logs) / count - mean * mean),
        *(sum(max(p / t, t / p) < 1.25**k for p, t in pairs) / count for k in (1, 2, 3)),
    ]


def test_errors_are_those_of_the_definitions() -> None:
    predicted, truth = depths(0, 24, 32), depths(1, 24, 32)
    scored = torch.rand(24, 32, generator=torch.Generator().manual_seed(2)) < 0.7
    ours = depth_errors(predicted, truth, scored)
    assert ours.dtype == torch.float64
    np.testing.assert_allclose(ours.numpy(), slow_errors(predicted, truth, scored), rtol=1e-12)
    assert len(ours) == len(Depth.metrics)


def test_errors_are_those_of_torchmetrics() -> None:
    functional = pytest.importorskip("torchmetrics.functional")
    predicted, truth = depths(0, 24, 32).double(), depths(1, 24, 32).double()
    ours = dict(zip(Depth.metrics, depth_errors(predicted, truth, torch.ones(24, 32, dtype=torch.bool)).tolist()))
    theirs = {
        "rmse": functional.mean_squared_error(predicted.flatten(), truth.flatten(), squared=False),
        "abs_rel": functional.mean_absolute_percentage_error(predicted, truth),
        "log10": functional.mean_absolute_error(predicted.log10().flatten(), truth.log10().flatten()),
        "rmse_log": functional.mean_squared_error(predicted.log().flatten(), truth.log().flatten(), squared=False),
    }
    for name, value in theirs.items():
        assert ours[name] == pytest.approx(float(value), rel=1e-12), name


def test_a_true_prediction_has_no_error_and_twice_the_depth_has_known_ones() -> None:
    truth, everywhere = depths(0, 8, 8), torch.ones(8, 8, dtype=torch.bool)
    assert depth_errors(truth, truth, everywhere).tolist() == [0, 0, 0, 0, 0, 0, 1, 1, 1]
    double = dict(zip(Depth.metrics, depth_errors(2 * truth, truth, everywhere).tolist()))
    assert double["abs_rel"] == pytest.approx(1)
    assert double["rmse_log"] == pytest.approx(math.log(2))
    assert double["silog"] == pytest.approx(0, abs=1e-4)
    assert (double["delta3"], double["log10"]) == (0, pytest.approx(math.log10(2)))


def test_an_image_without_scored_pixels_has_no_errors() -> None:
    assert depth_errors(depths(0, 4, 4), depths(1, 4, 4), torch.zeros(4, 4, dtype=torch.bool)).isnan().all()


def test_eigens_crop_is_the_published_one_and_in_proportion_elsewhere() -> None:
    assert eigen_crop(480, 640) == (slice(45, 471), slice(41, 601))
    assert eigen_crop(240, 320) == (slice(22, 236), slice(20, 300))


@pytest.mark.parametrize(
    ("size", "rows", "columns"),
    [
        ((375, 1242), (153, 371), (44, 1197)),
        ((370, 1224), (151, 366), (43, 1180)),
        ((352, 1216), (143, 349), (43, 1172)),
    ],
)
def test_gargs_crop_is_the_published_one(
    size: tuple[int, int], rows: tuple[int, int], columns: tuple[int, int]
) -> None:
    assert garg_crop(*size) == (slice(*rows), slice(*columns))
    fractions = np.array([0.40810811 * size[0], 0.99189189 * size[0], 0.03594771 * size[1], 0.96405229 * size[1]])
    assert fractions.astype(np.int32).tolist() == [*rows, *columns]  # as the public evaluations have it


def test_pixels_are_scored_strictly_within_limits_and_crop() -> None:
    truth = torch.full((480, 640), 5.0)
    truth[100, 100], truth[100, 101], truth[100, 102] = 0.0, 10.0, 0.001
    scored = scored_pixels(truth, (0.001, 10.0), "")
    assert int((~scored).sum()) == 3
    cropped = scored_pixels(truth, (0.001, 10.0), "eigen")
    assert int(cropped.sum()) == (471 - 45) * (601 - 41) - 3
    assert cropped[45, 41]
    assert not cropped[44, 41]
    assert not cropped[471, 600]
    assert int(scored_pixels(truth, (0.001, 10.0), "garg").sum()) == (476 - 195) * (616 - 23)


def test_the_scale_invariant_loss_is_that_of_bts() -> None:
    predicted, truth = depths(0, 2, 6, 8), depths(1, 2, 6, 8)
    valid = torch.rand(2, 6, 8, generator=torch.Generator().manual_seed(2)) < 0.6
    error = (predicted[valid].log() - truth[valid].log()).double()
    expected = 10 * ((error**2).mean() - 0.85 * error.mean() ** 2).sqrt()
    truth[~valid] = 0  # not measured
    assert float(silog_loss(predicted, truth, valid)) == pytest.approx(float(expected), rel=1e-5)
    scaled = silog_loss(2 * truth.where(valid, predicted), truth, valid)
    assert float(scaled) == pytest.approx(10 * math.sqrt(0.15) * math.log(2), rel=1e-4)


def test_the_gradient_loss_is_dinov2s_of_pixels_two_apart_at_four_scales() -> None:
    predicted, truth = depths(0, 2, 19, 23), depths(1, 2, 19, 23)
    valid = torch.rand(2, 19, 23, generator=torch.Generator().manual_seed(2)) < 0.7

    def error(image: int, y: int, x: int) -> float:
        return math.log((predicted[image, y, x] + 0.001) / (truth[image, y, x] + 0.001))

    expected = 0.0
    for step in (1, 2, 4, 6):
        total, count = 0.0, 0
        for image in range(2):
            for y in range(0, 19, step):
                for x in range(0, 23, step):
                    if not valid[image, y, x]:
                        continue
                    count += 1
                    for ny, nx in ((y + 2 * step, x), (y, x + 2 * step)):
                        if ny < 19 and nx < 23 and valid[image, ny, nx]:
                            total += abs(error(image, ny, nx) - error(image, y, x))
        expected += total / count
    truth[~valid] = 0
    assert float(gradient_loss(predicted, truth, valid)) == pytest.approx(expected, rel=1e-5)
    tripled = 3 * (truth.where(valid, predicted) + 0.001) - 0.001
    assert float(gradient_loss(tripled, truth, valid)) == pytest.approx(0, abs=1e-4)


@pytest.mark.parametrize("loss", [silog_loss, gradient_loss])
def test_losses_have_finite_gradients_where_nothing_is_measured_or_all_is_right(loss: object) -> None:
    for truth in (torch.zeros(1, 4, 4), torch.ones(1, 4, 4)):
        predicted = torch.ones(1, 4, 4, requires_grad=True)
        loss(predicted, truth, truth > 0).backward()  # type: ignore[operator]
        assert predicted.grad is not None
        assert predicted.grad.isfinite().all()
        assert (predicted.grad == 0).all()
