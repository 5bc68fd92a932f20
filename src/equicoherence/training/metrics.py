"""Metrics of a run: losses kept on the device, read back and written once every few steps."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from equicoherence.files import Damaged, write_aside
from equicoherence.finite import NotFinite, not_finite
from equicoherence.json_file import read_json_lines, strict_json
from equicoherence.metric_fields import CHANGED, STOPPED
from equicoherence.training.health import CollapseWatch, effective_rank, feature_std, first_not_finite, relative_spread
from equicoherence.training.learner import LearnerOutput

if TYPE_CHECKING:
    from equicoherence.training.trackers import Trackers


class Metrics:
    """Collect loss terms without waiting for the device; ``flush`` averages, checks and writes them.

    path: ``metrics.jsonl``, None on processes that do not write. trackers: what also gets each line's numbers, or None.
    step: of the newest line. total_steps, prototypes: of the run and of its teacher, which say what is a collapse.
    start: steps that a resumed run has done; what its lines up to there said of a collapse is not said again.
    broken: first step with a number that is not finite, on any process; None before one.
    """

    def __init__(
        self,
        path: Path | None,
        trackers: Trackers | None = None,
        total_steps: int = 0,
        prototypes: int = 0,
        start: int = 0,
    ) -> None:
        self.path, self.trackers, self.names, self._summed = path, trackers, [""], 0
        self.step = start
        self.broken: int | None = None
        self._watch = CollapseWatch(total_steps, prototypes)
        for line in lines_until(path, start) if path is not None and start else ():
            self._watch.note(line)
        self._steps: list[Tensor] = []
        self._images, self._clock = 0, time.perf_counter()

    def add(
        self, losses: dict[str, Tensor], gradient_norm: Tensor, images: int, parts: Mapping[str, Tensor] | None = None
    ) -> None:
        """Note one step's terms; nothing is read back. parts: of the losses, which their sum has already."""
        terms = {**losses, **(parts or {}), "gradient_norm": gradient_norm}
        self.names, self._summed = list(terms), len(losses)
        self._steps.append(torch.stack([value.detach().float() for value in terms.values()]))
        self._images += images

    def flush(
        self, step: int, epoch: float, lr: float, output: LearnerOutput, watched: tuple[Tensor, int] | None = None
    ) -> tuple[dict[str, Any], str | None]:
        """Average the terms since the last flush, write a line, return it, and a sentence where the method collapsed.

        step: steps done. watched: see `Method.watched`.

        Raises `NotFinite`, naming the first term and step, where one is NaN or infinite, or a feature is; the last line
        of the file then has null in its place, for JSON has no such number.
        """
        self.step = step
        history = torch.stack(self._steps).cpu()
        found = first_not_finite(history, self.names, step - len(history) + 1)
        means = dict(zip(self.names, history.mean(dim=0).tolist()))
        loss = sum(list(means.values())[: self._summed])
        line = _rounded({"step": step, "epoch": round(epoch, 4), "loss": loss, **means, "lr": lr})
        name = not_finite(output.pooled)
        if found is None and name is not None:
            found = step, f"the {name} features are not finite at step {step}"
        if found is not None:
            self._write(line)
            self.broken, sentence = found
            raise NotFinite(sentence)
        seconds = time.perf_counter() - self._clock
        for part, z in output.pooled.items():
            line |= {f"std_{part}": float(feature_std(z)), f"rank_{part}": float(effective_rank(z))}
            line[f"spread_{part}"] = float(relative_spread(z))
        if watched is not None:
            line |= dict(zip(("teacher_entropy", "prototype_entropy"), watched[0].tolist()))
        line |= {"images_per_second": self._images / seconds, "seconds": seconds}
        line = _rounded(line)
        collapse = self._watch.note(line)
        self._steps.clear()
        self._images, self._clock = 0, time.perf_counter()
        self._write(line if collapse is None else {**line, "collapse": collapse})
        self._track(step, line)
        return line, collapse

    def note(self, step: int, values: Mapping[str, float | str]) -> None:
        """Write a line of its own for what was found after ``step`` steps."""
        self.step, line = step, _rounded({"step": step, **values})
        self._write(line)
        self._track(step, line)

    def _write(self, line: dict[str, Any]) -> None:
        if self.path is not None:
            with self.path.open("a", encoding="utf-8") as file:
                file.write(strict_json(line, str(self.path)) + "\n")

    def _track(self, step: int, line: Mapping[str, Any]) -> None:
        if self.trackers is not None:
            self.trackers.log(step, line)

    def restart_clock(self) -> None:
        """Leave out of the speed what lies between two steps, such as a checkpoint."""
        self._clock = time.perf_counter()


def drop_after(path: Path, step: int) -> None:
    """Cut the lines of ``metrics.jsonl`` past ``step``: a resumed run writes them anew. Half a last line goes too.

    So does what was noted after ``step`` itself on why the run stopped, or with what it went on.
    """
    if path.exists():
        found = [
            line for line in lines_until(path, step) if line["step"] < step or not {STOPPED, CHANGED} & line.keys()
        ]
        kept = [strict_json(line, str(path)) for line in found]
        write_aside(path, "".join(line + "\n" for line in kept))


def has_stopped(path: Path, since: int) -> bool:
    """Return whether ``metrics.jsonl`` says that its run stopped before its last step, or went on with another rate
    from step ``since`` or a later one. Raises as `lines_until`."""
    lines = _read_lines(path) if path.exists() else []
    return any(STOPPED in line or (CHANGED in line and line["step"] >= since) for line in lines)


def lines_until(path: Path, step: int) -> list[dict[str, Any]]:
    """Return the lines of ``metrics.jsonl`` up to ``step``; none if there is no such file.

    Raises `Damaged`, naming file and line, where it is.
    """
    found = _read_lines(path) if path.exists() else []
    return [line for line in found if line["step"] <= step]


def _read_lines(path: Path) -> list[dict[str, Any]]:
    advice = "remove what is damaged, or move the file away"
    lines = read_json_lines(path, advice)
    for number, line in enumerate(lines, start=1):
        if not isinstance(line.get("step"), int):
            raise Damaged(path, f"line {number}: it has no step", advice)
    return lines


def _rounded(line: dict[str, Any]) -> dict[str, Any]:
    """Return a line with numbers of six digits, None for those that are not finite."""

    def value_of(value: Any) -> Any:
        if not isinstance(value, float):
            return value
        return float(f"{value:.6g}") if math.isfinite(value) else None

    return {name: value_of(value) for name, value in line.items()}
