"""`equicoherence export`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro
from rich.console import Console

from equicoherence.commands.arguments import parse
from equicoherence.export import Target, export


def run(arguments: list[str]) -> None:
    """Run the command with its arguments."""

    @dataclass
    class Arguments:
        """Write a run's encoder for others to load: a folder for timm, an ONNX model, or a file of torch.

        out: RUN/encoder, RUN/encoder.onnx or RUN/encoder.pt where not given. teacher: the EMA teacher of a method that
        has one, instead of the student, which evaluation scores.
        """

        run: Annotated[Path, tyro.conf.Positional]
        to: Target
        out: Path | None = None
        teacher: bool = False
        overwrite: bool = False

    given = parse(Arguments, arguments, "export")
    out = export(**vars(given))
    how = {
        "timm": f'timm.create_model("local-dir:{out}", pretrained=True)',
        "onnx": f'onnxruntime.InferenceSession("{out}")',
        "torch": f'torch.load("{out}", weights_only=True)',
    }
    Console().print(f"{out} done; load it: {how[given.to]}", markup=False, highlight=False, soft_wrap=True)
