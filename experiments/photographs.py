"""What experiments that train on Tiny-ImageNet-100 have in common: their scores, and which of them are missing."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from published import is_published

from equicoherence.evaluation.suites import EQUIVARIANCE, Figure, Suite
from equicoherence.reporting.noise_limit import NEAR_ZERO
from equicoherence.training import PretrainConfig

IMAGES = 30000  # of Tiny-ImageNet-100's split for training
SUITE = Suite(
    "photographs",
    {
        "transformation": {
            "transformations": ("rotation", "translation", "scale", "color", "blur"),
            "borders": ("content",),
            "probes": ("mlp",),
        },
        "knn": {"limit": 10000},
        "linear": {"limit": 10000},
    },
    (
        *(figure for figure in EQUIVARIANCE.figures if figure.task == "transformation"),
        Figure("k-NN accuracy", "knn", "", "top1"),
        Figure("linear accuracy", "linear", "", "top1"),
    ),
)
MEASURED = f"""\
R2 of an MLP probe on the features of I and g(I), 3,000 training images (each under two transformations) and 1,000
test images. Rotation and translation also have R2 of the absolute value, and sign accuracy (chance .5). R2 on noise
should be {NEAR_ZERO}; where it is not, it is marked (!), and the scores of that
transformation in that row are not to be trusted."""


def missing(
    configs: Mapping[str, PretrainConfig], seeds: Sequence[int], place: Path
) -> Iterator[tuple[dict[str, PretrainConfig], int]]:
    """Yield for each seed the arms whose scores do not lie beside the page, if any."""
    for seed in seeds:
        seeded = {name: dataclasses.replace(config, name=name, seed=seed) for name, config in configs.items()}
        chosen = {name: configs[name] for name in seeded if not is_published(seeded[name], SUITE.settings, place)}
        if chosen:
            yield chosen, seed
