"""Patch tokens of whole images at any size, from a frozen encoder: read once, kept in half precision."""

from __future__ import annotations

import copy
import shutil
import tempfile
import warnings
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from equicoherence.data.loader import usable_cores
from equicoherence.errors import RefusedValue
from equicoherence.evaluation.fit import reading
from equicoherence.evaluation.frozen_model import generators_kept
from equicoherence.evaluation.task import Track, spread
from equicoherence.finite import NotFinite
from equicoherence.models import Encoder
from equicoherence.models.encoder import VISION_TRANSFORMERS

T = TypeVar("T")
BATCH = 16
SURVEYED = 64  # images whose sizes stand for those of a set
IN_MEMORY = 4 * 2**30  # bytes; larger sets of tokens are mapped from a temporary file


@dataclass(frozen=True)
class Tokens:
    """patches: (N, h, w, C) float16, of N images. cls: (N, C) float16, or None for encoders without a class token."""

    patches: Tensor
    cls: Tensor | None

    def __len__(self) -> int:
        return len(self.patches)

    def take(self, chosen: Tensor | Sequence[int], device: torch.device) -> Tokens:
        """Return the tokens of some images on a device."""
        where = torch.as_tensor(chosen, device=self.patches.device)
        cls = None if self.cls is None else self.cls[where].to(device)
        return Tokens(self.patches[where].to(device), cls)


def resizable(encoder: Encoder) -> Encoder:
    """Return an encoder of the same weights that takes images of any size whose sides are multiples of its stride.

    A vision transformer's position embeddings are interpolated (bicubic); at its own size its features are the same.
    The encoder returned may be the one given.
    """
    import timm

    if not timm.models.is_model_in_modules(encoder.architecture, VISION_TRANSFORMERS):
        return encoder
    if getattr(encoder.model, "dynamic_img_size", False):
        return encoder
    masked = encoder.mask_token is not None
    with generators_kept():
        other = Encoder(encoder.name, encoder.args, layers=encoder.layers, masked=masked, any_size=True)
    other.load_state_dict(encoder.state_dict())
    other.mean, other.std = encoder.mean.clone(), encoder.std.clone()  # a run may have its own
    if encoder.ends_at is not None:
        other.end_at(encoder.ends_at)
    return other.to(encoder.mean.device).train(encoder.training)


@torch.no_grad()
def sized(encoder: Encoder, size: tuple[int, int]) -> Encoder:
    """Return an encoder of the same weights that takes images of ``size`` (h, w): `resizable`, or built for that size.

    Models with windows or relative positions are rebuilt by timm's ``set_input_size``; the one given is not changed,
    but may be the one returned. Raises ValueError where the encoder cannot take such images.
    """
    other = resizable(encoder)
    try:
        if hasattr(other.model, "set_input_size") and not getattr(other.model, "dynamic_img_size", False):
            other = copy.deepcopy(other)
            with warnings.catch_warnings():
                warnings.filterwarnings("ignore", module=r"timm\.layers\.interpolate")  # on how it calls torch
                other.model.set_input_size(size)  # type: ignore[operator]
        was_training = other.training
        other.eval()(torch.zeros(1, 3, *size, device=other.mean.device))
        other.train(was_training)
    except torch.OutOfMemoryError:
        raise
    except (AssertionError, RuntimeError, ValueError) as error:
        config = getattr(encoder.model, "pretrained_cfg", None) or {"input_size": (3, *size)}
        own = encoder.args.get("img_size", config["input_size"][1:])  # type: ignore[call-overload, index]
        raise RefusedValue(
            f"{encoder.name} takes images of {_written(own)} pixels, but not of {_written(size)} as asked ({error}): "
            "give the task another size, or leave this encoder out"
        ) from error
    return other


def _written(size: int | Sequence[int]) -> str:
    height, width = (size, size) if isinstance(size, int) else size
    return f"{height} x {width}"


@torch.no_grad()
def stride(encoder: Encoder, size: int) -> int:
    """Return how many pixels a patch token is apart from the next.

    As timm notes it of the model (the last entry of ``feature_info``, or the patch size); where it does not, from the
    grid of a blank image of ``size`` pixels and how it grows with the image.

    Raises ValueError for an encoder that gives one vector an image, which has no patch tokens.
    """
    if isinstance(encoder, Encoder):
        info = getattr(encoder.model, "feature_info", None)
        if info:
            return int(info[-1 if encoder.ends_at is None else encoder.ends_at]["reduction"])
        patch = getattr(getattr(encoder.model, "patch_embed", None), "patch_size", None)
        if patch is not None:
            return int(patch if isinstance(patch, int) else patch[0])
    own = _grid(encoder, size)
    if getattr(encoder, "gives_vectors", False):
        raise RefusedValue(_no_tokens(encoder))
    try:
        double = _grid(encoder, 2 * size)
    except (AssertionError, RuntimeError, ValueError):  # it takes images of its own size alone
        return max(1, round(size / own))
    if double == 2 * own and size % own == 0:
        return size // own
    small, large = _grid(encoder, 4 * size), _grid(encoder, 8 * size)  # a grid of few tokens is rounded a lot
    if large == small:
        raise RefusedValue(_no_tokens(encoder))
    return max(1, round(4 * size / (large - small)))


def _grid(encoder: Encoder, side: int) -> int:
    return encoder(torch.zeros(1, 3, side, side, device=encoder.mean.device)).grid[0]


def _no_tokens(encoder: Encoder) -> str:
    return (
        f"{encoder.name} gives one vector an image, but this task reads patch tokens: give a module that gives "
        "(B, N, C) or (B, C, h, w), or leave the task out"
    )


