"""The three scores of a parameter whose sign changes in a mirror: its value, its absolute value, and its sign.

An encoder whose features are the same for an image and its mirror image cannot distinguish a rotation to the left from
one to the right, even if it keeps how far the image is rotated. The R2 of the signed value alone does not show which of
the two is missing. The proof is in docs/transformation.md.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from equicoherence.devices import with_float64
from equicoherence.evaluation.bootstrap import interval, times_drawn
from equicoherence.evaluation.task import Row
from equicoherence.evaluation.transformation import ABSOLUTE, SIDE
from equicoherence.paths.transformation import Parameter
from equicoherence.ridge import r2_score


@dataclass(frozen=True)
class Figures:
    """The targets and scores of the parameters of one transformation.

    parameters: P of them. O of them are odd: their sign changes in a mirror, and their range exceeds ``Parameter.side``
        in both directions.
    """

    parameters: Sequence[Parameter]

    @property
    def odd(self) -> list[int]:
        """Columns of the odd parameters."""
        return [i for i, p in enumerate(self.parameters) if p.odd and p.low < -p.side and p.high > p.side]

    def targets(self, theta: Tensor) -> Tensor:
        """Return the targets of the probes, (N, P + 2 O): the parameters (N, P), absolute values, signs.

        A sign is -1, 0 or 1, and 0 if the absolute value is at most ``Parameter.side``. A probe with squared error
        predicts P(positive) - P(negative) for it, so the sign of the prediction is the more likely sign.
        """
        odd = theta[:, self.odd]
        least = torch.tensor([self.parameters[i].side for i in self.odd], dtype=theta.dtype, device=theta.device)
        return torch.cat([theta, odd.abs(), odd.sign() * (odd.abs() > least)], dim=1)

    def scores(self, predicted: Tensor, truth: Tensor) -> Tensor:
        """Return R2 of the parameters and of the absolute values, and the `side_accuracy`: (P + 2 O,), in the order of
        `targets`.
        """
        values = len(self.parameters) + len(self.odd)
        sides = side_accuracy(predicted[:, values:], truth[:, values:])
        return torch.cat([r2_score(predicted[:, :values], truth[:, :values]), sides])

    def anew(self, predicted: Tensor, truth: Tensor) -> Tensor:
        """Return the scores (R, P + 2 O) of bootstrap samples of the test images, drawn as by `resampled`."""
        predicted, truth = with_float64(predicted), with_float64(truth)
        drawn, values = times_drawn(len(truth)).to(truth.device), len(self.parameters) + len(self.odd)
        target = truth[:, :values].double()
        residual, centred = target - predicted[:, :values], target - target.mean(dim=0)
        total = drawn @ centred.square() - (drawn @ centred).square() / len(truth)
        r2 = 1 - drawn @ residual.square() / total.clamp_min(1e-12)
        side = truth[:, values:]
        right = (predicted[:, values:] > 0) == (side > 0)
        shares = [(drawn @ (right & which).double()) / (drawn @ which.double()) for which in (side < 0, side > 0)]
        return torch.cat([r2, torch.stack(shares).mean(dim=0)], dim=1).float()

    def rows(
        self, scores: Tensor, floors: Tensor, target: str, labels: dict[str, Any], anew: Tensor | None = None
    ) -> Iterator[Row]:
        """Yield the rows of `scores`: for each score the mean over its parameters, then one for each parameter if there
        are several.

        anew: scores of bootstrap samples (R, P + 2 O), for the intervals.

        There is no sign accuracy of a parameter whose values in the test images all have one sign.
        """
        names = [p.name for p in self.parameters]
        odd = [names[i] for i in self.odd]
        sizes = [len(names), len(odd), len(odd)]
        figures = (target, "r2", names), (f"{target}, {ABSOLUTE}", "r2", odd), (f"{target}, {SIDE}", "accuracy", odd)
        others = [None] * 3 if anew is None else anew.split(sizes, dim=1)
        for (what, metric, of), values, constants, again in zip(
            figures, scores.split(sizes), floors.split(sizes), others
        ):
            known = ~constants.isnan()
            if not known.any():
                continue
            for name, which in [("", known), *((of[i], [i]) for i in known.nonzero()[:, 0].tolist() if len(of) > 1)]:
                yield Row(
                    metric,
                    float(values[which].mean()),
                    target=what,
                    parameter=name,
                    floor=float(constants[which].mean()),
                    interval=None if again is None else interval(again[:, which].mean(dim=1)),
                    **labels,
                )


def side_accuracy(predicted: Tensor, side: Tensor) -> Tensor:
    """Return the accuracy (O,) of the sign of ``predicted`` (N, O) against ``side``, -1 or 1; rows with 0 do not count.

    It is the mean of the accuracies on positive and on negative values, so a constant scores .5, however many there are
    of each. NaN if one of them is missing.
    """
    right = (predicted > 0) == (side > 0)
    shares = [(right & chosen).sum(dim=0) / chosen.sum(dim=0) for chosen in (side < 0, side > 0)]
    return torch.stack(shares).mean(dim=0)
