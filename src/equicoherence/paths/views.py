"""Make the input of one training step: two views and the intermediate states between them."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Literal, get_args

import torch
from torch import Tensor

from equicoherence.paths.between import Between
from equicoherence.paths.constants import constant
from equicoherence.paths.digits import all_digits
from equicoherence.paths.flips import Flip, check_flip, joint_flips
from equicoherence.paths.masks import Masking, Masks, block_masks
from equicoherence.paths.memory import empty_pixels
from equicoherence.paths.outputs import Output
from equicoherence.paths.places import Place, check_place, joint_places
from equicoherence.paths.pyramid import Pyramid
from equicoherence.paths.renderer import render_all
from equicoherence.paths.sampling import Border, check_border
from equicoherence.paths.state import State
from equicoherence.paths.symmetries import SYMMETRIES, show_symmetries
from equicoherence.paths.transformation import Transformation
from equicoherence.paths.view_batch import Views, share_of

Spacing = Literal["even", "random"]

BEYOND = 0.5  # of [0, 1]: what bicubic resizing adds at edges is less


class PathViews:
    """Make ``v1 = A1(I)``, ``u = A2(I)``, ``v2 = g(u)`` and states ``u_t = g_t(u)`` of the path [P2, section 3].

    Each output is rendered directly from the source image, on the device of the images. What is drawn at random for the
    views does not depend on crops, masks, ``base`` or ``share``.

    path: the transformation g; None leaves ``v2 = u`` without targets. `Between` also leaves ``v2 = u``, and its path
        leads from v1 to v2: ``border`` and ``base`` have no effect there.
    positions: of the targets on the path: (1/3, 2/3) for the paper's K = 2.
    spacing: ``random`` draws the K positions between 0 and 1 for each image, each in its own K-th of the path.
    crops, crop_size: adds ``crops`` local crops ``crop(I)`` of ``crop_size`` pixels.
    crop_rotations: the local crops are one crop rotated by 0, 90, 180 and 270 degrees.
    masking: masks of v1 and v2.
    flip: whether all views of an image (v1, u, crops) share one flip (``shared``), have separate flips
        (``independent``), or none (``none``). With separate flips an encoder learns to ignore the difference between an
        image and its mirror image, and so between left and right.
    place: whether v1 and u show the same box of the image (``shared``), so that only colors and the path differ between
        v1 and v2.
    base: also make ``u``, for an invariant loss on v1 and u that does not see g. Without a path v2 is u, and there is
        no third view.
    share: of the batch; only the first samples have targets and, with ``base``, a view 2.
    others: with ``base``, u (and crops and masks) only of the samples without targets, so that each sample has two
        views. Raises ValueError for a batch of which none is left, and with ``paired`` or ``symmetric``.
    paired: images 2i and 2i + 1 of a batch get the same augmentations and path.
    symmetric: share of a batch, at least two images if it is not 0. Both views (of the invariant loss) of its first
        images are one crop, each with its own colors and in its own symmetry of the square, without a path.
    """

    def __init__(
        self,
        first: Transformation,
        second: Transformation,
        path: Transformation | Between | None = None,
        *,
        size: int,
        positions: Sequence[float] = (1 / 3, 2 / 3),
        spacing: Spacing = "even",
        border: Border = "content",
        crops: int = 0,
        crop_size: int = 0,
        crop: Transformation | None = None,
        crop_rotations: bool = False,
        masking: Masking | None = None,
        flip: Flip = "shared",
        place: Place = "independent",
        base: bool = False,
        share: float = 1.0,
        others: bool = False,
        paired: bool = False,
        symmetric: float = 0.0,
    ) -> None:
        check_border(border)
        if size < 1:
            raise ValueError(f"size must be positive, got {size}")
        if any(not 0 <= t <= 1 for t in positions):
            raise ValueError(f"positions must lie in [0, 1], got {tuple(positions)}")
        if not 0 < share <= 1:
            raise ValueError(f"share must lie in (0, 1], got {share}")
        if not 0 <= symmetric <= 1:
            raise ValueError(f"symmetric must lie in [0, 1], got {symmetric}")
        if spacing not in get_args(Spacing):
            raise ValueError(f"spacing {spacing!r} is unknown; choose one of {', '.join(get_args(Spacing))}")
        if crops < 0:
            raise ValueError(f"crops must not be negative, got {crops}")
        if crops and (crop is None or crop_size < 1):
            raise ValueError(f"{crops} local crops need crop, and crop_size of at least 1; got {crop}, {crop_size}")
        if crop_rotations and crops != 4:
            raise ValueError(f"one crop in four rotations is 4 crops, got {crops}")
        if others and (paired or symmetric):
            raise ValueError(
                f"others leaves the first images to the task, but paired {paired} and symmetric {symmetric} are of the "
                "first images of the invariant loss; leave others out"
            )
        if isinstance(path, Between) and flip == "independent":
            raise ValueError(f"the path between the views needs views of one flip, shared or none, got flip {flip!r}")
        check_place(place, first, second)
        check_flip(flip, [first, second, *([crop] if crops and crop is not None else [])])
        self.first, self.second, self.path = first, second, path
        self.size = size
        self.border: Border = border
        self.positions: tuple[float, ...] = tuple(positions) if path is not None else ()
        self.crops, self.crop_size, self.crop, self.crop_rotations = crops, crop_size, crop, crop_rotations
        self.masking = masking
        self.flip: Flip = flip
        self.place: Place = place
        self.base, self.share = base and isinstance(path, Transformation), share
        self.others = others and self.base
        self.spacing: Spacing = spacing
        self.paired, self.symmetric = paired, symmetric

    def __call__(self, images: Tensor, generator: torch.Generator, aspect: Tensor | None = None) -> Views:
        """Make the views of ``images`` (B, C, H, W), uint8, uint16 or float in [0, 1].

        ``aspect`` (B,) is the true width / height of images that were resized to a common shape. Under autocast the
        views are the same.
        """
        _check_range(images)
        with all_digits(images):
            return self._made(images, generator, aspect)

    def _made(self, images: Tensor, generator: torch.Generator, aspect: Tensor | None) -> Views:
        batch, device, size = len(images), images.device, self.size
        shape = (images.shape[1], size, size)
        smallest = self.crop_size / size if self.crops else 1.0
        pyramid = Pyramid.build(images, size, min(0.5, smallest))  # down to the whole image in a local crop
        drawn = [(view, view.sample(batch, generator, aspect)) for view in (self.first, self.second)]
        joint_flips(self.flip, drawn)
        joint_places(self.place, drawn[0][1], drawn[1][1])
        if isinstance(self.path, Transformation):
            theta = self.path.sample(batch, generator).to(device, non_blocking=True)
        else:  # written when the views are rendered
            theta = torch.empty(batch, 0 if self.path is None else len(self.path.parameters), device=device)
        if self.paired:
            for numbers in (*(numbers for _, numbers in drawn), theta):
                numbers[1::2] = numbers[: batch // 2 * 2 : 2]
        part = share_of(batch, self.share)
        v1 = empty_pixels(batch, *shape, device=device)
        v2 = empty_pixels(part if self.base else batch, *shape, device=device)
        alone = part if self.others else 0  # samples with the task alone
        if alone and alone == batch:
            raise ValueError(
                f"share {self.share} is all of a batch of {batch}, which leaves none for the invariant loss"
            )
        base = empty_pixels(batch - alone, *shape, device=device) if self.base else None
        targets = empty_pixels(part, len(self.positions), *shape, device=device)
        times = constant(self.positions, device).expand(part, -1)
        if self.spacing == "random":
            times = spread(self.positions, batch, generator)[:part].to(device, non_blocking=True)
        symmetries = None
        if self.symmetric:
            shown = min(batch, max(2, share_of(batch, self.symmetric)))
            symmetries = torch.randint(SYMMETRIES, (2, shown), generator=generator, device=generator.device)
            symmetries = symmetries.to(device, non_blocking=True)
            if isinstance(self.path, Transformation):
                theta[:shown] = self.path.at(theta[:shown], 0.0)
        made = Views(v1, v2, targets, self.positions, theta, base=base, times=times, symmetries=symmetries)
        augmented = [numbers.to(device, non_blocking=True) for _, numbers in drawn]
        for rows in (slice(0, part), slice(part, batch)):
            if rows.start < rows.stop:
                self._render(pyramid if part == batch else pyramid[rows], augmented, made, rows)
        if symmetries is not None:
            for view, numbers in zip(made.invariant, symmetries):
                view[: len(numbers)] = show_symmetries(view[: len(numbers)], numbers)
        crops = self._local(pyramid, generator, aspect, drawn[0], alone) if self.crops else None
        masks = None
        if self.masking is not None:
            tokens = block_masks(self.masking, 2 * (batch - alone), generator)
            masks = Masks.of(tokens.unflatten(0, (2, -1)), device)
        return dataclasses.replace(made, crops=crops, masks=masks)

    def _render(self, pyramid: Pyramid, augmented: Sequence[Tensor], made: Views, rows: slice) -> None:
        """Render what there is of some rows of the views, from their sources. augmented: parameters of v1 and of u."""
        first, base = (view.state(numbers[rows]) for view, numbers in zip((self.first, self.second), augmented))
        if made.symmetries is not None:
            upright = torch.arange(rows.start, rows.stop, device=made.v1.device) >= made.symmetries.shape[1]
            places = torch.where(upright[:, None, None], base.geometry, first.geometry)
            base = base.replace(geometry=places, affine=first.affine and base.affine)
        slots = zip(made.times.unbind(dim=1), made.targets.unbind(dim=1))
        states = [(t[rows], pixels[rows]) for t, pixels in slots if rows.stop <= len(pixels)]
        if isinstance(self.path, Between):
            made.theta[rows] = self.path.render(pyramid, first, base, (made.v1[rows], made.v2[rows]), states)
            return
        outputs = [Output(first, None, made.v1[rows])]
        if made.base is not None and rows.start >= made.task_only:
            pixels = made.base[rows.start - made.task_only : rows.stop - made.task_only]
            outputs.append(Output(base, None, pixels))
        if self.path is None:
            outputs.append(Output(base, None, made.v2[rows]))
        else:
            theta = made.theta[rows]
            if rows.stop <= len(made.v2):
                outputs.append(Output(base, self.path.state(theta), made.v2[rows]))
            outputs += [Output(base, self.path.state(self.path.at(theta, t[:, None])), pixels) for t, pixels in states]
        render_all(pyramid, outputs, border=self.border)

    def _local(
        self,
        pyramid: Pyramid,
        generator: torch.Generator,
        aspect: Tensor | None,
        first: tuple[Transformation, Tensor],
        begin: int,
    ) -> Tensor:
        """Render the local crops (n, B - begin, C, s, s); the parameters of all B samples are drawn in one go.

        first: view 1, as drawn. begin: the first sample with crops.
        """
        assert self.crop is not None
        batch, size, device = len(pyramid), self.crop_size, pyramid.images.device
        count = 1 if self.crop_rotations else self.crops
        aspect = None if aspect is None else aspect.repeat(count)
        theta = self.crop.sample(count * batch, generator, aspect)
        joint_flips(self.flip, [first, (self.crop, theta)])
        theta = theta.unflatten(0, (count, batch))[:, begin:].flatten(0, 1)
        pyramid, batch = pyramid[begin:] if begin else pyramid, batch - begin
        state = self.crop.state(theta.to(device, non_blocking=True))
        crops = empty_pixels(count, batch, pyramid.channels, size, size, device=device)
        outputs = [Output(part, None, pixels) for part, pixels in zip(_parts(state, count, batch), crops)]
        render_all(pyramid, outputs, border=self.border)
        if self.crop_rotations:
            crops = torch.cat([crops.rot90(turns, (-2, -1)) for turns in range(self.crops)])
        return crops


def _check_range(images: Tensor) -> None:
    """Raise ValueError for float images that lie far outside [0, 1], where all pixels would become black or white.

    An accelerator, which should not wait for an answer, is not asked.
    """
    if not images.is_floating_point() or images.device.type != "cpu" or not images.numel():
        return
    low, high = (float(end) for end in images.aminmax())
    if low < -BEYOND or high > 1 + BEYOND:
        raise ValueError(
            f"float images must lie in [0, 1], but these lie in [{low:.3g}, {high:.3g}]: divide those of [0, 255] by "
            "255 or give them as uint8, and leave out what normalises them (the encoder does, after the views are made)"
        )


def spread(positions: Sequence[float], batch: int, generator: torch.Generator) -> Tensor:
    """Draw anew where T ``positions`` are, (B, T): those at 0 and 1 stay, the k-th of K others is in the k-th of K
    equal pieces of the path, uniform in it."""
    inside = sorted(t for t in positions if 0 < t < 1)
    low = [inside.index(t) / len(inside) if t in inside else t for t in positions]
    width = [1 / len(inside) if t in inside else 0.0 for t in positions]
    low, width = (constant(tuple(numbers), generator.device) for numbers in (low, width))
    return low + width * torch.rand(batch, len(positions), generator=generator, device=generator.device)


def _parts(state: State, count: int, batch: int) -> list[State]:
    """Cut the state of ``count * batch`` images into ``count`` states."""
    numbers = {
        field.name: value.unflatten(0, (count, batch)).unbind()
        for field in dataclasses.fields(state)
        if isinstance(value := getattr(state, field.name), Tensor)
    }
    return [
        state.replace(affine=state.affine, **{name: values[i] for name, values in numbers.items()})
        for i in range(count)
    ]
