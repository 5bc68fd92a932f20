"""Pictures of classes of pixels: the image, true and predicted classes, and which color is which class."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from equicoherence.downstream.palette import hex_color, painted, reduced, shown_size
from equicoherence.evaluation.picture import Meaning, Picture
from equicoherence.sets.files import resized_labels
from equicoherence.sets.kinds import IGNORE


def draw_classes(image: np.ndarray, true: np.ndarray, predicted: np.ndarray, classes: Sequence[str]) -> Picture:
    """Return an image (H, W, 3) uint8 with its true and predicted classes (H, W) uint8, of its own size."""
    true, predicted = (resized_labels(labels, shown_size(labels.shape)) for labels in (true, predicted))
    given = {"image": reduced(image), "true classes": painted(true)}
    return Picture(painted(predicted), given, class_legend(classes, true, predicted))


def class_legend(classes: Sequence[str], *labels: np.ndarray) -> list[Meaning]:
    """Return the colors of the classes that occur in label images (H, W) uint8, in the order of the classes.

    A class without a name is called by its number; pixels without a class are last.
    """
    found = sorted({int(label) for each in labels for label in np.unique(each)})
    names = {label: classes[label] if label < len(classes) else str(label) for label in found} | {IGNORE: "not scored"}
    return [Meaning(label, names[label], hex_color(label)) for label in found]
