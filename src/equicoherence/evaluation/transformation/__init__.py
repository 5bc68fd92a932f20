"""What frozen features tell of a transformation."""

NOISE = "noise_r2"
"""The metric of the noise row: R2 on pairs of unrelated images of isotropic noise, 0 where renders hold no trace."""
