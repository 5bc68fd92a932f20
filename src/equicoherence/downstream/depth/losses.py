"""Losses of depth maps: scale-invariant log loss, and the gradients of its errors at several scales."""

from __future__ import annotations

from torch import Tensor

STEPS, APART = (1, 2, 4, 6), 2
EPSILON = 1e-3  # added to depths under the logarithm


def silog_loss(predicted: Tensor, truth: Tensor, valid: Tensor, *, focus: float = 0.85, scale: float = 10.0) -> Tensor:
    """Return scale * sqrt(mean e^2 - focus (mean e)^2), e = ln predicted - ln truth, over all valid pixels of a batch.

    predicted, truth: depths, above 0 where ``valid``; ``valid``: bool; all (B, H, W). Eigen, Puhrsch and Fergus
    (NeurIPS 2014), equation 4, with the root, .85 and 10 of BTS and AdaBins (Lee 2019; Bhat 2021). 0 where no pixel is
    valid.
    """
    count = valid.sum().clamp(min=1)
    error = _log_error(predicted, truth, valid)
    mean, square = error.sum() / count, error.square().sum() / count
    return scale * (square - focus * mean.square()).clamp(min=1e-12).sqrt()  # a root at 0 has no gradient


def gradient_loss(predicted: Tensor, truth: Tensor, valid: Tensor) -> Tensor:
    """Return the mean absolute difference of e between pixels two apart, right and below, summed over 4 scales.

    Arguments as of `silog_loss`. e = ln(predicted + .001) - ln(truth + .001). The scales take each row and column, and
    each second, fourth and sixth; only pairs of valid pixels count, divided by the number of valid pixels. Li and
    Snavely (MegaDepth, CVPR 2018), equation 5, in numbers as DINOv2's code has it for a map (H, W). Its head hands that
    code tensors (B, 1, H, W), whose first axes it takes for rows and columns, so that images of a batch are compared
    instead of pixels; that is not followed here.
    """
    error = ((predicted + EPSILON).log() - (truth.where(valid, predicted.detach()) + EPSILON).log()) * valid
    total = error.new_zeros(())
    for step in STEPS:
        e, v = error[:, ::step, ::step], valid[:, ::step, ::step]
        right = (e[:, :, APART:] - e[:, :, :-APART]).abs() * (v[:, :, APART:] & v[:, :, :-APART])
        below = (e[:, APART:] - e[:, :-APART]).abs() * (v[:, APART:] & v[:, :-APART])
        total = total + (right.sum() + below.sum()) / v.sum().clamp(min=1)
    return total


def _log_error(predicted: Tensor, truth: Tensor, valid: Tensor) -> Tensor:
    """Return ln predicted - ln truth, 0 where not valid."""
    return (predicted.log() - truth.where(valid, predicted.detach()).log()) * valid
