"""Images without traces: a round band of frequencies, the same whatever the turn, so that no pixel grid shows.

A photograph's pixels leave a spectrum that is not round: a square of frequencies, damped near its sides and folded over
there. Rotated with the image, it reveals the angle. Bilinear reading damps high frequencies by how pixels lie, so by
the angle, too. Here a source keeps a disc of frequencies alone, well inside its own square and inside that of the
output. It is made anew on a finer grid by its cosine series, that of an image mirrored at its sides, and read there by
quintic B-splines; what they damp, along the grid more than across it, is raised before. The series are products of
matrices, which at such sizes cost less than fast transforms. Last, images are rounded to bytes, as files of photographs
are, which drowns what is left.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache

import torch
from torch import Tensor

from equicoherence.paths.constants import constant
from equicoherence.paths.digits import all_digits
from equicoherence.paths.memory import empty_pixels
from equicoherence.paths.outputs import Output
from equicoherence.paths.pyramid import Pyramid
from equicoherence.paths.renderer import render_all
from equicoherence.paths.sampling import Border
from equicoherence.paths.state import State
from equicoherence.paths.threads import for_each

OUTPUT = 0.5  # cycles per output pixel at which a band ends at the latest: from there on frequencies fold over
SOURCE = 0.35  # cycles per pixel of the photograph at which it ends at the latest: near .5 its grid and resizing show
FLAT = 0.7  # share of a band that is kept whole; half a wave of a cosine leads from there to nothing
FINER = 1.75  # knots of the splines for half a period of the highest frequency that they show
PIXELS = 2**17  # source or output pixels, whichever are more, that a thread takes at a time


def render_round(
    images: Tensor, base: State, path: State | None, band: Tensor, *, size: int, border: Border = "content"
) -> Tensor:
    """Render as `render` does, of images that hold a round band of frequencies alone: (B, C, size, size) in [0, 1].

    images: (B, C, H, W), uint8, uint16, or float in [0, 1].
    band: (B,), cycles per output pixel at which the band ends; see `band_of`.

    Pixels are whole numbers of 255, or of 65535 where those of the images are. On an accelerator it waits for one
    number, the side of the finer grid.
    """
    side = max(size, *images.shape[2:])
    white = 255 if images.is_floating_point() else torch.iinfo(images.dtype).max
    together = max(1, PIXELS // side**2 if images.device.type == "cpu" else len(images))
    pixels = empty_pixels(len(images), images.shape[1], size, size, device=images.device)

    @torch.no_grad()
    def work(start: int) -> None:
        rows = slice(start, start + together)
        made = Output(_rows(base, rows), None if path is None else _rows(path, rows), pixels[rows])
        render_all(_series(images[rows], pitches[rows], band[rows]), [made], border=border)
        made.pixels.mul_(white).round_().div_(white)

    with all_digits(images):  # products in half precision would leave traces
        pitches = pitch(base.geometry if path is None else base.then(path).geometry, images.shape[2:], size)
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


def _series(images: Tensor, pitches: Tensor, band: Tensor) -> Pyramid:
    """Return the sums, on a fine grid, of the cosine series of images up to where their bands end."""
    device, sides = images.device, images.shape[2:]
    highest = float((band[:, None] / pitches).amax()) if len(images) else SOURCE
    fine = math.ceil(FINER * 2 * highest * max(sides))
    (of_y, to_y), (of_x, to_x) = (_cosines(side, math.ceil(2 * highest * side), fine, device) for side in sides)
    down, across = (torch.arange(len(of), device=device) / (2 * side) for of, side in zip((of_y, of_x), sides))
    x, y = pitches[:, :1] / band[:, None], pitches[:, 1:] / band[:, None]
    share = torch.hypot((down * y)[:, :, None], (across * x)[:, None, :])
    past = share.sub_(FLAT).mul_(math.pi / (1 - FLAT)).clamp_(0, math.pi)
    gain = past.cos_().mul_(0.5).add_(0.5)
    pixels = images.float()
    if images.dtype != torch.uint8:
        pixels = pixels * (255 if images.is_floating_point() else 255 / torch.iinfo(images.dtype).max)
    series = of_y @ (pixels @ of_x.T)  # (B, C, down, across)
    rows = (series.mul_(gain[:, None]) @ to_x.T).permute(0, 2, 3, 1).contiguous()  # (B, down, knots, C)
    knots = (to_y @ rows.flatten(2)).unflatten(2, (-1, images.shape[1])).permute(0, 3, 1, 2)
    return Pyramid(images if images.dtype == torch.uint8 else pixels, ((fine, fine, 2),), knots, spline=True)


@lru_cache(maxsize=32)
def _cosines(side: int, count: int, fine: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """Return what leads from ``side`` pixels to the first ``count`` terms of their cosine series, (count, side), and
    from these to the knots of quintic B-splines that are its sum, (fine + 5, count): ``fine`` of them and, as taps of
    those at the ends, two before and three after them.

    The series is that of pixels mirrored at both ends, as often as it takes. The splines damp it, which is undone.
    """
    term = torch.arange(count, dtype=torch.float64)
    of, to = (
        torch.cos(math.pi / n * term * (torch.arange(*ends) + 0.5)[:, None])
        for n, ends in ((side, (0, side)), (fine, (-2, fine + 3)))
    )
    of *= torch.where(term > 0, 2 / side, 1 / side)
    to /= torch.sinc(term / (2 * fine)) ** 6
    with torch.inference_mode(False):
        return of.T.float().contiguous().to(device), to.float().to(device)


def _rows(state: State, rows: slice) -> State:
    threshold = None if state.threshold is None else state.threshold[rows]
    return state.replace(
        geometry=state.geometry[rows],
        color=state.color[rows],
        sigma=state.sigma[rows],
        threshold=threshold,
        affine=state.affine,
    )
