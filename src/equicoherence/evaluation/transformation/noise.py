"""Images without content: isotropic 1/f noise, as a camera's pixels would see it."""

from __future__ import annotations

from functools import cached_property, lru_cache

import torch
import torch.nn.functional as F
from torch import Tensor

from equicoherence.data.pixel_format import PICTURE, PixelFormat
from equicoherence.evaluation.frozen_model import FrozenModel
from equicoherence.evaluation.task import Track
from equicoherence.evaluation.transformation.pairs import EncodedImages, ImagePairs
from equicoherence.paths import State, Transformation, geometry
from equicoherence.paths.pair_images import Photographs, at_ends

TRAIN, TEST = 1000, 500  # images of noise, at most, for the probes: enough to see an R2 of .02
PARTS = 2  # samples of the scene for each pixel, along each side: a pixel sees their mean
FIELD = 2  # the scene is as many images wide as that: where it comes round again, no image of it reaches
CONTRAST = 0.2  # standard deviation of gray; of pictures it is about that
COLORFUL = 0.3  # standard deviation of each channel's own part, in that of gray


@lru_cache(maxsize=4)
def noise_images(count: int, side: int, seed: int = 0, format: PixelFormat = PICTURE) -> Tensor:
    """Return images (count, C, side, side), of isotropic noise, the same ones for the same arguments.

    Its amplitude falls with 1/f, as that of photographs does, down to half a pixel's width, and without a direction:
    the spectrum ends in a disc. Each pixel is the mean of the scene over its square, so the grid leaves in the images
    what a camera's leaves in photographs.
    """
    generator = torch.Generator().manual_seed(seed)
    whole = side * PARTS * FIELD
    frequency = torch.hypot(torch.fft.fftfreq(whole)[:, None], torch.fft.rfftfreq(whole))
    amplitude = 1 / frequency.clamp_min(0.5 / (whole / FIELD))
    amplitude = torch.where((frequency < 0.5) & (frequency > 0), amplitude, 0.0)
    deviation = (amplitude.square().sum() * 2).sqrt()
    white, kind = format.white, torch.uint8 if format.bits == 8 else torch.uint16
    images = torch.empty(count, format.channels, side, side, dtype=kind)
    for start in range(0, count, FIELD**2):
        scene = torch.randn(1 + format.channels, whole, whole, generator=generator)
        scene = torch.fft.irfft2(torch.fft.rfft2(scene, norm="ortho") * amplitude, norm="ortho")
        scene = F.avg_pool2d(scene[None], PARTS)[0] * (whole / deviation)
        gray = 0.5 + CONTRAST * (scene[:1] + COLORFUL * scene[1:]) / (1 + COLORFUL**2) ** 0.5
        made = gray.clamp(0, 1).mul(white).round().to(kind)
        parts = made.unflatten(1, (FIELD, side)).unflatten(3, (FIELD, side)).permute(1, 3, 0, 2, 4).flatten(0, 1)
        images[start : start + FIELD**2] = parts[: count - start]
    return images


class NoisePairs(ImagePairs):
    """Pairs of **unrelated** images of noise, the second transformed.

    A pair of an image of noise and its rotated copy would not do: a good encoder sees its blobs rotate. In unrelated
    images, only traces of the rendering depend on the parameters.

    side: pixels of the noise, which is enlarged to the model's source as photographs of that size are. format: its
    channels and bits.
    """

    kind = "noise, "

    def __init__(
        self,
        model: FrozenModel,
        side: int,
        counts: tuple[int, int],
        keep_tokens: bool,
        format: PixelFormat = PICTURE,
    ) -> None:
        self.model, self.keep_tokens = model, keep_tokens
        self._side, self._format, self._counts = side, format, counts
        self._bases = {}

    @cached_property
    def images(self) -> tuple[Photographs, Photographs]:
        train, test = (
            as_photographs(noise_images(count, self._side, seed, self._format), self.model.source)
            for seed, count in enumerate(self._counts)
        )
        return train, test

    def base(self, path: Transformation, share: float, track: Track) -> tuple[EncodedImages, EncodedImages]:
        """Encode the central crops, each in the place of the one before it."""
        train, test = (tuple(map(_rolled, encoded)) for encoded in super().base(path, share, track))
        return train, test  # type: ignore[return-value]


def noise_pairs(pairs: ImagePairs) -> NoisePairs:
    """Return noise that is as large as the given images were, for the same model, the same one for each call."""
    model = pairs.model
    given = pairs.images[0].images
    side, format = (
        min(model.source, int(pairs.images[0].side.median())),
        PixelFormat(given.shape[1], 8 * given.itemsize),
    )
    train, test = (min(limit, len(of_split)) for limit, of_split in zip((TRAIN, TEST), pairs.images))
    return model.remember(
        ("noise pairs", side, format, train, test, pairs.keep_tokens),
        lambda: NoisePairs(model, side, (train, test), pairs.keep_tokens, format),
    )


def leaves_noise(path: Transformation) -> bool:
    """Return whether a transformation keeps isotropic noise isotropic: it only rotates, shifts and scales."""
    states = at_ends(path)
    same = State.identity(len(states.sigma))
    shape = states.geometry[:, :2, :2]
    turned = torch.stack([shape[:, 1, 1], -shape[:, 1, 0], -shape[:, 0, 1], shape[:, 0, 0]], dim=1).view(-1, 2, 2)
    alike = torch.allclose(shape, turned, atol=1e-5) and bool(geometry.is_affine(states.geometry).all())
    moves = not torch.allclose(states.geometry, same.geometry)
    plain = torch.equal(states.color, same.color) and not states.sigma.any() and states.threshold is None
    return moves and alike and plain


def as_photographs(images: Tensor, source: int) -> Photographs:
    """Return square images (N, C, H, H) as a `Loader` would give them at ``source`` pixels."""
    side = images.shape[2]
    if side != source:
        deep = images.dtype == torch.uint16  # which torch does not enlarge as it is
        made = F.interpolate(images.float() if deep else images, (source, source), mode="bicubic", antialias=True)
        images = made.round().clamp(0, torch.iinfo(torch.uint16).max).to(torch.uint16) if deep else made
    count = len(images)
    return Photographs(images, torch.ones(count), torch.full((count,), float(side)))


def _rolled(encoded: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name: part.roll(1, 0) for name, part in encoded.items()}
