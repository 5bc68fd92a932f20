"""Scores of an encoder on held-out images, measured every few steps during training."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor

from equicoherence.data import Loader, epoch_order, first_of_each
from equicoherence.finite import NotFinite, not_finite
from equicoherence.folds import folds
from equicoherence.metric_fields import HELD_OUT
from equicoherence.neighbours import neighbours_right
from equicoherence.paths import Pyramid, named_path, render
from equicoherence.paths.central import base_state
from equicoherence.paths.pair_images import Photographs, base_share, draw_pair_image
from equicoherence.ridge import r2_score, ridge_probe
from equicoherence.training.encoder_copy import EncoderCopy
from equicoherence.training.head_copy import HeadCopy
from equicoherence.training.watchable import AUTO, KNN, watched_names

MOST, LEAST = 500, 20  # images
PER_BATCH = 4  # images that are watched, at most, for each image of a step's batch: what keeps it cheap
BATCH = 256
SEED = 17


class HeldOut:
    """Measure an encoder on a fixed choice of images, drawn once.

    ``knn``: accuracy of k-NN. A path, such as ``rotation``: mean R2 of its parameters, predicted by a ridge regression
    from the features of an image and of its transformed copy; the pairs are those of `evaluate`'s task
    ``transformation`` with border ``content``. Both in five folds, each of which is predicted by the other four.

    names: what to measure, of `watchable`.
    copy: reads the encoder, or what a head over it gives: then each figure is taken of each representation, whose name
        follows that of the figure.
    loader: of the images that are held out.
    size: pixels of a view.
    most: images to take, at most.

    Raises ValueError where there are too few images, or too few with classes for k-NN.
    """

    def __init__(
        self, names: Sequence[str], copy: EncoderCopy | HeadCopy, loader: Loader, *, size: int, most: int = MOST
    ) -> None:
        self.names, self.copy = names, copy
        images, self.labels = _taken(loader, most)
        if len(images) < LEAST:
            raise ValueError(f"watch is {', '.join(names)}, but {len(images)} images are held out, fewer than {LEAST}")
        classes = self.labels[self.labels >= 0]
        if KNN in names and (len(classes) < LEAST or len(classes.unique()) < 2):
            raise ValueError(
                f"watch has knn, but of the {len(images)} images that are held out {len(classes)} have a class, of "
                f"{len(classes.unique())}; it needs {LEAST} images of two classes: leave knn out"
            )
        self._thetas: dict[str, Tensor] = {}
        self._views = {name: [copy.prepare(views) for views in self._drawn(name, images, size)] for name in names}

    def measure(self, weights: Mapping[str, Tensor]) -> dict[str, float]:
        """Return the figures of the encoder in a learner's ``weights``, as a line of metrics names them.

        Raises `NotFinite` where its features are not.
        """
        self.copy.load(weights)
        found = {}
        for name in self.names:
            read = [self.copy.representations(views) for views in self._views[name]]  # type: ignore[arg-type]
            for representation in read[0]:
                features = [of_views[representation] for of_views in read]
                found["_".join(filter(None, (f"{HELD_OUT}{name}", representation)))] = self._figure(name, features)
        return found

    def _figure(self, name: str, features: list[Tensor]) -> float:
        """Return a figure of features: of images, or of images and of their transformed copies."""
        if not_finite({name: torch.cat(features)}):
            raise NotFinite("the features of the images that are held out are not finite")
        if name == KNN:
            return float(neighbours_right(features[0], self.labels[self.labels >= 0]).float().mean())
        pairs, theta = torch.cat(features, dim=1), self._thetas[name]
        predicted = torch.empty_like(theta)
        for asked in folds(len(pairs)):
            predicted[asked] = ridge_probe(pairs[~asked], theta[~asked], pairs[asked])
        return float(r2_score(predicted, theta).mean())

    def _drawn(self, name: str, images: Photographs, size: int) -> list[Tensor]:
        """Return the views (N, 3, size, size), uint8, that are read for a figure; they stay the same."""
        if name == KNN:
            known = images[self.labels >= 0]
            central = [
                render(Pyramid.build(part.images, size), base_state(part.aspect, 1.0), size=size)
                for part in _parts(known)
            ]
            return [_bytes(central)]
        path, share = named_path(name), base_share(name)
        theta = path.sample(len(images), torch.Generator().manual_seed(SEED))
        used = [i for i, parameter in enumerate(path.parameters) if parameter.high > parameter.low]
        self._thetas[name] = theta[:, used]
        pairs = []
        for drawn in (None, theta):
            rows = [None] * len(images) if drawn is None else drawn.split(BATCH)
            pairs.append(
                _bytes([draw_pair_image(part, path, row, share, size) for part, row in zip(_parts(images), rows)])
            )
        return pairs


def allowed(labels: np.ndarray, most: int) -> list[str]:
    """Return which names of `AUTO` can be measured on ``most`` of the held-out images at most, by their labels (N,)."""
    taken = labels[epoch_order(len(labels), 0, 0)[:most]]
    classes = taken[taken >= 0]
    fit = {KNN: len(classes) >= LEAST and len(np.unique(classes)) > 1}
    return [name for name in watched_names(AUTO) if fit.get(name, True)] if len(taken) >= LEAST else []


def _taken(loader: Loader, most: int) -> tuple[Photographs, Tensor]:
    """Return a fixed choice of images, in random order, none twice, and their labels (N,), -1 where unknown."""
    chosen = epoch_order(len(loader.source), 0, 0)[:most]
    batches = list(loader.batches(np.array_split(chosen, max(1, len(chosen) // BATCH))))
    images, aspect, side, labels, index = (
        torch.cat([getattr(batch, name) for batch in batches])
        for name in ("images", "aspect", "side", "labels", "index")
    )
    kept = first_of_each(index)
    return Photographs(images[kept], aspect[kept], side[kept]), labels[kept]


def _parts(images: Photographs) -> list[Photographs]:
    return [images[slice(start, start + BATCH)] for start in range(0, len(images), BATCH)]


def _bytes(views: Sequence[Tensor]) -> Tensor:
    return torch.cat([(part.clamp(0, 1) * 255).round().byte() for part in views])
