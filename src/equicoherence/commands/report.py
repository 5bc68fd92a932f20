"""`equicoherence report RUN...`: write one page about runs."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

from equicoherence.commands.arguments import PathOrNone, parse
from equicoherence.loading import preparing

if TYPE_CHECKING:
    from equicoherence.reporting.comparison.evaluated import Evaluated


def run(arguments: list[str]) -> None:
    """Run the command with its arguments."""

    @dataclass
    class Arguments:
        """Write one self-contained page about runs: verdict, path, rotation, scores, curves, configurations.

        If a folder is not a run, the page compares the scores of all folders instead. If all are runs and some have
        scores of data sets (`evaluate --sets`), both pages are written.

        Args:
            runs: Run directories, or folders with scores.
            out: The file of the page of runs, by default report.html in the first run; or the folder of the page of
                scores, by default ``comparison`` in the first folder.
        """

        runs: Annotated[tuple[Path, ...], tyro.conf.Positional, tyro.conf.arg(metavar="RUN ..", help_behavior_hint="")]
        out: PathOrNone = None

    with preparing():
        given = parse(Arguments, arguments, "report")
        if not given.runs:
            raise ValueError("report needs a run directory, or several; `equicoherence pretrain` makes them")
        from equicoherence.reporting.comparison.page import comparison
        from equicoherence.reporting.page import report
        from equicoherence.reporting.runs import is_run

        every_is_run = all(is_run(folder) for folder in given.runs)
        if not every_is_run and given.out is not None and given.out.suffix == ".html":
            raise ValueError(f"{given.out} must be a folder: comparison.html is written into it; give another --out")
    pages = []
    if every_is_run:
        pages.append(report(given.runs, given.out))
        scored = _scored(given.runs)
        if any(each.of_sets for each in scored):
            pages.append(comparison([each.folder for each in scored], scored[0].folder / "comparison"))
    else:
        pages.append(comparison(given.runs, given.out or given.runs[0] / "comparison"))
    for page in pages:
        print(f"page: {page}")


def _scored(folders: Sequence[Path]) -> list[Evaluated]:
    """Return those whose scores can be read; of the others the page of runs says why not."""
    from equicoherence.reporting.comparison.evaluated import read_evaluated

    found = []
    for folder in folders:
        with contextlib.suppress(ValueError, FileNotFoundError):
            found.append(read_evaluated(folder))
    return found
