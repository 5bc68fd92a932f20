"""How well frozen features predict a transformation."""

ABSOLUTE, SIDE = "absolute", "side"
"""Suffixes of targets: "rotation, absolute" is the absolute value of an odd parameter, "rotation, side" its sign."""
NOISE = "noise_r2"
"""The metric of the noise row: R2 on pairs of unrelated images of isotropic noise, 0 where renders hold no trace."""


def transformation_of(target: str) -> str:
    """Return the transformation of a target: "rotation" of "rotation, absolute"."""
    return target.partition(", ")[0]
