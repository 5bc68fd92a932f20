"""`equicoherence pretrain RECIPE`: pretrain an encoder."""

import dataclasses
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from equicoherence.commands.arguments import EVERY, parse, recipe_first, run_to_resume
from equicoherence.commands.config_options import check_train, with_spaces
from equicoherence.commands.given_values import asks_for_epochs, values_of
from equicoherence.loading import preparing
from equicoherence.processes import is_first_process
from equicoherence.recipes import RECIPES, check_recipe, is_file_name

SHOWN = "vicreg-tiny"  # the recipe that the help is of where none is given: the one that the guides begin with


def run(arguments: list[str]) -> None:
    """Run the command with its arguments."""
    with preparing():
        plain = "--no-coherence" in arguments
        rest = ["--help" if a == EVERY else a for a in with_spaces(arguments) if a != "--no-coherence"]
        of_task = [argument.partition("=")[0] for argument in rest if argument.startswith("--coherence.")]
        if plain and of_task:
            raise ValueError(f"--no-coherence leaves the task out, and {of_task[0]} is of the task: give one of them")
        resumed = resumed_run(rest)
        name, rest = (None, rest) if resumed else recipe_first(rest, "pretrain", RECIPES)
        if name and not is_file_name(name):
            check_recipe(name)
        if not {"-h", "--help"} & set(rest):
            _check(name, rest, plain)
        from equicoherence.commands.encoder_arguments import describing_args, take_encoder
        from equicoherence.commands.pretrain_options import CommonPretrainOptions, PretrainOptions, common_options
        from equicoherence.recipes.from_file import named_config
        from equicoherence.training.config import PretrainConfig
        from equicoherence.training.new_run import config_to_resume

        named = str(config_to_resume(resumed)) if resumed else name
        start = named_config(named or SHOWN, plain=plain)
        if {"-h", "--help"} & set(rest):
            print(whose_defaults(name))
        if {"-h", "--help"} & set(arguments):
            parse(CommonPretrainOptions, ["--help"], f"pretrain {name or 'RECIPE'}", common_options(start))
        rest, encoder = take_encoder(rest, start.encoder)
        start = dataclasses.replace(start, encoder=encoder, **({"max_steps": 0} if asks_for_epochs(rest) else {}))

        @dataclass
        class Arguments(PretrainOptions):
            """Pretrain a recipe, or a FILE.yaml: a run's config.yaml, or a short one with `recipe: NAME` and the
            fields that differ. Any field of its configuration is an option; --no-coherence gives the plain method.

            --encoder.name accepts any timm model, with its own arguments instead of the recipe's:
            --encoder.args.img-size 64 sets one of them, --encoder.args '{"img_size": 64}' all.
            --encoder.weights MODEL starts from any MODEL of `evaluate`, with its encoder and normalisation.
            """

            config: Annotated[PretrainConfig, tyro.conf.arg(name="")] = start

        with describing_args():
            given = parse(Arguments, rest, f"pretrain {name or 'RECIPE'}")
        given.config.views.check_path()
        from equicoherence.training.loop import pretrain  # which takes seconds
    out = given.out or Path("runs") / given.config.name
    pretrain(given.config, out, resume=given.resume)
    if not is_first_process():
        return  # one of many processes: the first says it
    shown = shlex.quote(str(out))
    print(f"{out} done; next: equicoherence evaluate {shown}, then equicoherence report {shown}")


def whose_defaults(recipe: str | None) -> str:
    """Return the first line of the help. recipe: whose defaults it shows; None for those of `SHOWN`."""
    if recipe:
        return f"The defaults below are those of {recipe}."
    return (
        f"No recipe is given, so the defaults below are those of {SHOWN}. `equicoherence pretrain RECIPE --help` shows "
        "those of another."
    )


def _check(recipe: str | None, rest: list[str], plain: bool) -> None:
    """Refuse what the arguments show by themselves, before anything heavy is loaded."""
    from equicoherence.data import check_data
    from equicoherence.models.published import GIVE_A_FILE, check_published
    from equicoherence.models.timm_names import check_timm_name
    from equicoherence.training.new_run import check_new_run

    given = {option: values_of(rest, option) for option in ("--data", "--out", "--name", "--encoder.weights")}
    last = {option: values[-1][0] for option, values in given.items() if values and values[-1]}
    if "--data" in last:
        check_data(last["--data"])
    check_train(rest)
    name = last.get("--name") or (f"{recipe}-plain" if plain else recipe)
    start, resumes = last.get("--encoder.weights", ""), "--resume" in rest
    check_timm_name(start)
    if recipe and not resumes and is_first_process() and not is_file_name(recipe):
        check_new_run(Path(last.get("--out") or Path("runs") / str(name)))
    if not resumes:  # a run that has begun has the weights in its checkpoint
        check_published(start, GIVE_A_FILE)  # which may ask the Hub, so it comes after all else that needs no torch


def resumed_run(arguments: list[str]) -> Path | None:
    """Return the run to continue with its own configuration; None if a recipe is given, or for help.

    Raises ValueError without --out.
    """
    if "--resume" not in arguments or not arguments[0].startswith("-") or {"-h", "--help"} & set(arguments):
        return None
    return run_to_resume(arguments, "pretrain")
