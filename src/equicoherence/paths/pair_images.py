"""Images and their transformed copies, drawn without traces of the pixel grid.

Both images of a pair hold the same round band of frequencies (`round_band`).
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import torch
from torch import Tensor

from equicoherence.errors import RefusedValue
from equicoherence.paths.central import base_state
from equicoherence.paths.presets import named_path
from equicoherence.paths.renderer import Border
from equicoherence.paths.round_band import band_of, pitch, render_round
from equicoherence.paths.state import State
from equicoherence.paths.transformation import Transformation

BASE = 0.66  # base crop's share of the shorter side: turned by 45 degrees, it still lies inside the image
SMALLER = {"se2": 0.64, "all": 0.45}  # turned and shifted; turned, shifted and shrunk to 0.7
STEP = 0.01  # in which a share is looked for of other paths


@dataclass(frozen=True)
class Photographs:
    """Images of one split.

    images: (N, C, H, W), uint8 or uint16. aspect: (N,), true width / height. side: (N,), pixels of the originals'
    shorter sides.
    """

    images: Tensor
    aspect: Tensor
    side: Tensor

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, rows: slice | Tensor) -> Photographs:
        return Photographs(self.images[rows], self.aspect[rows], self.side[rows])

    def own(self) -> Tensor:
        """Return how many pixels of the originals (N, 2), along x and y, each pixel of the images stands for."""
        height, width = self.images.shape[2:]
        sides = torch.stack([self.aspect.clamp_min(1), (1 / self.aspect).clamp_min(1)], dim=1)
        return self.side[:, None] * sides / self.side.new_tensor((width, height))


def draw_pair_image(
    images: Photographs,
    path: Transformation,
    theta: Tensor | None,
    share: float,
    size: int,
    border: Border = "content",
    device: torch.device | str = "cpu",
) -> Tensor:
    """Render central crops of ``share`` of the shorter side, (B, C, size, size): transformed by ``theta`` (B, P), or
    upright where it is None.

    What is the finest in them is the same for all parameters of the path.
    """
    base = base_state(images.aspect.to(device), share)
    pitches = pitch(base.geometry, images.images.shape[2:], size)
    band = band_of(pitches * least_pitch(path), images.own().to(device))
    state = None if theta is None else path.state(theta.to(device))
    return render_round(images.images.to(device), base, state, band, size=size, border=border)


def least_pitch(path: Transformation) -> float:
    """Return the least of a base image's own pixels that a pixel of its transformed copy covers, along either axis."""
    states = at_ends(path)
    return min(1.0, round(float(pitch(states.geometry, (1, 1), 1).amin()), 4))


def at_ends(path: Transformation) -> State:
    """Return the states of a path at all ends of its parameters, and with one or several of them at 0."""
    ends = [sorted({p.low, min(max(0.0, p.low), p.high), p.high}) for p in path.parameters]
    return path.state(torch.tensor(list(itertools.product(*ends))))


def base_share(name: str) -> float:
    """Return the share of the shorter side that base images of a path are cropped to: at its ends, and with one or
    several parameters at 0, nothing beyond the photograph shows."""
    if name in SMALLER:
        return SMALLER[name]
    path, share = named_path(name), BASE
    state = at_ends(path)
    corners = torch.tensor([[-1.0, -1, 1], [-1, 1, 1], [1, -1, 1], [1, 1, 1]]).T
    while share > STEP:
        base = base_state(torch.ones(len(state.geometry)), share)
        points = base.then(state).geometry @ corners
        if bool((points[:, 2:] > 0).all()) and float((points[:, :2] / points[:, 2:]).abs().max()) <= 1:
            return share
        share -= STEP
    raise RefusedValue(f"path {name!r} shows what lies beyond the image however small the crop; choose smaller ranges")
