"""`equicoherence recipes [NAME]`: list recipes with hardware, time and expected scores, or describe one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import tyro
from rich.console import Console
from rich.markup import escape

from equicoherence.commands.arguments import parse
from equicoherence.loading import preparing
from equicoherence.recipes import ADAPT, RECIPES, check_recipe, describe

PAGES = "Pages in docs/ are in the source repository of equicoherence. They are not installed with the package."


def run(arguments: list[str]) -> None:
    """Run the command with its arguments."""

    @dataclass
    class Arguments:
        """List the recipes: names, hardware, time, expected scores; or describe one of them.

        Args:
            name: Name of a recipe; without it, all are listed.
        """

        name: Annotated[str | None, tyro.conf.Positional, tyro.conf.arg(metavar="[NAME]", help_behavior_hint="")] = None

    with preparing():
        name = parse(Arguments, arguments, "recipes").name
        if name is not None:
            check_recipe(name)
    console = Console(highlight=False, soft_wrap=True)
    if name is not None:
        console.print(recipe_page(name), markup=False)
        console.print(PAGES)
        return
    for name in RECIPES:
        row = describe(name)
        console.print(f"[bold]{name}[/bold]  {escape(row['summary'])}")
        console.print(
            "    " + escape("; ".join(f"{key}: {row[key]}" for key in ("hardware", "time", "scores") if row.get(key)))
        )
    console.print(PAGES)


def recipe_page(name: str) -> str:
    """Return what a recipe is, its hardware, time and expected scores, and the command that uses it."""
    adapts = name.startswith(f"{ADAPT}-")
    command = f"adapt MODEL --recipe {name} --data DIR" if adapts else f"pretrain {name} --data DIR"
    return f"{name}: {RECIPES[name]}\n\nequicoherence {command}"
