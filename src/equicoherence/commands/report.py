"""`equicoherence report`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro
from rich.console import Console

from equicoherence.commands.arguments import parse
from equicoherence.evaluation.downstream.run import FILE
from equicoherence.report.comparison import comparison
from equicoherence.report.page import report


def run(arguments: list[str]) -> None:
    """Run the command with its arguments."""

    @dataclass
    class Arguments:
        """Write one self-contained page about runs: film strips, curves, scores, configurations.

        Or one that puts encoders side by side, of folders that `evaluate` wrote downstream scores to and that are no
        runs. out: the file, or for downstream scores the folder, where not given the first one's.
        """

        runs: Annotated[tuple[Path, ...], tyro.conf.Positional]
        out: Path | None = None

    given = parse(Arguments, arguments, "report")
    scored = [(folder / FILE).is_file() and not (folder / "config.yaml").is_file() for folder in given.runs]
    if scored and all(scored):
        page = comparison(given.runs, given.out or given.runs[0].parent)
    else:
        page = report(given.runs, given.out)
    Console().print(f"page: {page}", highlight=False, soft_wrap=True)
