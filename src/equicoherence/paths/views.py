"""What one training step sees: two views and the intermediate states between them."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from equicoherence.paths.between import Between
from equicoherence.paths.constants import constant
from equicoherence.paths.flips import Flip, check_flip, joint_flips
from equicoherence.paths.masks import Masking, Masks, block_masks
from equicoherence.paths.memory import empty_pixels
from equicoherence.paths.outputs import Output
from equicoherence.paths.pyramid import Pyramid
from equicoherence.paths.renderer import render_all
from equicoherence.paths.sampling import Border, check_border
from equicoherence.paths.state import State
from equicoherence.paths.transformation import Transformation

Spacing = Literal["even", "random"]


@dataclass(frozen=True)
class Views:
    """The views of a batch, float32 in [0, 1].

    v1, v2: (B, 3, S, S). targets: (B, T, 3, S, S), states of the path of view 2. positions: T numbers in [0, 1], where
    on the path each target is. theta: (B, P), the parameters of the path; no loss reads it but the oracle control's
    and those of methods that say they are told it. crops: (n, B, 3, s, s), local crops of multi-crop. masks: patch
    tokens of v1 and v2 to mask. drawn: (B, T), where each target is, if that was drawn for each image; positions are
    then the means.
    """

    v1: Tensor
    v2: Tensor
    targets: Tensor
    positions: tuple[float, ...]
    theta: Tensor
    crops: Tensor | None = None
    masks: Masks | None = None
    drawn: Tensor | None = None

    @property
    def times(self) -> Tensor:
        """Return where on the path each target of each image is, (B, T)."""
        if self.drawn is not None:
            return self.drawn
        return constant(self.positions, self.v1.device).expand(len(self.v1), -1)


class PathViews:
    """Make ``v1 = A1(I)``, ``u = A2(I)``, ``v2 = g(u)`` and states ``u_t = g_t(u)`` of the path [P2, section 3].

    Each output is rendered from the source image directly, on the images' device. ``path`` None leaves ``v2 = u``
    without targets; `Between` leaves it so too, and the path leads from v1 to v2. ``positions`` are the path positions
    of the targets: (1/3, 2/3) for the paper's K = 2. With ``spacing`` random each of K is drawn anew for each image, in
    its own K-th of the path.
    Multi-crop adds ``crops`` local crops ``crop(I)`` of ``crop_size`` pixels, or with ``crop_rotations`` one crop
    rotated by 0, 90, 180 and 270 degrees, and ``masking`` masks of v1 and v2; what is drawn for the rest does not
    depend on either. ``flip`` says whether all views of an image (v1, u, crops) are mirrored alike (``shared``), each
    by itself (``independent``), or not at all (``none``): of views that are mirrored each by itself an encoder learns
    not to tell an image from its mirror image, nor left from right.
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
    ) -> None:
        check_border(border)
        if size < 1:
            raise ValueError(f"size must be positive, got {size}")
        if any(not 0 <= t <= 1 for t in positions):
            raise ValueError(f"positions must lie in [0, 1], got {tuple(positions)}")
        if crops < 0:
            raise ValueError(f"crops must not be negative, got {crops}")
        if crops and (crop is None or crop_size < 1):
            raise ValueError(f"{crops} local crops need crop, and crop_size of at least 1; got {crop}, {crop_size}")
        if crop_rotations and crops != 4:
            raise ValueError(f"one crop in four rotations is 4 crops, got {crops}")
        if isinstance(path, Between) and flip == "independent":
            raise ValueError(
                "there is no path from a view to one that is its mirror image, so for the path between the views flip "
                "must be shared or none, not 'independent'"
            )
        check_flip(flip, [first, second, *([crop] if crops and crop is not None else [])])
        self.first, self.second, self.path = first, second, path
        self.size = size
        self.border: Border = border
        self.positions: tuple[float, ...] = tuple(positions) if path is not None else ()
        self.spacing: Spacing = spacing
        self.crops, self.crop_size, self.crop, self.crop_rotations = crops, crop_size, crop, crop_rotations
        self.masking = masking
        self.flip: Flip = flip

    def __call__(self, images: Tensor, generator: torch.Generator, aspect: Tensor | None = None) -> Views:
        """Make the views of ``images`` (B, 3, H, W), uint8 or float in [0, 1].

        ``aspect`` (B,) is the true width / height of images that were squashed to a common shape.
        """
        batch, device, size = len(images), images.device, self.size
        share = self.crop_size / size if self.crops else 1.0
        pyramid = Pyramid.build(images, size, min(0.5, share))  # down to the whole image in a local crop
        drawn = [(view, view.sample(batch, generator, aspect)) for view in (self.first, self.second)]
        joint_flips(self.flip, drawn)
        first, base = (view.state(theta.to(device, non_blocking=True)) for view, theta in drawn)
        v1, v2 = (empty_pixels(batch, 3, size, size, device=device) for _ in range(2))
        targets = empty_pixels(batch, len(self.positions), 3, size, size, device=device)
        outputs = [Output(first, None, v1)]
        random = self.spacing == "random" and bool(self.positions)
        drawn_at = spread(batch, len(self.positions), generator).to(device, non_blocking=True) if random else None
        if isinstance(self.path, Between):
            times = constant(self.positions, device).expand(batch, -1) if drawn_at is None else drawn_at
            theta = self.path.render(pyramid, first, base, times, (v1, v2), targets)
        elif self.path is None:
            outputs.append(Output(base, None, v2))
            theta = torch.empty(batch, 0, device=device)
            render_all(pyramid, outputs, border=self.border)
        else:
            theta = self.path.sample(batch, generator).to(device, non_blocking=True)
            times = self.positions if drawn_at is None else drawn_at[..., None].unbind(dim=1)
            slots = [(1.0, v2), *zip(times, targets.unbind(dim=1))]
            outputs += [Output(base, self.path.state(self.path.at(theta, t)), pixels) for t, pixels in slots]
            render_all(pyramid, outputs, border=self.border)
        crops = self._local(pyramid, generator, aspect, drawn[0]) if self.crops else None
        masks = None
        if self.masking is not None:
            tokens = block_masks(self.masking, 2 * batch, generator)
            masks = Masks.of(tokens.unflatten(0, (2, batch)), device)
        return Views(v1, v2, targets, self.positions, theta, crops, masks, drawn_at)

    def _local(
        self,
        pyramid: Pyramid,
        generator: torch.Generator,
        aspect: Tensor | None,
        first: tuple[Transformation, Tensor],
    ) -> Tensor:
        """Render the local crops (n, B, 3, s, s); their parameters are drawn in one go. first: view 1, as drawn."""
        assert self.crop is not None
        batch, size, device = len(pyramid), self.crop_size, pyramid.images.device
        count = 1 if self.crop_rotations else self.crops
        aspect = None if aspect is None else aspect.repeat(count)
        theta = self.crop.sample(count * batch, generator, aspect)
        joint_flips(self.flip, [first, (self.crop, theta)])
        state = self.crop.state(theta.to(device, non_blocking=True))
        crops = empty_pixels(count, batch, 3, size, size, device=device)
        outputs = [Output(part, None, pixels) for part, pixels in zip(_parts(state, count, batch), crops)]
        render_all(pyramid, outputs, border=self.border)
        if self.crop_rotations:
            crops = torch.cat([crops.rot90(turns, (-2, -1)) for turns in range(self.crops)])
        return crops


def spread(batch: int, count: int, generator: torch.Generator) -> Tensor:
    """Draw (B, T) positions in [0, 1), the k-th uniform in the k-th of T equal pieces."""
    uniform = torch.rand(batch, count, generator=generator, device=generator.device)
    return (uniform + torch.arange(count, device=uniform.device)) / count


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
