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

        Suites are equivariance (what encoders keep of transformations) and adapt (what `equicoherence adapt` watches).
        Scores are refused if settings or images differ, if a score is missing, and if one is impossible. To add an
        encoder to a table, send the scores.json that is written here: it contains settings, images, versions and
        machine, but no paths.

        Args:
            name: Name of the suite: equivariance or adapt.
            folders: Folders, each with a scores.json.
            out: Folder for NAME.md and NAME.csv, and for the scores to send, in NAME/ENCODER/scores.json.
        """

        name: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="NAME")]
        folders: Annotated[
            tuple[Path, ...], tyro.conf.Positional, tyro.conf.arg(metavar="FOLDER ..", help_behavior_hint="")
        ]
        out: Path = Path("results/suite")

    with preparing():
        given = parse(Arguments, arguments, "suite")
        suite = named_suite(given.name)
        if not given.folders:
            raise ValueError(f"suite {given.name} needs folders of scores: evaluate MODEL --suite {', '.join(SUITES)}")
        from equicoherence.reporting.submission import write_submissions
        from equicoherence.reporting.suite_table import read_suite, write_suite

        groups = read_suite(suite, given.folders, whole=True)
    print(f"page: {write_suite(suite, groups, given.out)}")
    for file in write_submissions(suite, groups, given.out / suite.name):
        print(f"to send: {file}")
