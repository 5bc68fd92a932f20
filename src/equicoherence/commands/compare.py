"""`equicoherence compare RECIPE...`: train and evaluate recipes; print mean and spread."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import tyro

from equicoherence.commands.arguments import CommaOrNone, IntOrNone, TextOrNone, parse, split
from equicoherence.loading import preparing
from equicoherence.recipes import RECIPES, check_recipe, recipe

if TYPE_CHECKING:
    from equicoherence.training import PretrainConfig


def run(arguments: list[str]) -> None:
    """Run the command with its arguments."""

    @dataclass
    class Arguments:
        """Train and evaluate several recipes, and print mean and spread; RECIPE:plain is the method without the task.

        Args:
            recipes: Names of recipes.
            seeds: Trainings per recipe, with different seeds.
            out: Folder of the runs and the page.
            data: Images, in place of those of the recipes.
            tasks: Of transformation, knn and linear; by default all that the data allow.
            max_steps: Steps of each training, in place of the recipe's epochs.
            batch_size: Images per step of each training, in place of the recipe's.
            jobs: Trainings at once; by default as many as the CPU allows. The weights do not depend on it.
        """

        recipes: Annotated[
            tuple[str, ...], tyro.conf.Positional, tyro.conf.arg(metavar="RECIPE ..", help_behavior_hint="")
        ]
        seeds: int = 2
        out: Path = Path("runs/compare")
        data: TextOrNone = None
        tasks: CommaOrNone = None
        max_steps: IntOrNone = None
        batch_size: Annotated[
            int | None, tyro.conf.arg(name="optim.batch-size", metavar="INT", help_behavior_hint="")
        ] = None
        jobs: IntOrNone = None

    with preparing():
        given = parse(Arguments, arguments, "compare")
        if given.data is not None:
            from equicoherence.data import check_data

            check_data(given.data)
        changes = {"data": given.data, "max_steps": given.max_steps}
        configs = _configs(given.recipes, given.seeds, changes, given.batch_size)
        from rich.console import Console

        from equicoherence.comparing import compare
        from equicoherence.reporting.page import report
        from equicoherence.reporting.short_table import print_runs

    runs = compare(
        configs,
        given.out,
        seeds=range(given.seeds),
        tasks=None if given.tasks is None else split(given.tasks),
        jobs=given.jobs,
    )
    print_runs(runs, Console())
    page = report([run for paths in runs.values() for run in paths], given.out / "report.html")
    print(f"page: {page}")


def _configs(
    recipes: Sequence[str], seeds: int, changes: Mapping[str, Any], batch_size: int | None
) -> dict[str, PretrainConfig]:
    """Return the configurations of RECIPE or RECIPE:plain by name. changes: field -> value, None to leave it."""
    if not recipes:
        raise ValueError(f"compare needs recipes: {', '.join(RECIPES)}; append :plain for the method without the task")
    if seeds < 1:
        raise ValueError(f"--seeds is {seeds}, but at least 1 run of each recipe is needed")
    parted = [(text, *text.partition(":")[::2]) for text in recipes]
    for text, name, variant in parted:  # all names first, since a configuration takes seconds to load
        if variant not in ("", "plain"):
            raise ValueError(f"{text!r}: only ':plain' can follow the name of a recipe")
        check_recipe(name)
    configs = {}
    for text, name, variant in parted:
        config = recipe(name).plain() if variant else recipe(name)
        if config.name in configs:
            raise ValueError(f"{text!r} is given twice; --seeds N trains a recipe several times")
        if batch_size is not None:
            config = dataclasses.replace(config, optim=dataclasses.replace(config.optim, batch_size=batch_size))
        configs[config.name] = dataclasses.replace(config, **{k: v for k, v in changes.items() if v is not None})
    return configs
