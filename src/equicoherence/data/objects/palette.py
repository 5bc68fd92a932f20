"""Random colours of paint, timber, metal and leaves, RGB in [0, 1].

All kinds overlap in hue and brightness and every category mixes several, so that colour alone says little about the
category.
"""

from __future__ import annotations

import colorsys

import numpy as np

Colour = tuple[float, float, float]
DARK: Colour = (0.13, 0.13, 0.15)
"""Eyes, tyres and other holes in the light."""


def from_hsv(hue: float, saturation: float, value: float) -> Colour:
    """Convert hue (any real, period 1), saturation and value in [0, 1] to RGB."""
    return colorsys.hsv_to_rgb(hue % 1.0, saturation, value)


def paint(rng: np.random.Generator) -> Colour:
    """Draw a clear colour of any hue."""
    return from_hsv(rng.uniform(), rng.uniform(0.4, 0.9), rng.uniform(0.45, 0.95))


def pale(rng: np.random.Generator) -> Colour:
    """Draw a light colour with a tint of any hue."""
    return from_hsv(rng.uniform(), rng.uniform(0.02, 0.3), rng.uniform(0.8, 0.98))


def metal(rng: np.random.Generator) -> Colour:
    """Draw a grey from gunmetal to silver."""
    return from_hsv(rng.uniform(), rng.uniform(0.0, 0.12), rng.uniform(0.25, 0.85))


def timber(rng: np.random.Generator) -> Colour:
    """Draw a brown from walnut to birch."""
    return from_hsv(rng.uniform(0.04, 0.12), rng.uniform(0.3, 0.75), rng.uniform(0.3, 0.85))


def leaf(rng: np.random.Generator) -> Colour:
    """Draw what foliage has: greens, autumn, and blossom of any hue."""
    if rng.uniform() < 0.3:
        return paint(rng)
    return from_hsv(rng.uniform(0.05, 0.45), rng.uniform(0.4, 0.85), rng.uniform(0.35, 0.85))


def any_colour(rng: np.random.Generator) -> Colour:
    """Draw from all kinds but leaves, mostly paint."""
    kinds = (paint, pale, metal, timber)
    return kinds[rng.choice(len(kinds), p=[0.55, 0.15, 0.12, 0.18])](rng)
