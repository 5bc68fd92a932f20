"""Pairs of an image and its transformed self, as a frozen encoder sees them."""

from __future__ import annotations

import math
from functools import cached_property

import torch
import torch.nn.functional as F
from torch import Tensor

from equicoherence.data import Loader
from equicoherence.errors import RefusedValue
from equicoherence.evaluation.fit import reading
from equicoherence.evaluation.images import BATCH, base_state, first_of_each
from equicoherence.evaluation.model import FrozenModel
from equicoherence.evaluation.task import Track
from equicoherence.finite import check_features
from equicoherence.paths import Pyramid, Transformation, render
from equicoherence.paths.renderer import Border

DRAWS = 2  # transformations of each training image: more pairs from the same images keep a probe from overfitting
GRID = 7  # tokens are kept as a grid of at most 7 x 7, which bounds what the pairs of a ViT take
EncodedImages = tuple[dict[str, Tensor], dict[str, Tensor]]  # pooled (N, C) and tokens (N, T, C), by representation


class ImagePairs:
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
        self._base: tuple[float, tuple[EncodedImages, EncodedImages]] | None = None

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

    def base(self, share: float, track: Track) -> tuple[EncodedImages, EncodedImages]:
        """Encode the images' central crops; those of the last ``share`` are kept, so a second call costs nothing."""
        if self._base is None or self._base[0] != share:
            self._base = None  # tokens of two shares would take twice the room
            train, test = (self._encode(*of_set, None, None, "content", share, track) for of_set in self.images)
            self._base = (share, (train, test))
        return self._base[1]

    def moved(
        self, path: Transformation, thetas: tuple[Tensor, Tensor], border: Border, share: float, track: Track
    ) -> tuple[EncodedImages, EncodedImages]:
        """Encode the crops transformed by the parameters of `draw`, in its order."""
        (images, aspect), test = self.images
        draws = [
            self._encode(images, aspect, path, theta, border, share, track) for theta in thetas[0].split(len(images))
        ]
        train: EncodedImages = (_join([pooled for pooled, _ in draws]), _join([tokens for _, tokens in draws]))
        return train, self._encode(*test, path, thetas[1], border, share, track)

    def seen(
        self, split: int, path: Transformation, theta: Tensor, border: Border, share: float, track: Track
    ) -> dict[str, Tensor]:
        """Encode, pooled, the crops of probe training (split 0) or test (1) transformed by ``theta`` (N, P)."""
        return self._encode(*self.images[split], path, theta, border, share, track)[0]

    @torch.no_grad()
    def _encode(
        self,
        images: Tensor,
        aspect: Tensor,
        path: Transformation | None,
        theta: Tensor | None,
        border: Border,
        share: float,
        track: Track,
    ) -> EncodedImages:
        device, size = self.model.encoder.mean.device, self.model.size
        pooled: list[dict[str, Tensor]] = []
        tokens: list[dict[str, Tensor]] = []
        for start in track(range(0, len(images), BATCH), f"{path_name(path)}: features"):
            rows = slice(start, start + BATCH)
            pyramid = Pyramid.build(images[rows].to(device), size)
            state = None if path is None or theta is None else path.state(theta[rows].to(device))
            view = render(pyramid, base_state(aspect[rows].to(device), share), state, size=size, border=border)
            with reading(device):
                vectors, parts = self.model.represent(view)
            pooled.append({name: part.float() for name, part in vectors.items()})
            if self.keep_tokens:
                tokens.append({name: pool_tokens(part).bfloat16() for name, part in parts.items()})
        joined = _join(pooled)
        check_features(joined, self.model.name)
        return joined, _join(tokens)


def path_name(path: Transformation | None) -> str:
    """Return what is read, for a bar."""
    return "upright images" if path is None else type(path).__name__.lower()


def pool_tokens(tokens: Tensor) -> Tensor:
    """Average the patch tokens (B, N, C) of a square grid to at most ``GRID`` x ``GRID``: (B, T, C), T <= GRID^2."""
    side = math.isqrt(tokens.shape[1])
    if side * side != tokens.shape[1]:
        raise RefusedValue(f"{tokens.shape[1]} patch tokens are no square grid; leave out the attentive probe")
    if side <= GRID:
        return tokens
    grid = tokens.float().transpose(1, 2).unflatten(2, (side, side))
    return F.adaptive_avg_pool2d(grid, GRID).flatten(2).transpose(1, 2)


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
