"""Weights files: state dicts in safetensors or torch's format, read without executing code, loaded whole or refused."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from safetensors.torch import load_file
from torch import Tensor, nn

PREFIXES = ("", "module.", "model.", "encoder.", "backbone.", "encoder.model.", "module.encoder.model.")
CLASSIFIERS = ("head", "fc", "classifier", "head.fc")


def load_weights(module: nn.Module, path: Path) -> None:
    """Load a state dict (safetensors, or a torch file read with ``weights_only``), whatever prefix its names share.

    Raises ValueError listing what does not match: tensors that are missing, of another shape or, but for a classifier,
    left over. Tensors outside the shared prefix (heads beside the encoder) are not loaded, and a line says so.
    """
    weights, wanted = read_weights(path), module.state_dict()
    prefix = max(PREFIXES, key=lambda p: sum(p + name in weights for name in wanted))
    named = {k.removeprefix(prefix): v for k, v in weights.items() if k.startswith(prefix)}
    missing = [k for k in wanted if k not in named]
    wrong = [
        f"{k} {_shape(named[k])} for {tuple(v.shape)}"
        for k, v in wanted.items()
        if k in named and _shape(named[k]) != tuple(v.shape)
    ]
    classifier = {f"{name}.{part}" for name in _classifiers(module) for part in ("weight", "bias")}
    extra = [k for k in named if k not in wanted and k not in classifier]
    complaints = [
        f"{len(names)} of its tensors {what} ({', '.join(names[:5])}{', ...' if len(names) > 5 else ''})"
        for what, names in (("are missing", missing), ("have another shape", wrong), ("have no place in it", extra))
        if names
    ]
    if complaints:
        raise ValueError(f"{path} does not fit the architecture: {'; '.join(complaints)}; check --arch")
    beside = [k for k in weights if not k.startswith(prefix)]
    if beside:
        text = f"{path}: {len(beside)} tensors outside {prefix!r} are not loaded ({', '.join(beside[:5])})"
        Console(stderr=True).print(text, markup=False, highlight=False, soft_wrap=True)
    module.load_state_dict({k: named[k] for k in wanted})


def read_weights(path: Path) -> dict[str, Any]:
    """Return the state dict of a file, also where it stands under a name that checkpoints use; ValueError for none."""
    weights: Any
    try:
        if path.suffix == ".safetensors":
            weights = load_file(path)
        else:
            weights = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # a damaged file may raise anything
        raise ValueError(f"{path} cannot be read as weights: {error}") from error
    if not isinstance(weights, Mapping):
        raise ValueError(f"{path} holds a {type(weights).__name__}, not a state dict")
    for key in ("state_dict", "model", "learner", "teacher"):
        if isinstance(weights.get(key), Mapping):
            weights = weights[key]
    return {str(name): value for name, value in weights.items()}


def _classifiers(module: nn.Module) -> tuple[str, ...]:
    """Return the names of the layers that timm, or a file of its kind, has for classes."""
    config = getattr(module, "pretrained_cfg", None) or {}
    own = config.get("classifier") or ()
    return (*CLASSIFIERS, *((own,) if isinstance(own, str) else own))


def _shape(value: object) -> tuple[int, ...] | str:
    return tuple(value.shape) if isinstance(value, Tensor) else f"({type(value).__name__}, no tensor)"
