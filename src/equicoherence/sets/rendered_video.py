"""Videos of several turning objects, put together from the pose paths of sets that ``equicoherence render`` made."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from equicoherence.data.poses.objects import find_objects
from equicoherence.data.source import BadImage, printable
from equicoherence.sets.declaration import Declaration
from equicoherence.sets.files import read_image
from equicoherence.sets.kinds import VideoSet
from equicoherence.sets.rendered_views import is_rendered, read_dense

OVERLAP = 4  # neighbours share one part in so many of a render's width


@dataclass(frozen=True)
class _Path:
    """folder: of an object. number: of its path. ends: the views that it joins. states: how many are between them."""

    folder: Path
    number: int
    ends: tuple[int, int]
    states: int

    def frame(self, index: int) -> tuple[str, str]:
        """Return the image's file and the mask's name in dense.npz."""
        if 0 < index <= self.states:
            stem = f"path_{self.number}"
            return f"{stem}_image_{index - 1}.jpg", f"mask_{stem}_{index - 1}"
        view = self.ends[index > 0]
        return f"image_{view}.jpg", f"mask_{view}"


class RenderedVideo(VideoSet):
    """Two or three objects of the val split, side by side, each along a path of its own from one view to another.

    Each render stands on its own floor; in the quarter that neighbours share, the right object covers the left one, and
    the left floor is seen. A group of objects, taken from all over the split, makes a sequence of each of their paths.
    """

    def __init__(self, root: Path) -> None:
        found = find_objects(root)
        names = found.names[found.training :]
        if len(names) < 2:
            raise ValueError(f"val holds {len(names)} objects, but a sequence needs 2")
        groups = max(1, len(names) * 2 // 5)
        self._sequences: list[tuple[str, list[_Path]]] = []
        for group in range(groups):
            paths = [_paths(root / name) for name in names[group::groups][: 2 + group % 2]]
            self._sequences += [(f"{group}_{together[0].number}", list(together)) for together in zip(*paths)]
        if not self._sequences:
            raise ValueError("its objects have no paths: render it with --paths 1 and some --states")
        for _, together in self._sequences:
            if len({path.states for path in together}) > 1:
                raise ValueError(
                    f"the paths of {[str(path.folder) for path in together]} have different numbers of states"
                )

    def __len__(self) -> int:
        return len(self._sequences)

    def name(self, sequence: int) -> str:
        return self._sequences[sequence][0]

    def frames(self, sequence: int) -> int:
        return self._sequences[sequence][1][0].states + 2

    def image(self, sequence: int, frame: int) -> np.ndarray:
        return self._composed(sequence, frame)[0]

    def mask(self, sequence: int, frame: int) -> np.ndarray:
        return self._composed(sequence, frame)[1]

    def _composed(self, sequence: int, frame: int) -> tuple[np.ndarray, np.ndarray]:
        """Return the image and the objects' numbers, from the left."""
        renders = [_read(path, frame) for path in self._sequences[sequence][1]]
        side = renders[0][1].shape[0]
        shared = side // OVERLAP
        width = side + (side - shared) * (len(renders) - 1)
        image, numbers = np.zeros((side, width, 3), np.uint8), np.zeros((side, width), np.uint8)
        for position, (pixels, mask) in enumerate(renders):
            if mask.shape != (side, side):
                raise BadImage(f"sequence {self.name(sequence)}", f"its renders differ in size: {mask.shape}, {side}")
            left = position * (side - shared)
            drawn = mask.copy()
            drawn[:, shared if position else 0 :] = True
            image[:, left : left + side][drawn] = pixels[drawn]
            numbers[:, left : left + side][mask] = position + 1
        return image, numbers


def _paths(folder: Path) -> list[_Path]:
    if not (folder / "dense.npz").is_file():
        raise FileNotFoundError(f"no file dense.npz in {str(folder)!r}")
    ends, boxes = read_dense(folder, "path_views"), read_dense(folder, "path_boxes")
    return [_Path(folder, number, (int(pair[0]), int(pair[1])), boxes.shape[1]) for number, pair in enumerate(ends)]


def _read(path: _Path, frame: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the image (S, S, 3) uint8 of an object and its mask (S, S) bool."""
    file, member = path.frame(frame)
    pixels, mask = read_image(path.folder / file), read_dense(path.folder, member)
    if pixels.shape[:2] != mask.shape:
        name = printable(str(path.folder / file))
        raise BadImage(name, f"{pixels.shape[:2]} pixels, but its mask {member} has {mask.shape}")
    return pixels, mask > 0


RENDERED_VIDEO = Declaration(
    name="rendered_video",
    kind="video",
    layout="render.yaml, val_images.npy, CATEGORY/OBJECT/path_0_image_0.jpg, CATEGORY/OBJECT/dense.npz",
    source="equicoherence render --paths 2 --states 10",
    is_here=lambda root: is_rendered(root) and next(root.glob("*/*/path_0_image_0.jpg"), None) is not None,
    open=lambda root, split: RenderedVideo(root),
    trains=False,
)
