"""The three figures of a parameter whose sign a mirror turns: its value, its absolute value, and its side.

An encoder that does not tell an image from its mirror image cannot tell a turn to the left from one to the right,
however well it keeps how far the turn goes; the R2 of the signed value alone does not say which of the two it lacks.
The argument stands in docs/transformation.md.
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
    """What is asked of the parameters of one transformation.

    parameters: P of them. Odd are those that a mirror turns round and whose range goes beyond ``Parameter.side`` on
        either side; O of them.
    """

    parameters: Sequence[Parameter]

    @property
    def odd(self) -> list[int]:
        """Columns of the odd parameters."""
        return [i for i, p in enumerate(self.parameters) if p.odd and p.low < -p.side and p.high > p.side]

    def targets(self, theta: Tensor) -> Tensor:
        """Return what the probes are trained on, (N, P + 2 O): the parameters (N, P), absolute values, sides.

        A side is -1, 0 or 1, and 0 where the size is at most ``Parameter.side``. What squared error makes of such a
        target is the probability of the one side less that of the other, so its sign is the likelier side.
        """
        odd = theta[:, self.odd]
        least = torch.tensor([self.parameters[i].side for i in self.odd], dtype=theta.dtype, device=theta.device)
        return torch.cat([theta, odd.abs(), odd.sign() * (odd.abs() > least)], dim=1)

    def scores(self, predicted: Tensor, truth: Tensor) -> Tensor:
        """Return R2 of the parameters and of the absolute values, and `side_accuracy`: (P + 2 O,), of `targets`."""
        values = len(self.parameters) + len(self.odd)
        sides = side_accuracy(predicted[:, values:], truth[:, values:])
        return torch.cat([r2_score(predicted[:, :values], truth[:, :values]), sides])

    def anew(self, predicted: Tensor, truth: Tensor) -> Tensor:
        """Return the scores (R, P + 2 O) of test images drawn anew, as `resampled` draws them."""
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
        """Yield the rows of `scores`: of each figure the mean over its parameters, then each where there are several.

        anew: those of test images drawn anew (R, P + 2 O), for the intervals.

        No row says the side of a parameter that no test image is turned or shifted by to the one side or the other.
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
    """Return how often the sign of ``predicted`` (N, O) is ``side``, -1 or 1, (O,); rows where it is 0 do not count.

    It is the mean of the shares that are right of the one side and of the other, so that a constant scores .5 however
    many there are of either; NaN where one of them is missing.
    """
    right = (predicted > 0) == (side > 0)
    shares = [(right & chosen).sum(dim=0) / chosen.sum(dim=0) for chosen in (side < 0, side > 0)]
    return torch.stack(shares).mean(dim=0)
