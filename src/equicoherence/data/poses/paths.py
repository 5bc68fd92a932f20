"""Pose paths: rendered views of objects, and the states between pairs of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from equicoherence.data.poses.threediebench import ThreeDIEBench, load_image, turned
from equicoherence.data.source import ImageSource, Sample, Split, printable, size_of_file


def kept_states(positions: Sequence[float], states: int) -> list[int]:
    """Return which of ``states`` evenly spaced states lie at positions, or opposite of them, rising, from 0; the ends
    of the path, 0 and 1, are none of them. Raises ValueError where there is no state."""
    steps = states + 1
    found = {round(position * steps) for position in positions}
    if any(abs(position * steps - round(position * steps)) > 1e-6 * steps for position in positions) or not (
        found <= set(range(steps + 1))
    ):
        wanted, there = (
            ", ".join(f"{p:g}" for p in part) for part in (positions, [k / steps for k in range(steps + 1)])
        )
        raise ValueError(f"states are wanted at {wanted} of the paths, which have some at {there} alone")
    inner = {step for step in found if 0 < step < steps}
    return sorted(step - 1 for step in inner | {steps - step for step in inner})


class PosePaths(ImageSource):
    """The views of `ThreeDIEBench`, and behind them the states between pairs of them: K of each path.

    Paths are written by ``equicoherence render --paths``; see `equicoherence.rendering.data_set`. A state is a share of
    the way between the ends: the rotation by `slerp`, hues along the shorter way round.

    Args:
        root: The folder.
        split: ``"train"``, ``"val"`` or ``"all"``.
        positions: Which states are images of this source, by where they lie on their path, 0 to 1; all if None.
            Their mirror images about the middle come with them, since half of the paths are seen turned round.

    Raises:
        FileNotFoundError, ValueError: as `ThreeDIEBench`; or there are no whole paths, or no state at a position.
    """

    latents: np.ndarray
    """(N, 7 or 10) float32, of all images."""
    groups: np.ndarray
    """(P, 2 + K) int64: of each path the images at its ends, then those of its states, in order."""
    path_objects: np.ndarray
    """(P,) int64, rising: number of the object of each path."""
    between: tuple[float, ...]
    """K numbers, rising: where the states lie on their path."""

    def __init__(self, root: str | Path, split: Split = "all", positions: Sequence[float] | None = None) -> None:
        self.benchmark = ThreeDIEBench(root, split)
        self.origin = self.benchmark.origin
        index, count = self.benchmark.index, len(self.benchmark)
        paths, rendered, width = index.path_latents.shape
        if not paths:
            raise ValueError(
                f"no whole pose path in {str(root)!r}: render a set with them (equicoherence render --paths 4), or "
                "train on pairs of views alone"
            )
        self._kept = list(range(rendered)) if positions is None else kept_states(positions, rendered)
        self.states, self.between = len(self._kept), tuple((k + 1) / (rendered + 1) for k in self._kept)
        self.path_objects, self.classes = index.path_objects, self.benchmark.classes
        states = count + np.arange(paths * self.states).reshape(paths, self.states)
        self.groups = np.concatenate([index.path_ends, states], axis=1)
        self.latents = np.concatenate([index.latents, index.path_latents[:, self._kept].reshape(-1, width)])
        of_state = self.benchmark.labels[index.path_ends[:, 0]]
        self.labels = np.concatenate([self.benchmark.labels, np.repeat(of_state, self.states)])

    def __len__(self) -> int:
        return len(self.labels)

    def name(self, index: int) -> str:
        return self.benchmark.name(index) if index < len(self.benchmark) else printable(self._file(index))

    def load(self, index: int, size: int) -> Sample:
        if index < len(self.benchmark):
            return self.benchmark.load(index, size)
        return load_image(self.benchmark.root, self._file(index), size)

    def file_size(self, index: int) -> int | None:
        if index < len(self.benchmark):
            return self.benchmark.file_size(index)
        return size_of_file(self.benchmark.root / self._file(index))

    def substitutes(self, index: int) -> Iterator[int]:
        """Yield the other views of the same object first; for a state, the others of its path."""
        if index < len(self.benchmark):
            yield from self.benchmark.substitutes(index)
        else:
            start = index - (index - len(self.benchmark)) % self.states
            yield from turned(start, start + self.states, index)
        yield from super().substitutes(index)

    def _file(self, index: int) -> str:
        path, state = divmod(index - len(self.benchmark), self.states)
        name = self.benchmark.object_name(int(self.path_objects[path]))
        return f"{name}/path_{self.benchmark.index.path_numbers[path]}_image_{self._kept[state]}.jpg"
