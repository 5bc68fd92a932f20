"""Scores of an encoder before and after it was adapted: the table, and the text below it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from equicoherence.evaluation.layers import BEST
from equicoherence.evaluation.store import FILE, read_scores
from equicoherence.models.train_setting import HEAD
from equicoherence.reporting.adaptation.facts import Facts, facts_of
from equicoherence.reporting.adaptation.figures import (
    BACKBONE,
    JOINED,
    Z_EQUI,
    FigureRow,
    NoiseRow,
    figure_rows,
    noise_rows,
)
from equicoherence.reporting.names import target_name
from equicoherence.reporting.noise_limit import NEAR_ZERO, UNTRUSTED, is_noisy, noisy_transformations, with_warning
from equicoherence.reporting.runs import Run, read_run
from equicoherence.reporting.summary import Score
from equicoherence.reporting.tables import FLOOR, MISSING, NUMBER, Cell, Grid, number
from equicoherence.training.config import PretrainConfig
from equicoherence.training.config_file import load_config
from equicoherence.training.resume_command import resume_command

SCORED = "adapt"  # folder of the scores in a run directory
ORIGINAL, ADAPTED, CHECK = "original", "adapted", "-check"  # folders there
RULE = (
    "gained, lost: the adapted encoder scores more, or less, than the original. kept: the change is at most 1 point of "
    "k-NN or linear accuracy, or at most .02 of R2 or of the sign accuracy. A question mark: one of the two scores is "
    "within the 95 % interval over test images of the other, so more test images could change the verdict. R2 below 0 "
    f"counts as 0. {UNTRUSTED}: R2 on noise of this transformation is not near 0, before or after. Bold: the highest "
    "score of its row, where it can be trusted."
)
BESIDE = (
    "The encoder is frozen. adapted is [original | z_equi]: the original features, concatenated with z_equi, which is "
    "scaled to a third of their norm."
)
BLIND = (
    "The images have no class labels, so this table cannot show whether the encoder still recognises classes. Give "
    "labelled images with --check DIR."
)
NOISY = (
    "R2 on noise should be {}. It is not for {}. So do not trust the scores of {} there; all others stand. Above 0 the "
    "probe reads artifacts of the rendering, such as sharpness; below 0 it is overfitted."
)


@dataclass(frozen=True)
class Adaptation:
    """Scores of an encoder before and after its adaptation.

    name: of the original.
    run: of its training.
    rows: of the table.
    noise: rows of images without content.
    facts: of the training.
    scores: the content of each ``scores.json``.
    """

    name: str
    run: Run
    rows: Sequence[FigureRow]
    noise: Sequence[NoiseRow]
    facts: Facts
    scores: Sequence[Mapping[str, Any]]

    @property
    def output(self) -> str:
        """The representation of the adapted encoder: its features, with z_equi if the encoder is frozen."""
        return self.rows[0].output

    @property
    def read(self) -> list[str]:
        """The representations of the adapted encoder that are shown."""
        return [name for name in (self.output, Z_EQUI) if any(name in row.adapted for row in self.rows)]

    def grid(self) -> Grid:
        """Return the table."""
        adapted = ["adapted" if name == self.output else name for name in self.read]
        header = ["", "original", BEST, *adapted, "change", "verdict"]
        of_noise = (_noise_row(row, self.read) for row in self.noise)
        return Grid(header, [*(_row(row, self.read) for row in self.rows), *of_noise])

    def caption(self) -> list[str]:
        """Return the text below the table: the rule of verdicts, warnings, and the cost."""
        said = [RULE]
        if self.output == JOINED:
            said.append(BESIDE)
        if behind := [row.title for row in self.rows if row.behind_layer]:
            said.append(f"A layer of the original scores more than the adapted encoder: {', '.join(behind)}.")
        if warning := self.warning():
            said.append(warning)
        if not any(row.of_classes for row in self.rows):
            said.append(BLIND)
        return [*said, *self.facts.words()]

    def warning(self) -> str:
        """Return which transformations cannot be trusted, by R2 on noise, and where; "" if all can be."""
        titles = {name: "adapted" if name == self.output else name for name in self.read}
        noisy: dict[str, list[str]] = {}
        for row in self.noise:
            columns = {"original": row.original, BEST: row.layer}
            columns |= {title: row.adapted.get(name) for name, title in titles.items()}
            for column, score in columns.items():
                if score is not None and is_noisy(score):
                    noisy.setdefault(target_name(score.target), []).append(f"{column} {number(score.mean)}")
        if not noisy:
            return ""
        where = "; ".join(f"{target} ({', '.join(cells)})" for target, cells in noisy.items())
        every = noisy_transformations(score for row in self.noise for score in row.scores)
        return NOISY.format(NEAR_ZERO, where, ", ".join(every))


@dataclass(frozen=True)
class Compared:
    """Scores before and after: of ``rows``, ``noise`` and ``scores`` see `Adaptation`."""

    rows: Sequence[FigureRow]
    noise: Sequence[NoiseRow]
    scores: Sequence[Mapping[str, Any]]


def read_compared(run: Path, config: PretrainConfig) -> Compared:
    """Read the scores that `equicoherence adapt` left in a run directory.

    Raises FileNotFoundError where scores are missing, `Damaged` where they are.
    """
    own, check = _pair(run, ""), _pair(run, CHECK)
    if own is None:
        raise FileNotFoundError(f"{run / SCORED} lacks scores; go on with: {resume_command(run)}")
    output = JOINED if config.encoder.train == HEAD else BACKBONE
    rows = list(figure_rows(*own, output))
    if check is not None:
        rows += figure_rows(*check, output, check=True)
    return Compared(rows, list(noise_rows(*own, output)), [*own, *(check or ())])


def read_adaptation(run: Path) -> Adaptation:
    """Read what `equicoherence adapt` left in a run directory. Raises as `read_compared`."""
    found, config = read_run(run), load_config(run / "config.yaml")
    compared = read_compared(run, config)
    facts = facts_of(config, found.metrics)
    return Adaptation(config.encoder.weights, found, compared.rows, compared.noise, facts, compared.scores)


def _pair(run: Path, kind: str) -> tuple[dict[str, Any], dict[str, Any]] | None:
    """Return the scores before and after on one data set, None if one is missing."""
    before, after = (read_scores(run / SCORED / f"{name}{kind}" / FILE) for name in (ORIGINAL, ADAPTED))
    return (before, after) if before and after else None


def _row(row: FigureRow, read: Sequence[str]) -> list[object]:
    scores = [row.original, row.layer, *(row.adapted.get(name) for name in read)]
    best = max((score.mean for score in scores if score is not None), default=None)
    remarks = [_interval(row.original), row.layer_name, *(_interval(row.adapted.get(name)) for name in read)]
    cells = [
        Cell(mean_text(score), NUMBER, score is not None and score.mean == best and not row.noisy, remark)
        for score, remark in zip(scores, remarks)
    ]
    change = MISSING if row.change is None else _signed(row.change, row.metric)
    return [row.title, *cells, Cell(change, NUMBER), row.said]


def _noise_row(row: NoiseRow, read: Sequence[str]) -> list[object]:
    scores = [row.original, row.layer, *(row.adapted.get(name) for name in read)]
    quiet = [Cell(MISSING if each is None else with_warning(number(each.mean), each), FLOOR) for each in scores]
    return [row.title, *quiet, Cell(MISSING, FLOOR), "near 0" if row.near_zero else "not 0"]


def mean_text(score: Score | None) -> str:
    """Write a score, a missing one as a dash."""
    return MISSING if score is None else number(score.mean, score.metric)


def _interval(score: Score | None) -> str:
    if score is None or score.interval is None:
        return ""
    return " to ".join(number(end, score.metric).removesuffix(" %") for end in score.interval)


def _signed(value: float, metric: str) -> str:
    text = number(value, metric).replace(" %", " points")
    return text if text.startswith("\N{MINUS SIGN}") else f"+{text}"
