"""Logarithms and exponentials of affine maps: the group ``exp(t L)`` of one parameter through the identity and a map.

Maps are homogeneous matrices (..., n + 1, n + 1) with the last row (0, ..., 0, 1): n = 2 moves points of the plane,
n = 3 changes colors. All is batched, and nothing waits for the device.
"""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from equicoherence.paths.constants import constant

SQUARINGS = 3  # with terms up to the eighth power: exact to a float32's digits for matrices of a norm up to 6
NODES, WEIGHTS = (tuple(numbers.tolist()) for numbers in np.polynomial.legendre.leggauss(12))  # on [-1, 1]
HALF_TURN = 1e-3  # radians: a turn that is nearer than this to half a turn goes either way round
SINGULAR = 1e-3  # determinant up to which a matrix, whose largest number is 1, counts as singular
CORRECTIONS = 2  # of a logarithm of colors: an error of .3 becomes one of .01, and then one of a float32's digits
EXACT = 1e-5  # largest error of an exponential of a logarithm, where the largest number of the matrix is 1


def exponential(matrix: Tensor) -> Tensor:
    """Return the exponentials of (..., n, n) matrices: Taylor's series of an eighth of each, squared three times.

    Gradients pass through. Of a matrix whose last row is 0, that of the exponential is exactly (0, ..., 0, 1).
    """
    eye = torch.eye(matrix.shape[-1], device=matrix.device, dtype=matrix.dtype)
    one = matrix / 2**SQUARINGS
    two = one @ one
    three = two @ one
    four = two @ two
    low = eye + one + two / 2 + three / 6
    found = low + four @ (eye / 24 + one / 120 + two / 720 + three / 5040 + four / 40320)
    for _ in range(SQUARINGS):
        found = found @ found
    return found


def affine_logarithm(maps: Tensor) -> tuple[Tensor, Tensor]:
    """Return the principal logarithms L of maps (..., n + 1, n + 1), n 2 or 3, and which of them (...) have one.

    ``exponential(L)`` is the map. A mirror, half a turn and a map onto fewer dimensions have no real logarithm, or no
    single one: their L is 0. Which have one is decided by the result, whose exponential must be the map again. The last
    row of each L is 0.
    """
    linear, shift = maps[..., :-1, :-1], maps[..., :-1, -1:]
    n = linear.shape[-1]
    log, real = plane_logarithm(linear) if n == 2 else color_logarithm(linear)
    # exp(L) shifts by M m, for m the shift of L, and M the integral of exp(s log) over s from 0 to 1, which stands in
    # the exponential of the blocks (log, I; 0, 0) beside that of log
    beside = torch.cat([log, torch.eye(n, device=maps.device, dtype=maps.dtype).expand_as(log)], dim=-1)
    both = exponential(F.pad(beside, (0, 0, 0, n)))[..., :n, :]
    found = torch.cat([log, torch.linalg.inv_ex(both[..., n:]).inverse @ shift], dim=-1)
    error = (both[..., :n] - linear).abs().amax(dim=(-2, -1))
    real = real & (error < EXACT * linear.abs().amax(dim=(-2, -1)))
    return F.pad(torch.where(real[..., None, None], found, 0), (0, 0, 0, 1)), real


def plane_logarithm(matrix: Tensor) -> tuple[Tensor, Tensor]:
    """Return the principal logarithms of (..., 2, 2) matrices, 0 where there is none, and which (...) have one.

    In closed form: with ``A = h I + N``, h half the trace, ``N N = d I`` (Cayley and Hamilton), so ``log A`` is a
    multiple of N, and half the logarithm of the determinant times I.
    """
    (a, b), (c, d) = (row.unbind(-1) for row in matrix.unbind(-2))
    half, determinant = (a + d) / 2, a * d - b * c
    square = ((a - d) / 2) ** 2 + b * c  # of N: below 0 for a turn, above 0 for a stretch
    root = square.abs().sqrt().clamp_min(1e-12)
    turn, stretch = torch.atan2(root, half), torch.atanh((root / half).clamp(-1, 1))
    real = (determinant > 0) & torch.where(square < 0, torch.pi - turn > HALF_TURN, half > 0)
    multiple = torch.where(square < 0, turn, stretch) / root
    eye = torch.eye(2, device=matrix.device, dtype=matrix.dtype)
    rest = matrix - half[..., None, None] * eye
    log = multiple[..., None, None] * rest + determinant.log()[..., None, None] / 2 * eye
    return torch.where(real[..., None, None], log, 0), real


def color_logarithm(matrix: Tensor) -> tuple[Tensor, Tensor]:
    """Return the principal logarithms of (..., 3, 3) matrices, and which (...) can have one: those of determinant > 0.

    ``log A`` is the integral of ``(A - I) / (I + s (A - I))`` over s from 0 to 1, here by Gauss's rule of 12 nodes,
    after each matrix was scaled to the determinant 1. The rule is exact near the identity alone, so its error follows,
    as the logarithm of ``exp(-L) A`` to second order. It is 0 for singular ones, and wrong for those that have none.
    """
    eye = torch.eye(3, device=matrix.device, dtype=matrix.dtype)
    _, determinant = _inverse(matrix)
    real = determinant > SINGULAR * matrix.abs().amax(dim=(-2, -1)) ** 3
    scale = torch.where(real, determinant, 1).pow(1 / 3)[..., None, None]
    near = torch.where(real[..., None, None], matrix / scale - eye, 0)
    nodes, weights = (constant(values, matrix.device, matrix.dtype)[:, None, None] for values in (NODES, WEIGHTS))
    inverses, _ = _inverse(eye + (nodes + 1) / 2 * near[..., None, :, :])
    log = near @ (weights / 2 * inverses).sum(dim=-3)
    for _ in range(CORRECTIONS):
        rest = exponential(-log) @ (eye + near) - eye
        log = log + rest - rest @ rest / 2
    return log + scale.log() * eye, real


def _inverse(matrix: Tensor) -> tuple[Tensor, Tensor]:
    """Return inverse and determinant of (..., 3, 3): much faster for many small matrices than elimination."""
    first, second, third = matrix.unbind(-2)
    crosses = [torch.linalg.cross(a, b) for a, b in ((second, third), (third, first), (first, second))]
    determinant = (first * crosses[0]).sum(dim=-1)
    return torch.stack(crosses, dim=-1) / determinant[..., None, None], determinant
