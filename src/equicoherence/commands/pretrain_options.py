"""The options of `pretrain`: its own, and the most common ones, which --help shows with the values of the recipe."""

from dataclasses import dataclass
from typing import Annotated

import tyro

from equicoherence.commands.arguments import PathOrNone
from equicoherence.training import PretrainConfig


@dataclass
class PretrainOptions:
    """The options of `pretrain` that are no field of the configuration.

    Args:
        out: Run directory; by default runs/RECIPE.
        resume: Continue an interrupted run; without RECIPE, with its own configuration: pretrain --resume --out RUN.
    """

    out: PathOrNone = None
    resume: bool = False


@dataclass
class CommonPretrainOptions:
    """Pretrain a recipe (`equicoherence recipes` lists them), or a FILE.yaml: a run's config.yaml, or a short one with
    `recipe: NAME` and the fields that differ. --no-coherence gives the plain method, without the task.

    The most common options are below. --help-all shows all: every field of the configuration is an option.

    Args:
        data: Images: a folder, tar shards, an archive, or objects (rendered, no file needed).
        seed: Seed of weights, views and order.
        epochs: Passes over the images.
        max_steps: Steps of the run and its schedule, in place of the epochs; 0 for those of all epochs.
        batch_size: Images per step and process.
        lr: Learning rate at a global batch of 256 images.
        encoder: Any timm model.
        weights: Pretrained weights to start from: timm:NAME, FILE@ARCH or a run; empty for random weights.
        size: Width and height of a view in pixels.
        path: Transformation g of view 2: rotation, se2, all, between, poses and others.
        decoder: Decoder of the states: conv, cross-attention, render, geodesic, solid, or several with +; oracle
            regresses theta as labels, alone or beside others.
        share: Share of each batch that has the task.
        precision: fp32, bf16, fp16, or auto (bf16 if the device is fast in it, else fp32).
        track: Trackers for the metrics, such as tensorboard or wandb.
    """

    data: str
    seed: int
    epochs: Annotated[int, tyro.conf.arg(name="optim.epochs")]
    max_steps: int
    batch_size: Annotated[int, tyro.conf.arg(name="optim.batch-size")]
    lr: Annotated[float, tyro.conf.arg(name="optim.lr")]
    encoder: Annotated[str, tyro.conf.arg(name="encoder.name")]
    weights: Annotated[str, tyro.conf.arg(name="encoder.weights")]
    size: Annotated[int, tyro.conf.arg(name="views.size")]
    path: Annotated[str, tyro.conf.arg(name="views.path")]
    decoder: Annotated[str | None, tyro.conf.arg(name="coherence.decoder", metavar="STR")]
    share: Annotated[float | None, tyro.conf.arg(name="coherence.share", metavar="FLOAT")]
    precision: str
    track: str
    own: Annotated[PretrainOptions, tyro.conf.arg(name="")]


def common_options(config: PretrainConfig) -> CommonPretrainOptions:
    """Return the most common options with the values of a recipe."""
    task = config.coherence
    return CommonPretrainOptions(
        data=config.data,
        seed=config.seed,
        epochs=config.optim.epochs,
        max_steps=config.max_steps,
        batch_size=config.optim.batch_size,
        lr=config.optim.lr,
        encoder=config.encoder.name,
        weights=config.encoder.weights,
        size=config.views.size,
        path=config.views.path,
        decoder=task.decoder if task else None,
        share=task.share if task else None,
        precision=config.precision,
        track=config.track,
        own=PretrainOptions(),
    )
