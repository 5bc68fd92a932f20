"""The ways of adapting an encoder that are compared, what is read of each, and which an encoder cannot take."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path

from equicoherence.adapting.start_config import start_config
from equicoherence.coherence import CoherenceConfig
from equicoherence.evaluation.frozen_model import generators_kept
from equicoherence.recipes import recipe
from equicoherence.reporting.adaptation.figures import BACKBONE, JOINED, Z_EQUI
from equicoherence.training import PretrainConfig, build_learner
from equicoherence.training.start import started

RECIPE = "adapt-tiny"
DRAWN = "head, as drawn"  # a control: the head before it has learned anything
REPRESENTATIONS = {BACKBONE: "features", Z_EQUI: "z_equi", JOINED: "[features, z_equi]"}  # as tables call them
BESIDE = "[features, that]"  # of what needs no training, in place of z_equi
OF_MODEL = ("name", "args", "channels", "weights", "fingerprint", "mean", "std")  # what a model says of an encoder


def encoder_name(model: str) -> str:
    """Return what pages and folders call an encoder: its architecture, the name of its folder, or its name in timm."""
    place, _, arch = model.rpartition("@")
    if place:
        return arch.replace("/", "-")
    return Path(model).resolve().name if Path(model).exists() else model.removeprefix("timm:").replace("/", "-")


def from_model(model: str, data: str, steps: int) -> PretrainConfig:
    """Return the configuration that all ways of adapting MODEL begin with."""
    config, start = start_config(RECIPE, model)
    return started(dataclasses.replace(config, data=data, max_steps=steps, keep=0.0), start)[0]


def from_kept(config: PretrainConfig) -> PretrainConfig:
    """Return what the ways would begin with today, for the encoder, images and steps of an earlier adaptation.

    config: of that adaptation.
    """
    today = recipe(RECIPE)
    assert today.coherence is not None
    encoder = {name: getattr(config.encoder, name) for name in OF_MODEL}
    layers = config.coherence.layers if config.coherence else ()
    return dataclasses.replace(
        today,
        encoder=dataclasses.replace(today.encoder, **encoder),
        views=dataclasses.replace(today.views, size=config.views.size, source=config.views.source),
        coherence=dataclasses.replace(today.coherence, layers=layers),
        data=config.data,
        max_steps=config.max_steps,
        keep=0.0,
    )


def ways_of_adapting(base: PretrainConfig) -> dict[str, PretrainConfig]:
    """Return the ways of adapting an encoder, most telling first. base: what they begin with."""

    def way(train: str = "head", lr: float = 1.0, seed: int = 0, **task: object) -> PretrainConfig:
        coherence: CoherenceConfig = dataclasses.replace(base.coherence, **task)  # type: ignore[type-var, arg-type]
        optim = dataclasses.replace(base.optim, lr=base.optim.lr * lr)
        encoder = dataclasses.replace(base.encoder, train=train)
        watch = {} if train == "head" else {"watch": "knn,rotation", "watch_every": 25}
        return dataclasses.replace(base, encoder=encoder, coherence=coherence, optim=optim, seed=seed, **watch)

    faster = way("all", layers=(), split="linear")

    return {
        "head": way(),
        "head, second seed": way(seed=1),
        "head, 1024 wide": way(d_equi=1024),
        "head, moments": way(split="moments"),
        "head, moments, as drawn": dataclasses.replace(way(lr=1e-9, split="moments"), max_steps=1),
        "head, with labels": way(decoder="oracle"),
        "head, render and labels": way(decoder="render+oracle"),
        "head, render and labels, 1024 wide": way(decoder="render+oracle", d_equi=1024),
        "head, render and labels, 2048 wide": way(decoder="render+oracle", d_equi=2048),
        "head, moments, render and labels, 1024 wide": way(decoder="render+oracle", d_equi=1024, split="moments"),
        "head, 128 wide": way(d_equi=128),
        "head, 128 wide, with labels": way(d_equi=128, decoder="oracle"),
        "head, 128 wide, as drawn": dataclasses.replace(way(lr=1e-9, d_equi=128), max_steps=1),
        DRAWN: dataclasses.replace(way(lr=1e-9), max_steps=1),
        "last layer": way("last:1", lr=0.1, layers=(), split="linear"),
        "last layer, with labels": way("last:1", lr=0.1, layers=(), split="linear", decoder="oracle"),
        "head, render and [P1]": way(decoder="render+cross-attention"),
        "head, conv [P2]": way(decoder="conv"),
        "head, [P1]": way(decoder="cross-attention"),
        "head, geodesic": _between(base),
        "lora": way("lora:8", lr=0.1, layers=(), split="linear"),
        "all": way("all", lr=0.1, layers=(), split="linear"),
        "all, with labels": way("all", lr=0.1, layers=(), split="linear", decoder="oracle"),
        "all, ten times the rate": faster,
        "all, with labels, ten times the rate": way("all", layers=(), split="linear", decoder="oracle"),
        "all, ten times the rate, 1200 steps": dataclasses.replace(faster, max_steps=1200),
        "last layer, with labels, ten times the rate": way("last:1", layers=(), split="linear", decoder="oracle"),
        "lora, ten times the rate": way("lora:8", layers=(), split="linear"),
        "last layer, ten times the rate": way("last:1", layers=(), split="linear"),
        "all, [P1], ten times the rate": way("all", layers=(), split="linear", decoder="cross-attention"),
        "all, render and [P1], ten times the rate": way(
            "all", layers=(), split="linear", decoder="render+cross-attention"
        ),
    }


def _between(base: PretrainConfig) -> PretrainConfig:
    """Return the way with the geodesic decoder. It decodes the path between the views, so these differ by what path
    ``all`` would do to one of them: place, size, rotation, colors and blur."""
    view = dataclasses.replace(base.views.first, jitter_probability=0.8, blur=0.5, rotation=22.5)  # 45 degrees apart
    views = dataclasses.replace(base.views, path="between", place="independent", first=view, second=view)
    scales = tuple(side for side in (2, 4, 14) if base.views.size % side == 0) or (1,)
    coherence: CoherenceConfig = dataclasses.replace(base.coherence, decoder="geodesic", scales=scales)  # type: ignore[type-var, arg-type]
    return dataclasses.replace(base, coherence=coherence, views=views)


def refusals(ways: Mapping[str, PretrainConfig]) -> dict[str, str]:
    """Return the ways that their encoder cannot take, such as LoRA where there is no attention, and why."""
    found = {}
    for name, config in ways.items():
        try:
            with generators_kept():
                build_learner(config, pretrained=False)
        except ValueError as error:
            found[name] = str(error)
    return found
