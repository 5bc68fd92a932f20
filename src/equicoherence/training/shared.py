"""The heads of a run as files that others may load, beside its model of timm: written, and read as a run is.

``heads.safetensors`` has the weights of the heads, and ``equicoherence.json`` the sections of the configuration that
the encoder and its heads are built from. What training alone needs is left out: decoders, teachers, and projectors
except one that z_equi is a part of.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import timm
from torch import Tensor

from equicoherence import __version__
from equicoherence.files import Damaged
from equicoherence.json_file import read_json, write_json
from equicoherence.models import Encoder
from equicoherence.models.create import checked_args
from equicoherence.models.names import resolve
from equicoherence.models.normalisation import Channels
from equicoherence.models.shared_files import ABOUT, HEADS
from equicoherence.training.build import build_whole
from equicoherence.training.checkpoint import save_tensors
from equicoherence.training.config import PretrainConfig
from equicoherence.training.config_file import from_dict, plain_values
from equicoherence.training.encoder_config import EncoderConfig
from equicoherence.training.learner import Learner
from equicoherence.training.public_config import public_values
from equicoherence.training.run import ENCODER, load_learner, read_weights
from equicoherence.training.views_config import ViewsConfig

SECTIONS = ("name", "method", "encoder", "d", "coherence", "views")
NEEDED = {"encoder": ("name", "args", "channels", "mean", "std", "weights"), "views": ("size", "source")}
"""Sections of ``equicoherence.json``, and of these the fields whose defaults would stand for another encoder."""
OF_TASK = ("d_equi", "split", "layers")
MADE_BY = "equicoherence"  # the version that wrote the file
ADVICE = "get the folder again, or export the run again"


def has_own_heads(config: PretrainConfig, learner: Learner) -> bool:
    """Return whether a run has z_inv, z_equi or z beside the features of its encoder."""
    return bool(_heads(config, learner))


def write_shared(config: PretrainConfig, learner: Learner, folder: Path) -> None:
    """Write both files of a run's heads into a folder. No path of this machine is written."""
    values = public_values(dataclasses.replace(config, encoder=_resolved(config, learner.encoder)))
    needed = {name: values["views"][name] for name in NEEDED["views"]}
    values["views"] = needed | _changed(values["views"], plain_values(ViewsConfig()))
    save_tensors(_heads(config, learner), folder / HEADS)
    write_json(folder / ABOUT, {MADE_BY: __version__, **{name: values[name] for name in SECTIONS}})


def load_shared(folder: Path) -> tuple[PretrainConfig, Learner]:
    """Return configuration and learner of an encoder with heads, of the files of `write_shared` and timm's.

    There is no teacher, and what else the encoder and its heads do not need has fresh weights. Raises FileNotFoundError
    for a file that is not there; ValueError for one that is damaged, asks for something unknown, or does not fit the
    others.
    """
    for name in (ABOUT, HEADS):
        if not (folder / name).is_file():
            raise FileNotFoundError(f"{folder} says in its config.json that it has heads, but has no {name}: {ADVICE}")
    config = _read_about(folder / ABOUT)
    try:
        learner = build_whole(config)
    except ValueError as error:
        raise ValueError(f"{folder / ABOUT} asks for what cannot be built: {error}; {ADVICE}") from error
    learner.teacher = None  # no file has its weights
    load_learner(learner, read_weights(folder, ADVICE), folder, ABOUT, (ENCODER, _prefix(config)))
    return config, learner.eval()


def _prefix(config: PretrainConfig) -> str:
    """Return what the names of the heads' weights begin with in a learner."""
    return "method.head." if config.coherence is not None and config.coherence.split == "head" else "head."


def _heads(config: PretrainConfig, learner: Learner) -> dict[str, Tensor]:
    return {name: part for name, part in learner.state_dict().items() if name.startswith(_prefix(config))}


def _resolved(config: PretrainConfig, encoder: Encoder) -> EncoderConfig:
    """Return the settings of an encoder by its architecture, whatever place its name says."""
    own = config.encoder
    args = checked_args(resolve(own.name)[1], own.args)
    mean, std = own.mean or _channels(encoder.mean), own.std or _channels(encoder.std)
    args = {name: value for name, value in plain_values(args).items() if name != "in_chans"}
    return dataclasses.replace(
        own, name=encoder.architecture, args=args, channels=encoder.channels, mean=mean, std=std, pretrained=False
    )


def _channels(values: Tensor) -> Channels:
    return tuple(values.flatten().tolist())


def _changed(values: Mapping[str, Any], defaults: Mapping[str, Any]) -> dict[str, Any]:
    """Return the nested values that are not the defaults."""
    changed = {name: value for name, value in values.items() if value != defaults[name]}
    return {
        name: _changed(value, defaults[name]) if isinstance(value, dict) else value for name, value in changed.items()
    }


def _read_about(path: Path) -> PretrainConfig:
    """Return the configuration that ``equicoherence.json`` says, whose other sections have their defaults."""
    values = read_json(path, ADVICE)
    made_by = values.pop(MADE_BY, "an unknown version")
    if lacking := _lacking(values):
        raise Damaged(path, f"it does not say {', '.join(lacking)}", ADVICE)
    try:
        config = from_dict(values)
        if not timm.is_model(config.encoder.name):  # no source either: timm would open or fetch something
            raise ValueError(f"encoder.name is {config.encoder.name!r}, which timm does not have")
    except ValueError as error:
        raise ValueError(
            f"{path} asks for what this version, {__version__}, does not know ({error}); equicoherence {made_by} wrote "
            "it"
        ) from error
    return config


def _lacking(values: Mapping[str, Any]) -> list[str]:
    fields = [(section, name) for section, names in NEEDED.items() for name in names]
    if values.get("coherence") is not None:
        fields += [("coherence", name) for name in OF_TASK]
    lacking = [name for name in SECTIONS if name not in values]
    inside = [(part, name) for part, name in fields if isinstance(values.get(part), dict) and name not in values[part]]
    return [*lacking, *(f"{part}.{name}" for part, name in inside)]
