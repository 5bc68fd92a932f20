"""Classification on frozen features: k nearest neighbours, and a linear probe."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from equicoherence.evaluation.task import IMAGES, Task, TaskScore, Track

if TYPE_CHECKING:
    from equicoherence.data import ImageSource, Loader
    from equicoherence.evaluation.frozen_model import FrozenModel


@dataclass(frozen=True)
class NearestNeighbours(Task):
    """Classification of images by their nearest training images, weighted by cosine similarity (DINO's protocol).

    Each representation is pooled, from central square crops. The floor is the accuracy of the largest class.

    limit: largest number of labelled images of each split, evenly spread.
    k: number of neighbours that vote.
    temperature: a vote has the weight exp(cosine / temperature).
    """

    limit: int = 20000
    k: int = 20
    temperature: float = 0.07

    name: ClassVar[str] = "knn"
    order: ClassVar[int] = 1
    revision: ClassVar[int] = 5
    kind: ClassVar[str] = IMAGES
    metrics: ClassVar[dict[str, bool]] = {"top1": True}

    @property
    def protocol(self) -> str:
        return f"frozen, {self.k} neighbours"

    def obstacle(self, train: ImageSource, test: ImageSource) -> str:
        return unlabelled(train, test)

    def score(self, model: FrozenModel, train: Loader, test: Loader, track: Track) -> TaskScore:
        from equicoherence.evaluation.classification.scoring import score_neighbours

        return score_neighbours(self, model, train, test, track)


@dataclass(frozen=True)
class LinearProbe(Task):
    """Classification of images by a linear classifier on frozen features; the learning rate is chosen on held-out
    images.

    Each representation is pooled, from central square crops. The floor is the accuracy of the largest class.

    limit: largest number of labelled images of each split, evenly spread.
    epochs: of the training of the classifiers.
    seed: of the held-out images and the order.
    """

    limit: int = 20000
    epochs: int = 30
    seed: int = 0

    name: ClassVar[str] = "linear"
    order: ClassVar[int] = 2
    revision: ClassVar[int] = 5
    kind: ClassVar[str] = IMAGES
    metrics: ClassVar[dict[str, bool]] = {"top1": True}

    @property
    def protocol(self) -> str:
        return "frozen, linear"

    def obstacle(self, train: ImageSource, test: ImageSource) -> str:
        labelled = int((train.labels >= 0).sum())
        if min(self.limit, labelled) < 2 and not unlabelled(train, test):
            return f"needs at least 2 labelled training images, but has {labelled}, of which limit takes {self.limit}"
        return unlabelled(train, test)

    def score(self, model: FrozenModel, train: Loader, test: Loader, track: Track) -> TaskScore:
        from equicoherence.evaluation.classification.scoring import score_linear

        return score_linear(self, model, train, test, track)


def unlabelled(train: ImageSource, test: ImageSource) -> str:
    """Return why images cannot be classified, "" if they can."""
    if all((source.labels >= 0).any() for source in (train, test)):
        return ""
    return "needs labelled images (a folder per class, .cls files in shards, or 'objects')"
