"""Read the scores of encoders, and report differences in how they were measured."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from equicoherence.evaluation.registry import all_tasks, reads_data
from equicoherence.evaluation.store import FILE, read_scores
from equicoherence.reporting.names import task_name
from equicoherence.reporting.origin import settings_taken
from equicoherence.reporting.summary import flat_rows


@dataclass(frozen=True)
class Evaluated:
    """One folder of scores. about: the content of its ``scores.json``."""

    folder: Path
    about: dict[str, Any]

    @cached_property
    def rows(self) -> list[dict[str, Any]]:
        """All `flat_rows`."""
        return flat_rows(self.about)

    @property
    def parts(self) -> list[dict[str, Any]]:
        """What was scored, a task on a data set each, of the encoder and of random weights."""
        return list(self.about["parts"].values())

    @property
    def of_sets(self) -> bool:
        """Whether there are scores of data sets, as `evaluate --sets` writes them."""
        tasks = [all_tasks()[part["task"]] for part in self.parts if part["task"] in all_tasks()]
        return not all(map(reads_data, tasks))


def read_evaluated(folder: Path) -> Evaluated:
    """Read the scores in a folder.

    Raises FileNotFoundError where there are none, ValueError, naming the file, where it is damaged.
    """
    if not Path(folder).is_dir():
        raise FileNotFoundError(f"there is no folder {str(folder)!r}; give runs, or folders that hold scores")
    about = read_scores(Path(folder) / FILE)
    if not about:
        path = Path(folder) / FILE
        raise FileNotFoundError(f"{path} is missing; give folders that `equicoherence evaluate` wrote scores to")
    return Evaluated(Path(folder), about)


def unlike(evaluated: Sequence[Evaluated]) -> list[str]:
    """Say for each task in which settings, counts or data its scores differ, random weights' among them; seeds may."""
    remarks = []
    for taken, fields in settings_taken(part for each in evaluated for part in each.parts).items():
        odd = [_difference(field, values) for field, values in fields.items() if len(values) > 1 and field != "seed"]
        if odd:
            title = f"{task_name(taken.task)}, {taken.on}"
            remarks.append(f"{title}: not all scores have the same settings: {', '.join(odd)}")
    return list(dict.fromkeys(remarks))


def _difference(field: str, values: Sequence[str]) -> str:
    return f"{len(values)} versions of the data's files" if field == "files" else f"{field} {' / '.join(values)}"
