"""Weights files: state dicts in safetensors or torch's format, read without executing code, loaded whole or refused."""

from __future__ import annotations

import argparse
import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from timm.layers import resample_abs_pos_embed
from torch import Tensor, nn

from equicoherence.models.weight_layouts import find_matches
from equicoherence.notice import say

CLASSIFIERS = ("head", "fc", "classifier", "head.fc")
# what pretraining adds inside an encoder and its features do not need: projections in the classifier's place (MoCo v3),
# mask tokens (DINOv2, MAE, iBOT), MAE's decoder
ADDED = ("head.", "fc.", "mask_token", "masked_embed", "decoder_")
HEADS = re.compile(r"(projection|projector|predictor|prediction|prototypes|dino_|ibot_)[^.]*\.")  # SwAV's, DINO's
WRAPPERS = re.compile(r"_orig_mod\.|_fsdp_wrapped_module\.|_checkpoint_wrapped_module\.")  # torch's, within names
TORCH = (b"PK", b"\x80")  # how torch's files begin: as zip archives, earlier ones as pickles
EXPORTED = ("architecture", "args", "mean", "std", "size", "source", "pool")  # beside the weights in an export to torch
EXAMPLES = 2  # of tensors that do not fit
DEPTH = 4  # of dictionaries within dictionaries


def load_weights(module: nn.Module, path: Path) -> None:
    """Load the encoder of a weights file (safetensors, or a torch file read with ``weights_only``) into a timm model.

    Its names may share any prefix, also that of dictionaries within the file, and be those of any of
    `weight_layouts.LAYOUTS`. Of a teacher and a student the teacher is taken; of our own checkpoints the student, as
    evaluating their run does. Position embeddings of another grid are resampled. Lines on standard error say which
    encoder was taken where there are several, what was resampled, and which tensors beside it are not loaded.

    Raises ValueError listing what does not match: tensors that are missing, of another shape, or left over.
    """
    weights, wanted = read_weights(path), module.state_dict()
    tensors = [name for name, value in weights.items() if isinstance(value, Tensor) or name in wanted]
    match, *others = find_matches(tensors, wanted)
    named, notes = with_positions(module, {name: weights[held] for name, held in match.names.items()})
    # counters of batches, which features do not depend on, were not yet saved by torch 0.4
    missing = [k for k in wanted if k not in named and not k.endswith("num_batches_tracked")]
    wrong = [
        f"{k} {_shape(named[k])} for {tuple(v.shape)}"
        for k, v in wanted.items()
        if k in named and _shape(named[k]) != tuple(v.shape)
    ]
    classifier = {f"{name}.{part}" for name in _classifiers(module) for part in ("weight", "bias")}
    left = [k for k in named if k not in wanted and k not in classifier]
    added = [k for k in left if k.startswith(ADDED) or HEADS.match(k)]
    extra = [k for k in left if k not in added]
    complaints = [
        f"{len(names)} of its tensors {what} ({', '.join(names[:EXAMPLES])}{', ...' if len(names) > EXAMPLES else ''})"
        for what, names in (("are missing", missing), ("have another shape", wrong), ("have no place in it", extra))
        if names
    ]
    if complaints:
        wanted_by = (getattr(module, "pretrained_cfg", None) or {}).get("architecture", "")
        raise ValueError(
            f"{path} does not fit the architecture {wanted_by}".rstrip()
            + f"; check which one you gave, FILE@ARCH: {'; '.join(complaints)}"
        )
    if others:
        rest = ", ".join(repr(other.prefix) for other in others)
        notes.insert(0, f"it holds several encoders: {match.prefix!r} is taken, not {rest}")
    if added:
        notes.append(f"{len(added)} tensors of pretraining are not loaded ({_summary(added)})")
    beside = [k for k in tensors if not k.startswith(match.prefix)]
    if beside:
        notes.append(f"{len(beside)} tensors outside {match.prefix!r} are not loaded ({_summary(beside)})")
    for note in notes:
        say(f"{path}: {note}")
    module.load_state_dict({k: named.get(k, v) for k, v in wanted.items()})


def read_weights(path: Path) -> dict[str, Any]:
    """Return all values of a file by their names, joined by dots where dictionaries hold dictionaries.

    Raises ValueError for a file that is neither of both formats or damaged, holds no dictionary, or Python objects,
    which could run code.
    """
    return {WRAPPERS.sub("", name): value for name, value in _flat(_read(path), "", DEPTH)}


def read_export(path: Path) -> dict[str, Any] | None:
    """Return what `equicoherence export --to torch` wrote but for the weights; None for a file of another kind."""
    held = _read(path)
    return {name: held[name] for name in EXPORTED} if all(name in held for name in (*EXPORTED, "state_dict")) else None


