"""Data sets that tolerate a few unreadable samples: each is named, counted, and replaced by another."""

from __future__ import annotations

import threading
from typing import Any, ClassVar

import numpy as np

from equicoherence.data.source import BadImage, TooManyBadImages
from equicoherence.notice import say
from equicoherence.sets.kinds import (
    BoxSet,
    DepthSet,
    DetectionSet,
    Keypoints,
    KeypointSet,
    Objects,
    PointPairSet,
    PosedViewSet,
    SampleSet,
    SegmentationSet,
    Surface,
    TurnedSet,
    VideoSet,
)

TOLERANCE = 0.01
"""Share of the samples that may be bad."""
SAID = 5  # bad samples that are named on the screen; all are in ``bad``
_COPIED = (
    "variant", "classes", "limits", "crop", "has_masks", "names", "mirrored", "numbers", "rotations", "pairs",
    "scenes", "angles",
)  # fmt: skip


class Bad:
    """The samples of a split that cannot be read, so far. ``reasons``: name -> reason."""

    def __init__(self, split: str, total: int, tolerance: float) -> None:
        self.split, self.total, self.tolerance = split, total, tolerance
        self.reasons: dict[str, str] = {}
        self._lock = threading.Lock()

    def note(self, name: str, error: BadImage, instead: str) -> None:
        """Count a bad sample, with a notice. Raises `TooManyBadImages` above the tolerated share."""
        with self._lock:
            if name in self.reasons:
                return
            self.reasons[name] = str(error)
            if len(self.reasons) > self.tolerance * self.total:
                raise TooManyBadImages(self.reasons, self.total, self.tolerance)
            if len(self.reasons) <= SAID:
                more = "; others are counted, but not named" if len(self.reasons) == SAID else ""
                say(f"{self.split}: {name} is left out, {instead}: {error}{more}")


def tolerant(split: SampleSet | VideoSet, name: str, tolerance: float = TOLERANCE) -> SampleSet | VideoSet:
    """Return a split of the same samples in which those that are bad do not end what is done with it.

    A sample whose image or ground truth cannot be read is replaced by the next one that can, as `Loader` does; one of
    those that are scored in pairs is so replaced too, but is not ``readable``, and its pairs are for a task to leave
    out. A frame
    of a video whose mask cannot be read, or has another size than the first, is not scored; one whose image cannot be
    read shows the frame before it. More bad ones than the share ``tolerance``, of samples or of frames, raise
    `TooManyBadImages`.

    name: of the split, for messages.
    """
    if isinstance(split, VideoSet):
        return _Video(split, name, tolerance)
    return _KINDS.get(split.kind, _Tolerant)(split, name, tolerance)


class _Tolerant(SampleSet):
    """Images without ground truth; subclasses add it."""

    truth: ClassVar[str] = ""
    instead: ClassVar[str] = "the next one that can be read stands for it"

    def __init__(self, split: SampleSet, name: str, tolerance: float) -> None:
        self._split = split
        self.kind = split.kind  # type: ignore[misc]
        vars(self).update({field: getattr(split, field) for field in _COPIED if hasattr(split, field)})
        self.bad = Bad(name, len(split), tolerance)
        self._shown: dict[int, int] = {}  # sample -> the good one that is shown for it

    def __len__(self) -> int:
        return len(self._split)

    def name(self, index: int) -> str:
        return self._split.name(index)

    def image(self, index: int) -> np.ndarray:
        return self._read("image", index)

    def _read(self, what: str, index: int) -> Any:
        """Read an image or a truth; the first time both, so that what is shown of a sample is of one and the same."""
        if index in self._shown:
            return getattr(self._split, what)(self._shown[index])
        for shift in range(len(self)):
            candidate = (index + shift) % len(self)
            if candidate in self._shown and self._shown[candidate] != candidate:
                continue
            try:
                found = {each: getattr(self._split, each)(candidate) for each in ("image", self.truth) if each}
            except BadImage as error:
                self.bad.note(self.name(candidate), error, self.instead)
                continue
            self._shown[candidate] = self._shown[index] = candidate
            return found[what]
        raise TooManyBadImages(self.bad.reasons, len(self), self.bad.tolerance)


class _Segmentation(_Tolerant, SegmentationSet):
    truth = "mask"

    def mask(self, index: int) -> np.ndarray:
        return self._read("mask", index)


class _Depth(_Tolerant, DepthSet):
    truth = "depth"

    def depth(self, index: int) -> np.ndarray:
        return self._read("depth", index)


class _Detection(_Tolerant, DetectionSet):
    truth = "objects"

    def objects(self, index: int) -> Objects:
        return self._read("objects", index)


class _Box(_Tolerant, BoxSet):
    truth = "box"

    def box(self, index: int) -> np.ndarray:
        return self._read("box", index)


class _Keypoints(_Tolerant, KeypointSet):
    truth = "keypoints"

    def keypoints(self, index: int) -> Keypoints:
        return self._read("keypoints", index)


class _Paired(_Tolerant):
    """Samples that are scored in pairs, for which no other can stand: see ``readable``."""

    instead = "and so are its pairs"

    def readable(self, index: int) -> bool:
        return self._shown.get(index, index) == index


class _PosedViews(_Paired, PosedViewSet):
    truth = "surface"

    def surface(self, index: int) -> Surface:
        return self._read("surface", index)


class _PointPairs(_Paired, PointPairSet):
    pass


class _Turned(_Paired, TurnedSet):
    pass


_KINDS = {
    each.kind: each for each in (_Segmentation, _Depth, _Detection, _Box, _Keypoints, _PosedViews, _PointPairs, _Turned)
}


class _Video(VideoSet):
    def __init__(self, split: VideoSet, name: str, tolerance: float) -> None:
        self._split, self.classes, self.variant = split, split.classes, split.variant
        self.bad = Bad(name, sum(split.frames(sequence) for sequence in range(len(split))), tolerance)
        self._shapes: dict[int, tuple[int, ...]] = {}  # of the first masks of sequences

    def __len__(self) -> int:
        return len(self._split)

    def name(self, sequence: int) -> str:
        return self._split.name(sequence)

    def frames(self, sequence: int) -> int:
        return self._split.frames(sequence)

    def image(self, sequence: int, frame: int) -> np.ndarray:
        for other in (*range(frame, -1, -1), *range(frame + 1, self.frames(sequence))):
            try:
                return self._split.image(sequence, other)
            except BadImage as error:
                self.bad.note(self._named(sequence, other), error, "the frame before it is seen twice")
        raise TooManyBadImages(self.bad.reasons, self.bad.total, self.bad.tolerance)

    def mask(self, sequence: int, frame: int) -> np.ndarray | None:
        try:
            mask = self._split.mask(sequence, frame)
            if frame and mask is not None:
                self._refuse_other_size(sequence, frame, mask)
            return mask
        except BadImage as error:
            self.bad.note(self._named(sequence, frame), error, "and is not scored")
            return None

    def _refuse_other_size(self, sequence: int, frame: int, mask: np.ndarray) -> None:
        if sequence not in self._shapes:
            first = self._split.mask(sequence, 0)
            self._shapes[sequence] = mask.shape if first is None else first.shape
        if mask.shape != self._shapes[sequence]:
            sizes = [f"{shape[1]} x {shape[0]}" for shape in (mask.shape, self._shapes[sequence])]
            raise BadImage(self._named(sequence, frame), f"its mask has {sizes[0]} pixels, the first one {sizes[1]}")

    def _named(self, sequence: int, frame: int) -> str:
        return f"{self.name(sequence)}, frame {frame}"
