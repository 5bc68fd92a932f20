"""`equicoherence pretrain RECIPE`: pretrain an encoder."""

import dataclasses
import os
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from equicoherence.commands.arguments import EVERY, parse, positional, run_to_resume
from equicoherence.loading import preparing
from equicoherence.recipes import RECIPES, check_recipe, is_file_name


def run(arguments: list[str]) -> None:
    """Run the command with its arguments."""
    with preparing():
        plain = "--no-coherence" in arguments
        rest = ["--help" if a == EVERY else a for a in arguments if a != "--no-coherence"]
        resumed = resumed_run(rest)
        name, rest = (None, rest) if resumed else positional(rest, "pretrain RECIPE", RECIPES)
        if name and not is_file_name(name):
            check_recipe(name)
        from equicoherence.commands.encoder_arguments import take_encoder
        from equicoherence.commands.pretrain_options import CommonPretrainOptions, PretrainOptions, common_options
        from equicoherence.recipes.from_file import named_config
        from equicoherence.training import PretrainConfig, pretrain  # which takes seconds
        from equicoherence.training.run import config_to_resume

        named = str(config_to_resume(resumed)) if resumed else name
        start = named_config(named, plain=plain) if named else PretrainConfig()
        if {"-h", "--help"} & set(arguments):
            parse(CommonPretrainOptions, ["--help"], f"pretrain {name or 'RECIPE'}", common_options(start))
        rest, encoder = take_encoder(rest, start.encoder)
        start = dataclasses.replace(start, encoder=encoder)

        @dataclass
        class Arguments(PretrainOptions):
            """Pretrain a recipe, or a FILE.yaml: a run's config.yaml, or a short one with `recipe: NAME` and the
            fields that differ. Any field of its configuration is an option; --no-coherence gives the plain method.

            --encoder.name accepts any timm model, with its own arguments instead of the recipe's:
            --encoder.args.img-size 64 sets one of them, --encoder.args '{"img_size": 64}' all.
            --encoder.weights MODEL starts from any MODEL of `evaluate`, with its encoder and normalisation.
            """

            config: Annotated[PretrainConfig, tyro.conf.arg(name="")] = start

        given = parse(Arguments, rest, f"pretrain {name or 'RECIPE'}")
    out = given.out or Path("runs") / given.config.name
    pretrain(given.config, out, resume=given.resume)
    if os.environ.get("RANK", "0") != "0":
        return  # one of many processes: the first says it
    shown = shlex.quote(str(out))
    print(f"{out} done; next: equicoherence evaluate {shown}, then equicoherence report {shown}")


def resumed_run(arguments: list[str]) -> Path | None:
    """Return the run to continue with its own configuration; None if a recipe is given, or for help.

    Raises ValueError without --out.
    """
    if "--resume" not in arguments or not arguments[0].startswith("-") or {"-h", "--help"} & set(arguments):
        return None
    return run_to_resume(arguments, "pretrain")
