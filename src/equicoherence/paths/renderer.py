"""States to pixels: one warp per output image, antialiased when minifying."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from equicoherence.paths import geometry
from equicoherence.paths.blur import gaussian_blur
from equicoherence.paths.compiled import compiled_kernel
from equicoherence.paths.constants import constant
from equicoherence.paths.digits import all_digits
from equicoherence.paths.memory import empty_pixels
from equicoherence.paths.outputs import Numbers, Output
from equicoherence.paths.pyramid import Pyramid
from equicoherence.paths.sampling import Border, check_border, places, read_atlas
from equicoherence.paths.state import State
from equicoherence.paths.threads import for_each

COLORS = 3  # channels that color maps are of, the first ones
PIXELS = 2**18  # source and output pixels a thread takes at a time: they fit its cache, and calls cost little


def render(
    pyramid: Pyramid,
    base: State,
    path: State | None = None,
    *,
    size: int,
    border: Border = "content",
    mean: Tensor | None = None,
) -> Tensor:
    """Render the state ``path`` of the base images ``base`` of the sources: (B, C, size, size) float32 in [0, 1].

    ``base`` cuts the base image out of the source; ``path`` acts on that base image. They are multiplied first, so each
    pixel is interpolated once. Color maps and solarize act on the first three channels, and leave the others unchanged;
    with fewer than three they act on all. Gradients do not pass through.

    border: what is shown beyond the base image. ``content`` shows what the source has there (mirrored beyond the
        source), ``reflection`` mirrors the base image, ``zeros`` is black (so its corners show the angle).
    mean: replaces ``pyramid.mean(base.geometry)``, the mean color that contrast keeps.

    With perspective, each pixel is read from the pyramid level that fits the minification at its position, and
    everything behind the horizon is black, with any border.
    """
    pixels = empty_pixels(len(pyramid), pyramid.channels, size, size, device=pyramid.images.device)
    render_all(pyramid, [Output(base, path, pixels)], border=border, mean=mean)
    return pixels


@torch.no_grad()
def render_all(
    pyramid: Pyramid, outputs: Sequence[Output], *, border: Border = "content", mean: Tensor | None = None
) -> None:
    """Render several outputs of the same sources at once, sharing what can be shared; see `render`.

    On a CPU, 8-bit images of three channels, and spline interpolation, use a compiled kernel if there is one;
    everything else uses torch, with a few images per thread at a time. The pixels of an image do not depend on the
    number of threads. An accelerator renders the batch at once and never synchronises.
    """
    check_border(border)
    if len(pyramid):
        with all_digits(pyramid.images):
            _render_some(pyramid, outputs, border, mean)


def _render_some(pyramid: Pyramid, outputs: Sequence[Output], border: Border, mean: Tensor | None) -> None:
    numbers = Numbers.of(outputs)
    targets = [output.pixels for output in outputs]
    if pyramid.images.device.type != "cpu":
        _render_torch(pyramid, numbers, mean, targets, border)
        return
    if not bool(torch.isfinite(numbers.whole).all()):
        raise ValueError("a geometric matrix is not finite")
    if pyramid.compiled:
        _render_compiled(pyramid, numbers, mean, targets, border)
        return
    together = images_together(pyramid, targets)

    def work(start: int) -> None:
        rows = slice(start, start + together)
        means = None if mean is None else mean[rows]
        _render_torch(pyramid[rows], numbers[rows], means, [target[rows] for target in targets], border)

    for_each(work, range(0, len(pyramid), together))


def images_together(pyramid: Pyramid, targets: Sequence[Tensor]) -> int:
    """Return how many images a CPU's thread takes at a time."""
    height, width, _ = pyramid.sizes[0]
    return max(1, PIXELS // max(height * width, len(targets) * targets[0].shape[-1] ** 2))


def _render_torch(
    pyramid: Pyramid, numbers: Numbers, mean: Tensor | None, targets: list[Tensor], border: Border
) -> None:
    """Render all images as one piece, with torch's operators."""
    if pyramid.atlas is None:
        pyramid = pyramid.with_atlas()
    size, channels = targets[0].shape[-1], pyramid.channels
    points, level, black = places(pyramid, numbers, size, border)
    found = read_atlas(pyramid, points, level)
    if mean is None:
        frame_of = constant(numbers.frame_of, points.device, torch.long)
        means = pyramid.means(numbers.boxes).index_select(1, frame_of).transpose(0, 1)
    else:
        means = mean[None]
    color = numbers.color.transpose(0, 1)  # (N, B, 3, 6)
    found = found.permute(2, 0, 1, 3).flatten(0, 1)  # (N * B, C, S * S)
    if channels < COLORS:
        made = found * pyramid.scale
    else:
        color, shift = color[..., :3] * pyramid.scale, color[..., 3:] @ means[..., :COLORS, None]
        made = torch.baddbmm(shift.flatten(0, 1), color.flatten(0, 1), found[:, :COLORS])
        if channels > COLORS:
            made = torch.cat([made, found[:, COLORS:] * pyramid.scale], dim=1)
    made = made.clamp_(0, 1).view(-1, channels, size, size)
    if black is not None:
        made.masked_fill_(black.transpose(0, 1).flatten(0, 1)[:, None], 0)
    if numbers.sigma_bound > 0:
        made = gaussian_blur(made, numbers.sigma.T.flatten(), numbers.sigma_bound)
    if numbers.threshold is not None and channels >= COLORS:
        colors = made[:, :COLORS]
        colors.copy_(torch.where(colors >= numbers.threshold.T.reshape(-1, 1, 1, 1), 1 - colors, colors))
    for target, image in zip(targets, made.unflatten(0, (len(targets), -1))):
        target.copy_(image)


def _render_compiled(
    pyramid: Pyramid, numbers: Numbers, mean: Tensor | None, targets: list[Tensor], border: Border
) -> None:
    """Render with the compiled kernel, on as many threads as torch has."""
    size = targets[0].shape[-1]
    needed = pyramid.needed(numbers.whole, size, numbers.affine)
    largest, smallest = (None, None) if numbers.affine else geometry.depths(numbers.whole)
    nearest, farthest = pyramid.level_at(needed, largest), pyramid.level_at(needed, smallest)
    shapes = np.array([level[:2] for level in pyramid.sizes], np.int64)
    together, kernel = images_together(pyramid, targets), compiled_kernel()
    threshold = torch.full_like(numbers.sigma, 2.0) if numbers.threshold is None else numbers.threshold
    given = (nearest, farthest, needed, numbers.base, numbers.path, numbers.color, numbers.sigma, threshold)
    state = [value.contiguous().numpy() for value in given]
    for target in targets:
        if not target[0].is_contiguous() or target.dtype != torch.float32:
            raise ValueError(f"pixels must be contiguous float32 images, got {target.dtype} {target.stride()}")
    flat = [target.as_strided((target.untyped_storage().nbytes() // 4,), (1,), 0).numpy() for target in targets]

    def work(start: int) -> None:
        rows = slice(start, min(start + together, len(pyramid)))
        part = pyramid[rows]
        words, knots, starts = part.packed(nearest[rows], farthest[rows])
        first, last, at_depth_1, base, path, color, sigma, limit = (value[rows] for value in state)
        if mean is None:
            means = part.means(numbers.boxes[rows])[:, numbers.frame_of]
        else:
            means = mean[rows, None].expand(-1, len(targets), -1)
        for n, target in enumerate(targets):
            kernel.draw(
                words,
                knots,
                starts,
                shapes,
                first[:, n],
                last[:, n],
                at_depth_1[:, n],
                base[:, n],
                path[:, n],
                color[:, n],
                means[:, n].numpy(),
                sigma[:, n],
                limit[:, n],
                kernel.BORDER[border],
                flat[n],
                target.storage_offset() + rows.start * target.stride(0),
                target.stride(0),
                size,
            )

    for_each(work, range(0, len(pyramid), together))
