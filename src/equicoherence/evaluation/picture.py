"""What a task shows of a sample: pictures that are the same for all encoders, and one of what an encoder predicts."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from equicoherence.files import replacing

if TYPE_CHECKING:
    import numpy as np

PICTURES = "pictures"  # the folder beside scores.json
DIGEST = 12  # letters of a hash of pixels


class Meaning(NamedTuple):
    """What one color stands for: a line of a legend.

    number: its position in the legend.
    name: of a class, for example.
    color: as in CSS, ``#rrggbb``.
    """

    number: int
    name: str
    color: str


@dataclass(frozen=True)
class Picture:
    """One sample of a task. All arrays are (H, W, 3) uint8.

    predicted: the prediction of the encoder.
    given: label -> what does not depend on the encoder, such as the image and its true classes.
    legend: what the colors in it mean.
    """

    predicted: np.ndarray
    given: Mapping[str, np.ndarray] = field(default_factory=dict)
    legend: Sequence[Meaning] = ()


def write_pictures(pictures: Mapping[str, Picture], folder: Path, control: str, stem: str) -> dict[str, dict[str, Any]]:
    """Write pictures as PNG into ``folder/pictures``; return title -> what ``scores.json`` says of each.

    control: as in a part of ``scores.json``. What is given is one file for the encoder and for random weights.
    stem: what the names of the files begin with: task, data, and a hash of the settings.
    """
    from PIL import Image

    (folder / PICTURES).mkdir(parents=True, exist_ok=True)

    def write(pixels: np.ndarray, name: str) -> str:
        with replacing(folder / PICTURES / f"{name}.png") as aside:
            Image.fromarray(pixels).save(aside, format="PNG")
        return f"{PICTURES}/{name}.png"

    def digest(pixels: np.ndarray) -> str:
        return hashlib.sha256(repr(pixels.shape).encode() + pixels.tobytes()).hexdigest()[:DIGEST]

    own = f"{control}-{stem}" if control else stem
    return {
        title: {
            "predicted": write(picture.predicted, f"{own}-{number}"),
            "given": {label: write(pixels, f"{stem}-{digest(pixels)}") for label, pixels in picture.given.items()},
            "legend": [list(meaning) for meaning in picture.legend],
        }
        for number, (title, picture) in enumerate(pictures.items())
    }


def shown_in(part: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Return the pictures of a part of ``scores.json`` by title, none where it was written without any."""
    return part.get("shown", {})


def files_of(shown: Mapping[str, Any]) -> list[str]:
    """Return the files of one picture, as ``scores.json`` says them."""
    return [shown["predicted"], *shown["given"].values()]


def check_shown(shown: Mapping[str, Any]) -> None:
    """Raise ValueError, KeyError or TypeError where this is not what `write_pictures` says of one picture."""
    "".join(files_of(shown))  # all text
    for number, name, color in shown["legend"]:
        if not re.fullmatch("#[0-9a-f]{6}", color) or not isinstance(number, int) or not isinstance(name, str):
            raise ValueError(f"the legend of a picture has {[number, name, color]!r}")
