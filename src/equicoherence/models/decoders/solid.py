"""Our decoder of an object that turns in space: one rotation vector for all states between two poses."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from equicoherence.models.decoders.decoder import Decoder, Decoding, named
from equicoherence.models.decoders.render import affine_points, bounded, read_states, with_colors
from equicoherence.paths.lie import exponential
from equicoherence.paths.renderer import COLORS

# The object begins as half of a flat ellipsoid about the origin, about which renders turn. In views of rendered objects
# its depth is less than theirs: one shape for all is to be wrong for none, and a deep one costs more than it gives.
# Lengths are those of the view, which reaches from -1 to 1.
RADIUS = 0.8
DEPTH = 0.2  # in the middle, towards the viewer
EDGE = 4.0  # the weight is the sigmoid of this times the square of the radius less that of the distance from the middle
REACH = 0.6  # how far the predicted depth can lie from the initial one


class SolidDecoder(Decoder):
    """Decode the state at t by blending both views: view 1 turned by ``t w``, view 2 by ``(t - 1) w``.

    From the pooled tokens of both views a small MLP predicts one w for the whole path, an element of so(3), whose
    exponential turns the object of view 1 into that of view 2, and the change of colors of the object and of all
    else, 12 numbers each (see `GeodesicDecoder`). All change their sign if the views are swapped, and begin at 0. A
    linear map of the tokens predicts depth and weight of the object: a pixel moves as the point at its depth does, seen
    from far away, by its weight. So the states lie on one path. No pixel is drawn, but the error can fall by depth and
    weight, too. Colors are the normalised ones, of the first three channels.

    What can be found: the part of w in the image plane. Of the rest, x and y, the axis; as far as depth and weight are
    right, the size: a surface of twice the depth moves as far for about half of the angle. Depth stays near the initial
    shape, which is nearest in the middle; that alone tells w from the vector with x and y negated, which moves the
    mirrored depth alike. What one surface hides of another is not handled: each view is read at all points of a state.

    scales: sizes of the squares over which the error is averaged first, so that large rotations have a gradient; each
        is a multiple of the smallest. In training, states are rendered with pixels of the smallest size.
    """

    def __init__(self, d_equi: int, *, scales: tuple[int, ...] = (2, 4), width: int = 256) -> None:
        super().__init__()
        self.scales = scales
        last = nn.Linear(width, 27, bias=False)  # which swapping the views would cancel
        self.mlp = nn.Sequential(nn.Linear(2 * d_equi, width), nn.ReLU(), last)
        self.shape = nn.Linear(d_equi, 2)
        nn.init.zeros_(last.weight)  # all states begin as blends of the views
        nn.init.zeros_(self.shape.weight)
        nn.init.zeros_(self.shape.bias)

    def forward(
        self, z1: Tensor, z2: Tensor, grid: tuple[int, int], views: tuple[Tensor, Tensor], times: Tensor
    ) -> Tensor:
        first, second = z1.mean(dim=1), z2.mean(dim=1)
        there, back = (self.mlp(torch.cat(pair, dim=-1)).float() for pair in ((first, second), (second, first)))
        shapes = [self.shape(z).float().transpose(1, 2).unflatten(2, grid) for z in (z1, z2)]
        with torch.autocast(there.device.type, enabled=False):  # pixels keep their digits
            pictures = torch.cat(views).float()
            if self.pixel > 1:
                pictures = F.avg_pool2d(pictures, self.pixel)
            return self._rendered(pictures, (there - back) / 2, torch.stack(shapes), times)

    def _rendered(self, pictures: Tensor, numbers: Tensor, shapes: Tensor, times: Tensor) -> Tensor:
        """Render both views (2B, C, S, S) to all states (B, T, C, S, S). shapes: (2, B, 2, h, w), of both views."""
        (batch, count), (channels, _, size) = times.shape, pictures.shape[1:]
        along = times[..., None, None, None]
        points, weight = object_points(torch.lerp(shapes[0][:, None], shapes[1][:, None], along).flatten(0, 1), size)
        by = torch.stack([times, times - 1])[..., None]  # from view 1, from view 2: (2, B, T, 1)
        # a pixel of a state is read where its point was before it turned
        back = rotation(-by * numbers[:, None, :3]).flatten(1, 2)[..., None, None]  # (2, B * T, 3, 3, 1, 1)
        moved = [points[:, row] + weight * ((back[:, :, row] * points).sum(dim=2) - points[:, row]) for row in (0, 1)]
        read = read_states(pictures, bounded(torch.stack(moved, dim=-1)).flatten(0, 1), count)
        if channels >= COLORS:
            tints = F.pad(numbers[:, 3:].view(batch, 1, 2, 3, 4), (0, 0, 0, 1))
            maps = exponential(by[..., None, None] * tints)[..., :3, :].flatten(0, 2)
            of_object, others = (with_colors(each[..., :3], each[..., 3:], read) for each in maps.unbind(dim=1))
            read = torch.lerp(others, of_object, weight.view(-1, 1, size * size).repeat(2, 1, 1))
        first, second = read.view(2, batch, count, channels, size, size)
        return torch.lerp(first, second, along) + 0 * numbers.sum()


@named("solid", path="poses")
def _build(wanted: Decoding) -> SolidDecoder:
    return SolidDecoder(wanted.d_equi, scales=wanted.scales)


def rotation(vector: Tensor) -> Tensor:
    """Return the rotation matrices (..., 3, 3) of rotation vectors (..., 3), which have a gradient at 0, too.

    The direction of a vector is its axis, its length the angle in radians.
    """
    x, y, z = vector.unbind(-1)
    zero = torch.zeros_like(x)
    return exponential(torch.stack([zero, -z, y, z, zero, -x, -y, x, zero], dim=-1).unflatten(-1, (3, 3)))


def object_points(shape: Tensor, size: int) -> tuple[Tensor, Tensor]:
    """Return the points (N, 3, S, S) seen at the pixels, x right, y down, z away, and weights (N, S, S) of the object.

    shape: (N, 2, h, w), at the tokens: what changes the initial depth, by up to REACH, and the logit of the weight.
    """
    shape = F.interpolate(shape, (size, size), mode="bilinear")
    eye = torch.eye(2, 3, device=shape.device)
    plane = affine_points(eye[None], size).movedim(-1, 1)  # (1, 2, S, S)
    inside = RADIUS**2 - plane.square().sum(dim=1)
    depth = REACH * torch.tanh(shape[:, 0] / REACH) - DEPTH / RADIUS * inside.clamp_min(0).sqrt()
    weight = torch.sigmoid(EDGE * inside + shape[:, 1])
    points = torch.cat([plane.expand(len(shape), -1, -1, -1), depth[:, None]], dim=1)
    return points, weight
