"""Settings of the views of a pretraining run: their augmentations, and the path between them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from equicoherence.data.poses.views import change_parameters
from equicoherence.errors import unknown
from equicoherence.paths import Between, named_path
from equicoherence.paths.between import BETWEEN
from equicoherence.paths.flips import Flip
from equicoherence.paths.places import Place
from equicoherence.paths.registry import PATHS
from equicoherence.paths.renderer import Border
from equicoherence.paths.transformation import Parameter
from equicoherence.training.ranges import check

POSES = "poses"  # the path that leads from one render of an object to another
POSE_LATENTS = 7  # of each render: what 3DIEBench-T adds behind them is not part of the path
LARGEST_TURN = 80.0  # degrees of each view; between crops of two aspects, 163 may have no logarithm


def reading_size(size: int) -> int:
    """Return the pixels that images are read at for a model of ``size``, where nothing says otherwise."""
    return round(size / 0.875)


@dataclass(frozen=True)
class AugmentationConfig:
    """Strengths of one set of augmentations; see `equicoherence.paths.augmentation`.

    Args:
        area: Smallest and largest share of the image that the crop holds.
        jitter: Largest change of brightness, contrast, saturation and hue.
        jitter_probability: Share of the views whose colors are changed.
        grayscale: Share of the views without color.
        blur: Share of the views that are blurred.
        sigma: Smallest and largest sigma of the blur, in pixels of the view.
        solarize: Share of the views whose bright pixels are inverted.
        flip: Share of the views that are mirrored.
        rotation: Largest angle, in degrees in [0, 180], by which a view is turned to either side.
    """

    area: tuple[float, float] = (0.2, 1.0)
    jitter: tuple[float, float, float, float] = (0.4, 0.4, 0.2, 0.1)
    jitter_probability: float = 0.8
    grayscale: float = 0.2
    blur: float = 0.5
    sigma: tuple[float, float] = (0.1, 2.0)
    solarize: float = 0.0
    flip: float = 0.5
    rotation: float = 0.0

    def __post_init__(self) -> None:
        """Refuse a turn out of its range, quoting it."""
        check(0 <= self.rotation <= 180, "rotation of views", "in [0, 180] degrees", self.rotation)


@dataclass(frozen=True)
class ViewsConfig:
    """The views of an image, and the path that the task sees.

    Args:
        size: Width and height of a view in pixels.
        source: Width and height in pixels at which images are kept; the views are cut from these.
        path: Transformation g that leads from u to view 2, with states between: se2, rotation, all and others;
            none; between: no further transformation, and the states lie on the path from view 1 to view 2, so
            that all that the augmentations did is asked of the task (docs/between.md; border and invariant mean
            nothing there); poses: the two views are renders of an object, as they are, and the states those of
            its pose path (data: 3DIEBench, or what `equicoherence render` writes). Of a set with pose paths
            (`equicoherence render --paths`) only views at the ends of a path are paired.
        told: Names of the path's parameters that are given to methods conditioned on theta; empty for all.
        border: What lies beyond the crop: content, what the image shows there; reflection; zeros, which give
            the angle away.
        flip: Whether the views of an image (both, and local crops) are mirrored alike (shared), each by itself
            (independent, as most methods are published), or not at all (none). Flips of their own press
            features to be the same for an image and its mirror image, and such features cannot tell left from
            right (docs/transformation.md).
        place: Whether view 1 and u are the same box of the image (shared; the second view's place and size are
            unread, so that but for colors nothing lies between view 1 and view 2 but the path), or each has its
            own (independent), as joint-embedding methods need.
        invariant: Which two views the method's invariant loss is taken on, for methods with the task. path: v1
            and v2 = g(u), as published; the loss then removes what the task is to keep. base: v1 and u; only
            the task sees v2, a third view of coherence.share of the samples. others: as base, but only for
            samples without the task, so none has a third view. Without a path all are the same. See
            docs/transformation.md.
        first: Augmentations of view 1.
        second: Augmentations of u, and so of view 2.
        crops: Number of local crops of an image, for methods that read them.
        crop_size: Width and height of a local crop in pixels.
        crop: Augmentations of local crops.
        crop_rotations: Whether the crops are one crop, turned by 0, 90, 180 and 270 degrees.
        mask_probability: Share of the global views in which patch tokens are masked, for methods that predict
            them.
        mask_ratio: Lowest and highest share of the patch tokens that are masked in such a view.
    """

    size: int = 224
    source: int = 256
    path: str = "se2"
    told: tuple[str, ...] = ()
    border: Border = "content"
    flip: Flip = "shared"
    place: Place = "independent"
    invariant: Literal["base", "path", "others"] = "path"
    first: AugmentationConfig = AugmentationConfig()
    second: AugmentationConfig = AugmentationConfig()
    crops: int = 0
    crop_size: int = 96
    crop: AugmentationConfig = AugmentationConfig(area=(0.05, 0.25))
    crop_rotations: bool = False
    mask_probability: float = 0.0
    mask_ratio: tuple[float, float] = (0.1, 0.5)

    def __post_init__(self) -> None:
        """Refuse values out of their range, quoting them."""
        check(self.crops >= 0, "views.crops", "0 or more", self.crops)
        for name in ("size", "source", "crop_size"):
            check(getattr(self, name) >= 1, f"views.{name}", "at least 1 pixel", getattr(self, name))
        if self.crop_rotations:
            check(self.crops == 4, "with views.crop_rotations, views.crops", "4", self.crops)
        if self.path == BETWEEN:
            self._check_between()
        check(0 <= self.mask_probability <= 1, "views.mask_probability", "in [0, 1]", self.mask_probability)
        ratio = self.mask_ratio
        ordered = len(ratio) == 2 and 0 <= ratio[0] <= ratio[1] <= 1
        check(ordered, "views.mask_ratio", "(lowest, highest) in [0, 1]", ratio)
        flips = {name: getattr(self, name).flip for name in ("first", "second", *(("crop",) if self.crops else ()))}
        if self.flip == "shared" and len(set(flips.values())) > 1:
            raise ValueError(
                f"views.flip is shared, but {', '.join(f'views.{name}.flip is {p}' for name, p in flips.items())}; "
                "give all of them one probability, or --views.flip independent"
            )
        if self.told:
            self._check_told()

    def _check_between(self) -> None:
        """Refuse views that may have no path between them."""
        if self.flip == "independent":
            raise ValueError(
                "views.path is between, but with views.flip independent one view may be the other's mirror image, to "
                "which no path leads; give --views.flip shared or none"
            )
        for name in ("first", "second"):
            turn = getattr(self, name).rotation
            if turn > LARGEST_TURN:
                raise ValueError(
                    f"views.path is between, but with views.{name}.rotation {turn:g} one view may be half a turn from "
                    f"the other, to which two paths lead; give {LARGEST_TURN:g} degrees at most"
                )

    def _check_told(self) -> None:
        known = [parameter.name for parameter in self.parameters]
        unknown = [name for name in self.told if name not in known]
        if unknown:
            raise ValueError(
                f"views.told {', '.join(map(repr, unknown))}: not among the parameters of path {self.path}, which are "
                f"{', '.join(known) or 'none'}"
            )
        check(len(set(self.told)) == len(self.told), "views.told", "names, each once", self.told)

    def check_path(self) -> None:
        """Raise ValueError for a path that there is not."""
        own, parts = (BETWEEN, POSES, "none"), self.path.split("+")
        if self.path in own:
            return
        for part in parts:
            if part in own:
                raise ValueError(f"views.path cannot be {self.path!r}: {part} stands alone, and not in a sum")
            if part not in PATHS:
                known = PATHS if len(parts) > 1 else (*PATHS, *own)
                raise ValueError(f"{unknown('views.path', part, known)}, or a sum such as se2+blur")

    @property
    def parameters(self) -> tuple[Parameter, ...]:
        """What theta holds; nothing without a path."""
        if self.path == POSES:
            return change_parameters(POSE_LATENTS)
        if self.path == BETWEEN:
            return Between.parameters
        return () if self.path == "none" else named_path(self.path).parameters

    @property
    def told_columns(self) -> list[int]:
        """Columns of theta for methods that receive it."""
        names = [parameter.name for parameter in self.parameters]
        return [names.index(name) for name in self.told] if self.told else list(range(len(names)))
