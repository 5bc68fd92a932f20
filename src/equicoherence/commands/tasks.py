"""`equicoherence tasks [NAME]`: list the tasks of `evaluate`, or describe one.

The list loads no reader of data sets; only the page of one task names its data sets.
"""

from __future__ import annotations

import dataclasses
import inspect
from dataclasses import dataclass
from typing import Annotated, Any, Literal, get_args, get_origin

import tyro
from rich.console import Console
from rich.table import Table

from equicoherence.commands.arguments import parse
from equicoherence.evaluation.registry import all_tasks, reads_data, task_class
from equicoherence.evaluation.task import IMAGES, POSES, Task, settings_of
from equicoherence.loading import preparing


def run(arguments: list[str]) -> None:
    """Run the command with its arguments."""

    @dataclass
    class Arguments:
        """List the tasks of `evaluate`, or describe one of them and its settings.

        Args:
            name: Name of a task; without it, all are listed.
        """

        name: Annotated[str | None, tyro.conf.Positional, tyro.conf.arg(metavar="[NAME]", help_behavior_hint="")] = None

    with preparing():
        name = parse(Arguments, arguments, "tasks").name
        task = None if name is None else task_class(name)
    console = Console(highlight=False, markup=False)
    if task is None:
        console.print(task_table())
        console.print("equicoherence tasks NAME describes one task, with its settings and data sets.")
    else:
        console.print(task_page(task), soft_wrap=True)


def task_table() -> Table:
    """Return the tasks, each with the option that gives it data, the kind of these, and what it measures."""
    table = Table(box=None, padding=(0, 2, 0, 0))
    for heading in ("task", "takes", "measures"):
        table.add_column(heading, no_wrap=heading != "measures")
    for task in all_tasks().values():
        option, kind = ("--data", task.kind.removeprefix("given ")) if reads_data(task) else ("--sets", task.kind)
        table.add_row(task.name, f"{option} of {kind}", measures(task))
    return table


def task_page(task: type[Task]) -> str:
    """Return what a task does, its settings with types and defaults, and an example of how to change one."""
    hints = settings_of(task)
    defaults = {setting.name: setting.default for setting in dataclasses.fields(task)}  # type: ignore[arg-type]
    width = max(map(len, hints))
    example = next(name for name, hint in hints.items() if hint in (int, float))
    needs = [f"needs: pip install 'equicoherence[{extra}]'" for extra in task.needs]
    return "\n".join(
        [
            f"{task.name}: {inspect.getdoc(task)}",
            "",
            *([task.advice, ""] if task.advice else []),
            f"measures: {measures(task)}",
            f"data sets: {', '.join(data_sets(task))}",
            *needs,
            "",
            "settings:",
            *(
                f"  {name:{width}}  {values_of(hint)}, {written(defaults[name], hint)} by default"
                for name, hint in hints.items()
            ),
            "",
            f"equicoherence evaluate RUN {'--data' if reads_data(task) else '--sets'} DIR --tasks {task.name} "
            f"--settings {task.name}.{example}={defaults[example]}",
        ]
    )


def measures(task: type[Task]) -> str:
    """Return the metrics of a task; those where lower is better, or neither is, are listed apart."""
    ranked = {name: higher for name, higher in task.metrics.items() if name not in task.unranked}
    more, less = ([name for name, higher in ranked.items() if higher is wanted] for wanted in (True, False))
    kinds = {"": more, "lower is better: ": less, "without a better side: ": task.unranked}
    return "; ".join(f"{said}{', '.join(names)}" for said, names in kinds.items() if names)


def data_sets(task: type[Task]) -> list[str]:
    """Return the names of the known data sets that a task takes."""
    if task.kind == IMAGES:
        return ["any images, given with --data"]
    if task.kind == POSES:
        return ["3DIEBench or rendered objects, given with --data"]
    from equicoherence.sets import DECLARATIONS  # all readers, and what they read with

    return [declaration.name for declaration in DECLARATIONS if declaration.kind == task.kind]


def values_of(hint: Any) -> str:
    """Return the possible values of a setting in words."""
    if get_origin(hint) is Literal:
        return " or ".join(map(str, get_args(hint)))
    if get_origin(hint) is tuple:
        return "a list with + between"
    return {int: "integer", float: "number"}.get(hint, str(hint))


def written(value: Any, hint: Any) -> str:
    """Return a default as one would type it. An empty list of names chooses all; one of numbers adds none."""
    if not isinstance(value, tuple):
        return str(value)
    return "+".join(map(str, value)) or ("none" if int in get_args(hint) else "all")
