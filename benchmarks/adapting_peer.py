"""LightlyTrain's continued pretraining, where that package is installed; the benchmark does without it where not.

To have it: ``pip install lightly-train==0.18.0`` beside this package. Its own `pretrain` runs, with its own transforms,
loss, heads, optimiser, schedules, gradient clipping, loggers and Lightning Trainer; only its callbacks are replaced by
one that counts steps, so that it saves no checkpoints and draws no progress bar, which is in its favour. Images are
loaded in the process that trains (no workers), so that the process's time holds all of it.

- distillation: its default. One view of each image, mixed up with another; the teacher is the default one, a DINOv3
  ViT-B/16, with random weights in place of the published ones, which costs the same.
- dino: two global views, and six local ones of half their size; its own local ones are of 96 pixels beside 224.
- simclr: two views. The fewest passes of its methods without a teacher.

It takes timm's EfficientNets for wider than what it reads of them, which is what stands before their last convolution,
and fails; here it is told that width, so of these it trains all but that convolution, 5 % of the forward
pass's products on EfficientNet-Lite0 at 96 px.

Its `dinov2` and `dinov31` train only vision transformers of its own, so they cannot train the same model.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import os
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from unittest.mock import patch

import timm
import torch

TEACHER = "vitb16"
WORK = {  # what is done with one image
    "distillation": "1 view; 1 forward, 1 of the teacher (ViT-B/16), 1 backward",
    "dino": "2 views, 6 local views; 2 + 6 forward, 2 of the teacher, 2 + 6 backward",
    "simclr": "2 views; 2 forward, 2 backward",
}


def installed() -> str | None:
    """Return the version, None where it cannot be imported."""
    return importlib.metadata.version("lightly-train") if find_spec("lightly_train") is not None else None


def train_peer(method: str, architecture: str, size: int, given: argparse.Namespace, folder: Path, turns: Any) -> None:
    """Train in its own loop, and tell ``turns`` of each step."""
    os.environ["LIGHTLY_TRAIN_CACHE_DIR"] = str(folder / "cache")
    import lightly_train  # pyright: ignore[reportMissingImports]
    from lightly_train._callbacks import callback_helpers  # pyright: ignore[reportMissingImports]
    from pytorch_lightning import Callback

    class Told(Callback):
        def on_train_batch_end(self, *_: Any) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]
            turns.step_taken()

    transform: dict[str, Any] = {"image_size": (size, size)}
    more: dict[str, Any] = {}
    vit = {"img_size": size, "dynamic_img_size": True} if architecture.startswith("vit") else {}
    model: Any = timm.create_model(architecture, num_classes=0, **vit)
    model.num_features = model.feature_info[-1]["num_chs"]
    if method == "distillation":
        from lightly_train._models.dinov3 import dinov3_package  # pyright: ignore[reportMissingImports]

        more["method_args"] = {"teacher": dinov3_package.DINOV3_PACKAGE.get_model(TEACHER, load_weights=False)}
    if method == "dino":
        local = size // 28 * 14 if vit else size // 2  # whole patches
        transform["local_view"] = {"view_size": (local, local)}
    with patch.object(callback_helpers, "get_callbacks", lambda **_: [Told()]):
        lightly_train.pretrain(
            out=folder / f"peer-{method}",
            data=folder / "train",
            model=model,
            method=method,
            epochs=10_000,
            batch_size=given.batch_size,
            num_workers=0,
            devices=1,
            accelerator="gpu" if torch.cuda.is_available() else "cpu",
            precision="bf16-mixed" if given.precision == "bf16" else "32-true",
            transform_args=transform,
            trainer_args={"enable_progress_bar": False, "enable_checkpointing": False},
            **more,
        )
