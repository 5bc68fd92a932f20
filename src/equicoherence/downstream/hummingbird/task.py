"""Hummingbird: segmentation by the nearest neighbours of patch tokens in a memory of labelled ones; mIoU."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from equicoherence.evaluation.task import Task, TaskScore, Track

if TYPE_CHECKING:
    from equicoherence.evaluation.model import FrozenModel
    from equicoherence.sets.kinds import SegmentationSet

PUBLISHED = 512  # pixels of the input


@dataclass(frozen=True)
class Hummingbird(Task):
    """Classes of pixels, told by the nearest patches of the training images; nothing is trained.

    As Balazevic et al. (2023, "Towards In-context Scene Understanding", arXiv 2306.01667) score: the memory holds patch
    tokens of the training images, each with the shares of the classes in its patch. A test token takes the mean of the
    shares of its 30 nearest by cosine, weighted by the softmax of the cosines over .02. Shares are enlarged bilinearly
    to the mask's own size, and the largest is taken.

    pixels: short side of the input; all images are squashed to the median aspect. neighbours, temperature: of the mean.
    memory: patches at most, as many of each image. Where an image has more, those of classes that are rare in it come
    first, as published: a patch's number is the sum, over the classes in it, of how many patches of its image have
    them, times a random share; the smallest are kept. passes: over the training images, the first of whole images, each
    other of random crops, some mirrored (`joint_crop`). train, test: images of each split, at most; 0 for all.

    The search is exact, where the published one is approximate (ScaNN). It goes through the memory block by block, so
    that its room does not grow with the memory. Published figures are taken at 512 x 512 pixels and, on VOC, with two
    passes: set pixels=512 and passes=2; 1,024 x 10^4 patches are the default here. The open reimplementation
    (github.com/vpariza/open-hummingbird-eval) crops and changes colors in all passes, counts pixels without a class as
    the first class in the memory, and assigns predicted classes to true ones by the Hungarian method. Here pixels
    without a class count nowhere, patches without any other are not remembered, and a class is itself.
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
    caption: ClassVar[str] = "Image, true classes, classes of the nearest patches; a class has one color in all."
    kind: ClassVar[str] = "segmentation"
    metrics: ClassVar[dict[str, bool]] = {"miou": True, "accuracy": True, "iou": True}

    @property
    def protocol(self) -> str:
        size = "" if self.pixels == PUBLISHED else f" at {self.pixels} px"
        return f"frozen, {self.neighbours} nearest patches{size}"

    def score(self, model: FrozenModel, train: SegmentationSet, test: SegmentationSet, track: Track) -> TaskScore:
        from equicoherence.downstream.hummingbird.scoring import score_hummingbird

        return score_hummingbird(self, model, train, test, track)
