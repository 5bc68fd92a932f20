"""Images in files of their own, each with a file of its mask."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from equicoherence.data.source import printable
from equicoherence.sets.files import read_image
from equicoherence.sets.kinds import SegmentationSet


class MaskedImages(SegmentationSet):
    """Abstract base of segmentation sets that are laid out so; named by the images' files."""

    _files: list[tuple[Path, Path]]
    """Of each sample the image and the mask."""

    def __len__(self) -> int:
        return len(self._files)

    def name(self, index: int) -> str:
        return printable(self._files[index][0].stem)

    def image(self, index: int) -> np.ndarray:
        return read_image(self._files[index][0])
