"""Transformations by name, and the augmentation of the base methods."""

from equicoherence.errors import unknown
from equicoherence.paths.registry import PATHS
from equicoherence.paths.transformation import Transformation
from equicoherence.paths.transformations.affine import Rotation
from equicoherence.paths.transformations.appearance import Blur, ColorJitter, Grayscale, Solarize
from equicoherence.paths.transformations.crop import ResizedCrop
from equicoherence.paths.transformations.sums import Compose


def named_path(name: str) -> Transformation:
    """Return a further transformation g with its default ranges: a name in ``PATHS``, or several with ``+``."""
    parts = name.split("+")
    for part in parts:
        if part not in PATHS:
            raise ValueError(f"{unknown('path', part, PATHS)}, or a sum such as se2+blur")
    return PATHS[name]() if len(parts) == 1 else Compose(*(PATHS[part]() for part in parts))


def augmentation(
    area: tuple[float, float] = (0.2, 1.0),
    jitter: tuple[float, float, float, float] = (0.4, 0.4, 0.2, 0.1),
    jitter_probability: float = 0.8,
    grayscale: float = 0.2,
    blur: float = 0.5,
    sigma: tuple[float, float] = (0.1, 2.0),
    solarize: float = 0.0,
    flip: float = 0.5,
    rotation: float = 0.0,
) -> Compose:
    """Return the augmentation of a joint-embedding method: resized crop, flip, color jitter, grayscale, blur, solarize.

    Defaults are the strengths of BYOL and VICReg. Numbers named as a transformation are probabilities; one with 0 is
    left out. The crop is rotated by up to ``rotation`` degrees in either direction.
    """
    parts: list[Transformation] = [ResizedCrop(area, flip=flip)]
    if rotation > 0:
        parts.append(Rotation((-rotation, rotation)))
    if jitter_probability > 0:
        parts.append(ColorJitter(*jitter, probability=jitter_probability))
    if grayscale > 0:
        parts.append(Grayscale(grayscale))
    if blur > 0:
        parts.append(Blur(sigma, probability=blur))
    if solarize > 0:
        parts.append(Solarize(probability=solarize))
    return Compose(*parts)
