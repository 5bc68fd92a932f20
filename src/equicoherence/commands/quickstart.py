"""`equicoherence quickstart`: train and compare the plain method and ours, on rendered objects."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from equicoherence.commands.arguments import IntOrNone, parse
from equicoherence.loading import preparing


def run(arguments: list[str]) -> None:
    """Run the command with its arguments."""

    @dataclass
    class Arguments:
        """Train the plain method and ours on rendered objects, evaluate both, print a table, and write a page.

        Args:
            out: Folder of the runs and the page.
            seed: Seed of both trainings.
            jobs: Trainings at once; by default as many as the CPU allows. The weights do not depend on it.
        """

        out: Path = Path("runs/quickstart")
        seed: int = 0
        jobs: IntOrNone = None

    with preparing():
        given = parse(Arguments, arguments, "quickstart")
        from equicoherence.quickstart import run_quickstart

    run_quickstart(given.out, seed=given.seed, jobs=given.jobs)
