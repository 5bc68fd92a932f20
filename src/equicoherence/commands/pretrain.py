"""`equicoherence pretrain`."""

from __future__ import annotations

import dataclasses
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro
from rich.console import Console

from equicoherence.commands.arguments import parse, positional
from equicoherence.commands.encoder_arguments import take_encoder
from equicoherence.recipes import RECIPES, recipe
from equicoherence.training import PretrainConfig, pretrain


def run(arguments: list[str]) -> None:
    """Run the command with its arguments."""

    plain = "--no-coherence" in arguments
    rest = [a for a in arguments if a != "--no-coherence"]
    name, rest = positional(rest, "pretrain RECIPE", RECIPES)
    start = recipe(name) if name else PretrainConfig()
    start = start.plain() if plain else start
    rest, encoder = take_encoder(rest, start.encoder)
    start = dataclasses.replace(start, encoder=encoder)

    @dataclass
    class Arguments:
        """Pretrain a recipe. Any field of its configuration is an option; --no-coherence gives the plain method.

        out: run directory, runs/RECIPE where none is given. resume: continue an interrupted run. --encoder.name takes
        any model of timm, with its own arguments in place of the recipe's: --encoder.args.img-size 64 sets one,
        --encoder.args '{"img_size": 64}' all of them.
        """

        config: Annotated[PretrainConfig, tyro.conf.arg(name="")] = start
        out: Path | None = None
        resume: bool = False

    given = parse(Arguments, rest, f"pretrain {name or 'RECIPE'}")
    out = given.out or Path("runs") / given.config.name
    pretrain(given.config, out, resume=given.resume)
    if os.environ.get("RANK", "0") != "0":
        return  # one of many processes: the first says it
    Console().print(
        f"{out} done; score it: equicoherence evaluate {out}   see it: equicoherence report {out}", highlight=False
    )
