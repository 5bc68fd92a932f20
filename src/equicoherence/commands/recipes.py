"""`equicoherence recipes`: list recipes with hardware, time and expected scores."""

from __future__ import annotations

from dataclasses import dataclass

from rich.console import Console
from rich.markup import escape

from equicoherence.commands.arguments import parse
from equicoherence.loading import preparing
from equicoherence.recipes import RECIPES, describe

PAGES = "Pages in docs/ are in the source repository of equicoherence. They are not installed with the package."


def run(arguments: list[str]) -> None:
    """Run the command with its arguments."""

    @dataclass
    class Arguments:
        """List the recipes: names, hardware, time, expected scores."""

    with preparing():
        parse(Arguments, arguments, "recipes")
    console = Console(highlight=False, soft_wrap=True)
    for name in RECIPES:
        row = describe(name)
        console.print(f"[bold]{name}[/bold]  {escape(row['summary'])}")
        console.print(
            "    " + escape("; ".join(f"{key}: {row[key]}" for key in ("hardware", "time", "scores") if row.get(key)))
        )
    console.print(PAGES)
