"""`equicoherence compare`."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro
from rich.console import Console

from equicoherence.commands.arguments import CommaOrNone, parse, split
from equicoherence.comparing import compare, print_scores
from equicoherence.recipes import RECIPES, recipe
from equicoherence.reporting.page import report


def run(arguments: list[str]) -> None:
    """Run the command with its arguments."""

    @dataclass
    class Arguments:
        """Train and evaluate recipes side by side and print mean and spread; RECIPE:plain is the method without the
        task.

        seeds: runs of each recipe. tasks: transformation, knn, linear; all that the data allows where not given.
        jobs: runs at once; as many as the CPU is enough for where not given. The weights do not depend on it.
        """

        recipes: Annotated[tuple[str, ...], tyro.conf.Positional]
        seeds: int = 2
        out: Path = Path("runs/compare")
        data: str | None = None
        tasks: CommaOrNone = None
        max_steps: int | None = None
        jobs: int | None = None

    given = parse(Arguments, arguments, "compare")
    if not given.recipes:
        raise ValueError(f"compare needs recipes: {', '.join(RECIPES)}; append :plain for the method without the task")
    if given.seeds < 1:
        raise ValueError(f"--seeds is {given.seeds}, but at least 1 run of each recipe is needed")
    configs = {}
    for text in given.recipes:
        name, _, variant = text.partition(":")
        if variant not in ("", "plain"):
            raise ValueError(f"{text!r}: only ':plain' may follow a recipe's name")
        config = recipe(name).plain() if variant else recipe(name)
        changes = {"data": given.data, "max_steps": given.max_steps}
        if config.name in configs:
            raise ValueError(f"{text!r} is given twice; --seeds N trains a recipe several times")
        configs[config.name] = dataclasses.replace(config, **{k: v for k, v in changes.items() if v is not None})
    runs = compare(
        configs,
        given.out,
        seeds=range(given.seeds),
        tasks=None if given.tasks is None else split(given.tasks),
        jobs=given.jobs,
    )
    print_scores(runs)
    page = report([run for paths in runs.values() for run in paths], given.out / "report.html")
    Console().print(f"page: {page}", highlight=False)
