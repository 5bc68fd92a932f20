"""Images without traces: a round band of frequencies, the same whatever the turn, so that no pixel grid shows.

A photograph's pixels leave a spectrum that is not round: a square of frequencies, damped near its sides and folded over
there. Turned with the image, it tells the angle. Bilinear reading damps high frequencies by how the pixels lie, and so
by the angle, too. Here a source keeps a disc of frequencies alone, well inside its own square and inside that of the
output. It is made anew on a finer grid by its Fourier series, from which cubic B-splines read; what they damp, along
the grid more than across it, is raised before. Last, images are rounded to bytes, as files of photographs are, which
drowns what is left.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from equicoherence.paths.constants import constant
from equicoherence.paths.memory import empty_pixels
from equicoherence.paths.pyramid import Pyramid
from equicoherence.paths.renderer import render
from equicoherence.paths.sampling import Border
from equicoherence.paths.state import State
from equicoherence.paths.threads import for_each

OUTPUT = 0.5  # cycles per output pixel at which a band ends at the latest: from there on frequencies fold over
SOURCE = 0.35  # cycles per pixel of the photograph at which it ends at the latest: near .5 its grid and resizing show
FLAT = 0.7  # share of a band that is kept whole; half a wave of a cosine leads from there to nothing
FINER = 2.5  # pixels of the fine grid for half a period of the highest frequency in it
PAD = 8  # pixels by which a source is mirrored at its sides, beyond which its Fourier series joins them
PIXELS = 2**19  # of fine grids that a thread takes at a time


def render_round(
    images: Tensor, base: State, path: State | None, band: Tensor, *, size: int, border: Border = "content"
) -> Tensor:
    """Render as `render` does, of images that hold a round band of frequencies alone: (B, 3, size, size) in [0, 1].

    images: (B, 3, H, W), uint8, or float in [0, 1].
    band: (B,), cycles per output pixel at which the band ends; see `band_of`.

    Pixels are whole numbers of 255. On an accelerator it waits for one number, the side of the fine grid.
    """
    pitches = pitch(base.geometry if path is None else base.then(path).geometry, images.shape[2:], size)
    highest = float((band[:, None] / pitches).amax()) if len(images) else SOURCE
    series = _Series.plan(images, _fast(math.ceil(FINER * 2 * highest * max(map(_padded, images.shape[2:]))), 2))
    fine = series.fine
    pixels = empty_pixels(len(images), 3, size, size, device=images.device)
    together = max(1, PIXELS // fine**2) if images.device.type == "cpu" else max(1, len(images))

    @torch.no_grad()
    def work(start: int) -> None:
        rows = slice(start, start + together)
        pyramid = series.pyramid(images[rows], pitches[rows], band[rows])
        frame = series.frame(_rows(base, rows))
        part = render(pyramid, frame, None if path is None else _rows(path, rows), size=size, border=border)
        pixels[rows].copy_(part.mul_(255).round_().div_(255))

    for_each(work, range(0, len(images), together))
    return pixels


def pitch(matrix: Tensor, source: Sequence[int], size: int) -> Tensor:
    """Return how many source pixels (B, 2), along x and y, an output pixel of maps (B, 3, 3) covers at its centre.

    source: height and width in pixels. size: side of the output in pixels. These are the half axes of the ellipse that
    a round pixel covers where the map turns, shifts and scales the base crop of a photograph, squashed or not.
    """
    height, width = source
    depth = matrix[:, 2, 2, None].clamp_min(1e-6)
    across, down = (matrix[:, row, :2] - matrix[:, row, 2:] * matrix[:, 2, :2] / depth for row in range(2))
    reach = torch.stack([across.norm(dim=-1), down.norm(dim=-1)], dim=-1) / depth
    return reach * constant((width / size, height / size), matrix.device)


def band_of(pitches: Tensor, own: Tensor) -> Tensor:
    """Return where a band ends (B,), in cycles per output pixel, that all outputs of an image can have.

    pitches: (B, 2), the least of these outputs; see `pitch`. own: (B, 2), pixels of the photograph along x and y for
    each source pixel; above 1 counts as 1.
    """
    return (SOURCE * pitches * own.clamp_max(1)).amin(dim=1).clamp_max(OUTPUT)


@dataclass(frozen=True)
class _Series:
    """Fourier series of mirrored images, and the grid on which they are summed.

    height, width: of the images. tall, wide: of the mirrored ones. fine: side of the grid.
    rows, columns: which pixels of the images the mirrored ones show.
    down, across: frequencies that are kept, in cycles per pixel, lowest first, those below 0 last.
    raised: (down, across), what the splines undo; see `_raised`.
    """

    height: int
    width: int
    tall: int
    wide: int
    fine: int
    rows: Tensor
    columns: Tensor
    down: Tensor
    across: Tensor
    raised: Tensor

    @classmethod
    def plan(cls, images: Tensor, fine: int) -> _Series:
        """Plan the series of images (B, 3, H, W)."""
        (height, width), device = images.shape[2:], images.device
        tall, wide = _padded(height), _padded(width)
        kept_x, kept_y = min(wide, fine) // 2, min(tall, fine) // 2
        down, across = torch.fft.fftfreq(tall, device=device), torch.fft.rfftfreq(wide, device=device)[:kept_x]
        down = torch.cat([down[:kept_y], down[tall - kept_y :]])
        raised = _raised(down, tall, fine)[:, None] * _raised(across, wide, fine)
        if images.dtype == torch.uint8:
            raised = raised / 255
        rows, columns = _mirrored(height, tall, device), _mirrored(width, wide, device)
        return cls(height, width, tall, wide, fine, rows, columns, down, across, raised)

    def pyramid(self, images: Tensor, pitches: Tensor, band: Tensor) -> Pyramid:
        """Return the sums of the series of images up to where their bands end."""
        mirrored = images.index_select(2, self.rows).index_select(3, self.columns).float()
        kept, fine = len(self.down) // 2, self.fine
        spectrum = torch.fft.rfft2(mirrored, norm="forward")[..., : len(self.across)]
        x, y = pitches[:, :1] / band[:, None], pitches[:, 1:] / band[:, None]
        share = torch.hypot((self.down * y)[:, :, None], (self.across * x)[:, None, :])
        past = share.sub_(FLAT).mul_(math.pi / (1 - FLAT)).clamp_(0, math.pi)
        gain = (past.cos_().mul_(0.5).add_(0.5) * self.raised)[:, None]
        spread = spectrum.new_zeros(len(images), 3, fine, len(self.across))
        torch.mul(spectrum[:, :, :kept], gain[:, :, :kept], out=spread[:, :, :kept])
        torch.mul(spectrum[:, :, self.tall - kept :], gain[:, :, kept:], out=spread[:, :, fine - kept :])
        made = torch.fft.irfft(torch.fft.ifft(spread, dim=2, norm="forward"), fine, dim=3, norm="forward")
        return Pyramid(made, ((fine, fine, 0),), made, spline=True)

    def frame(self, base: State) -> State:
        """Return base images in coordinates of the mirrored images."""
        inside = constant((self.width / self.wide, self.height / self.tall, 1.0), base.geometry.device)
        return base.replace(geometry=inside[:, None] * base.geometry, affine=base.affine)


def _raised(frequency: Tensor, side: int, fine: int) -> Tensor:
    """Return the factors of frequencies, in cycles per pixel of ``side``, that cubic B-splines on the fine grid undo,
    and that shift its pixels' centres to where they lie."""
    damped = torch.sinc(frequency * side / fine) ** 4
    return torch.polar(1 / damped, math.pi * frequency * (side / fine - 1))


def _rows(state: State, rows: slice) -> State:
    threshold = None if state.threshold is None else state.threshold[rows]
    return state.replace(
        geometry=state.geometry[rows],
        color=state.color[rows],
        sigma=state.sigma[rows],
        threshold=threshold,
        affine=state.affine,
    )


def _padded(side: int) -> int:
    """Return the side of a padded source: alike at both ends, and a length of which Fourier transforms are fast."""
    return _fast(side + 2 * PAD, 2, side % 2)


def _fast(least: int, step: int, parity: int = 0) -> int:
    side = least + (least - parity) % step
    while True:
        rest = side
        for prime in (2, 3, 5, 7):
            while rest % prime == 0:
                rest //= prime
        if rest == 1:
            return side
        side += step


def _mirrored(side: int, long: int, device: torch.device) -> Tensor:
    """Return which pixels (long,) of a row of ``side`` show when it is mirrored at its ends."""
    place = (torch.arange(long, device=device) - (long - side) // 2).remainder(2 * side)
    return torch.minimum(place, 2 * side - 1 - place)
