"""`equicoherence adapt MODEL`: train a pretrained encoder to keep transformations; compare before and after."""

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from equicoherence.commands.arguments import parse, values_of
from equicoherence.loading import preparing
from equicoherence.recipes import check_recipe, is_file_name

RECIPE = "adapt-tiny"


@dataclass
class AdaptOptions:
    """Train a pretrained encoder further, so that its features keep what transformations do to images. Evaluate it
    before and after, and print one table of what was gained and what was kept.

    MODEL is what `equicoherence evaluate` accepts: timm:NAME, hf-hub:OWNER/NAME, a weights file (FILE@ARCH), a run
    directory, or what `equicoherence export` wrote. The most common options are below. Every other field of the
    configuration is an option too: `equicoherence pretrain adapt-tiny --help-all` lists them. None means: as in the
    recipe or the model.

    Args:
        data: Training images, with or without class labels. Labels are used only for evaluation.
        out: Run directory; by default runs/RECIPE-MODEL.
        recipe: adapt-tiny (a CPU, views of about 96 px), adapt-small (one GPU, views of the model's own size) or
            adapt-large (several GPUs).
        check: Labelled images that are not used for training, to check whether classes are kept.
        resume: Continue an interrupted training or evaluation: adapt --resume --out RUN.
        max_steps: Training steps, in place of the recipe's epochs.
        images: Training images of the probes; two fifths as many are test images.
        limit: Largest number of labelled images of each split, for k-NN and the linear probe.
        train: What is trained: head (nothing of the encoder), last:N, lora:RANK or all.
        keep: Largest loss of what the encoder knew, such as 0.01; a training that loses more ends with its last good
            state.
        size: Pixels of the views and of the test images.
        lr: Learning rate at a batch of 256 images.
        batch_size: Images per step.
        seed: Seed of the run.
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
        model, rest = _model(arguments)
        name = _last(rest, "--recipe") or RECIPE
        if not is_file_name(name):
            check_recipe(name)
        from equicoherence.adapting.adaptation import adapt_with, resumed_config
        from equicoherence.adapting.start_config import start_config
        from equicoherence.commands.encoder_arguments import take_encoder
        from equicoherence.training import PretrainConfig

        if model is None:
            start = resumed_config(_resumed(rest))
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
    """Take MODEL off the arguments, which stands first; None for a run to continue."""
    if arguments and not arguments[0].startswith("-"):
        return arguments[0], arguments[1:]
    if "--resume" in arguments:
        return None, arguments
    raise ValueError("adapt needs an encoder first: adapt MODEL --data DIR, MODEL as `equicoherence evaluate` takes it")


def _last(arguments: list[str], option: str) -> str | None:
    """Return the value that an option was given last, None without one."""
    return next((values[0] for values in reversed(values_of(arguments, option)) if values), None)


def _resumed(arguments: list[str]) -> Path:
    """Return the run to continue."""
    given = values_of(arguments, "--out")
    if not given or not given[-1]:
        raise ValueError("adapt --resume: say with --out which run to continue")
    return Path(given[-1][0])
