"""Scores behind a page of results, kept beside it: pages are made again, and rows added, on another machine.

They lie in ``PAGE/ROW/scores.json``, without paths; PAGE is the page's name without its ending, ROW that of the run.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from kept import has_scores

from equicoherence.evaluation.fingerprint import config_digest
from equicoherence.evaluation.store import FILE, read_scores
from equicoherence.evaluation.suites import Suite
from equicoherence.json_file import write_json
from equicoherence.models.prefixes import BASELINE, is_baseline
from equicoherence.notice import say
from equicoherence.reporting.comparison.evaluated import Evaluated, read_evaluated
from equicoherence.reporting.submission import submission
from equicoherence.training import PretrainConfig


class NoScores(SystemExit):
    """Nothing lies beside a page. A command ends with its words."""


def publish(suite: Suite, runs: Iterable[Path], page: Path) -> None:
    """Keep the scores of runs, those of the suite's tasks, beside the page."""
    for run in runs:
        scores = read_scores(run / FILE)
        keep_scores(suite, scores, _place(page, scores["name"], scores["seed"]).parent, scores["name"])


def keep_scores(suite: Suite, scores: Mapping[str, Any], folder: Path, name: str) -> None:
    """Write scores of the suite's tasks into a folder, without paths. name: of the encoder."""
    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / FILE, submission(suite, scores, name))


def published(page: Path, configs: Mapping[str, PretrainConfig] | None = None) -> list[Evaluated]:
    """Return the scores that lie beside a page, in the order of their folders.

    configs: name -> configuration; scores of others are left out, but for those of baselines, and a line names them.

    Raises NoScores where there are none.
    """
    found = [read_evaluated(file.parent) for file in sorted(page.with_suffix("").glob(f"*/{FILE}"))]
    if configs is not None:
        now = {name: config_digest(dataclasses.replace(config, name=name)) for name, config in configs.items()}
        trained = [each for each in found if not is_baseline(each.about["arch"])]
        others = [each for each in trained if each.about["config"] != now.get(each.about["name"])]
        for each in others:
            say(f"{each.folder} is left out: its scores are of other settings than those of today, or of other images")
        found = [each for each in found if each not in others]
    if not found:
        raise NoScores(f"{str(page.with_suffix(''))!r} holds no scores of today: nothing is published for {page.name}")
    return found


def is_published(
    config: PretrainConfig, settings: Mapping[str, Mapping[str, Any]], page: Path, controls: bool = False
) -> bool:
    """Return whether scores of this configuration and seed lie beside the page, by the tasks' present revisions.

    controls: also those of random weights.
    """
    scores = read_scores(_place(page, config.name, config.seed))
    return bool(scores) and scores["config"] == config_digest(config) and has_scores(scores, settings, controls)


def row_folders(place: Path) -> list[Path]:
    """Return the folders of scores that a suite's page is made from, encoders before baselines."""
    baseline = BASELINE.replace(":", "-")
    return sorted(place.glob("*/"), key=lambda folder: (folder.name.startswith(baseline), folder.name))


def slug(name: str) -> str:
    """Return the folder's name of a run, or of a way of adapting."""
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")


def _place(page: Path, name: str, seed: int) -> Path:
    return page.with_suffix("") / f"{slug(name)}-seed{seed}" / FILE
