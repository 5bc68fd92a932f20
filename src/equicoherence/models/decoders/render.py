"""Our decoder: view 2 rendered again, with predicted numbers instead of predicted pixels."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from equicoherence.models.decoders.decoder import Decoder, Decoding, named
from equicoherence.models.decoders.position import PositionEmbedding
from equicoherence.paths.renderer import COLORS


class RenderDecoder(Decoder):
    """Decode each state by rendering view 2 again, with numbers predicted from the pooled tokens of both views.

    A small MLP predicts, for each state, an affine matrix, a color matrix and a sharpening amount, all starting at the
    identity; with ``flow`` a linear map of the tokens adds a dense displacement. It cannot draw pixels of its own, so
    the only way to lower the loss is to predict the transformation. Colors are those of the first three channels.
    ``parts`` is a choice of affine, color, blur and flow. With ``any_time`` one MLP predicts the numbers of all states,
    and receives the position of each on the path; the displacement then grows linearly from view 2.
    """

    PARTS = ("affine", "color", "blur", "flow")

    def __init__(
        self,
        d_equi: int,
        targets: int,
        *,
        parts: tuple[str, ...] = ("affine", "color", "blur"),
        width: int = 256,
        any_time: bool = False,
    ) -> None:
        super().__init__()
        self.place = PositionEmbedding(width) if any_time else None
        unknown = set(parts) - set(self.PARTS)
        if unknown or not parts:
            raise ValueError(f"render parts {tuple(parts)} must be a choice of {', '.join(self.PARTS)}")
        self.parts, targets = parts, 1 if any_time else targets
        self.mlp = nn.Sequential(nn.Linear(2 * d_equi, width), nn.ReLU(), nn.Linear(width, targets * 19))
        self.flow = nn.Linear(2 * d_equi, targets * 2) if "flow" in parts else None
        for last in (self.mlp[2], self.flow):
            if isinstance(last, nn.Linear):  # the identity to begin with
                nn.init.zeros_(last.weight)
                nn.init.zeros_(last.bias)

    def forward(
        self, z1: Tensor, z2: Tensor, grid: tuple[int, int], views: tuple[Tensor, Tensor], times: Tensor
    ) -> Tensor:
        view2 = views[1]
        numbers = self._numbers(torch.cat([z1.mean(dim=1), z2.mean(dim=1)], dim=-1), times).float()
        count = numbers.shape[1]
        field = None if self.flow is None else self._field(torch.cat([z1, z2], dim=-1), times).float()
        with torch.autocast(view2.device.type, enabled=False):  # pixels keep the digits of view 2
            pictures = view2.float().repeat_interleave(count, dim=0)
            pictures = self._rendered(pictures, numbers.flatten(0, 1), field, grid)
        return pictures.unflatten(0, (len(view2), count))

    def _numbers(self, pooled: Tensor, times: Tensor) -> Tensor:
        """Return the numbers (B, T, 19) from the means of both views (B, 2 * d_equi)."""
        if self.place is None:
            return self.mlp(pooled).unflatten(1, (-1, 19))
        first, nonlinear, last = self.mlp
        return last(nonlinear(first(pooled)[:, None] + self.place(times)))

    def _field(self, tokens: Tensor, times: Tensor) -> Tensor:
        """Return displacements (B, N, T * 2) at the tokens (B, N, 2 * d_equi) of both views."""
        assert self.flow is not None
        field = self.flow(tokens)
        if self.place is None:
            return field
        return (field[..., None, :] * (1 - times)[:, None, :, None]).flatten(2)

    def _rendered(self, pictures: Tensor, numbers: Tensor, field: Tensor | None, grid: tuple[int, int]) -> Tensor:
        """Render pictures (B * T, C, S, S) by their numbers (B * T, 19) and the field (B, N, T * 2), if any."""
        affine, colors, sharpen = numbers.split([6, 12, 1], dim=1)
        if "affine" in self.parts or field is not None:
            eye = torch.eye(2, 3, device=numbers.device).flatten()
            matrix = (eye + affine * ("affine" in self.parts)).view(-1, 2, 3)
            points = affine_points(bounded(matrix), pictures.shape[-1])
            if field is not None:
                points = points + bounded(self._displacement(field, grid, pictures.shape[-1]))
            pictures = F.grid_sample(pictures, points, align_corners=False, padding_mode="reflection")
            pictures = pictures + 0 * numbers.sum(dim=1)[:, None, None, None]
        if "color" in self.parts and pictures.shape[1] >= COLORS:
            matrix = colors[:, :9].view(-1, 3, 3) + torch.eye(3, device=numbers.device)
            pictures = with_colors(matrix, colors[:, 9:, None], pictures.flatten(2)).view_as(pictures)
        if "blur" in self.parts:
            pictures = torch.lerp(soften(pictures), pictures, 1 + sharpen[:, :, None, None])
        return pictures

    def _displacement(self, field: Tensor, grid: tuple[int, int], size: int) -> Tensor:
        field = field.transpose(1, 2).unflatten(2, grid).unflatten(1, (-1, 2)).flatten(0, 1)
        return F.interpolate(field, (size, size), mode="bilinear").permute(0, 2, 3, 1)


@named("render", from_view2=True)
def _build(wanted: Decoding) -> RenderDecoder:
    return RenderDecoder(wanted.d_equi, wanted.targets, parts=wanted.parts, any_time=wanted.any_time)


def with_colors(matrix: Tensor, shift: Tensor, pixels: Tensor) -> Tensor:
    """Map the first three channels of pixels (B, C, N) by matrices (B, 3, 3) and shifts (B, 3, 1)."""
    colored = torch.baddbmm(shift, matrix, pixels[:, :COLORS])
    return colored if pixels.shape[1] == COLORS else torch.cat([colored, pixels[:, COLORS:]], dim=1)


def bounded(numbers: Tensor) -> Tensor:
    """Return numbers in [-8, 8], 0 for NaN: `grid_sample` reads wild memory where coordinates are NaN or vast.

    A diverging run must still end with a NaN loss, so NaN is to reach the pixels by another way.
    """
    return numbers.nan_to_num(0).clamp(-8, 8)


def affine_points(matrix: Tensor, size: int) -> Tensor:
    """Return the sampling grid (B, S, S, 2) of matrices (B, 2, 3), differentiable, without a batched matrix product."""
    centres = (torch.arange(size, device=matrix.device, dtype=matrix.dtype) * 2 + 1) / size - 1
    along = matrix[:, None, None, :, 0] * centres[None, None, :, None]
    down = matrix[:, None, None, :, 1] * centres[None, :, None, None] + matrix[:, None, None, :, 2]
    return along + down


def read_states(pictures: Tensor, points: Tensor, count: int) -> Tensor:
    """Read ``count`` states of each picture (N, C, S, S) at points (N * count, S, S, 2): (N * count, C, S * S).

    The states of a picture lie one below the other in one grid, so that no picture is copied. The points are `bounded`.
    """
    (number, channels), size = pictures.shape[:2], points.shape[-2]
    tall = points.reshape(number, count * size, size, 2)
    read = F.grid_sample(pictures, tall, align_corners=False, padding_mode="border")
    return read.view(number, channels, count, size * size).transpose(1, 2).flatten(0, 1)


def soften(pictures: Tensor) -> Tensor:
    """Blur by the binomial kernel (1, 2, 1) / 4 in both directions: about .7 pixels; mirrored at the edges."""
    softened: Tensor = _Soften.apply(pictures)  # type: ignore[assignment]
    return softened


class _Soften(torch.autograd.Function):
    """The blur B, with a gradient that costs as little: B with its edges weighed by D is symmetric, B^T = D B D^-1.

    D is 1, and a half in each direction at the edges: a mirrored edge is read once, where its neighbour is read twice.
    torch's own gradient fills, copies and adds a whole picture for each slice.
    """

    @staticmethod
    def forward(ctx: Any, pictures: Tensor) -> Tensor:  # type: ignore[override]
        return _softened(pictures)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:  # type: ignore[override]
        return _weigh_edges(soften(_weigh_edges(gradient.clone(), 2)), 0.5)


def _weigh_edges(pictures: Tensor, factor: float) -> Tensor:
    """Multiply the first and last row of pictures (..., H, W) by a factor, and the first and last column."""
    for edge in (0, -1):
        pictures[..., edge, :] *= factor
        pictures[..., edge] *= factor
    return pictures


def _softened(pictures: Tensor) -> Tensor:
    """Blur, see `soften`."""
    # as sums of neighbours: the taps are no tensor to be sent to the device, and on a CPU a convolution is slower
    sums = F.pad(pictures, [1] * 4, mode="reflect")
    for _ in range(2):
        sums = sums[..., 1:, :] + sums[..., :-1, :]
        sums = sums[..., 1:] + sums[..., :-1]
    return sums / 16
