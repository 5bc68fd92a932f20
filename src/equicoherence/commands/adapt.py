"""`equicoherence adapt MODEL`: train a pretrained encoder to keep transformations; compare before and after."""

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import tyro

from equicoherence.commands.arguments import EVERY, parse, run_to_resume
from equicoherence.commands.config_options import check_train, with_spaces
from equicoherence.commands.given_values import asks_for_epochs, values_of
from equicoherence.commands.model_argument import checked_model
from equicoherence.loading import preparing
from equicoherence.models.published import GIVE_A_FILE, check_published
from equicoherence.processes import is_first_process
from equicoherence.recipes import check_recipe, is_file_name

if TYPE_CHECKING:
    from equicoherence.training.config import PretrainConfig

RECIPE = "adapt-tiny"


def _default(text: str, name: str | None = None, metavar: str | None = None) -> Any:
    """Return how an option is shown whose default depends on the recipe or the model: ``text`` says what it is."""
    return tyro.conf.arg(name=name, metavar=metavar, help_behavior_hint=f"(default: {text})")


@dataclass
class AdaptOptions:
    """The options of `adapt` that are no field of the configuration.

    Args:
        out: Run directory.
        recipe: Recipe to use: adapt-tiny (a CPU, views of about 96 px), adapt-small (one GPU, views of the model's own
            size), adapt-large (several GPUs), or a FILE.yaml.
        check: Labelled images that are not used for training, to check whether classes are kept.
        resume: Continue an interrupted training or evaluation: adapt --resume --out RUN.
        images: Training images of the probes; two fifths as many are test images.
        limit: Largest number of labelled images of each split, for k-NN and the linear probe.
    """

    out: Annotated[Path | None, _default("runs/RECIPE-MODEL", metavar="PATH")] = None
    recipe: str = RECIPE
    check: Annotated[str | None, _default("no such images", metavar="STR")] = None
    resume: bool = False
    images: Annotated[int | None, _default("2000", metavar="INT")] = None
    limit: Annotated[int | None, _default("5000", metavar="INT")] = None


@dataclass
class CommonAdaptOptions:  # only shown: what is given is read as a field of the configuration
    """Train a pretrained encoder further, so that its features keep what transformations do to images. Evaluate it
    before and after, and print one table of what was gained and what was kept.

    MODEL is what `equicoherence evaluate` accepts: timm:NAME, hf-hub:OWNER/NAME, a weights file (FILE@ARCH), a run
    directory, or what `equicoherence export` wrote. The most common options are below. --help-all lists all options:
    every field of the configuration is one.

    Args:
        data: Training images, with or without class labels. Labels are used only for evaluation.
        max_steps: Training steps, in place of the recipe's epochs.
        train: What is trained: head (nothing of the encoder), last:N, lora:RANK or all.
        keep: Largest loss of what the encoder knew, such as 0.01; a training that loses more ends with its last good
            state.
        size: Pixels of the views and of the test images.
        lr: Learning rate at a batch of 256 images.
        batch_size: Images per step.
        watch: Scores of held-out images during training: rotation, knn and others, with commas; auto: rotation and,
            with class labels, knn; none.
        seed: Seed of the run.
    """

    data: str
    max_steps: Annotated[int, _default("600 in adapt-tiny, else those of all epochs")] = 0
    train: Annotated[str, tyro.conf.arg(name="encoder.train")] = "head"
    keep: Annotated[float, _default("0, any loss is allowed")] = 0.0
    size: Annotated[int, _default("about 96 in adapt-tiny, else the model's own", "views.size")] = 0
    lr: Annotated[float, _default("0.004, adapt-small 0.002, adapt-large 0.001", "optim.lr")] = 0.0
    batch_size: Annotated[int, _default("64, adapt-small 128", "optim.batch-size")] = 0
    watch: str = "auto"
    seed: int = 0
    own: Annotated[AdaptOptions, tyro.conf.arg(name="")] = dataclasses.field(default_factory=AdaptOptions)


