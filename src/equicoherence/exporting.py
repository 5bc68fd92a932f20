"""`equicoherence export`: a run's encoder as a timm model, an ONNX model, a file or a program of torch."""

from __future__ import annotations

import dataclasses
import os
import shutil
import tempfile
from pathlib import Path
from typing import Literal, get_args

import timm
import torch

from equicoherence.errors import refusing
from equicoherence.evaluation.frozen_model import FrozenModel, generators_kept
from equicoherence.evaluation.model import load_model, of_run
from equicoherence.exported_graph import OutputModel, check_same, need_onnx, write_onnx, write_program
from equicoherence.files import alone_at, replacing
from equicoherence.models import Encoder, SplitHead
from equicoherence.models.features import Pool
from equicoherence.models.model_folder import RUN
from equicoherence.models.prefixes import LOCAL
from equicoherence.models.shared_files import ABOUT, HEADS
from equicoherence.models.train_setting import HEAD
from equicoherence.notice import say
from equicoherence.tensor_files import write_torch
from equicoherence.training.checkpoint import export_encoder, not_in_timm
from equicoherence.training.config_file import plain_values
from equicoherence.training.learner import Learner
from equicoherence.training.run import load_run
from equicoherence.training.shared import has_own_heads, write_shared

Target = Literal["timm", "onnx", "torch", "program"]
ENDINGS: dict[Target, tuple[str, ...]] = {
    "timm": ("",),
    "onnx": (".onnx",),
    "torch": (".pt", ".pth"),
    "program": (".pt2",),
}
"""Of names; the first where none is given. A folder may be called anything."""


def export(
    run: str | Path, to: Target, out: str | Path | None = None, *, teacher: bool = False, overwrite: bool = False
) -> Path:
    """Export the encoder of a run so that others can load it, and return where.

    to: ``timm``, a folder with ``model.safetensors`` and ``config.json`` for ``timm.create_model("local-dir:OUT")``;
        and, if the run has z_inv, z_equi or z, ``heads.safetensors`` and ``equicoherence.json``, which timm does not
        read. `load_model` and all commands take the folder as a MODEL, with the representations of the run.
        It is what `push` uploads.
        ``onnx``, a file with input ``images`` (B, channels, S, S), float32 in [0, 1], any B, and outputs ``pooled`` (B,
        C) and ``patches`` (B, N, C), checked with ONNX Runtime (extra ``onnx``). ``program``, the same for
        ``torch.export.load(OUT).module()``, which needs neither timm nor this package. ``torch``, a file for
        ``torch.load(OUT, weights_only=True)``: a dictionary of ``state_dict`` (of the timm model), ``architecture`` and
        ``args`` (of ``timm.create_model``, with ``num_classes=0``), ``mean``, ``std``, ``size``, ``source`` (pixels at
        which evaluation reads images before it resizes them to ``size``) and ``pool``.
    out: by default ``encoder`` (timm: a folder), ``encoder.onnx``, ``encoder.pt`` or ``encoder.pt2`` in the run; the
        name of a file ends in .onnx, in .pt or .pth, or in .pt2.
    teacher: export the EMA teacher of a method that has one (DINO's published weights are a teacher's); by default the
        student, which evaluation uses.
    overwrite: replace existing files.

    For a run that adapted an encoder, ONNX and the program also have the outputs ``z_equi`` (B, d_equi), pooled, and
    ``joined``, the features concatenated with z_equi (`models.joined`); they are not part of a timm model. A
    line says what a target leaves out, and if its encoder is the original, unchanged (``encoder.train`` head).
    The models of timm and torch take images normalised by mean and std; ONNX and the program normalise images
    themselves. The image representation is that of the run in all of them; if timm cannot pool in this way, export to
    timm is refused (ValueError). Files are never half written.

    Raises FileExistsError if ``out`` exists, or another process writes it; ValueError for a file name with another
    ending; FileNotFoundError and ValueError for a run that cannot be exported, also if its weights are not finite;
    ImportError for a missing extra; RuntimeError if the outputs of the exported model differ from those of the encoder.
    """
    with refusing():
        run = Path(run)
        if to not in get_args(Target):
            raise ValueError(f"to must be one of {', '.join(get_args(Target))}, got {to!r}")
        out = run / f"encoder{ENDINGS[to][0]}" if out is None else Path(out)
        _check_out(out, to, overwrite)
        if to == "onnx":
            need_onnx()
        model, learner = _loaded(run, teacher)
        if to == "timm" and (sentence := not_in_timm(model.encoder, model.pool)):
            raise ValueError(sentence)
    with alone_at(out, "exports to"):
        if to == "timm":
            _write_timm(model, None if teacher else learner, out)
            _say_left_out(model, to, teacher)
            return out
        outputs = OutputModel(_with_z_equi(model, to, teacher)).eval()
        with replacing(out) as aside:
            if to == "torch":
                _write_torch(model, aside)
            else:
                (write_onnx if to == "onnx" else write_program)(outputs, aside, model.size)
    return out


