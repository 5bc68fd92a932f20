"""Files of a run directory: written aside and renamed, so that none is ever half there."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from equicoherence.files import replacing, write_aside
from equicoherence.models import Encoder
from equicoherence.models.encoder import Pool

KEPT = 2


def save_checkpoint(run: Path, step: int, state: dict[str, Any]) -> Path:
    """Write ``checkpoints/step-N.pt`` and drop all but the last two."""
    folder = run / "checkpoints"
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"step-{step:08d}.pt"
    with replacing(path) as aside, aside.open("wb") as file:
        torch.save(state, file)
        file.flush()
        os.fsync(file.fileno())
    for old in (*sorted(folder.glob("step-*.pt"))[:-KEPT], *folder.glob(".*.tmp")):  # also what a killed run left
        old.unlink()
    return path


def latest_checkpoint(run: Path) -> Path | None:
    """Return the newest whole checkpoint of a run, or None."""
    return max((run / "checkpoints").glob("step-*.pt"), default=None)


def load_checkpoint(path: Path, device: torch.device | str = "cpu") -> dict[str, Any]:
    """Read a checkpoint; never executes code from it."""
    try:
        return torch.load(path, map_location=device, weights_only=True)
    except Exception as error:
        raise ValueError(
            f"{path} cannot be read as a checkpoint ({error}); remove it to resume from the one before"
        ) from error


def export_encoder(encoder: Encoder, run: Path, size: int, pool: Pool = "mean") -> None:
    """Write ``model.safetensors`` and ``config.json``, which timm loads as ``local-dir:RUN``, pooling by ``pool``."""
    save_tensors(encoder.model.state_dict(), run / "model.safetensors")  # type: ignore[arg-type]
    args = dict(encoder.args)
    # where the mean of normed tokens was trained, it is what the model pools, whatever it pooled by default
    if pool == "mean" and hasattr(encoder.model, "fc_norm"):
        args |= {"global_pool": "avg", "fc_norm": not isinstance(encoder.model.fc_norm, nn.Identity)}
    config = {
        "architecture": encoder.architecture,
        "num_classes": 0,
        "num_features": encoder.width,
        "global_pool": "token" if pool == "cls" else "avg",
        "model_args": args,
        "pretrained_cfg": {
            "input_size": [3, size, size],
            "mean": encoder.mean.flatten().tolist(),
            "std": encoder.std.flatten().tolist(),
            "interpolation": "bicubic",
            "num_classes": 0,
            "first_conv": None,
            "classifier": None,
        },
    }
    write_aside(run / "config.json", json.dumps(config, indent=2))


def save_tensors(tensors: dict[str, Tensor], path: Path) -> None:
    """Write a state dict as safetensors, aside and renamed."""
    with replacing(path) as aside:
        save_file({name: t.detach().cpu().contiguous().clone() for name, t in tensors.items()}, aside)
