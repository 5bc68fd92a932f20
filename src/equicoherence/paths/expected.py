"""The expected image of a state, computed without the renderer, and the distance of the renderer from it."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from equicoherence.paths.blur import gaussian_blur
from equicoherence.paths.geometry import HORIZON
from equicoherence.paths.pyramid import Pyramid
from equicoherence.paths.renderer import render
from equicoherence.paths.state import State

SIZE = 48  # pixels of the source and of the output


def pixel_deviation(state: State) -> float:
    """Return the largest difference between the pixels of ``state`` and what its numbers say they should be.

    Both renderers are held to it, the compiled one on bytes and torch's on floats, with the state as the path of a
    base image and as the base itself. Raises TypeError where the state has fields of its own, which no renderer reads.
    """
    if type(state) is not State:
        raise TypeError(f"{type(state).__name__} is not what the renderer reads; return a State")
    batch, still = len(state.sigma), State.identity(len(state.sigma))
    mean = torch.full((batch, 3), 0.5)
    source = _picture(_centres()).permute(2, 0, 1).float().expand(batch, -1, -1, -1)
    expected, settled = expected_pixels(state, mean)
    found = 0.0
    for images in ((source * 255).round().byte(), source.contiguous()):
        pyramid = Pyramid.build(images, SIZE)
        for base, path in ((still, state), (state, None)):
            made = render(pyramid, base, path, size=SIZE, mean=mean)
            found = max(found, float(((made - expected) * settled).abs().max()))
    return found


def _picture(points: Tensor) -> Tensor:
    """Return the colors (..., 3) of a smooth picture at (..., 2): it goes on for ever, mirrored at the edges -1 and 1.

    Red falls to the right, green downwards, and blue tells halves of the picture from each other; the mean is grey.
    """
    x, y = torch.cos(math.pi / 2 * (points + 1)).unbind(-1)
    return 0.5 + 0.4 * torch.stack([x, y, (2 * x**2 - 1) * y], dim=-1)


def _centres() -> Tensor:
    along = (torch.arange(SIZE, dtype=torch.float64) * 2 + 1) / SIZE - 1
    return torch.stack([along.expand(SIZE, SIZE), along[:, None].expand(SIZE, SIZE)], dim=-1)


def expected_pixels(state: State, mean: Tensor) -> tuple[Tensor, Tensor]:
    """Return pixels (B, 3, S, S), and where they are settled: not so near a solarize threshold that a digit decides."""
    homogeneous = torch.cat([_centres(), torch.ones(SIZE, SIZE, 1)], dim=-1).flatten(0, 1)
    places = homogeneous @ state.geometry.double().mT  # (B, S * S, 3)
    depth = places[..., 2:]
    seen = depth > HORIZON * state.geometry[:, 2].abs().sum(dim=-1)[:, None, None]
    colors = _picture(places[..., :2] / torch.where(seen, depth, 1)).mT
    act = state.color.double()
    colors = act[..., :3] @ colors + act[..., 3:] @ mean.double()[..., None]
    pixels = (colors.clamp(0, 1) * seen.mT).unflatten(-1, (SIZE, SIZE)).float()
    if float(state.sigma.max()) > 0:
        pixels = gaussian_blur(pixels, state.sigma, max(state.sigma_bound, float(state.sigma.max())))
    if state.threshold is None:
        return pixels, torch.ones(())
    threshold = state.threshold[:, None, None, None]
    settled = ((pixels - threshold).abs() > 0.02).float()
    return torch.where(pixels >= threshold, 1 - pixels, pixels), settled
