"""The task of one decoder: reconstruct the targets, and measure the error [P2, section 3]."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, get_args

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from equicoherence.errors import unknown
from equicoherence.models.decoders import DECODERS, Decoder, Decoding
from equicoherence.paths.view_batch import Views

Orders = Literal["one", "both", "alternate"]


@dataclass(frozen=True)
class CoherenceOutput:
    """What the task says of a batch.

    loss: scalar, not yet weighted. decoded: (B, T, C, S, S) in [0, 1] (unclamped), of each target by the first decoder
    that has it; None without a decoder, and in training if states are decoded smaller or in alternate orders. parts:
    decoder -> its part of the loss, where there are several.
    """

    loss: Tensor
    decoded: Tensor | None
    parts: Mapping[str, Tensor] = field(default_factory=dict)


class CoherenceTask(nn.Module):
    """Reconstruct the targets of `Views` from the equivariant tokens of both views [P2, section 3].

    The loss is the squared error to the normalised targets, averaged over pixels and targets.

    d_equi: features of the tokens. targets: T. size: S, pixels. grid: (h, w) of the tokens. decoder: a name of
    `DECODERS`, or a decoder. parts, width, scales: see `CoherenceConfig`. any_time: the decoder is told where the
    targets lie. orders: of the two views; ``one``: view 1, view 2; ``both``: also reconstruct view 1 from the views in
    the other order, as [P1] does, where view 2 is the one target; ``alternate``: as both, but in training each sample
    in one of the two orders, which is half of the work: the first half of the samples reconstruct view 2, the others
    view 1. mean, std: of the C channels, for normalising. Without targets (K = 0) the loss is zero and the split is all
    that is left of the task. Raises ValueError for other orders.
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self,
        d_equi: int,
        targets: int,
        size: int,
        grid: tuple[int, int],
        *,
        decoder: str | Decoder = "conv",
        parts: tuple[str, ...] = ("affine", "color", "blur"),
        width: int = 256,
        scales: tuple[int, ...] = (2, 4),
        any_time: bool = False,
        orders: Orders = "one",
        mean: Sequence[float] = (0.485, 0.456, 0.406),
        std: Sequence[float] = (0.229, 0.224, 0.225),
    ) -> None:
        super().__init__()
        if orders not in get_args(Orders):
            raise ValueError(f"orders {orders!r} is unknown; choose one of {', '.join(get_args(Orders))}")
        self.d_equi, self.grid, self.orders = d_equi, grid, orders
        if targets == 0:
            self.decoder = None
        elif isinstance(decoder, Decoder):
            self.decoder = decoder
        else:
            wanted = Decoding(d_equi, targets, size, grid, parts, width, scales, any_time, len(mean))
            self.decoder = build_decoder(decoder, wanted)
        self.register_buffer("mean", torch.tensor(mean).view(-1, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(std).view(-1, 1, 1), persistent=False)

    def forward(self, z1: Tensor, z2: Tensor, views: Views) -> CoherenceOutput:
        """Decode from z1, z2 (B, N, d_equi) and compare with ``views.targets``.

        Where these are of fewer samples than the views (see `PathViews`, share), they are of the first ones.
        """
        if self.decoder is None:
            return CoherenceOutput(z1.sum() * 0, None)
        self._check_tokens(z1, z2)
        views = views.first(len(z1))
        if self.orders != "one" and views.positions != (1.0,):
            raise ValueError(
                f"orders {self.orders!r} reconstructs view 2 and view 1, but the targets are at positions "
                f"{views.positions}: make the views with positions=(1.0,), or leave orders out"
            )
        alternate = self.orders == "alternate" and self.training
        if alternate:
            z1, z2, views = half_reversed(z1, z2, views)
        seen = self._normalise(views.v1), self._normalise(views.v2)
        decoded = self.decoder(z1, z2, self.grid, seen, views.times).float()
        pixel = self.decoder.pixel
        targets = averaged(views.targets, pixel)
        if decoded.shape != targets.shape:
            raise ValueError(
                f"decoded {tuple(decoded.shape)} does not match targets {tuple(targets.shape)}: "
                "the views must be made with the size and the number of positions that the task was built for, and if "
                "they are of a share of the batch, the tokens must be of its first samples alone"
            )
        scales = [side // pixel for side in self.decoder.scales]
        loss = squared_error(decoded, self._normalise(targets), scales)
        if self.orders != "one" and not alternate:
            other = self.decoder(z2, z1, self.grid, seen[::-1], views.times).float()
            loss = (loss + F.mse_loss(other, seen[0][:, None].expand_as(other))) / 2
        return CoherenceOutput(loss, None if pixel > 1 or alternate else decoded.detach() * self.std + self.mean)

    def _check_tokens(self, z1: Tensor, z2: Tensor) -> None:
        """Raise ValueError for tokens of another number or width than the task was built for."""
        expected = (self.grid[0] * self.grid[1], self.d_equi)
        if z1.shape != z2.shape or tuple(z1.shape[1:]) != expected:
            raise ValueError(
                f"z1 and z2 must be (B, {expected[0]}, {expected[1]}), d_equi features of each of the {self.grid[0]} x "
                f"{self.grid[1]} patch tokens of the views; got {tuple(z1.shape)} and {tuple(z2.shape)}: leave out "
                "class and register tokens"
            )

    def _normalise(self, images: Tensor) -> Tensor:
        return (images - self.mean) / self.std


def half_reversed(z1: Tensor, z2: Tensor, views: Views) -> tuple[Tensor, Tensor, Views]:
    """Return tokens and views of which the second half of the samples have their two views in the other order.

    The target, view 2, is then view 1 of the images.
    """
    half = (len(z1) + 1) // 2

    def joined(first: Tensor, second: Tensor) -> Tensor:
        return torch.cat([first[:half], second[half:]])

    v1, v2 = joined(views.v1, views.v2), joined(views.v2, views.v1)
    targets = joined(views.targets, views.v1[:, None])
    reversed_views = Views(v1, v2, targets, views.positions, views.theta, times=views.times)
    return joined(z1, z2), joined(z2, z1), reversed_views


def squared_error(decoded: Tensor, targets: Tensor, scales: Sequence[int] = (1,)) -> Tensor:
    """Return the mean squared error of pictures (B, T, C, S, S).

    scales: the mean is taken over these, each the side, in pixels, of the squares over which the error is averaged
    before it is squared.
    """
    if tuple(scales) == (1,):
        return F.mse_loss(decoded, targets)
    error = decoded - targets
    return torch.stack([averaged(error, side).square().mean() for side in scales]).mean()


def averaged(pictures: Tensor, side: int) -> Tensor:
    """Average pictures (B, T, C, S, S) over squares of ``side`` pixels."""
    if side == 1:
        return pictures
    return F.avg_pool2d(pictures.flatten(0, 1), side).unflatten(0, pictures.shape[:2])


def build_decoder(name: str, wanted: Decoding) -> Decoder:
    """Return the decoder of a name."""
    if name not in DECODERS:
        raise unknown("decoder", name, DECODERS)
    return DECODERS[name].build(wanted)
