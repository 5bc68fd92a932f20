"""Files of a run directory: written aside and renamed, so that none is ever half there."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import timm
import torch
from safetensors.torch import save_file
from torch import Tensor

from equicoherence.files import Damaged, replacing
from equicoherence.json_file import write_json
from equicoherence.models import Encoder
from equicoherence.models.features import POOLS, Pool
from equicoherence.models.names import read_config
from equicoherence.models.shared_files import MARK
from equicoherence.tensor_files import read_torch, refuse_not_finite, write_torch
from equicoherence.training.new_run import checkpoints

KEPT = 2
SOURCE = "source_size"  # in config.json, beside what timm reads: pixels that evaluation reads images at
PARTS = {"step": int, "shape": dict, "learner": dict, "optimizer": dict}
"""What a checkpoint holds."""
ADVICE = "remove it to go on from the one before"


def save_checkpoint(run: Path, step: int, state: dict[str, Any], needed: Sequence[int] = ()) -> Path:
    """Write ``checkpoints/step-N.pt`` and drop all but the last two and those of the steps that are ``needed``."""
    path = checkpoint_of(run, step)
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as aside, aside.open("wb") as file:
        write_torch(state, file, path)
        file.flush()
        os.fsync(file.fileno())
    kept = {*checkpoints(run)[:KEPT], *(checkpoint_of(run, each) for each in needed)}
    for old in (*checkpoints(run), *path.parent.glob(".*.tmp")):  # also what a killed run left
        if old not in kept:
            old.unlink()
    return path


def checkpoint_of(run: Path, step: int) -> Path:
    """Return where the checkpoint of a step is."""
    return run / "checkpoints" / f"step-{step:08d}.pt"


def step_of(checkpoint: Path) -> int:
    """Return the step of a checkpoint, by its name."""
    return int(checkpoint.stem.removeprefix("step-"))


def load_checkpoint(path: Path, device: torch.device | str = "cpu") -> dict[str, Any]:
    """Read a checkpoint; never executes code from it. Raises `Damaged` where it is none, or its weights not finite."""
    state = read_torch(path, ADVICE, device=device)
    for name, kind in PARTS.items():
        if not isinstance(state.get(name), kind):
            raise Damaged(path, f"it has no {name}, which checkpoints have", ADVICE)
    if not all(isinstance(tensor, Tensor) for tensor in state["learner"].values()):
        raise Damaged(path, "its learner holds what is no tensor", ADVICE)
    refuse_not_finite(state["learner"], path, ADVICE)
    return state


def newest_whole_checkpoint(run: Path) -> tuple[dict[str, Any] | None, str]:
    """Return the newest checkpoint of a run that can be read, None if it has none, and what is to be said of it.

    A damaged one is passed over for the one before. Raises `Damaged` where all are.
    """
    damaged: list[Damaged] = []
    for path in checkpoints(run):
        try:
            state = load_checkpoint(path)
        except Damaged as error:
            damaged.append(error)
            continue
        text = "; ".join(f"{error.path} is damaged ({error.reason})" for error in damaged)
        return state, f"{text}: {path.name} is taken instead" if damaged else ""
    if damaged:
        advice = f"no checkpoint of the run is whole; remove {run / 'checkpoints'} to begin it again from step 0"
        raise Damaged(damaged[0].path, damaged[0].reason, advice)
    return None, ""


def export_encoder(
    encoder: Encoder,
    folder: Path,
    size: int,
    *,
    pool: Pool | None = None,
    source: int | None = None,
    heads: bool = False,
) -> None:
    """Write ``model.safetensors`` and ``config.json``, which timm loads as ``local-dir:FOLDER``, pooling by ``pool``.

    size: pixels of its images. pool: the encoder's own if None. source: pixels that images are read at, ``size``
    if None. heads: whether the folder has those of `write_shared`. Raises ValueError where timm cannot pool so.
    """
    if sentence := not_in_timm(encoder, pool or encoder.pool):
        raise ValueError(sentence)
    save_tensors(encoder.model.state_dict(), folder / "model.safetensors")  # type: ignore[arg-type]
    args = dict(encoder.args)
    known = timm.get_pretrained_cfg(encoder.architecture)
    if known is not None and known.fixed_input_size:
        args.setdefault("img_size", list(encoder.own_size))  # elsewhere than with its name, timm does not know it
    config = {
        "architecture": encoder.architecture,
        "num_classes": 0,
        "num_features": encoder.width,
        "model_args": args,
        SOURCE: source or size,
        **({MARK: True} if heads else {}),
        "pretrained_cfg": {
            "input_size": [encoder.channels, size, size],
            "mean": encoder.mean.flatten().tolist(),
            "std": encoder.std.flatten().tolist(),
            "interpolation": "bicubic",
            "crop_pct": 1.0,
            "num_classes": 0,
            "first_conv": None,
            "classifier": None,
        },
    }
    write_json(folder / "config.json", config, indent=2)


def saved_source(folder: Path) -> int | None:
    """Return the pixels that a folder of `export_encoder` says its images are read at, None if it says nothing."""
    source = read_config(folder / "config.json").get(SOURCE)
    if source is not None and not (isinstance(source, int) and source >= 1):
        raise ValueError(f"{folder / 'config.json'}: {SOURCE} must be 1 pixel or more, got {source!r}")
    return source


def not_in_timm(encoder: Encoder, pool: Pool) -> str:
    """Return why timm cannot give the image representation as this encoder does, in a sentence; empty if it can."""
    if pool == encoder.timm_pool:
        return ""
    return (
        f"timm has no way to pool {encoder.name} by {POOLS[pool]} (it gives {POOLS[encoder.timm_pool]}, which was not "
        "trained), so it is no model of timm; use the run itself, or export it to torch or onnx"
    )


def save_tensors(tensors: dict[str, Tensor], path: Path) -> None:
    """Write a state dict as safetensors, aside and renamed."""
    with replacing(path) as aside:
        save_file({name: t.detach().cpu().contiguous().clone() for name, t in tensors.items()}, aside)