def _check_out(out: Path, to: Target, overwrite: bool) -> None:
    """Raise ValueError for a file name with another ending, FileExistsError for a place that is taken."""
    if not out.name.endswith(ENDINGS[to]):
        raise ValueError(f"--to {to} writes a file whose name ends in {' or '.join(ENDINGS[to])}, got --out {out}")
    if out.exists() and out.is_dir() != (to == "timm"):
        raise FileExistsError(f"{out} is a {'folder' if out.is_dir() else 'file'}; give another --out")
    if (out / RUN).is_file():
        raise FileExistsError(f"{out} is a run directory, whose heads would be replaced; give another --out")
    if out.exists() and not overwrite and not (to == "timm" and out.is_dir() and not any(out.iterdir())):
        raise FileExistsError(f"{out} exists; give another --out, or --overwrite")


def _loaded(run: Path, teacher: bool) -> tuple[FrozenModel, Learner]:
    """Return the student of a run, with its head, or the teacher, and the learner; ValueError for a run without one."""
    with generators_kept():
        config, learner = load_run(run)
    model = dataclasses.replace(of_run(run, config, learner), predictor=None)
    if teacher:
        if learner.teacher is None:
            raise ValueError(
                f"{run} has no teacher: {type(learner.method).__name__} trains without one; leave --teacher out"
            )
        encoder = learner.teacher[0]
        assert isinstance(encoder, Encoder)
        model = dataclasses.replace(model, encoder=encoder)
    model.encoder.eval()
    return model, learner


def _with_z_equi(model: FrozenModel, to: Target, teacher: bool) -> FrozenModel:
    """Return a model without its head, unless it adapted an encoder and z_equi can be exported; a line says if not."""
    if _is_adapted(model) and to != "torch" and not teacher and isinstance(model.head, SplitHead):
        return model
    _say_left_out(model, to, teacher)
    return dataclasses.replace(model, head=None)


def _is_adapted(model: FrozenModel) -> bool:
    """Return whether a run adapted an encoder, so that z_equi stands beside its features."""
    return model.config is not None and bool(model.config.encoder.weights) and model.config.coherence is not None


def _say_left_out(model: FrozenModel, to: Target, teacher: bool) -> None:
    """Say where z_equi of an adapted encoder is, and if nothing of the encoder was trained; nothing of other runs."""
    if not _is_adapted(model):
        return
    assert model.config is not None
    if model.config.encoder.train == HEAD and not teacher:
        original = model.config.encoder.weights
        say(f"the exported encoder is {original}, unchanged: with encoder.train head nothing of it was trained")
    if teacher:
        say(f"z_equi of {model.name} is of the student, so it is left out")
    elif to == "timm":
        say(f"z_equi of {model.name} is in {HEADS}, which timm does not read: load_model, evaluate and embed do")
    elif to == "torch":
        say(f"z_equi of {model.name} is no part of a timm model, so it is left out: --to program or onnx has it")
    else:
        say(f"z_equi of {model.name} is of the method's own head, so it is left out")


def _write_timm(model: FrozenModel, heads: Learner | None, out: Path) -> None:
    """Write a folder for timm. heads: whose heads are written too; None for none."""
    encoder, size, pool, config = model.encoder, model.size, model.pool, model.config
    shared = None
    if heads is not None and config is not None and has_own_heads(config, heads):
        shared = config, heads
    with tempfile.TemporaryDirectory(dir=out.parent, prefix=f".{out.name}.", suffix=".tmp") as name:
        aside = Path(name) / "whole"
        aside.mkdir()
        export_encoder(encoder, aside, size, pool=pool, source=model.source, heads=shared is not None)
        _check_timm(encoder, aside, size, pool)
        if shared is not None:
            write_shared(*shared, aside)
            _check_shared(model, aside)
        if out.exists() and any(out.iterdir()):  # its files are replaced, each whole; others stay
            for old in (ABOUT, HEADS):
                (out / old).unlink(missing_ok=True)
            for file in aside.iterdir():
                file.replace(out / file.name)
            return
        if out.exists():
            out.rmdir()
        shutil.move(aside, out)


@torch.no_grad()
def _check_timm(encoder: Encoder, folder: Path, size: int, pool: Pool) -> None:
    """Raise RuntimeError where what timm loads from a folder gives something else than the encoder."""
    images = torch.rand(2, encoder.channels, size, size, generator=torch.Generator().manual_seed(1))
    with generators_kept():
        model = timm.create_model(f"local-dir:{folder}", pretrained=True).eval()
    found = model((images - encoder.mean) / encoder.std)
    check_same("timm model", "output", encoder(images).pooled(pool), found)


@torch.no_grad()
def _check_shared(model: FrozenModel, folder: Path) -> None:
    """Raise RuntimeError where what is loaded from a folder gives other representations than the run."""
    images = torch.rand(2, model.encoder.channels, model.size, model.size, generator=torch.Generator().manual_seed(1))
    found = load_model(f"{LOCAL}{folder}").represent(images)[0]
    for name, wanted in model.represent(images)[0].items():
        check_same("folder", name, wanted, found[name])


def _write_torch(model: FrozenModel, path: Path) -> None:
    encoder = model.encoder
    about = {
        "architecture": encoder.architecture,
        "args": plain_values(encoder.args),
        "mean": encoder.mean.flatten().tolist(),
        "std": encoder.std.flatten().tolist(),
        "size": model.size,
        "source": model.source,
        "pool": model.pool,
    }
    weights = {name: t.detach().cpu().contiguous().clone() for name, t in encoder.model.state_dict().items()}
    with path.open("wb") as file:
        write_torch({"state_dict": weights, **about}, file, path)
        file.flush()
        os.fsync(file.fileno())
