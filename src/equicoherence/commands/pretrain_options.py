"""The options of `pretrain` that one changes first: what its --help shows, with the recipe's own values."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from equicoherence.training import PretrainConfig


@dataclass
class PretrainOptions:
    """Pretrain a recipe (`equicoherence recipes` lists them), or a FILE.yaml: a run's config.yaml, or a short one with
    `recipe: NAME` and what differs. --no-coherence gives the plain method, without the task.

    Below is what one changes first. All options are shown by --help-all: every field of the configuration is one.

    Args:
        data: Images: a folder, tar shards, an archive, or objects (rendered, no file needed).
        out: Run directory, runs/RECIPE where none is given.
        resume: Go on with an interrupted run: pretrain --resume --out RUN.
        seed: Of weights, views and order.
        epochs: Passes over the images.
        max_steps: Steps after which the run, and its schedule, ends; 0 for those of all epochs.
        batch_size: Images of a step, of each process.
        lr: Learning rate at a global batch of 256 images.
        encoder: Any model of timm.
        weights: What to start from, as `evaluate` takes MODEL: timm:NAME, FILE@ARCH, a run; empty for none.
        size: Pixels of a view along a side.
        path: What leads to view 2: rotation, se2, all, between, poses and others.
        decoder: What reconstructs the states: conv, cross-attention, render, geodesic, or several with +.
        share: Of a batch, the share that has the task.
        precision: fp32, bf16, fp16, or auto, which takes what the device is fast in.
        track: Also write the metrics for a tracker.
    """

    data: str
    out: Path | None
    resume: bool
    seed: int
    epochs: Annotated[int, tyro.conf.arg(name="optim.epochs")]
    max_steps: int
    batch_size: Annotated[int, tyro.conf.arg(name="optim.batch-size")]
    lr: Annotated[float, tyro.conf.arg(name="optim.lr")]
    encoder: Annotated[str, tyro.conf.arg(name="encoder.name")]
    weights: Annotated[str, tyro.conf.arg(name="encoder.weights")]
    size: Annotated[int, tyro.conf.arg(name="views.size")]
    path: Annotated[str, tyro.conf.arg(name="views.path")]
    decoder: Annotated[str | None, tyro.conf.arg(name="coherence.decoder")]
    share: Annotated[float | None, tyro.conf.arg(name="coherence.share")]
    precision: str
    track: str


def first_options(config: PretrainConfig) -> PretrainOptions:
    """Return what one changes first, as a recipe has it."""
    task = config.coherence
    return PretrainOptions(
        data=config.data,
        out=None,
        resume=False,
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
    )
