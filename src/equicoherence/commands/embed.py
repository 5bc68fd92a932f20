"""`equicoherence embed MODEL`: write the features of every image to a file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro

from equicoherence.commands.arguments import Comma, FloatOrNone, IntOrNone, TextOrNone, parse
from equicoherence.commands.model_argument import checked_model
from equicoherence.devices import Device
from equicoherence.loading import preparing
from equicoherence.models.published import BARE, check_published


def run(arguments: list[str]) -> None:
    """Run the command with its arguments."""

    @dataclass
    class Arguments:
        """Write the features of every image of a data set to a .parquet or .npz file.

        Args:
            model: A run directory, timm:NAME, hf-hub:OWNER/NAME, a weights file (FILE@ARCH), or the folder of a timm
                model, such as an export.
            data: Images.
            out: The file to write, .parquet or .npz.
            split: Which part of the images.
            features: Of backbone, cls and patches; of a run also z_inv, z_equi and z; of an adapted
                encoder also joined, its features with z_equi.
            dtype: Number format of the features.
            limit: Largest number of images, evenly spread; 0 for all.
            batch: Images per forward pass.
            arch: The timm architecture of a weights file, if FILE@ARCH does not give it.
            random_weights: Use the initialisation of a timm model, without its weights.
            size: Input pixels, for a model that is not a run.
            bad_image_tolerance: Largest share of images that cannot be decoded (their rows are NaN); by default the
                run's own.
            device: cpu, cuda, mps; auto is the first CUDA device if there is one, else cpu.
            overwrite: Replace an existing file.
        """

        model: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="MODEL")]
        data: str
        out: Path
        split: Literal["train", "val", "all"] = "all"
        features: Comma = "backbone"
        dtype: Literal["float32", "float16"] = "float32"
        limit: int = 0
        batch: int = 64
        arch: TextOrNone = None
        random_weights: bool = False
        size: IntOrNone = None
        bad_image_tolerance: FloatOrNone = None
        device: Device = "auto"
        overwrite: bool = False

    with preparing():
        given = parse(Arguments, arguments, "embed")
        from equicoherence.data import check_data
        from equicoherence.feature_files import writer

        checked_model(given.model)
        check_data(given.data)
        writer(given.out)
        if not given.random_weights:
            check_published(given.model, BARE)
        from equicoherence.embedding import embed

    print(f"features: {embed(**vars(given))}")
