"""Our decoder of the path between two views: one element of a Lie algebra for all its states."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from equicoherence.models.decoders.decoder import Decoder, Decoding, named
from equicoherence.models.decoders.render import affine_points, bounded, read_states, soften, with_colors
from equicoherence.paths.lie import exponential
from equicoherence.paths.renderer import COLORS

SOFTENED = 0.5  # variance of `soften`, px2
FAINT = 1e-3  # weight of what lies outside a view


class GeodesicDecoder(Decoder):
    """Decode the state at t by blending both views: view 1 warped by ``exp(t L)``, view 2 by ``exp((t - 1) L)``.

    From the pooled tokens of both views a small MLP predicts one L for the whole path: 6 numbers of the affine map, 12
    of the colors and a change of blur (variance, px2), all 0 at the start. So the states always lie on one path, and
    any number of them can be decoded. Where only one view shows a point, its pixels are used; elsewhere the mean of
    both. Colors are the normalised ones, of the first three channels.

    scales: sizes of the squares over which the error is averaged first, so that large translations have a gradient;
        each is a multiple of the smallest. In training, states are rendered with pixels of the smallest size.
    """

    def __init__(self, d_equi: int, *, scales: tuple[int, ...] = (2, 4), width: int = 256) -> None:
        super().__init__()
        self.scales = scales
        last = nn.Linear(width, 19)
        nn.init.zeros_(last.weight)  # all states begin as the mean of both views
        nn.init.zeros_(last.bias)
        self.mlp = nn.Sequential(nn.Linear(2 * d_equi, width), nn.ReLU(), last)

    def forward(
        self, z1: Tensor, z2: Tensor, grid: tuple[int, int], views: tuple[Tensor, Tensor], times: Tensor
    ) -> Tensor:
        numbers = self.mlp(torch.cat([z1.mean(dim=1), z2.mean(dim=1)], dim=-1)).float()
        with torch.autocast(numbers.device.type, enabled=False):  # pixels keep their digits
            pictures = torch.cat(views).float()
            if self.pixel > 1:
                pictures = F.avg_pool2d(pictures, self.pixel)
            return self._rendered(pictures, numbers, times)

    def _rendered(self, pictures: Tensor, numbers: Tensor, times: Tensor) -> Tensor:
        """Render both views (2B, C, S, S) to all states (B, T, C, S, S)."""
        (batch, count), (channels, _, size) = times.shape, pictures.shape[1:]
        by = torch.stack([times, times - 1])[..., None, None]  # from view 1, from view 2: (2, B, T, 1, 1)
        move, tint, blur = numbers.split([6, 12, 1], dim=1)
        maps = exponential(by * F.pad(move.view(batch, 1, 2, 3), (0, 0, 0, 1)))[..., :2, :]
        colors = exponential(by * F.pad(tint.view(batch, 1, 3, 4), (0, 0, 0, 1)))[..., :3, :].flatten(0, 2)
        points = bounded(affine_points(maps.flatten(0, 2), size))
        read = read_states(pictures, points, count)
        if channels >= COLORS:
            read = with_colors(colors[..., :3], colors[..., 3:], read)  # (2 * B * T, C, S * S)
        with torch.no_grad():  # what a view shows is no way to lower the error
            inside = torch.sigmoid((1 - points.abs().amax(dim=-1)) * (size / 2)) + FAINT
            first, second = inside.view(2, batch * count, 1, size * size)
            share = second / (first + second)
        one, two = read.view(2, batch * count, channels, size * size)
        states = torch.lerp(one, two, share)
        # the variance of view 1 is to grow by t blur, and that of view 2 by (t - 1) blur
        spread = (times.reshape(-1, 1, 1) * states - share * two).view(-1, channels, size, size)
        softer = soften(spread) - spread
        blur = (blur / (SOFTENED * self.pixel**2)).repeat_interleave(count, dim=0)
        states = torch.addcmul(states.view_as(spread), blur[..., None, None], softer)
        return states.view(batch, count, channels, size, size) + 0 * numbers.sum()


@named("geodesic", path="between")
def _build(wanted: Decoding) -> GeodesicDecoder:
    return GeodesicDecoder(wanted.d_equi, scales=wanted.scales)
