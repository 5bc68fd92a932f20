"""How much an encoder has kept since the start, measured on a few of its images while it trains."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from equicoherence.data import Loader, epoch_order, first_of_each
from equicoherence.finite import NotFinite, not_finite
from equicoherence.metric_fields import WATCHED
from equicoherence.models import Encoder
from equicoherence.models.features import Pool
from equicoherence.neighbours import neighbours_right
from equicoherence.paths import Pyramid, render
from equicoherence.paths.central import base_state
from equicoherence.training.encoder_copy import EncoderCopy

LABELLED, PER_CLASS, LEAST = 2000, 20, 100  # images: at most, of a class where there are many, at least
UNLABELLED = 500
BATCH = 256
CERTAIN = 1.645  # standard errors: 95 % on one side


@dataclass(frozen=True)
class Measurement:
    """A measurement after ``step`` steps.

    figure: accuracy of k-NN, or mean cosine to the features of the start.
    lost: mean over the images of what each of them lost since the start, right answers or 1 - cosine.
    bound: lower bound of the loss, with 95 % confidence: ``lost`` minus 1.645 standard errors of that mean.
    """

    step: int
    figure: float
    lost: float
    bound: float


class Watch:
    """Compare an encoder, image by image, with itself at the start.

    Where images are labelled it is k-NN: up to 2,000 images, of 100 classes at most, a fixed choice, in five parts,
    each of which is classified by the other four. Else it is the cosine of the image representation to what stood for
    it at the start, on 500 images. Central squares are encoded by a copy of the encoder in evaluation mode: the run
    does not change, and no random numbers are drawn.

    encoder: as the run starts. pool: the image representation. loader: of the run's images. size: pixels of a view.
    keep: largest allowed loss. bfloat16: whether products are in bfloat16.
    """

    def __init__(self, encoder: Encoder, pool: Pool, loader: Loader, *, size: int, keep: float, bfloat16: bool) -> None:
        self.copy = EncoderCopy(encoder, pool, bfloat16=bfloat16)
        self.loader, self.size, self.keep = loader, size, keep
        self.images, self.labelled = watched_images(np.asarray(loader.source.labels))
        self.name = "knn" if self.labelled else "cosine"
        self._start: Tensor | None = None  # of each image: whether k-NN was right, or its features
        self._good: list[tuple[int, float]] = []  # the last two steps after which enough was kept, and what was lost

    def measure(self, step: int, weights: Mapping[str, Tensor]) -> Measurement:
        """Measure the encoder of a learner's ``weights``; the first measurement is that of the start.

        Raises `NotFinite` where its features are not.
        """
        self.copy.load(weights)
        features, labels = self._read()
        if not_finite({"features": features}):
            raise NotFinite(f"the features of the watched images are not finite after step {step}")
        found = neighbours_right(features, labels) if self.labelled else F.normalize(features, dim=1)
        if self._start is None:
            self._start = found
        if self.labelled:
            figure, lost = found.float(), self._start.float() - found.float()
        else:
            figure = (found * self._start).sum(dim=1)
            lost = 1 - figure
        mean = float(lost.mean())
        seen = Measurement(step, float(figure.mean()), mean, mean - CERTAIN * float(lost.std()) / math.sqrt(len(lost)))
        if self.is_kept(seen):
            self._good = [*self._good[-1:], (step, mean)]
        return seen

    def is_kept(self, seen: Measurement) -> bool:
        """Return whether the measured loss is at most ``keep``: the state is good."""
        return seen.lost <= self.keep

    def is_lost(self, seen: Measurement) -> bool:
        """Return whether the loss is significantly above ``keep``: the run has to stop."""
        return seen.bound > self.keep

    def fields(self, seen: Measurement) -> dict[str, float]:
        """Return the metrics of a measurement."""
        values = {self.name: seen.figure, "lost": seen.lost, "lost_at_least": seen.bound}
        return {f"{WATCHED}{name}": value for name, value in values.items()}

    def sentence(self, seen: Measurement) -> str:
        """Return the measurement in words."""
        count, start = len(self.images), seen.figure + seen.lost
        what = f"k-NN on {count:,} of its images" if self.labelled else f"the cosine to itself on {count:,} images"
        return (
            f"{what} is {seen.figure:.4f} after step {seen.step}, {start:.4f} at the start: {seen.lost:.4f} lost, "
            f"{max(0.0, seen.bound):.4f} at least with 95 % certainty, and keep allows {self.keep:g}"
        )

    @property
    def good(self) -> tuple[int, float]:
        """The newest good step, and its loss."""
        return self._good[-1]

    @property
    def good_steps(self) -> list[int]:
        """Steps whose checkpoints must be kept: also the one before, because the newest may be damaged."""
        return [step for step, _ in self._good]

    def state(self) -> dict[str, Any]:
        """Return the state for a checkpoint."""
        return {"start": self._start, "good": self._good}

    def load(self, state: Mapping[str, Any]) -> None:
        """Restore the state of a checkpoint."""
        self._start, self._good = state["start"], [tuple(each) for each in state["good"]]

    def _read(self) -> tuple[Tensor, Tensor]:
        """Return features (N, C) and labels (N,) of the images."""
        parts, labels, index = [], [], []
        chunks = [self.images[start : start + BATCH] for start in range(0, len(self.images), BATCH)]
        for batch in self.loader.batches(chunks):
            labels.append(batch.labels)
            index.append(batch.index)
            batch = batch.to(self.copy.device)
            view = render(Pyramid.build(batch.images, self.size), base_state(batch.aspect, 1.0), size=self.size)
            parts.append(self.copy.read(view))
        kept, found = first_of_each(torch.cat(index)), torch.cat(labels)
        if self.labelled:  # what stands in for a bad image may have no label, or be another of the chosen ones
            kept = kept[found[kept] >= 0]
        return torch.cat(parts)[kept], found[kept]


def watched_images(labels: np.ndarray) -> tuple[np.ndarray, bool]:
    """Return the images that are measured (M,), in random order, the same for every run, and whether labels are used.

    labels: (N,) of all images, -1 where unknown. Fewer than 100 labelled images, or a single class, are not enough.
    """
    order = epoch_order(len(labels), 0, 0)
    classes = np.unique(labels[labels >= 0])
    taken = classes[epoch_order(len(classes), 0, 0)][: LABELLED // PER_CLASS]
    known = order[np.isin(labels[order], taken)][:LABELLED]
    if len(taken) > 1 and len(known) >= LEAST:
        return known, True
    return order[:UNLABELLED], False
