"""Hummingbird: segmentation by the nearest neighbours of patch tokens in a memory of labelled ones; mIoU."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from equicoherence.evaluation.task import Task, TaskScore, Track

if TYPE_CHECKING:
    from equicoherence.evaluation.frozen_model import FrozenModel
    from equicoherence.sets.kinds import SegmentationSet

PUBLISHED = 512  # pixels of the input


@dataclass(frozen=True)
class Hummingbird(Task):
    """Classification of pixels by the nearest patches of the training images; nothing is trained.

    As in Balazevic et al. (2023, "Towards In-context Scene Understanding", arXiv 2306.01667): the memory has patch
    tokens of the training images, each with the shares of the classes in its patch. A test token gets the mean of the
    shares of its 30 nearest tokens by cosine, weighted by the softmax of the cosines over .02. Shares are upsampled
    bilinearly to the size of the mask, and the largest is taken.

    pixels: short side of the input; all images are resized to the median aspect.
    neighbours, temperature: of the mean.
    memory: largest number of patches, equally many of each image. If an image has more, patches of classes that are
        rare in it come first, as published: the number of a patch is the sum, over its classes, of how many patches of
        the image have them, times a random share; the smallest are kept.
    passes: over the training images; the first with whole images, the others with random crops, some mirrored
        (`joint_crop`).
    train, test: largest number of images of each split; 0 for all.

    The search is exact; the published one is approximate (ScaNN). It goes through the memory block by block, so its
    working memory does not grow. Published scores are taken at 512 x 512 pixels and, on VOC, with two passes: set
    pixels=512 and passes=2; 1,024 x 10^4 patches are the default here. The open reimplementation
    (github.com/vpariza/open-hummingbird-eval) crops and changes colors in all passes, counts pixels without a class as
    the first class in the memory, and matches predicted classes to true ones by the Hungarian method. Here pixels
    without a class do not count, patches with no other pixels are not stored, and classes are not matched.
    """

    pixels: int = 224
    neighbours: int = 30
    temperature: float = 0.02
    memory: int = 10_240_000
    passes: int = 1
    train: int = 0
    test: int = 0
    seed: int = 0

    name: ClassVar[str] = "hummingbird"
    order: ClassVar[int] = 15
    caption: ClassVar[str] = (
        "Classes of the nearest patches; a class has one color in all pictures; the legend names those that occur."
    )
    kind: ClassVar[str] = "segmentation"
    metrics: ClassVar[dict[str, bool]] = {"miou": True, "accuracy": True, "iou": True}

    @property
    def protocol(self) -> str:
        size = "" if self.pixels == PUBLISHED else f" at {self.pixels} px"
        return f"frozen, {self.neighbours} nearest patches{size}"

    def score(self, model: FrozenModel, train: SegmentationSet, test: SegmentationSet, track: Track) -> TaskScore:
        from equicoherence.downstream.hummingbird.scoring import score_hummingbird

        return score_hummingbird(self, model, train, test, track)
