"""`equicoherence export`."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import torch
import tyro
from rich.console import Console

from equicoherence.commands.arguments import parse
from equicoherence.exporting import Target, export
from equicoherence.models.features import Pool

FEATURES: dict[Pool, str] = {
    "mean": "the mean of its patch tokens",
    "cls": "its class token",
    "head": "what it returns",
}


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
    how = {"timm": how_to_use_timm, "onnx": how_to_use_onnx, "torch": how_to_use_torch}[given.to](out)
    Console().print(f"{out} done; load it:\n{how}", markup=False, highlight=False, soft_wrap=True)


def how_to_use_timm(folder: Path) -> str:
    """Return the line that loads an exported folder, and what its images must be."""
    about = json.loads((folder / "config.json").read_text(encoding="utf-8"))["pretrained_cfg"]
    line = f'model = timm.create_model("local-dir:{folder}", pretrained=True).eval()'
    return f"{line}\n{_normalised(about['input_size'][-1], about['mean'], about['std'])}"


def how_to_use_torch(path: Path) -> str:
    """Return the lines that build an exported model, and what its images must be."""
    about = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    lines = (
        f'held = torch.load("{path}", weights_only=True)\n'
        'model = timm.create_model(held["architecture"], num_classes=0, **held["args"]).eval()\n'
        'model.load_state_dict(held["state_dict"])'
    )
    features = FEATURES[about["pool"]]
    images = _normalised(about["size"], about["mean"], about["std"])
    return f"{lines}\n{images}; what stands for an image in evaluation: {features}"


def how_to_use_onnx(path: Path) -> str:
    """Return the lines that run an exported ONNX model, and what its images must be."""
    import onnxruntime  # an extra

    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    (images,), outputs = session.get_inputs(), session.get_outputs()
    names = ", ".join(each.name for each in outputs)
    side = images.shape[-1]
    return (
        f'session = onnxruntime.InferenceSession("{path}")\n'
        f'{names} = session.run(None, {{"{images.name}": {images.name}}})\n'
        f"{images.name}: float32 (B, 3, {side}, {side}) in [0, 1], not normalised (the model does that), of any B, of "
        "this size alone"
    )


def _normalised(side: int, mean: Sequence[float], std: Sequence[float]) -> str:
    mean, std = ([round(value, 6) for value in values] for values in (mean, std))  # as they were before float32
    return (
        f"images: float32 (B, 3, {side}, {side}) in [0, 1], normalised: (images - mean) / std, mean {mean}, std {std}"
    )
