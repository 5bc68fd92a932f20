"""`equicoherence suite NAME FOLDER...`: one table of encoders that were scored by the same rules, here or elsewhere."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from equicoherence.commands.arguments import parse
from equicoherence.evaluation.suites import SUITES, named_suite
from equicoherence.loading import preparing


def run(arguments: list[str]) -> None:
    """Run the command with its arguments."""

    @dataclass
    class Arguments:
        """Check scores that `equicoherence evaluate --suite NAME` wrote, and join them in one table and one CSV.

        To add an encoder to a table, score it and hand over its scores.json: it says settings, images, versions and
        machine, and is refused where it was taken otherwise.

        name: of the suite. folders: each with a scores.json. out: folder for the page and the CSV.
        """

        name: Annotated[str, tyro.conf.Positional]
        folders: Annotated[tuple[Path, ...], tyro.conf.Positional]
        out: Path = Path("results/suite")

    with preparing():
        given = parse(Arguments, arguments, "suite")
        suite = named_suite(given.name)
        if not given.folders:
            raise ValueError(f"suite {given.name} needs folders of scores: evaluate MODEL --suite {', '.join(SUITES)}")
        from equicoherence.reporting.suite_table import write_suite
    print(f"page: {write_suite(suite, given.folders, given.out)}")
