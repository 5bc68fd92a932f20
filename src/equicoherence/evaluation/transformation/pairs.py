"""Pairs of an image and its transformed copy, as input of a frozen encoder, without traces of the pixel grid.

Both images of a pair hold the same round band of frequencies (`equicoherence.paths.round_band`).
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from functools import cached_property

import torch
import torch.nn.functional as F
from torch import Tensor

from equicoherence.data import Loader, first_of_each
from equicoherence.errors import RefusedValue
from equicoherence.evaluation.frozen_model import FrozenModel
from equicoherence.evaluation.reader import BATCH, reader, represent
from equicoherence.evaluation.task import Track
from equicoherence.finite import check_features
from equicoherence.paths import Transformation
from equicoherence.paths.pair_images import Photographs, draw_pair_image, least_pitch
from equicoherence.paths.renderer import Border

DRAWS = 2  # transformations of each training image: more pairs from the same images keep a probe from overfitting
GRID = 7  # tokens are kept as a grid of at most 7 x 7, which bounds what the pairs of a ViT take
EncodedImages = tuple[dict[str, Tensor], dict[str, Tensor]]  # pooled (N, C) and tokens (N, T, C), by representation


class ImagePairs:
    """Images of probe training and test, their encodings, and those of their transformed copies.

    train, test: loaders of disjoint images, and how many to read. keep_tokens: also give tokens, pooled to at most
    ``GRID`` x ``GRID``, in bfloat16: 98 bytes an image and channel, for 1 + ``DRAWS`` times the training and twice the
    test images.
    """

    kind = ""  # of the images, for a bar

    def __init__(
        self, model: FrozenModel, train: tuple[Loader, int], test: tuple[Loader, int], keep_tokens: bool
    ) -> None:
        self.model, self.keep_tokens = model, keep_tokens
        self._sources = (train, test)
        self._bases: dict[tuple[float, float], tuple[EncodedImages, EncodedImages]] = {}

    @cached_property
    def images(self) -> tuple[Photographs, Photographs]:
        """Images of probe training and of test; read when first asked for."""
        train, test = (_read(loader, count) for loader, count in self._sources)
        return train, test

    def seen_by(self, model: FrozenModel, own: Callable[[dict[str, Tensor]], dict[str, Tensor]]) -> ImagePairs:
        """Return the same images for another model, with their upright encodings.

        own: what this model gives of images, pooled -> all that the other one does, by its names.
        """
        other = copy.copy(self)  # with the images, where they have been read
        other.model, other._bases = model, {}
        for key, encoded in self._bases.items():
            train, test = ((own(pooled), {}) for pooled, _ in encoded)
            other._bases[key] = train, test
        return other

    def counts(self) -> dict[str, int]:
        """Return how many images of each split were read and scored."""
        return {split: len(images) for split, images in zip(("train", "val"), self.images)}

    def draw(self, path: Transformation, seed: int) -> tuple[Tensor, Tensor]:
        """Draw parameters for training (DRAWS * N, P), one draw of all images after the other, and test (M, P)."""
        generator = torch.Generator().manual_seed(seed)
        train, test = map(len, self.images)
        first, of_test = path.sample(train, generator), path.sample(test, generator)
        return torch.cat([first, *(path.sample(train, generator) for _ in range(DRAWS - 1))]), of_test

    def base(self, path: Transformation, share: float, track: Track) -> tuple[EncodedImages, EncodedImages]:
        """Encode the images' central crops, with the band that ``path`` leaves them; they are kept, so that a second
        call for such a path costs nothing."""
        key = (share, least_pitch(path))
        if key not in self._bases:
            if self.keep_tokens:
                self._bases.clear()  # tokens of two shares would take twice the room
            train, test = (self._encode(images, path, None, "content", share, track) for images in self.images)
            self._bases[key] = (train, test)
        return self._bases[key]

    def moved(
        self, path: Transformation, thetas: tuple[Tensor, Tensor], border: Border, share: float, track: Track
    ) -> tuple[EncodedImages, EncodedImages]:
        """Encode the crops transformed by the parameters of `draw`, in its order."""
        images, test = self.images
        draws = [self._encode(images, path, theta, border, share, track) for theta in thetas[0].split(len(images))]
        train: EncodedImages = (_join([pooled for pooled, _ in draws]), _join([tokens for _, tokens in draws]))
        return train, self._encode(test, path, thetas[1], border, share, track)

    def seen(
        self, split: int, path: Transformation, theta: Tensor, border: Border, share: float, track: Track
    ) -> dict[str, Tensor]:
        """Encode, pooled, the crops of probe training (split 0) or test (1) transformed by ``theta`` (N, P)."""
        return self._encode(self.images[split], path, theta, border, share, track)[0]

    @torch.no_grad()
    def _encode(
        self,
        images: Photographs,
        path: Transformation,
        theta: Tensor | None,
        border: Border,
        share: float,
        track: Track,
    ) -> EncodedImages:
        device, size = self.model.encoder.mean.device, self.model.size
        what = self.kind + ("upright images" if theta is None else type(path).__name__.lower())
        pooled: list[dict[str, Tensor]] = []
        tokens: list[dict[str, Tensor]] = []
        for start in track(range(0, len(images), BATCH), f"{what}: features"):
            rows = slice(start, start + BATCH)
            view = draw_pair_image(
                images[rows], path, None if theta is None else theta[rows], share, size, border, device
            )
            vectors, parts = represent(reader(self.model), view)
            pooled.append(vectors)
            if self.keep_tokens:
                tokens.append({name: pool_tokens(part).bfloat16() for name, part in parts.items()})
        joined = _join(pooled)
        check_features(joined, self.model.name)
        return joined, _join(tokens)


def image_pairs(
    model: FrozenModel, train: tuple[Loader, int], test: tuple[Loader, int], keep_tokens: bool
) -> ImagePairs:
    """Return the pairs of a model, as `ImagePairs` takes them, the same ones for the next call: none is read twice."""
    return model.remember(
        ("image pairs", *train, *test, keep_tokens), lambda: ImagePairs(model, train, test, keep_tokens)
    )


def pool_tokens(tokens: Tensor) -> Tensor:
    """Average the patch tokens (B, N, C) of a square grid to at most ``GRID`` x ``GRID``: (B, T, C), T <= GRID^2."""
    side = math.isqrt(tokens.shape[1])
    if side * side != tokens.shape[1]:
        raise RefusedValue(f"{tokens.shape[1]} patch tokens are no square grid; leave out the attentive probe")
    if side <= GRID:
        return tokens
    grid = tokens.float().transpose(1, 2).unflatten(2, (side, side))
    return F.adaptive_avg_pool2d(grid, GRID).flatten(2).transpose(1, 2)


def _read(loader: Loader, count: int) -> Photographs:
    """Read ``count`` images spread evenly over the source; good ones stand in for bad ones, none comes twice."""
    n = len(loader.source)
    chosen = torch.linspace(0, n - 1, min(count, n)).round().long().numpy()
    parts = list(loader.batches([chosen[i : i + BATCH] for i in range(0, len(chosen), BATCH)]))
    images = Photographs(*(torch.cat([getattr(b, name) for b in parts]) for name in ("images", "aspect", "side")))
    kept = first_of_each(torch.cat([b.index for b in parts]))
    return images if len(kept) == len(images) else images[kept]


def _join(parts: list[dict[str, Tensor]]) -> dict[str, Tensor]:
    return {name: torch.cat([part[name] for part in parts]) for name in parts[0]} if parts else {}
