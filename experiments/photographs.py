"""What experiments that train on Tiny-ImageNet-100 have in common: what is scored, and how they go on from a stop."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from pages import RowsLost
from published import is_published, publish

from equicoherence.comparing import compare, floor_of
from equicoherence.evaluation.suites import EQUIVARIANCE, Figure, Suite
from equicoherence.notice import say
from equicoherence.reporting.noise_limit import NEAR_ZERO
from equicoherence.training import PretrainConfig
from equicoherence.training.config import Precision

IMAGES = 30000  # of Tiny-ImageNet-100's split for training
PRECISIONS: dict[Precision, str] = {"fp32": "float32", "bf16": "mixed precision with bfloat16"}  # one for all of a page
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


def score_missing(
    names: Iterable[str],
    seeds: Iterable[int],
    configs: Mapping[str, PretrainConfig],
    out: Path,
    page: Path,
    write: Callable[[], None],
    jobs: int | None = None,
    suite: Suite = SUITE,
) -> None:
    """Train and score the arms whose scores do not lie beside the page, seed after seed; call ``write`` after each.

    Random weights are scored once for all arms that share them. A page that is refused is named, and the rest is done.

    names: of the arms.
    configs: all arms of the page.
    out: where to train.
    write: rewrites the page.
    jobs: runs at once.
    suite: what is scored.
    """
    for seed in seeds:
        seeded = {name: dataclasses.replace(config, name=name, seed=seed) for name, config in configs.items()}
        chosen = {name: configs[name] for name in names if not is_published(seeded[name], suite.settings, page)}
        if not chosen:
            continue
        floors = {floor_of(each) for each in seeded.values() if is_published(each, suite.settings, page, controls=True)}
        controls = any(floor_of(seeded[name]) not in floors for name in chosen)
        tasks = tuple(suite.settings)
        runs = compare(chosen, out, seeds=(seed,), settings=suite.settings, tasks=tasks, controls=controls, jobs=jobs)
        publish(suite, (run for of_arm in runs.values() for run in of_arm), page)
        try:
            write()
        except RowsLost as error:
            say(str(error))


def other_precision(place: Path, precision: Precision) -> str:
    """Return the precision of a page's runs if it is another one; "" if not, or if there is no page.

    A page names its precision in the command that it was written by, unless that is the default.
    """
    if not place.is_file():
        return ""
    text = place.read_text(encoding="utf-8")
    found = next((name for name in PRECISIONS if f"--precision {name}`" in text), "fp32")
    return "" if found == precision else found
