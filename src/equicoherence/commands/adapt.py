"""`equicoherence adapt MODEL`: teach an encoder that exists what transformations do; say what it gained and kept."""

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from equicoherence.commands.arguments import EVERY, parse, run_to_resume, values_of
from equicoherence.loading import preparing
from equicoherence.recipes import check_recipe, is_file_name

RECIPE = "adapt-tiny"


@dataclass
class AdaptOptions:
    """Train an encoder further, so that its features keep what transformations do to images; score it before and
    after, and print one table of what it gained and what it kept.

    MODEL is what `equicoherence evaluate` takes: timm:NAME, hf-hub:OWNER/NAME, a weights file (FILE@ARCH), a run
    directory, or what `equicoherence export` wrote. Below is what one changes first. All options are shown by
    --help-all: every field of the configuration is one. None stands for what the recipe or the model says.

    Args:
        data: Images to adapt it on, with classes or without; classes score it, and never train it.
        out: Run directory; runs/RECIPE-MODEL where none is given.
        recipe: adapt-tiny (a CPU, views of about 96 px), adapt-small (one GPU, views of the model's own size) or
            adapt-large (several GPUs).
        check: Images with classes that it is not adapted on, to see whether these are kept.
        resume: Go on with what was interrupted, training or scoring: adapt --resume --out RUN.
        max_steps: Of training, in place of the recipe's epochs.
        images: For the training of the probes that score it; two fifths as many test them.
        limit: Labelled images of each split that score it, for k-NN and the linear probe.
        train: What is trained: head (nothing of the encoder), last:N, lora:RANK or all.
        keep: How much of what it knew may be lost, such as 0.01; training that loses more ends with the last good
            state.
        size: Pixels of the views, and of the images that score it.
        lr: Learning rate at a batch of 256 images.
        batch_size: Images of a step.
        seed: Of the run.
    """

    data: str
    out: Path | None = None
    recipe: str = RECIPE
    check: str | None = None
    resume: bool = False
    max_steps: int | None = None
    images: int = 2000
    limit: int = 5000
    train: Annotated[str | None, tyro.conf.arg(name="encoder.train")] = None
    keep: float | None = None
    size: Annotated[int | None, tyro.conf.arg(name="views.size")] = None
    lr: Annotated[float | None, tyro.conf.arg(name="optim.lr")] = None
    batch_size: Annotated[int | None, tyro.conf.arg(name="optim.batch-size")] = None
    seed: int = 0


def run(arguments: list[str]) -> None:
    """Run the command with its arguments."""
    with preparing():
        if {"-h", "--help"} & set(arguments):
            parse(AdaptOptions, ["--help"], "adapt MODEL")
        model, rest = (None, ["--help"]) if EVERY in arguments else _model(arguments)
        name = _last(arguments, "--recipe") or RECIPE
        if not is_file_name(name):
            check_recipe(name)
        from equicoherence.adapting.adaptation import adapt_with, resumed_config
        from equicoherence.adapting.start_config import start_config
        from equicoherence.commands.encoder_arguments import take_encoder
        from equicoherence.recipes.from_file import named_config
        from equicoherence.training import PretrainConfig

        if EVERY in arguments:
            start = named_config(name)
        elif model is None:
            start = resumed_config(run_to_resume(rest, "adapt"))
        else:
            if not values_of(rest, "--data") and "--resume" not in rest:
                raise ValueError("adapt needs images: give them with --data DIR")
            size = _last(rest, "--views.size")
            number = int(size) if size is not None and size.isdigit() else None
            start = start_config(name, model, number, _last(rest, "--encoder.train"))
        rest, encoder = take_encoder(rest, start.encoder)
        start = dataclasses.replace(start, encoder=encoder)

        @dataclass
        class Arguments:
            """Train an encoder further, so that its features keep what transformations do to images; score it before
            and after. Any field of the recipe's configuration is an option.

            Where they are not given, --data is asked for, --encoder.weights is MODEL, --views.size and --views.source
            are those that fit it, and --coherence.layers are those in its middle.

            Args:
                out: Run directory; runs/RECIPE-MODEL where none is given.
                recipe: adapt-tiny, adapt-small, adapt-large, or a FILE.yaml.
                check: Images with classes that it is not adapted on, to see whether these are kept.
                resume: Go on with what was interrupted, training or scoring: adapt --resume --out RUN.
                images: For the training of the probes that score it, 2000 for None; two fifths as many test them.
                limit: Labelled images of each split that score it, for k-NN and the linear probe, 5000 for None.
            """

            config: Annotated[PretrainConfig, tyro.conf.arg(name="")] = start
            out: Path | None = None
            recipe: str = RECIPE
            check: str | None = None
            resume: bool = False
            images: int | None = None
            limit: int | None = None

        given = parse(Arguments, rest, "adapt MODEL")
    adapt_with(given.config, given.out, resume=given.resume, check=given.check, images=given.images, limit=given.limit)


def _model(arguments: list[str]) -> tuple[str | None, list[str]]:
    """Take MODEL off the arguments, which stands first; None where a run is to go on."""
    if arguments and not arguments[0].startswith("-"):
        return arguments[0], arguments[1:]
    if "--resume" in arguments:
        return None, arguments
    raise ValueError("adapt needs an encoder first: adapt MODEL --data DIR, MODEL as `equicoherence evaluate` takes it")


def _last(arguments: list[str], option: str) -> str | None:
    """Return the value that an option was given last, None without one."""
    return next((values[0] for values in reversed(values_of(arguments, option)) if values), None)
