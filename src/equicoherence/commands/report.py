"""`equicoherence report`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro
from rich.console import Console

from equicoherence.commands.arguments import parse
from equicoherence.report.page import report


def run(arguments: list[str]) -> None:
    """Run the command with its arguments."""

    @dataclass
    class Arguments:
        """Write one self-contained page about runs: film strips, curves, scores, configurations."""

        runs: Annotated[tuple[Path, ...], tyro.conf.Positional]
        out: Path | None = None

    given = parse(Arguments, arguments, "report")
    Console().print(f"page: {report(given.runs, given.out)}", highlight=False)
