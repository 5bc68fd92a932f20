"""`equicoherence report RUN...`: one page about runs."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from equicoherence.commands.arguments import parse
from equicoherence.loading import preparing


def run(arguments: list[str]) -> None:
    """Run the command with its arguments."""

    @dataclass
    class Arguments:
        """Write one self-contained page about runs: film strips, curves, scores, configurations.

        Where any of them holds downstream scores, as `evaluate --sets` writes them, also a page that puts these side by
        side; folders of scores need not be runs. out: the file, report.html in the first run where not given; where
        not all are runs, the folder for the page of scores, ``comparison`` in the first folder where not given.
        """

        runs: Annotated[tuple[Path, ...], tyro.conf.Positional]
        out: Path | None = None

    with preparing():
        given = parse(Arguments, arguments, "report")
        if not given.runs:
            raise ValueError("report needs a run directory, or several; `equicoherence pretrain` makes them")
        from equicoherence.evaluation.run import FILE
        from equicoherence.reporting.comparison.page import comparison
        from equicoherence.reporting.page import report

        scored = [folder for folder in given.runs if (folder / FILE).is_file()]
        all_runs = all((folder / "config.yaml").is_file() for folder in given.runs)
        folder = scored[0] / "comparison" if scored and (all_runs or given.out is None) else given.out
        if scored and folder is not None and folder.suffix == ".html":
            raise ValueError(f"{folder} is to be a folder, comparison.html is written into it; give another --out")
    pages = []
    if all_runs or not scored:
        pages.append(report(given.runs, given.out))
    if scored and folder is not None:
        pages.append(comparison(scored if all_runs else given.runs, folder))
    for page in pages:
        print(f"page: {page}")
