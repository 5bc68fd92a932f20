"""Pairs of an image and its transformed self, as a frozen encoder sees them."""

from __future__ import annotations

import math
from functools import cached_property

import torch
import torch.nn.functional as F
from torch import Tensor

from equicoherence.data import Loader
from equicoherence.evaluation.model import FrozenModel
from equicoherence.paths import Pyramid, State, Transformation, render
from equicoherence.paths.geometry import crop
from equicoherence.paths.renderer import Border

DRAWS = 2  # transformations of each training image: more pairs from the same images keep a probe from overfitting
GRID = 7  # tokens are kept as a grid of at most 7 x 7, which bounds what the pairs of a ViT take
BATCH = 256
Encoded = tuple[dict[str, Tensor], dict[str, Tensor]]  # pooled (N, C) and tokens (N, T, C), by representation


class Pairs:
    """Images of probe training and test, their encodings, and those of their transformed selves.

    train, test: loaders of disjoint images, and how many to read. keep_tokens: also give tokens, pooled to at most
    ``GRID`` x ``GRID``, in bfloat16: 98 bytes an image and channel, for 1 + ``DRAWS`` times the training and twice the
    test images.
    """

    def __init__(
        self, model: FrozenModel, train: tuple[Loader, int], test: tuple[Loader, int], keep_tokens: bool
    ) -> None:
        self.model, self.keep_tokens = model, keep_tokens
        self._sources = (train, test)
        self._base: tuple[float, tuple[Encoded, Encoded]] | None = None

    @cached_property
    def images(self) -> tuple[tuple[Tensor, Tensor], ...]:
        """Images (N, 3, H, W), uint8, and aspects (N,), of probe training and of test; read when first asked for."""
        return tuple(_read(loader, count) for loader, count in self._sources)

    def counts(self) -> dict[str, int]:
        """Return how many images of each split were read and scored."""
        return {split: len(images) for split, (images, _) in zip(("train", "val"), self.images)}

    def draw(self, path: Transformation, seed: int) -> tuple[Tensor, Tensor]:
        """Draw parameters for training (DRAWS * N, P), one draw of all images after the other, and test (M, P)."""
        generator = torch.Generator().manual_seed(seed)
        train, test = (len(images) for images, _ in self.images)
        first, of_test = path.sample(train, generator), path.sample(test, generator)
        return torch.cat([first, *(path.sample(train, generator) for _ in range(DRAWS - 1))]), of_test

    def base(self, share: float) -> tuple[Encoded, Encoded]:
        """Encode the images' central crops; those of the last ``share`` are kept, so a second call costs nothing."""
        if self._base is None or self._base[0] != share:
            self._base = None  # tokens of two shares would take twice the room
            train, test = (self._encode(*of_set, None, None, "content", share) for of_set in self.images)
            self._base = (share, (train, test))
        return self._base[1]

    def moved(
        self, path: Transformation, thetas: tuple[Tensor, Tensor], border: Border, share: float
    ) -> tuple[Encoded, Encoded]:
        """Encode the crops transformed by the parameters of `draw`, in its order."""
        (images, aspect), test = self.images
        draws = [self._encode(images, aspect, path, theta, border, share) for theta in thetas[0].split(len(images))]
        train: Encoded = (_join([pooled for pooled, _ in draws]), _join([tokens for _, tokens in draws]))
        return train, self._encode(*test, path, thetas[1], border, share)

    @torch.no_grad()
    def _encode(
        self,
        images: Tensor,
        aspect: Tensor,
        path: Transformation | None,
        theta: Tensor | None,
        border: Border,
        share: float,
    ) -> Encoded:
        device, size = self.model.encoder.mean.device, self.model.size
        pooled: list[dict[str, Tensor]] = []
        tokens: list[dict[str, Tensor]] = []
        for start in range(0, len(images), BATCH):
            rows = slice(start, start + BATCH)
            pyramid = Pyramid.build(images[rows].to(device), size)
            state = None if path is None or theta is None else path.state(theta[rows].to(device))
            view = render(pyramid, base_state(aspect[rows].to(device), share), state, size=size, border=border)
            with torch.autocast(device.type, torch.bfloat16):
                vectors, parts = self.model.represent(view)
            pooled.append({name: part.float() for name, part in vectors.items()})
            if self.keep_tokens:
                tokens.append({name: pool_tokens(part).bfloat16() for name, part in parts.items()})
        return _join(pooled), _join(tokens)


def base_state(aspect: Tensor, share: float) -> State:
    """Return the central square crop of images with true width / height ``aspect`` (B,): ``share`` of the shorter
    side."""
    width, height = share / aspect.clamp_min(1), share * aspect.clamp_max(1)
    zero = torch.zeros_like(aspect)
    return State.identity(len(aspect), aspect.device).replace(geometry=crop(zero, zero, width, height, zero))


def pool_tokens(tokens: Tensor) -> Tensor:
    """Average the patch tokens (B, N, C) of a square grid to at most ``GRID`` x ``GRID``: (B, T, C), T <= GRID^2."""
    side = math.isqrt(tokens.shape[1])
    if side * side != tokens.shape[1]:
        raise ValueError(f"{tokens.shape[1]} patch tokens are no square grid; leave out the attentive probe")
    if side <= GRID:
        return tokens
    grid = tokens.float().transpose(1, 2).unflatten(2, (side, side))
    return F.adaptive_avg_pool2d(grid, GRID).flatten(2).transpose(1, 2)


def first_of_each(index: Tensor) -> Tensor:
    """Return the places (M,) at which the values of ``index`` (N,) occur first, in order.

    Beside bad images, which the next good ones stand in for, an image may have been read more than once.
    """
    _, values = index.unique(return_inverse=True)
    places = torch.full((len(index),), len(index)).scatter_reduce_(0, values, torch.arange(len(index)), "amin")
    return places[places < len(index)].sort().values


def _read(loader: Loader, count: int) -> tuple[Tensor, Tensor]:
    """Read ``count`` images spread evenly over the source; good ones stand in for bad ones, none comes twice."""
    n = len(loader.source)
    chosen = torch.linspace(0, n - 1, min(count, n)).round().long().numpy()
    parts = list(loader.batches([chosen[i : i + BATCH] for i in range(0, len(chosen), BATCH)]))
    images, aspect = torch.cat([b.images for b in parts]), torch.cat([b.aspect for b in parts])
    kept = first_of_each(torch.cat([b.index for b in parts]))
    return (images, aspect) if len(kept) == len(images) else (images[kept], aspect[kept])


def _join(parts: list[dict[str, Tensor]]) -> dict[str, Tensor]:
    return {name: torch.cat([part[name] for part in parts]) for name in parts[0]} if parts else {}
