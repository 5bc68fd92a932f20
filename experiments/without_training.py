"""What costs no training, scored as the arms of a page are: a thumbnail of the image, and its spectrum."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

from published import keep_scores, slug

from equicoherence.evaluation import evaluate, load_model
from equicoherence.evaluation.baselines import SIDE
from equicoherence.evaluation.suites import Suite
from equicoherence.models.prefixes import BASELINE, is_baseline
from equicoherence.reporting.comparison.evaluated import Evaluated
from equicoherence.training import PretrainConfig

ROWS = {"thumbnail": f"thumbnail of {SIDE} x {SIDE} pixels", "spectrum": "spectrum"}
TOLD = f"""*{ROWS["thumbnail"].capitalize()}* and *{ROWS["spectrum"]}* are no encoders: the image itself, small, and the
power of its frequencies, of the same images at the same size."""


def score_without_training(suite: Suite, config: PretrainConfig, out: Path, page: Path) -> None:
    """Score both on the images of a run, read and cropped as the run's are; keep the scores beside the page.

    suite: what is scored.
    config: of any run of the page.
    out: where scores are written first; what lies there is not scored again.
    """
    for name, row in ROWS.items():
        model = load_model(BASELINE + name, size=config.views.size)
        model = dataclasses.replace(model, source=config.views.source)
        scores = evaluate(
            model, tasks=tuple(suite.settings), data=config.data, settings=suite.settings, out=out / slug(row)
        )
        keep_scores(suite, scores, page.with_suffix("") / slug(row), row)


def baselines_note(evaluated: Sequence[Evaluated]) -> str:
    """Return a page's sentence on rows without training, after a line break; "" if there is no such row."""
    return f"\n{TOLD}" if any(is_baseline(each.about["arch"]) for each in evaluated) else ""


def in_order(evaluated: Sequence[Evaluated], arms: Sequence[str]) -> list[Evaluated]:
    """Return scores in the order of a page's arms, then those without training."""
    order = [*arms, *ROWS.values()]
    return sorted(evaluated, key=lambda each: order.index(each.about["name"]))
