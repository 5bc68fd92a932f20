"""The probes of transformation regression by name: what each reads of pairs of images, and how."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from equicoherence.evaluation.probes import attentive_probe, mlp_probes
from equicoherence.ridge import ridge_probe


@dataclass(frozen=True)
class PairProbe:
    """A regressor of the parameters that lead from the first to the second image of a pair.

    predict: (train, target, test, seeds, draws) -> predictions (M, P) for each seed, or only once if they do not
        depend on it, of train (N, 2, ...), target (N, P), test (M, 2, ...); draws: rows of each image, as
        `split_images` takes them.
    tokens: whether it reads patch tokens (N, 2, T, C); else it reads pooled features (N, 2, C).
    """

    predict: Callable[[Tensor, Tensor, Tensor, Sequence[int], int], list[Tensor]]
    tokens: bool = False


def _linear(train: Tensor, target: Tensor, test: Tensor, seeds: Sequence[int], draws: int) -> list[Tensor]:
    return [ridge_probe(train.flatten(1), target, test.flatten(1), draws=draws)]


def _mlp(train: Tensor, target: Tensor, test: Tensor, seeds: Sequence[int], draws: int) -> list[Tensor]:
    return mlp_probes(sum_and_difference(train), target, sum_and_difference(test), seeds, draws=draws)


def _attentive(train: Tensor, target: Tensor, test: Tensor, seeds: Sequence[int], draws: int) -> list[Tensor]:
    return [attentive_probe(train, target, test, draws=draws, seed=seed) for seed in seeds]


def sum_and_difference(pairs: Tensor) -> Tensor:
    """Turn feature pairs (N, 2, C) to (N, 2 C): the same information, from which an MLP learns several times sooner."""
    first, second = pairs.unbind(dim=1)
    return torch.cat([first + second, second - first], dim=1)


PAIR_PROBES = {
    "linear": PairProbe(_linear),
    "mlp": PairProbe(_mlp),
    "attentive": PairProbe(_attentive, tokens=True),
}
