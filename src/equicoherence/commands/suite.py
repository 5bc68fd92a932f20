"""`equicoherence suite NAME FOLDER...`: join scores of one suite in one table."""

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
        """Check scores of `equicoherence evaluate --suite NAME`, and join them in one table and one CSV file.

        To add an encoder to a table, evaluate it and share its scores.json. This file contains settings, images,
        versions and machine; it is refused if settings or images differ.

        Args:
            name: Name of the suite.
            folders: Folders, each with a scores.json.
            out: Folder for the page and the CSV file.
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
