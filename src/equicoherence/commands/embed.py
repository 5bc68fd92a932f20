"""`equicoherence embed MODEL`: features of every image, in a file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro

from equicoherence.commands.arguments import Comma, parse
from equicoherence.devices import Device
from equicoherence.loading import preparing


def run(arguments: list[str]) -> None:
    """Run the command with its arguments."""

    @dataclass
    class Arguments:
        """Write an encoder's features of every image of a data set to a .parquet or .npz file.

        model: a run directory, timm:NAME, hf-hub:OWNER/NAME, or a weights file with --arch. features: of backbone, cls,
        patches and, of a run, z_inv, z_equi, z. dtype: of the file. limit: at most so many images, evenly spread; 0 is
        all. batch: images at a time. size: of a model that is no run. random-weights: take a timm model's
        initialisation. bad-image-tolerance: share of images that may be bad (their rows are NaN); a run's own where not
        given. device: cpu, cuda, mps, or auto, the first CUDA device where there is one.
        """

        model: Annotated[str, tyro.conf.Positional]
        data: str
        out: Path
        split: Literal["train", "val", "all"] = "all"
        features: Comma = "backbone"
        dtype: Literal["float32", "float16"] = "float32"
        limit: int = 0
        batch: int = 64
        arch: str | None = None
        random_weights: bool = False
        size: int | None = None
        bad_image_tolerance: float | None = None
        device: Device = "auto"
        overwrite: bool = False

    with preparing():
        given = parse(Arguments, arguments, "embed")
        from equicoherence.embedding import embed

    print(f"features: {embed(**vars(given))}")
