"""The kinds of data sets of downstream tasks: numbered images, each with its ground truth.

One abstract class for each kind of ground truth; a reader of a published layout is a subclass of one of them. Images
keep their own sizes. Whatever cannot be read raises `BadImage`, naming the file. Methods may be called from many
threads at once.
"""

from __future__ import annotations

import abc
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

IGNORE = 255
"""Label of pixels that no score counts."""


class SampleSet(abc.ABC):
    """One split of a data set."""

    kind: ClassVar[str]
    """What its ground truth is, as in `Declaration.kind` and `Task.kind`."""
    variant: str = ""
    """Which of the files was read where a layout has several for the same samples."""

    @abc.abstractmethod
    def __len__(self) -> int: ...

    @abc.abstractmethod
    def name(self, index: int) -> str:
        """Return a readable name of a sample: printable, on one line."""

    @abc.abstractmethod
    def image(self, index: int) -> np.ndarray:
        """Return an image (H, W, 3) uint8 RGB."""


class SegmentationSet(SampleSet):
    """Images with a class for each pixel."""

    kind = "segmentation"
    classes: tuple[str, ...]

    @abc.abstractmethod
    def mask(self, index: int) -> np.ndarray:
        """Return the classes (H, W) uint8 of an image's pixels, from 0; `IGNORE` where there is none."""


class DepthSet(SampleSet):
    """Images with the distance of each pixel along the camera's axis."""

    kind = "depth"
    limits: tuple[float, float]
    """Smallest and largest depth, in metres, that is scored."""
    crop: Literal["", "eigen", "garg"] = ""
    """Part of the image that is scored, as the data set's papers have it."""

    @abc.abstractmethod
    def depth(self, index: int) -> np.ndarray:
        """Return the depths (H, W) float32 of an image's pixels in metres, 0 where it was not measured."""


@dataclass(frozen=True)
class Objects:
    """boxes: (N, 4) float32, left, top, right, bottom in pixels, the last two exclusive. labels: (N,) int64, from 0.

    masks: (N, H, W) bool, or None if there are none. crowd: (N,) bool, regions that are neither right nor wrong.
    """

    boxes: np.ndarray
    labels: np.ndarray
    crowd: np.ndarray
    masks: np.ndarray | None = None


class DetectionSet(SampleSet):
    """Images with the boxes, and masks, of the objects in them."""

    kind = "detection"
    classes: tuple[str, ...]
    has_masks: bool

    @abc.abstractmethod
    def objects(self, index: int) -> Objects:
        """Return the objects of an image."""


class BoxSet(SampleSet):
    """Images of one object each, with its box."""

    kind = "box"

    @abc.abstractmethod
    def box(self, index: int) -> np.ndarray:
        """Return left, top, right, bottom (4,) float32 in pixels, the last two exclusive."""


@dataclass(frozen=True)
class Keypoints:
    """points: (K, 2) float32, x and y in pixels, the first pixel's centre being (.5, .5). scored: (K,) bool. length: of
    the head, or of another part that errors are measured by, in pixels; only those of scoring count."""

    points: np.ndarray
    scored: np.ndarray
    length: float


class KeypointSet(SampleSet):
    """Images of one person or object each (cropped if the layout has several), with named points on it."""

    kind = "keypoints"
    names: tuple[str, ...]
    mirrored: tuple[int, ...]
    """Which point each becomes in a mirrored image."""

    @abc.abstractmethod
    def keypoints(self, index: int) -> Keypoints:
        """Return the points of an image."""


@dataclass(frozen=True)
class Surface:
    """What a view of an object shows of its shape.

    depth: (H, W) float32, distance along the camera's axis, exact at each pixel's centre. mask: (H, W) bool, on the
    object. intrinsics (3, 3), extrinsics (4, 4): world to camera to pixels, the first pixel's centre being (.5, .5).
    """

    depth: np.ndarray
    mask: np.ndarray
    intrinsics: np.ndarray
    extrinsics: np.ndarray


class PosedViewSet(SampleSet):
    """Several views of each of some objects, with depth and pose; the left and right of an object lie along its x."""

    kind = "views"
    numbers: np.ndarray
    """Number (N,) of the object that each view is of."""
    rotations: np.ndarray
    """Rotation (N, 3, 3) of each view, from the object's coordinates to the world's."""

    @abc.abstractmethod
    def surface(self, index: int) -> Surface:
        """Return what a view shows of its object's shape."""

    def readable(self, index: int) -> bool:
        """Say whether a view can be used, as far as it has been read."""
        return True


@dataclass(frozen=True)
class PointPair:
    """Two images of a category with the same points on both.

    category: name of it. source, target: numbers of the images. source_points, target_points: (K, 2) float32, x and y
    as indices of pixels, the first pixel's centre being (0, 0). length: longer side of the target's bounding box in
    pixels, by which errors are measured.
    """

    category: str
    source: int
    target: int
    source_points: np.ndarray
    target_points: np.ndarray
    length: float


class PointPairSet(SampleSet):
    """Images, and pairs of them on which the same points are marked."""

    kind = "point pairs"
    pairs: tuple[PointPair, ...]

    def readable(self, index: int) -> bool:
        """Say whether an image can be used, as far as it has been read."""
        return True


class TurnedSet(SampleSet):
    """Photographs of scenes, several of each, taken by a camera that was rotated about its axis."""

    kind = "turned"
    scenes: np.ndarray
    """Number (N,) of the scene that each image is of."""
    angles: np.ndarray
    """Degrees (N,) float64 by which the scene is turned counter-clockwise in each image."""

    def readable(self, index: int) -> bool:
        """Say whether an image can be used, as far as it has been read."""
        return True


class VideoSet(abc.ABC):
    """Sequences of frames, with masks of the objects, or parts, in some or all of them."""

    kind: ClassVar[str] = "video"
    classes: tuple[str, ...] = ()
    """Names of the parts, for sets whose numbers mean the same everywhere; () where they number objects."""
    variant: str = ""
    """As in `SampleSet`."""

    @abc.abstractmethod
    def __len__(self) -> int:
        """Count the sequences."""

    @abc.abstractmethod
    def name(self, sequence: int) -> str:
        """Name a sequence."""

    @abc.abstractmethod
    def frames(self, sequence: int) -> int:
        """Count the frames of a sequence."""

    @abc.abstractmethod
    def image(self, sequence: int, frame: int) -> np.ndarray:
        """Return a frame (H, W, 3) uint8 RGB."""

    @abc.abstractmethod
    def mask(self, sequence: int, frame: int) -> np.ndarray | None:
        """Return the numbers (H, W) uint8 of a frame's objects, from 1, 0 elsewhere, `IGNORE` where there is no telling
        (parts are not scored there; of objects it counts as 0); None if the frame has no mask."""
