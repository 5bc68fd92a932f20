"""What frozen features tell of a transformation."""

ABSOLUTE, SIDE = "absolute", "side"
"""What stands behind a transformation and a comma where the size or the side of an odd parameter is read."""
NOISE = "noise_r2"
"""The metric of the noise row: R2 on pairs of unrelated images of isotropic noise, 0 where renders hold no trace."""
