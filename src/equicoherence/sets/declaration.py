"""The declaration of a data set: where its files are, what a sample is, where to get it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from equicoherence.sets.kinds import SampleSet, VideoSet

SetSplit = Literal["train", "val"]


@dataclass(frozen=True)
class Declaration:
    """name: as tables call it. kind: of its ground truth. layout: the files that are looked for, below its folder.

    source: where to get it, and its licence. is_here: whether a folder has the layout, by a few of its files.
    open: its reader, called with the folder and "train" or "val"; raises FileNotFoundError or ValueError, naming what
    is missing. trains: whether it has a training split; video sets have none. order: where it comes among the others,
    which go by the names of their modules.
    """

    name: str
    kind: str
    layout: str
    source: str
    is_here: Callable[[Path], bool]
    open: Callable[[Path, SetSplit], SampleSet | VideoSet]
    trains: bool = True
    order: str = ""
