"""Encoders that were trained elsewhere: models of timm with their weights, and files that say what they hold."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import timm
import torch
from huggingface_hub.errors import LocalEntryNotFoundError
from safetensors import SafetensorError
from torch import nn

from equicoherence.errors import one_line
from equicoherence.models.encoder import Encoder, sized
from equicoherence.models.features import POOLS, Pool
from equicoherence.models.hub import hub_or_cache
from equicoherence.models.names import folder_of
from equicoherence.models.published import cannot_be_had, not_reached
from equicoherence.models.weights import load_weights, read_export, with_positions
from equicoherence.notice import say


@dataclass(frozen=True)
class Exported:
    """What `equicoherence export --to torch` wrote.

    encoder: with its weights.
    size: pixels of its images.
    source: pixels that images are read at.
    pool: the image representation.
    """

    encoder: Encoder
    size: int
    source: int
    pool: Pool


def foreign_encoder(
    name: str,
    size: int | None,
    args: dict[str, Any] | None = None,
    *,
    pretrained: bool,
    option: str = "--size",
    otherwise: str = "",
) -> Encoder:
    """Return the encoder of a timm name, for images of a size or, if None, its own.

    args: further arguments of the model.
    pretrained: with its published weights, or those of its folder or repository; else as torch's global generator
        initialises it.
    option: what sizes are given by, and otherwise: what to do where weights cannot be had; both for errors.

    Raises ValueError for a size that does not fit and for a damaged folder, RuntimeError for weights that cannot be
    had.
    """
    folder = folder_of(name)
    if folder is None or not pretrained:
        return _built(name, size, args, pretrained, option, otherwise)
    try:
        return Encoder(name, sized(name, size) | (args or {}), pretrained=True)
    except Exception as error:  # of damaged files, torch and timm raise nearly all that there is
        _built(name, size, args, False, option, otherwise)  # raises what is wrong with config.json or the size
        raise ValueError(
            f"the weights in {folder} cannot be read, or do not fit its config.json: {_reason(error)}"
        ) from error


def _built(
    name: str, size: int | None, args: dict[str, Any] | None, published: bool, option: str, otherwise: str
) -> Encoder:
    """Return an encoder with timm's published weights, or with none that were trained."""
    try:
        with hub_or_cache() if published else nullcontext():
            return Encoder(name, sized(name, size) | (args or {}), pretrained=published)
    except (OSError, RuntimeError, SafetensorError) as error:
        if not published:
            raise  # which says what folder it is
        raise cannot_be_had(name, _reason(error), otherwise) from error
    except ValueError as error:
        raise ValueError(f"{option} is {size}, but {error}" if size is not None else str(error)) from error


def _reason(error: Exception) -> str:
    if isinstance(error, LocalEntryNotFoundError):
        return not_reached()
    return f"{type(error).__name__}: {one_line(error)}"


def read_exported(path: str, size: int | None, advice: str) -> Exported:
    """Read what `equicoherence export --to torch` wrote, for images of a size or, if None, its own.

    advice: how to say which architecture a file is for, for errors. Raises ValueError for another file.
    """
    about = read_export(Path(path))
    if about is None:
        raise ValueError(f"{path} is a weights file: {advice.replace('which model', 'which timm model')}")
    arch, pool = about["architecture"], about["pool"]
    if not (isinstance(arch, str) and timm.is_model(arch)):  # no source either: timm would open or fetch something
        raise ValueError(f"{path} is for {str(arch)!r}, which timm does not have; {advice}")
    try:
        args = dict(about["args"]) | sized(arch, size)
        encoder = Encoder(arch, args, mean=tuple(about["mean"]), std=tuple(about["std"]))
        side, source = size or int(about["size"]), int(about["source"])
    except TypeError as error:
        raise ValueError(f"{path} does not say what its encoder is: {error}; {advice}") from error
    if pool not in POOLS or (pool == "head" and encoder.pool != "head") or (pool == "cls" and not encoder.has_cls):
        raise ValueError(f"{path} pools by {pool!r}, which {arch} does not; {advice}")
    load_weights(encoder.model, Path(path))
    return Exported(encoder, side, source, pool)


@torch.no_grad()
def copy_weights(target: nn.Module, source: nn.Module, said: str, *, whole: bool = False) -> None:
    """Copy a timm model's weights into one for another size, or without the head of the first.

    said: what the weights are called, for errors. whole: refuse weights that the target has no place for, too. Position
    embeddings are resampled. Raises ValueError where weights are missing or of another shape.
    """
    wanted = target.state_dict()
    named, notes = with_positions(target, source.state_dict())
    odd = [name for name, held in wanted.items() if name not in named or named[name].shape != held.shape]
    odd += [name for name in named if name not in wanted] if whole else []
    if odd:
        raise ValueError(
            f"encoder.weights {said} do not fit the encoder that the configuration asks for ({len(odd)} tensors, such "
            f"as {odd[0]}); leave out encoder.args"
        )
    for note in notes:
        say(f"{said}: {note}")
    target.load_state_dict({name: named[name] for name in wanted})
