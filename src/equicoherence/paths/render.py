"""Numbers to pixels: one warp per output image, antialiased where it shrinks."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from equicoherence.paths.blur import blur_some, gaussian_blur, visible
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
    given = None if mean is None else mean[:, None]

    if pyramid.atlas is None:
        for_each(
            lambda chunk: _render_chunk(pyramid, numbers, given, targets, border, chunk),
            chunks(pyramid.level_for(numbers.whole, size), size),
        )
        return
    found = read_atlas(pyramid, _grid(numbers, size, border), pyramid.level_for(numbers.whole, size))
    color, shift = _color(pyramid, numbers, pyramid.level(0), given)
    made = torch.baddbmm(shift.flatten(0, 1), color.flatten(0, 1), found.permute(2, 0, 1, 3).flatten(0, 1))
    made = _masked(made.clamp_(0, 1).view(-1, 3, size, size), numbers, border)
    if numbers.sigma_bound > 0:
        made = gaussian_blur(made, numbers.sigma.T.flatten(), numbers.sigma_bound)
    if numbers.threshold is not None:
        made = _solarized(made, numbers.threshold.T.flatten())
    for target, image in zip(targets, made.unflatten(0, (len(targets), -1))):
        target.copy_(image)


def _render_chunk(
    pyramid: Pyramid, numbers: Numbers, mean: Tensor | None, targets: list[Tensor], border: Border, chunk: Chunk
) -> None:
    """Render some images on a CPU, where it is cheap to look at numbers and skip what they do not ask for."""
    taken: slice | Tensor = chunk.rows if chunk.order is None else chunk.order
    pyramid, numbers, mean = pyramid[taken], numbers[taken], None if mean is None else mean[taken]
    count, batch, size = len(targets), len(pyramid), targets[0].shape[-1]
    full, points = pyramid.level(0), _grid(numbers, size, border)
    color, shift = _color(pyramid, numbers, full, mean)
    sigma = numbers.sigma.T.flatten()
    blurred = visible(sigma)
    made = torch.empty(count * batch + len(blurred), 3, size, size)  # blurred copies come after the sharp images
    sharp = made[: count * batch]
    flat = sharp.view(count, batch, 3, size * size)
    for start, stop, kinds in chunk.groups:
        for level in sorted(set(kinds)):
            which = [i for i, kind in enumerate(kinds) if kind == level]
            run = which[-1] - which[0] + 1 == len(which)
            at = points[start:stop, which[0] : which[-1] + 1] if run else points[start:stop, which]
            found = read(full[start:stop] if level == 0 else pyramid[start:stop].level(level), at)
            for slot, i in enumerate(which):
                rows = (i, slice(start, stop))
                torch.baddbmm(shift[rows], color[rows], found[:, :, slot], out=flat[rows])
    _masked(sharp.clamp_(0, 1), numbers, border)
    blur_some(sharp, blurred, sigma[blurred], out=made[count * batch :])
    if numbers.threshold is not None:
        threshold = numbers.threshold.T.flatten()
        made = _solarized(made, torch.cat([threshold, threshold[blurred]]))
    source = torch.arange(count * batch).index_copy_(0, blurred, torch.arange(count * batch, len(made)))
    source = source.view(count, batch) if chunk.back is None else source.view(count, batch)[:, chunk.back]
    for target, rows in zip(targets, source):
        torch.index_select(made, 0, rows, out=target[chunk.rows])


def _grid(numbers: Numbers, size: int, border: Border) -> Tensor:
    return grid(numbers.whole, numbers.base, numbers.path, size, border)


def _color(pyramid: Pyramid, numbers: Numbers, full: Tensor, mean: Tensor | None) -> tuple[Tensor, Tensor]:
    """Return color matrices (N, B, 3, 3) for pixels in the pyramid's range, and shifts (N, B, 3, 1)."""
    if mean is None:
        mean = (box_means(full, numbers.frames) * pyramid.scale)[:, numbers.frame_of]  # (B, N, 3)
    color = numbers.color.transpose(0, 1)
    mean = mean.expand(-1, len(color), -1).transpose(0, 1)
    return color[..., :3] * pyramid.scale, color[..., 3:] @ mean[..., None]


def _masked(made: Tensor, numbers: Numbers, border: Border) -> Tensor:
    """Make (N * B, 3, S, S) black beyond the base image where the border is ``zeros``; overwrites it."""
    if border != "zeros":
        return made
    beyond = outside(numbers.path, made.shape[-1]).transpose(0, 1).flatten(0, 1)
    return made.masked_fill_(beyond[:, None], 0)


def _solarized(made: Tensor, threshold: Tensor) -> Tensor:
    return torch.where(made >= threshold.view(-1, 1, 1, 1), 1 - made, made)
