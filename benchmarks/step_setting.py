"""What all arms of `step.py` share: model, sizes, strengths of the augmentations, and the images on disk."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from PIL import Image
from torch.utils.flop_counter import FlopCounterMode

from equicoherence.data.objects import ObjectsSource

MOMENTUM = 0.996  # the teacher's first
TEMPERATURES = (0.04, 0.07)  # the teacher's, first and last
GLOBAL_AREA = {"vicreg": (0.08, 1.0), "dino": (0.4, 1.0), "ibot": (0.25, 1.0), "dinov2": (0.32, 1.0)}
LOCAL_AREA = {"dino": (0.05, 0.4), "ibot": (0.05, 0.25), "dinov2": (0.05, 0.32)}  # both as lightly documents them
MASKED = ("ibot", "dinov2")
MASK_PROBABILITY, MASK_RATIO = 0.5, (0.1, 0.5)


@dataclass(frozen=True)
class Setting:
    """One command's choices. head: hidden width, bottleneck, prototypes. source: pixels of the images on disk."""

    model: str
    args: dict[str, Any]
    size: int
    source: int
    crops: int
    crop_size: int
    batch: int
    dtype: Literal["fp32", "bf16"]
    head: tuple[int, int, int]
    projector: int
    threads: int
    compile: bool
    data: Path

    @property
    def device(self) -> torch.device:
        """Where the steps run."""
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")

    def timm_args(self, method: str) -> dict[str, Any]:
        """Return the arguments of the vision transformer: VICReg averages its tokens, the others read the class's."""
        averaged = {"class_token": False, "global_pool": "avg", "fc_norm": False}
        return {"img_size": self.size, **self.args, **(averaged if method == "vicreg" else {})}


@dataclass
class Arm:
    """One way to train. ``steps`` opens its loader and takes one step at each `next`.

    flop: of one step. memory: the most bytes of the device that it held, all of its own included; None on a CPU.
    """

    name: str
    steps: Callable[[], Iterator[None]]
    flop: int
    memory: int | None


def measured(build: Callable[[], Callable[[], Iterator[None]]]) -> tuple[Callable[[], Iterator[None]], int, int | None]:
    """Build an arm and take three of its steps: return its ``steps``, the FLOP of one, and its peak memory."""
    before = 0
    if torch.cuda.is_available():
        before = torch.cuda.memory_allocated()
        torch.cuda.reset_peak_memory_stats()
    steps = build()
    taken = steps()
    next(taken)
    with torch.compiler.set_stance("force_eager"), FlopCounterMode(display=False) as counter:
        next(taken)  # compiled code would hide its products from the counter
    next(taken)
    taken.close()  # type: ignore[attr-defined]
    memory = torch.cuda.max_memory_allocated() - before if torch.cuda.is_available() else None
    return steps, counter.get_total_flops(), memory


def write_objects(folder: Path, size: int, count: int) -> Path:
    """Write at least ``count`` rendered objects as JPEGs of ``size`` pixels: all into train, one also into val."""
    source = ObjectsSource("all", size=size, objects_per_category=max(5, math.ceil(count / 80)))
    for index, pixels in enumerate(source.images):
        target = folder / "train" / f"{source.name(index)}.jpg"
        target.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(target, quality=90)
    val = folder / "val" / source.classes[0]
    val.mkdir(parents=True)
    Image.fromarray(source.images[0]).save(val / "0.jpg")
    return folder