def some_shapes(image: Callable[[int], np.ndarray], indices: Sequence[int]) -> list[tuple[int, int]]:
    """Return the sizes (H, W) of up to 64 of the images ``image(i)``, spread evenly, for `input_size`."""
    chosen = [indices[place] for place in spread(len(indices), SURVEYED)]
    return [(shape[0], shape[1]) for shape in read_ahead(lambda index: image(index).shape, chosen)]


def input_size(shapes: Sequence[tuple[int, int]], short: int, step: int) -> tuple[int, int]:
    """Return the size (h, w) that images are squashed to: the short side about ``short`` pixels, in multiples of
    ``step``, and the median aspect of ``shapes`` (H, W).

    Raises ValueError for less than half a ``step``.
    """
    if 2 * short < step:
        raise RefusedValue(
            f"pixels is {short}, but this encoder's tokens ask for multiples of {step}: give at least that"
        )
    aspect = float(np.median([width / height for height, width in shapes]))
    sides = (short, short * aspect) if aspect >= 1 else (short / aspect, short)
    height, width = (max(1, round(side / step)) * step for side in sides)
    return height, width


def resize_image(pixels: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Squash an image (H, W, 3) uint8 to (h, w, 3), antialiased bicubic."""
    if pixels.shape[:2] == size:
        return pixels
    return np.array(Image.fromarray(pixels).resize((size[1], size[0]), Image.Resampling.BICUBIC))


def read_ahead(load: Callable[[int], T], indices: Sequence[int]) -> Iterator[T]:
    """Yield ``load(i)`` in order, a few at a time on threads ahead of the reader."""
    workers = min(8, usable_cores())
    with ThreadPoolExecutor(workers) as pool:
        waiting = [pool.submit(load, index) for index in indices[: 4 * workers]]
        for position in range(len(indices)):
            value = waiting[position].result()
            waiting[position] = None  # type: ignore[call-overload]
            if position + 4 * workers < len(indices):
                waiting.append(pool.submit(load, indices[position + 4 * workers]))
            yield value


def to_pixels(images: Sequence[np.ndarray], device: torch.device) -> Tensor:
    """Return images (H, W, 3) uint8 of one size as (B, 3, H, W) in [0, 1]; bytes go to the device."""
    return torch.from_numpy(np.stack(images)).to(device).permute(0, 3, 1, 2).float() / 255


def as_maps(patches: Tensor) -> Tensor:
    """Return patch tokens (B, h, w, C) as (B, C, h, w) float32."""
    return patches.float().permute(0, 3, 1, 2)


@torch.no_grad()
def extract_tokens(
    encoder: Encoder,
    load: Callable[[int], np.ndarray],
    indices: Sequence[int],
    size: tuple[int, int],
    track: Track[list[int]],
    what: str,
    *,
    cls: bool = False,
) -> Tokens:
    """Return the tokens of images ``load(i)``, (H, W, 3) uint8 of any size, squashed to ``size``.

    encoder: in eval mode, as `sized` gives it. cls: whether class tokens are wanted too. Raises ValueError where a
    token is not finite in half precision.
    """
    device = encoder.mean.device
    images = read_ahead(lambda index: resize_image(load(index), size), indices)
    patches: Tensor | None = None
    finite = torch.ones((), dtype=torch.bool, device=device)  # read once, at the end: reading makes a GPU wait
    tokens = []
    starts = [list(range(start, min(start + BATCH, len(indices)))) for start in range(0, len(indices), BATCH)]
    for batch in track(starts, what):
        pixels = to_pixels([next(images) for _ in batch], device)
        with reading(device):
            features = encoder(pixels)
        part = features.patches.unflatten(1, features.grid).half()
        if patches is None:
            patches = room((len(indices), *part.shape[1:]), device)
        patches[batch[0] : batch[-1] + 1] = part.to(patches.device)
        finite &= part.isfinite().all()
        if cls and features.cls is not None:
            tokens.append(features.cls.half())
            finite &= tokens[-1].isfinite().all()
    if patches is None:
        raise ValueError("there are no images to take tokens of")
    check_finite(finite, encoder)
    return Tokens(patches, torch.cat(tokens) if tokens else None)


def check_finite(finite: Tensor, encoder: Encoder) -> None:
    """Raise `NotFinite` where ``finite`` () bool, of an encoder's tokens in half precision, is False."""
    if not finite:
        raise NotFinite(
            f"{encoder.name} gives tokens that are not finite, or above 65,504, which half precision cannot keep: its "
            "weights are damaged or their scale is wrong"
        )


def room(shape: tuple[int, ...], device: torch.device) -> Tensor:
    """Return an uninitialised half tensor: on the device, or mapped from a file that goes when the tensor does.

    Raises OSError where that file has no room.
    """
    needed = 2 * int(np.prod(shape, dtype=np.int64))
    if needed <= IN_MEMORY:
        return torch.empty(shape, dtype=torch.float16, device=device)
    folder = tempfile.gettempdir()
    if (free := shutil.disk_usage(folder).free) < needed:
        raise OSError(
            f"the tokens need {needed / 2**30:.1f} GiB in a temporary file and {folder!r} has {free / 2**30:.1f} GiB "
            "free: set TMPDIR to a folder with room, or give the task a smaller train limit"
        )
    with tempfile.TemporaryFile() as file:  # what is mapped stays when the file is closed
        return torch.from_numpy(np.memmap(file, dtype=np.float16, mode="w+", shape=shape))
