"""Similarity curves: cosine similarity of an image and its transformed copy, by size of the transformation
[2412.11938].
"""

from __future__ import annotations

import abc
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from equicoherence.evaluation.task import IMAGES, Task, TaskScore, Track
from equicoherence.evaluation.transformation.task import TransformationRegression

if TYPE_CHECKING:
    from equicoherence.data import ImageSource, Loader
    from equicoherence.evaluation.frozen_model import FrozenModel


@dataclass(frozen=True)
class SimilarityCurve(Task):
    """Abstract base of the curves.

    ``cosine``: mean cosine similarity of the features of an image and of its transformed copy.
    ``others``: mean cosine similarity of the transformed image and the other original images, for comparison.
    ``retrieved``: how often the original is, by cosine, the nearest of all images to its transformed copy.

    Nothing is trained. Images are rendered as in the task transformation, with border ``content``. Main scores are
    means over the steps that change the image. A constant feature has a cosine of 1, and retrieves 1 / number of
    images.

    images: number of test images, evenly spread; each is retrieved among them.
    """

    images: int = 500

    revision: ClassVar[int] = 1 + TransformationRegression.revision
    kind: ClassVar[str] = IMAGES
    metrics: ClassVar[dict[str, bool]] = {"retrieved": True, "cosine": True, "others": False}
    least: ClassVar[dict[str, int]] = {"images": 2}
    by_default: ClassVar[bool] = False
    advice: ClassVar[str] = (
        "If you want invariance (satellite, microscopy, inspection), look for a high, flat curve of “retrieved” and a "
        "cosine far above that of other images: the feature stays the same and still identifies its image. If you want "
        "features that keep the transformation, look for a cosine that falls steadily."
    )

    path: ClassVar[str]
    share: ClassVar[float]

    @property
    @abc.abstractmethod
    def steps(self) -> Sequence[float]:
        """Values of the path's first parameter, in the unit of the axis, including 0; other parameters are 0."""

    @property
    def protocol(self) -> str:
        return "frozen, nothing trained"

    def changes(self, step: float) -> bool:
        """Return whether a step changes the image."""
        return step != 0

    def obstacle(self, train: ImageSource, test: ImageSource) -> str:
        return "" if len(test) > 1 else f"needs at least 2 images in split val, which has {len(test)}"

    def score(self, model: FrozenModel, train: Loader, test: Loader, track: Track) -> TaskScore:
        from equicoherence.evaluation.curves.scoring import score_curve

        return score_curve(self, model, test, track)


@dataclass(frozen=True)
class RotationCurve(SimilarityCurve):
    """Similarity of an image and its rotated copy, every 15 degrees up to 360, counter-clockwise.

    images: number of test images, evenly spread; each is retrieved among them.
    """

    name: ClassVar[str] = "rotation-curve"
    order: ClassVar[int] = 6
    axis: ClassVar[str] = "degrees"
    path: ClassVar[str] = "rotation"
    share: ClassVar[float] = 0.66

    @property
    def steps(self) -> Sequence[float]:
        return range(0, 361, 15)

    def changes(self, step: float) -> bool:
        return step % 360 != 0


@dataclass(frozen=True)
class ScaleCurve(SimilarityCurve):
    """Similarity of an image and its scaled copy, from half to twice the size by quarters of an octave.

    images: number of test images, evenly spread; each is retrieved among them.
    """

    name: ClassVar[str] = "scale-curve"
    order: ClassVar[int] = 7
    axis: ClassVar[str] = "octaves: 1 is twice as large"
    path: ClassVar[str] = "scale"
    share: ClassVar[float] = 0.5

    @property
    def steps(self) -> Sequence[float]:
        return [number / 4 for number in range(-4, 5)]


@dataclass(frozen=True)
class ShiftCurve(SimilarityCurve):
    """Similarity of an image and its copy shifted to the left or right, by up to a quarter of its width.

    images: number of test images, evenly spread; each is retrieved among them.
    """

    name: ClassVar[str] = "shift-curve"
    order: ClassVar[int] = 8
    axis: ClassVar[str] = "pixels to the right, of an image 224 wide"
    path: ClassVar[str] = "translation"
    share: ClassVar[float] = 0.66

    @property
    def steps(self) -> Sequence[float]:
        return range(-56, 57, 7)
