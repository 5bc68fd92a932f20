"""An encoder and its outputs as one graph of operations: an ONNX model, or a program of torch."""

from __future__ import annotations

import copy
import importlib.util
import os
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from equicoherence.errors import RefusedValue
from equicoherence.evaluation.frozen_model import FrozenModel

TOLERANCE = 1e-4  # of the largest value
LARGEST = 2**31 - 2**24  # bytes of weights: an ONNX file ends at 2 GiB
OPSET = 18


class OutputModel(nn.Module):
    """What is exported to ONNX and as a program: images (B, channels, S, S) in [0, 1] to features.

    outputs: their names: pooled (B, C) and patches (B, N, C); with the head of an adapted encoder also z_equi (B,
        d_equi), pooled, and joined (B, C + d_equi).
    """

    def __init__(self, model: FrozenModel) -> None:
        super().__init__()
        self.encoder, self.head, self._model = model.encoder, model.head, model
        self.outputs = ("pooled", "patches") if model.head is None else ("pooled", "patches", "z_equi", "joined")

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        """Encode images."""
        features = self.encoder(images)
        found = self._model.represent_features(features)[0]
        found |= {"pooled": found["backbone"], "patches": features.patches}
        return tuple(found[name] for name in self.outputs)


def need_onnx() -> None:
    """Raise ImportError where ONNX is not installed."""
    missing = [name for name in ("onnx", "onnxruntime", "onnxscript") if importlib.util.find_spec(name) is None]
    if missing:
        raise ImportError(f"ONNX needs {', '.join(missing)}: pip install 'equicoherence[onnx]'")


@torch.no_grad()
def write_program(module: OutputModel, path: Path, size: int) -> None:
    """Write a program of torch for images of a size; RuntimeError where it gives something else than the module."""
    images = torch.rand(2, module.encoder.channels, size, size, generator=torch.Generator().manual_seed(0))
    shapes = {"images": {0: torch.export.Dim("batch")}}
    module = copy.deepcopy(module)
    for tensor in (*module.parameters(), *module.buffers()):  # each is written by itself, in the usual order
        tensor.data = tensor.data.clone(memory_format=torch.contiguous_format)
    program = torch.export.export(module, (images,), dynamic_shapes=shapes)
    with path.open("wb") as file:  # torch would refuse the name of a file that lies aside
        torch.export.save(program, file)
        file.flush()
        os.fsync(file.fileno())
    images = torch.rand(3, module.encoder.channels, size, size, generator=torch.Generator().manual_seed(1))
    with path.open("rb") as file:
        found = torch.export.load(file).module()(images)
    for name, wanted, value in zip(module.outputs, module(images), found, strict=True):
        check_same("program", name, wanted, value)


@torch.no_grad()
def write_onnx(module: OutputModel, path: Path, size: int) -> None:
    """Write an ONNX model for images of a size; RuntimeError where it gives something else than the module."""
    held = sum(t.nbytes for t in module.state_dict().values())
    if held > LARGEST:
        raise RefusedValue(
            f"{held / 2**30:.1f} GiB of weights do not fit one ONNX file (2 GiB); export to timm, torch or program"
        )
    images = torch.rand(2, module.encoder.channels, size, size, generator=torch.Generator().manual_seed(0))
    program: Any = torch.onnx.export(
        module,
        (images,),
        dynamo=True,
        dynamic_shapes={"images": {0: torch.export.Dim("batch")}},
        input_names=["images"],
        output_names=[*module.outputs],
        opset_version=OPSET,
        verbose=False,
    )
    program.save(path, external_data=False)
    _check_onnx(module, path, size)


def _check_onnx(module: OutputModel, path: Path, size: int) -> None:
    """Raise RuntimeError where the file's outputs are not the module's, for a batch it was not traced with."""
    import onnxruntime

    images = torch.rand(3, module.encoder.channels, size, size, generator=torch.Generator().manual_seed(1))
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    found = session.run([*module.outputs], {"images": images.numpy()})
    for name, wanted, value in zip(module.outputs, module(images), found, strict=True):
        check_same("ONNX model", name, wanted, torch.as_tensor(value))


def check_same(what: str, name: str, wanted: Tensor, found: Tensor) -> None:
    """Raise RuntimeError where what was exported gives something else than the encoder."""
    error = float("inf")
    if wanted.shape == found.shape:
        error = float((wanted - found).abs().max() / wanted.abs().max().clamp_min(1e-6))
    if not error <= TOLERANCE:  # nor NaN
        raise RuntimeError(
            f"the {what}'s {name} differ from the encoder's by {error:.2g}, more than {TOLERANCE:g}: nothing was "
            "written; export to another target"
        )
