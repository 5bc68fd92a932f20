"""`equicoherence quickstart`: the main job on rendered objects, compared with the plain method."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from equicoherence.commands.arguments import parse
from equicoherence.loading import preparing


def run(arguments: list[str]) -> None:
    """Run the command with its arguments."""

    @dataclass
    class Arguments:
        """Train the plain method and ours on rendered objects, score them, print the table, write the page.

        jobs: runs at once; as many as the CPU is enough for where not given. The weights do not depend on it.
        """

        out: Path = Path("runs/quickstart")
        seed: int = 0
        jobs: int | None = None

    with preparing():
        given = parse(Arguments, arguments, "quickstart")
        from equicoherence.quickstart import run_quickstart

    run_quickstart(given.out, seed=given.seed, jobs=given.jobs)
