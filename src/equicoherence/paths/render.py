"""Numbers to pixels: one warp per output image, antialiased where it shrinks."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from equicoherence.paths.blur import gaussian_blur
from equicoherence.paths.chunks import Chunk, chunks, for_each
from equicoherence.paths.memory import empty_pixels
from equicoherence.paths.outputs import Numbers, Output
from equicoherence.paths.pyramid import Pyramid, box_means
from equicoherence.paths.sampling import Border, check_border, grid, outside, read, read_atlas
from equicoherence.paths.state import State


def render(
    pyramid: Pyramid,
    base: State,
    path: State | None = None,
    *,
    size: int,
    border: Border = "content",
    mean: Tensor | None = None,
) -> Tensor:
    """Render the state ``path`` of the base images ``base`` of the sources: (B, 3, size, size) float32 in [0, 1].

    ``base`` cuts the base image out of the source; ``path`` acts on that base image. They are multiplied first, so
    each pixel is read once. ``border`` says what lies beyond the base image: ``content`` shows what the source has
    there (mirrored beyond the source), ``reflection`` mirrors the base image, ``zeros`` is black (and so shows the
    angle in its corners). ``mean`` replaces ``pyramid.mean(base.geometry)``, the mean color that contrast keeps.
    No gradient passes through.
    """
    pixels = empty_pixels(len(pyramid), 3, size, size, device=pyramid.images.device)
    render_all(pyramid, [Output(base, path, pixels)], border=border, mean=mean)
    return pixels


@torch.no_grad()
def render_all(
    pyramid: Pyramid, outputs: Sequence[Output], *, border: Border = "content", mean: Tensor | None = None
) -> None:
    """Render several outputs of the same sources at once, so that what they share is made once; see `render`.

    An accelerator does the batch as one piece and never waits for a number. A CPU does chunks, one per thread; an
    image's pixels do not depend on the number of threads.
    """
    check_border(border)
    numbers = Numbers.of(outputs)
    targets = [output.pixels for output in outputs]
    size = targets[0].shape[-1]
    levels = pyramid.level_for(numbers.whole, size)
    given = None if mean is None else mean[:, None]

    def work(chunk: Chunk) -> None:
        taken: slice | Tensor = chunk.rows if chunk.order is None else chunk.order
        part, cut = pyramid[taken], numbers[taken]
        full = part.level(0)
        points = _grid(cut, size, border)
        made = torch.empty(len(targets), len(part), 3, size * size)
        color, shift = _color(pyramid, cut, full, None if given is None else given[taken])
        for start, stop, kinds in chunk.groups:
            for level in sorted(set(kinds)):
                which = [i for i, kind in enumerate(kinds) if kind == level]
                run = which[-1] - which[0] + 1 == len(which)
                at = points[start:stop, which[0] : which[-1] + 1] if run else points[start:stop, which]
                found = read(full[start:stop] if level == 0 else part[start:stop].level(level), at)
                for slot, i in enumerate(which):
                    rows = (i, slice(start, stop))
                    torch.baddbmm(shift[rows], color[rows], found[:, :, slot], out=made[rows])
        finished = _finish(made.unflatten(-1, (size, size)), cut, border)
        for target, image in zip(targets, finished):
            target[chunk.rows] = image if chunk.back is None else image.index_select(0, chunk.back)

    if pyramid.atlas is None:
        for_each(work, chunks(levels, size))
        return
    found = read_atlas(pyramid, _grid(numbers, size, border), levels)
    color, shift = _color(pyramid, numbers, pyramid.level(0), given)
    made = torch.baddbmm(shift.flatten(0, 1), color.flatten(0, 1), found.permute(2, 0, 1, 3).flatten(0, 1))
    for target, image in zip(targets, _finish(made.view(len(targets), -1, 3, size, size), numbers, border)):
        target.copy_(image)


def _grid(numbers: Numbers, size: int, border: Border) -> Tensor:
    return grid(numbers.whole, numbers.base, numbers.path, size, border)


def _color(pyramid: Pyramid, numbers: Numbers, full: Tensor, mean: Tensor | None) -> tuple[Tensor, Tensor]:
    """Return color matrices (N, B, 3, 3) for pixels in the pyramid's range, and shifts (N, B, 3, 1)."""
    if mean is None:
        mean = (box_means(full, numbers.frames) * pyramid.scale)[:, numbers.frame_of]  # (B, N, 3)
    color = numbers.color.transpose(0, 1)
    mean = mean.expand(-1, len(color), -1).transpose(0, 1)
    return color[..., :3] * pyramid.scale, color[..., 3:] @ mean[..., None]


def _finish(made: Tensor, numbers: Numbers, border: Border) -> Tensor:
    """Clamp, mask, blur and solarize (N, B, 3, S, S), which it may overwrite."""
    made.clamp_(0, 1)
    size = made.shape[-1]
    if border == "zeros":
        made.masked_fill_(outside(numbers.path, size).transpose(0, 1)[:, :, None], 0)
    flat = made.flatten(0, 1)
    if numbers.sigma_bound > 0:
        flat = gaussian_blur(flat, numbers.sigma.T.flatten(), numbers.sigma_bound)
    if numbers.threshold is not None:
        threshold = numbers.threshold.T.reshape(-1, 1, 1, 1)
        flat = torch.where(flat >= threshold, 1 - flat, flat)
    return flat.view_as(made)
