"""`equicoherence export`: a run's encoder as a timm model, an ONNX model, or a file of torch."""

from __future__ import annotations

import importlib.util
import os
import shutil
import tempfile
from pathlib import Path
from typing import Any, Literal, get_args

import timm
import torch
from torch import Tensor, nn

from equicoherence.errors import RefusedValue, refusing
from equicoherence.evaluation.model import generators_kept
from equicoherence.files import alone_at, replacing
from equicoherence.models import Encoder
from equicoherence.models.features import Pool
from equicoherence.training.checkpoint import export_encoder, not_in_timm
from equicoherence.training.config import ViewsConfig
from equicoherence.training.config_file import plain_values
from equicoherence.training.run import load_run

Target = Literal["timm", "onnx", "torch"]
ENDINGS: dict[Target, tuple[str, ...]] = {"timm": ("",), "onnx": (".onnx",), "torch": (".pt", ".pth")}
"""Of names; the first where none is given. A folder may be called anything."""
TOLERANCE = 1e-4  # of the values, or of the largest of them where that is above 1
LARGEST = 2**31 - 2**24  # bytes of weights: an ONNX file ends at 2 GiB
OPSET = 18


def export(
    run: str | Path, to: Target, out: str | Path | None = None, *, teacher: bool = False, overwrite: bool = False
) -> Path:
    """Write the encoder of a run so that others can load it, and return where.

    to: ``timm``, a folder with ``model.safetensors`` and ``config.json`` that ``timm.create_model("local-dir:OUT")``
    loads; ``onnx``, a file that takes ``images`` (B, 3, S, S), float32 in [0, 1], any B, and gives ``pooled`` (B, C)
    and ``patches`` (B, N, C), checked with ONNX Runtime (extra ``onnx``); ``torch``, a file for
    ``torch.load(OUT, weights_only=True)``: a dictionary of ``state_dict`` (of the timm model), ``architecture`` and
    ``args`` (of ``timm.create_model``, with ``num_classes=0``), ``mean``, ``std``, ``size``, ``source`` (pixels that
    evaluation reads images at before it makes them ``size``) and ``pool``.
    timm's and torch's models take images normalised by mean and std; ONNX's normalises them itself. What stands for an
    image is the run's own in all of them; where timm cannot pool so, it is refused there (ValueError).

    out: where None, ``encoder`` (timm: a folder), ``encoder.onnx`` or ``encoder.pt`` in the run; a file's name ends in
    .onnx, or in .pt or .pth. teacher: write the EMA teacher of a method that has one (DINO's published weights are a
    teacher's); the student, which evaluation scores, otherwise. overwrite: replace what is there. What is written is
    whole or not there.

    Raises FileExistsError where ``out`` is there, or another process writes it; ValueError for a file's name of another
    ending; FileNotFoundError and ValueError for a run that cannot be exported, one whose weights are not finite among
    them; ImportError for a missing extra; RuntimeError where the ONNX model's outputs are not the encoder's.
    """
    with refusing():
        run = Path(run)
        if to not in get_args(Target):
            raise ValueError(f"to must be one of {', '.join(get_args(Target))}, got {to!r}")
        out = run / f"encoder{ENDINGS[to][0]}" if out is None else Path(out)
        if not out.name.endswith(ENDINGS[to]):
            raise ValueError(f"--to {to} writes a file whose name ends in {' or '.join(ENDINGS[to])}, got --out {out}")
        if out.exists() and out.is_dir() != (to == "timm"):
            raise FileExistsError(f"{out} is a {'folder' if out.is_dir() else 'file'}; give another --out")
        if out.exists() and not overwrite and not (to == "timm" and out.is_dir() and not any(out.iterdir())):
            raise FileExistsError(f"{out} exists; give another --out, or --overwrite")
        if to == "onnx":
            _need_onnx()
        with generators_kept():
            config, learner = load_run(run)
        if teacher and learner.teacher is None:
            raise ValueError(
                f"{run} has no teacher: {type(learner.method).__name__} trains without one; leave --teacher out"
            )
        chosen = learner.teacher[0] if teacher and learner.teacher is not None else learner.encoder
        assert isinstance(chosen, Encoder)
        encoder, views, pool = chosen.eval(), config.views, learner.pool
        if to == "timm" and (sentence := not_in_timm(encoder, pool)):
            raise ValueError(sentence)
    with alone_at(out, "exports to"):
        if to == "timm":
            _write_timm(encoder, out, views, pool)
        else:
            with replacing(out) as aside:
                (_write_onnx if to == "onnx" else _write_torch)(encoder, aside, views, pool)
    return out