def run(arguments: list[str]) -> None:
    """Run the command with its arguments."""
    with preparing():
        if {"-h", "--help"} & set(arguments):
            parse(CommonAdaptOptions, ["--help"], "adapt MODEL")
        arguments = with_spaces(arguments)
        if values_of(arguments, "--no-coherence"):
            raise ValueError(
                "adapt always has the task, so it takes no --no-coherence; `equicoherence pretrain RECIPE "
                "--encoder.weights MODEL --no-coherence` trains without it, RECIPE such as vicreg-tiny"
            )
        model, rest = (None, ["--help"]) if EVERY in arguments else _model(arguments)
        name = _last(arguments, "--recipe") or RECIPE
        if not is_file_name(name):
            check_recipe(name)
        if model is not None:
            _check(model, name, rest)
        start = _starting_config(model, name, rest)
        from equicoherence.commands.encoder_arguments import take_encoder
        from equicoherence.training.config import PretrainConfig

        rest, encoder = take_encoder(rest, start.encoder)
        start = dataclasses.replace(start, encoder=encoder, **({"max_steps": 0} if asks_for_epochs(rest) else {}))

        @dataclass
        class Arguments(AdaptOptions):
            """Train a pretrained encoder further, and evaluate it before and after. Every field of the recipe's
            configuration is an option.

            --data is required. If they are not given, --encoder.weights is MODEL, --views.size and --views.source fit
            MODEL, and --coherence.layers are its middle layers.
            """

            config: Annotated[PretrainConfig, tyro.conf.arg(name="")] = start

        given = parse(Arguments, rest, "adapt MODEL")
        given.config.views.check_path()
        from equicoherence.adapting.adaptation import adapt_with

        asked = {"check": given.check, "images": given.images, "limit": given.limit}
        config, read, opened = given.config, None, None
        if model is not None:
            from equicoherence.adapting.plan import opened_images
            from equicoherence.adapting.start_config import start_config

            opened = opened_images(config, given.check)  # or refused, before the encoder is read
            size = config.views.size if _last(rest, "--views.size") else None
            source = config.views.source if _last(rest, "--views.source") else None
            config, read = start_config(config, config.encoder.weights, size=size, source=source)
    adapt_with(config, given.out, resume=given.resume, start=read, opened=opened, **asked)


def _check(model: str, recipe: str, rest: list[str]) -> None:
    """Refuse what the arguments show by themselves, before anything heavy is loaded."""
    from equicoherence.adapting.asked import Asked, default_out
    from equicoherence.data import check_data
    from equicoherence.training.new_run import check_new_run

    checked_model(model)
    if model.endswith(".safetensors") and Path(model).is_file() and not _last(rest, "--encoder.name"):
        raise ValueError(
            f"MODEL {model} is a weights file, which does not say what it is of: write {model}@ARCH, with the name of "
            "its architecture in timm, such as resnet50"
        )
    check_train(rest)
    resumes = "--resume" in rest
    if not values_of(rest, "--data") and not resumes:
        raise ValueError("adapt needs images: give them with --data DIR")
    for place in filter(None, (_last(rest, "--data"), _last(rest, "--check"))):
        check_data(place)
    numbers = {name: int(text) for name in ("images", "limit") if (text := _last(rest, f"--{name}") or "").isdigit()}
    Asked().changed(**numbers)
    out = _last(rest, "--out")
    start = _last(rest, "--encoder.weights") or model
    if not resumes and is_first_process() and (out or not is_file_name(recipe)):
        name = _last(rest, "--name") or recipe
        check_new_run(Path(out) if out else default_out(name, start))
    check_published(start, GIVE_A_FILE)  # which may ask the Hub, so it comes after all else that needs no torch


def _starting_config(model: str | None, recipe: str, rest: list[str]) -> "PretrainConfig":
    """Return the configuration that options change: of the run to continue, or of the recipe, which starts from MODEL.

    Raises FileNotFoundError, before anything heavy is loaded, where there is no run of `adapt` to continue.
    """
    if model is None and "--resume" in rest:
        from equicoherence.adapting.asked import Asked

        run = run_to_resume(rest, "adapt")
        Asked.of_run(run)
        from equicoherence.adapting.adaptation import resumed_config

        return resumed_config(run)
    from equicoherence.recipes.from_file import named_config

    config = named_config(recipe)
    return config if model is None else dataclasses.replace(config, encoder=config.encoder.starting_from(model))


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