def _read(path: Path) -> Mapping[Any, Any]:
    weights: Any
    with path.open("rb") as file:
        start = file.read(9)
    if start[8:] != b"{" and not start.startswith(TORCH):
        raise ValueError(f"{path} cannot be read as weights: it is neither a torch file nor a safetensors file")
    try:
        if start[8:] == b"{":
            weights = load_file(path)
        else:
            # the settings that DINO, iBOT and MAE save beside their weights; it holds values and does nothing
            with torch.serialization.safe_globals([argparse.Namespace]):
                weights = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # a damaged file may raise anything
        refused = re.search(r"Unsupported global: GLOBAL (\S+)", str(error))
        if refused is None:  # torch's own words are long, and advise to let the file execute code
            kind = "safetensors" if start[8:] == b"{" else "torch"
            raise ValueError(
                f"{path} cannot be read as weights: it begins as a {kind} file does, but is cut short, damaged, or "
                "holds more than tensors and plain values; get it anew"
            ) from error
        raise ValueError(
            f"{path} cannot be read as weights: it holds a Python object ({refused[1]}), which could run code; where "
            "you trust it, save its state dict alone as a file of its own"
        ) from error
    if not isinstance(weights, Mapping):
        raise ValueError(
            f"{path} holds a {type(weights).__name__}, not a state dict: save a dictionary of tensors by their names"
        )
    return weights


def _flat(values: Mapping[Any, Any], prefix: str, depth: int) -> Iterable[tuple[str, Any]]:
    """Yield names and values, without dictionaries by number: the states of optimisers."""
    for key, value in values.items():
        if not isinstance(value, Mapping):
            yield f"{prefix}{key}", value
        elif depth and all(isinstance(name, str) for name in value):
            yield from _flat(value, f"{prefix}{key}.", depth - 1)


def with_positions(module: nn.Module, named: dict[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """Return a vision transformer's weights with position embeddings (1, N, C) of its own grid, and what was done."""
    positions, own = named.get("pos_embed"), getattr(module, "pos_embed", None)
    grid = getattr(getattr(module, "patch_embed", None), "grid_size", None)
    if not (isinstance(positions, Tensor) and isinstance(own, Tensor) and positions.ndim == own.ndim == 3 and grid):
        return named, []
    cls = named.get("cls_token")
    prefix = own.shape[1] - grid[0] * grid[1]  # 0 where class and register tokens have no positions, as in CaiT
    if prefix < 0:
        return named, []
    if prefix == 0 and isinstance(cls, Tensor) and not _side(positions, 0) and _side(positions, 1):
        # DINOv2 with registers gives the class token a position, timm's models of it do not: the sum is the same
        named = {**named, "cls_token": cls + positions[:, :1], "pos_embed": positions[:, 1:]}
        positions = positions[:, 1:]
    side = _side(positions, prefix)
    if not side or positions.shape[1] == own.shape[1] or positions.shape[2] != own.shape[2]:
        return named, []
    resampled = resample_abs_pos_embed(positions, list(grid), (side, side), num_prefix_tokens=prefix)  # type: ignore[arg-type]
    note = f"position embeddings are resampled from a grid of {side} x {side} to {grid[0]} x {grid[1]}"
    return {**named, "pos_embed": resampled}, [note]


def _side(positions: Tensor, prefix: int) -> int:
    """Return the side of the square grid that the positions (1, N, C) after the first are of; 0 for no square."""
    count = max(0, positions.shape[1] - prefix)
    return math.isqrt(count) if math.isqrt(count) ** 2 == count else 0


def _classifiers(module: nn.Module) -> tuple[str, ...]:
    """Return the names of the layers that timm, or a file of its kind, has for classes."""
    config = getattr(module, "pretrained_cfg", None) or {}
    own = config.get("classifier") or ()
    return (*CLASSIFIERS, *((own,) if isinstance(own, str) else own))


def _summary(names: list[str]) -> str:
    """Return names in few words: whole where few, else their first parts with counts."""
    if len(names) <= 5:
        return ", ".join(names)
    groups = Counter(".".join(name.split(".")[:2]) if name.count(".") > 1 else name for name in names)
    if len(groups) > 8:
        groups = Counter(name.split(".")[0] for name in names)
    shown = [f"{group} ({count})" for group, count in groups.most_common(8)]
    return ", ".join(shown) + (f", and {len(groups) - 8} more" if len(groups) > 8 else "")


def _shape(value: object) -> tuple[int, ...] | str:
    return tuple(value.shape) if isinstance(value, Tensor) else f"({type(value).__name__}, no tensor)"