def _write_timm(encoder: Encoder, out: Path, views: ViewsConfig, pool: Pool) -> None:
    with tempfile.TemporaryDirectory(dir=out.parent, prefix=f".{out.name}.", suffix=".tmp") as name:
        aside = Path(name) / "whole"
        aside.mkdir()
        export_encoder(encoder, aside, views.size, pool=pool, source=views.source)
        _check_timm(encoder, aside, views.size, pool)
        if out.exists() and any(out.iterdir()):  # its two files are replaced, each whole; others stay
            for file in aside.iterdir():
                file.replace(out / file.name)
            return
        if out.exists():
            out.rmdir()
        shutil.move(aside, out)


@torch.no_grad()
def _check_timm(encoder: Encoder, folder: Path, size: int, pool: Pool) -> None:
    """Raise RuntimeError where what timm loads from a folder gives something else than the encoder."""
    images = torch.rand(2, 3, size, size, generator=torch.Generator().manual_seed(1))
    with generators_kept():
        model = timm.create_model(f"local-dir:{folder}", pretrained=True).eval()
    found = model((images - encoder.mean) / encoder.std)
    _check_same("timm model", "output", encoder(images).pooled(pool), found)


def _write_torch(encoder: Encoder, path: Path, views: ViewsConfig, pool: Pool) -> None:
    about = {
        "architecture": encoder.architecture,
        "args": plain_values(encoder.args),
        "mean": encoder.mean.flatten().tolist(),
        "std": encoder.std.flatten().tolist(),
        "size": views.size,
        "source": views.source,
        "pool": pool,
    }
    weights = {name: t.detach().cpu().contiguous().clone() for name, t in encoder.model.state_dict().items()}
    with path.open("wb") as file:
        torch.save({"state_dict": weights, **about}, file)
        file.flush()
        os.fsync(file.fileno())


class PooledAndPatches(nn.Module):
    """What an ONNX model computes: images (B, 3, S, S) in [0, 1] to pooled (B, C) and patch tokens (B, N, C)."""

    def __init__(self, encoder: Encoder, pool: Pool) -> None:
        super().__init__()
        self.encoder, self.pool = encoder, pool

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Encode images."""
        features = self.encoder(images)
        return features.pooled(self.pool), features.patches


def _need_onnx() -> None:
    missing = [name for name in ("onnx", "onnxruntime", "onnxscript") if importlib.util.find_spec(name) is None]
    if missing:
        raise ImportError(f"ONNX needs {', '.join(missing)}: pip install 'equicoherence[onnx]'")


@torch.no_grad()
def _write_onnx(encoder: Encoder, path: Path, views: ViewsConfig, pool: Pool) -> None:
    held = sum(t.nbytes for t in encoder.state_dict().values())
    if held > LARGEST:
        raise RefusedValue(
            f"{held / 2**30:.1f} GiB of weights do not fit one ONNX file (2 GiB); export to timm or torch"
        )
    module = PooledAndPatches(encoder, pool).eval()
    images = torch.rand(2, 3, views.size, views.size, generator=torch.Generator().manual_seed(0))
    program: Any = torch.onnx.export(
        module,
        (images,),
        dynamo=True,
        dynamic_shapes={"images": {0: torch.export.Dim("batch")}},
        input_names=["images"],
        output_names=["pooled", "patches"],
        opset_version=OPSET,
        verbose=False,
    )
    program.save(path, external_data=False)
    _check_onnx(module, path, views.size)


def _check_onnx(module: nn.Module, path: Path, size: int) -> None:
    """Raise RuntimeError where the file's outputs are not the module's, for a batch it was not traced with."""
    import onnxruntime

    images = torch.rand(3, 3, size, size, generator=torch.Generator().manual_seed(1))
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    found = session.run(["pooled", "patches"], {"images": images.numpy()})
    for name, wanted, value in zip(("pooled", "patches"), module(images), found):
        _check_same("ONNX model", name, wanted, torch.as_tensor(value))


def _check_same(what: str, name: str, wanted: Tensor, found: Tensor) -> None:
    """Raise RuntimeError where what was exported gives something else than the encoder."""
    error = float("inf")
    if wanted.shape == found.shape:
        error = float((wanted - found).abs().max() / wanted.abs().max().clamp_min(1))
    if not error <= TOLERANCE:  # nor NaN
        raise RuntimeError(
            f"the {what}'s {name} differ from the encoder's by {error:.2g}, more than {TOLERANCE:g}: nothing was "
            "written; export to another target"
        )
