"""`equicoherence embed`: the features of all images of a data set, in a file for other tools."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import torch
from torch import Tensor

from equicoherence.data import Loader, Split, describe_images, open_images
from equicoherence.devices import Device, chosen_device
from equicoherence.errors import refusing
from equicoherence.evaluation.fingerprint import fingerprint
from equicoherence.evaluation.frozen_model import FrozenModel, generators_kept
from equicoherence.evaluation.model import load_model
from equicoherence.evaluation.provenance import provenance
from equicoherence.evaluation.task import show_bar, spread
from equicoherence.feature_files import Part, Table, writer
from equicoherence.files import alone_at, replacing
from equicoherence.finite import check_features
from equicoherence.models import Features
from equicoherence.models.features import POOLS
from equicoherence.notice import say
from equicoherence.paths import Pyramid, render
from equicoherence.paths.central import base_state
from equicoherence.training.config import PretrainConfig

DType = Literal["float32", "float16"]


def embed(
    model: str | Path,
    data: str | Path,
    out: str | Path,
    *,
    split: Split = "all",
    features: str = "backbone",
    dtype: DType = "float32",
    limit: int = 0,
    batch: int = 64,
    arch: str | None = None,
    random_weights: bool = False,
    size: int | None = None,
    bad_image_tolerance: float | None = None,
    device: Device = "auto",
    overwrite: bool = False,
) -> Path:
    """Write the features of every image of a data set to ``out``, a ``.parquet`` or ``.npz`` file, and return it.

    features: names, separated by commas: ``backbone`` (pooled as in the model: the class token, the mean of the patch
        tokens, or the output of timm's own head; ``pool`` in ``about``), ``cls`` (the class token), for a run or a
        model with heads ``z_inv``, ``z_equi``, ``z``, ``joined`` as far as it has them, each (N, C); ``patches``, the
        patch tokens (N, tokens, C), row by row over the ``grid`` in ``about``.
    data: see `open_images`.
    split: "train", "val", or "all" for data that are not split.
    limit: largest number of images, evenly spread; 0 for all.
    batch: images per forward pass, and in memory.
    model, arch, random_weights, size: see `load_model`.
    dtype: of the file; features are computed in full precision.
    bad_image_tolerance: largest share of images that cannot be decoded; by default the run's own, else that of
        pretraining. More raise `TooManyBadImages`.
    device: see `chosen_device`.
    overwrite: replace an existing file.

    The file also has ``name`` and ``label`` (-1 if unknown; ``about`` lists the classes) in the order of the data set,
    and ``bad``. `feature_files` describes both formats. Images are preprocessed as by `evaluate`: the largest central
    square at the model's own size. A bad image keeps its row, so rows are those of the data set: ``bad`` is true there,
    all its features are NaN (never those of another image), and ``bad_images`` says why; a line on standard error
    counts them.

    Raises FileExistsError if ``out`` exists, unless ``overwrite``, or another process writes it; ValueError for
    features that the model does not have, and for "all" of data with separate folders for training and validation;
    ImportError for parquet without pyarrow; RuntimeError for values that float16 cannot represent; `NotFinite` for
    features that are NaN or infinite. The file is never half written. Torch's global generators are not changed.
    """
    with refusing():
        out = Path(out)
        write = writer(out)
        _check(out, overwrite, batch, limit, dtype)
        with generators_kept():
            frozen = load_model(model, arch=arch, random_weights=random_weights, size=size)
        frozen.to(chosen_device(device))
        names = list(dict.fromkeys(name.strip() for name in features.split(",")))
        shapes, grid = _shapes(frozen, names)
        loader = _loader(frozen, str(data), split, bad_image_tolerance)
        source = loader.source
        chosen = np.array(spread(len(source), limit), dtype=np.int64)
    about: dict[str, Any] = {"model": str(model), "arch": frozen.encoder.architecture, "random_weights": random_weights}
    about |= {"weights": fingerprint(frozen), "pool": POOLS[frozen.pool], "size": frozen.size}
    about |= {"data": str(data), "split": split}
    about |= {"classes": source.classes, "grid": grid, **provenance("float32")}
    rows = [source.name(int(index)) for index in chosen]
    table = Table(rows, np.asarray(source.labels)[chosen], shapes, np.dtype(dtype), about, loader.bad)
    with alone_at(out, "embeds into"), replacing(out) as aside:
        write(aside, table, _parts(frozen, loader, chosen, names, batch, table.dtype))
    if loader.bad:
        bad = len(set(rows) & loader.bad.keys())
        say(f"{out}: {bad} of {len(rows)} images cannot be decoded; their rows are NaN and say bad")
    return out


def _check(out: Path, overwrite: bool, batch: int, limit: int, dtype: str) -> None:
    """Raise FileExistsError for a file that is there, ValueError for a number or a type that cannot be."""
    if out.exists() and (not overwrite or out.is_dir()):
        raise FileExistsError(f"{out} exists; give another --out" + ("" if out.is_dir() else ", or --overwrite"))
    if batch < 1 or limit < 0:
        raise ValueError(f"batch must be at least 1 and limit at least 0 (all), got batch={batch}, limit={limit}")
    if dtype not in get_args(DType):
        raise ValueError(f"dtype must be float32 or float16, got {dtype!r}")


def _loader(model: FrozenModel, data: str, split: Split, tolerance: float | None) -> Loader:
    """Return what decodes the images of a data set for a model. Raises ValueError for "all" of data that come split."""
    config = model.config or PretrainConfig()
    source = open_images(data, split)
    if split == "all" and source.origin.comes_split:
        raise ValueError(f"{data!r} comes split, held out is {source.origin.held_out}: give --split train or val")
    source.format.check(model.encoder.channels, repr(data), model.name)
    say(describe_images(source))
    tolerance = config.bad_image_tolerance if tolerance is None else tolerance
    return Loader(source, model.source, threads=config.threads or None, tolerance=tolerance, cache_bytes=0)


def _named(model: FrozenModel, features: Features, names: Sequence[str]) -> dict[str, Tensor]:
    """Return features by name, (B, C) or (B, N, C). Raises ValueError for one that the model does not have."""
    pooled, _ = model.represent_features(features)
    if features.cls is not None:
        pooled["cls"] = features.cls
    pooled["patches"] = features.patches
    for name in names:
        if name not in pooled:
            raise ValueError(f"feature {name!r} is none of {model.name}: choose of {', '.join(pooled)}")
    return {name: pooled[name] for name in names}


@torch.no_grad()
def _shapes(model: FrozenModel, names: Sequence[str]) -> tuple[dict[str, tuple[int, ...]], tuple[int, int]]:
    """Return the shape of each feature of an image, and the grid of its patch tokens."""
    blank = torch.zeros(1, model.encoder.channels, model.size, model.size, device=model.encoder.mean.device)
    features = model.encoder(blank)
    named = _named(model, features, names)
    check_features(named, model.name)
    return {name: tuple(part.shape[1:]) for name, part in named.items()}, features.grid


@torch.no_grad()
def _parts(
    model: FrozenModel, loader: Loader, chosen: np.ndarray, names: Sequence[str], batch: int, dtype: np.dtype
) -> Iterator[Part]:
    """Yield the rows of the images ``chosen``, in this order."""
    device = model.encoder.mean.device
    starts = [chosen[start : start + batch] for start in range(0, len(chosen), batch)]
    with closing(loader.batches(starts)) as batches:
        for wanted, found in zip(show_bar(starts, f"{model.name}: features"), batches):
            bad = found.index.numpy() != wanted
            found = found.to(device)
            view = render(Pyramid.build(found.images, model.size), base_state(found.aspect, 1.0), size=model.size)
            rows, named = {}, _named(model, model.encoder(view), names)
            check_features(named, model.name)
            for name, part in named.items():
                whole = part.float().cpu().numpy()
                rows[name] = _stored(whole, dtype, name)
                rows[name][bad] = np.nan
            yield Part(bad, rows)


def _stored(values: np.ndarray, dtype: np.dtype, name: str) -> np.ndarray:
    with np.errstate(over="ignore"):
        stored = values.astype(dtype)
    if not np.array_equal(np.isinf(stored), np.isinf(values)):
        raise RuntimeError(
            f"{name} has values up to {np.abs(values).max():.3g}, which float16 cannot hold: float32 can"
        )
    return stored
