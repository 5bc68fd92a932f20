"""How well frozen features predict a transformation."""

ABSOLUTE, SIDE = "absolute", "side"
"""Suffixes of targets: "rotation, absolute" is the absolute value of an odd parameter, "rotation, side" its sign."""
NOISE = "noise_r2"
"""The metric of the noise row: R2 on pairs of unrelated images of isotropic noise, 0 where renders hold no trace."""
