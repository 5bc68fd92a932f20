"""`equicoherence pretrain RECIPE`: pretrain an encoder."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from equicoherence.commands.arguments import parse, positional
from equicoherence.loading import preparing
from equicoherence.recipes import RECIPES, check_recipe, recipe


def run(arguments: list[str]) -> None:
    """Run the command with its arguments."""
    with preparing():
        plain = "--no-coherence" in arguments
        rest = [a for a in arguments if a != "--no-coherence"]
        name, rest = positional(rest, "pretrain RECIPE", RECIPES)
        if name:
            check_recipe(name)
        from equicoherence.training import PretrainConfig, pretrain  # which takes seconds

        start = recipe(name) if name else PretrainConfig()
        start = start.plain() if plain else start

        @dataclass
        class Arguments:
            """Pretrain a recipe. Any field of its configuration is an option; --no-coherence gives the plain method.

            out: run directory, runs/RECIPE where none is given. resume: continue an interrupted run.
            """

            config: Annotated[PretrainConfig, tyro.conf.arg(name="")] = start
            out: Path | None = None
            resume: bool = False

        given = parse(Arguments, rest, f"pretrain {name or 'RECIPE'}")
    out = given.out or Path("runs") / given.config.name
    pretrain(given.config, out, resume=given.resume)
    if os.environ.get("RANK", "0") != "0":
        return  # one of many processes: the first says it
    print(f"{out} done; score it: equicoherence evaluate {out}   see it: equicoherence report {out}")
