"""DAVIS: videos with a mask in every frame, of one object (Perazzi 2016) or several (Pont-Tuset 2017)."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from equicoherence.data.source import BadImage, printable
from equicoherence.sets.declaration import Declaration
from equicoherence.sets.files import inside, matched, read_bytes, read_image, read_png
from equicoherence.sets.kinds import VideoSet

FOLDERS = ("JPEGImages", "Annotations")
LISTS = {"2016": ("ImageSets/2016/val.txt", "ImageSets/480p/val.txt"), "2017": ("ImageSets/2017/val.txt",)}
COLOURED = 3  # in byte 25 of a PNG's header: its pixels are indices of a palette


class Davis(VideoSet):
    """The validation sequences of the list of a year; all if there is no list.

    Of the resolutions there, 480p (the usual one), else the first by name. In 2016 everything marked is one object.
    """

    def __init__(self, root: Path, year: str) -> None:
        self._single = year == "2016"
        resolution = _resolution(root)
        if resolution is None:
            raise FileNotFoundError(f"no folder of one name in both {' and '.join(FOLDERS)} of {str(root)!r}")
        self.variant = resolution
        images, masks = (root / name / resolution for name in FOLDERS)
        listed = next((root / name for name in LISTS[year] if (root / name).is_file()), None)
        names = _listed(listed) if listed else sorted(path.name for path in images.iterdir() if path.is_dir())
        if not names:
            raise ValueError(f"no sequence in {str(listed or images)!r}")
        self._sequences = {name: matched(images / name, "*.jpg", masks / name, ".png") for name in names}
        self._names = names

    def __len__(self) -> int:
        return len(self._names)

    def name(self, sequence: int) -> str:
        return printable(self._names[sequence])

    def frames(self, sequence: int) -> int:
        return len(self._files(sequence))

    def image(self, sequence: int, frame: int) -> np.ndarray:
        return read_image(self._files(sequence)[frame][0])

    def mask(self, sequence: int, frame: int) -> np.ndarray:
        path = self._files(sequence)[frame][1]
        numbers = read_png(path)
        if self._single and numbers.ndim == 3 and np.ptp(numbers[..., :3], axis=-1).max() == 0:
            numbers = numbers[..., 0]  # a few masks of 2016 are stored as gray in RGB or RGBA
        if numbers.ndim != 2:
            reason = f"an image of shape {numbers.shape}, not a mask: colors do not say which object is which"
            raise BadImage(printable(str(path)), reason)
        return (numbers > 0).astype(np.uint8) if self._single else numbers.astype(np.uint8)

    def _files(self, sequence: int) -> list[tuple[Path, Path]]:
        return self._sequences[self._names[sequence]]


def _listed(path: Path) -> list[str]:
    """Return the sequences of a list: their names, or, as first published, paths of their images, in their order."""
    lines = [line.split()[0] for line in read_bytes(path).decode("utf-8", "replace").splitlines() if line.strip()]
    names = list(dict.fromkeys(Path(line).parent.name if line.endswith(".jpg") else line for line in lines))
    return [name for name in names if inside(path.parent, name)]


def _resolution(root: Path) -> str | None:
    both = [{path.name for path in (root / name).iterdir() if path.is_dir()} for name in FOLDERS]
    names = sorted(both[0] & both[1])
    return "480p" if "480p" in names else next(iter(names), None)


def _is_here(root: Path, year: str) -> bool:
    if not all((root / name).is_dir() for name in FOLDERS) or (resolution := _resolution(root)) is None:
        return False
    if any((root / name).is_file() for lists in LISTS.values() for name in lists):
        return any((root / name).is_file() for name in LISTS[year])
    mask = next((root / FOLDERS[1] / resolution).glob("*/*.png"), None)
    return mask is not None and (read_bytes(mask)[25:26] == bytes([COLOURED])) == (year == "2017")


DAVIS_2016 = Declaration(
    name="davis_2016",
    kind="video",
    layout="JPEGImages/480p/SEQUENCE/00000.jpg, Annotations/480p/SEQUENCE/00000.png (or another resolution), "
    "ImageSets/2016/val.txt (else all sequences)",
    source="davischallenge.org/davis2016/code.html (CC BY-NC 4.0)",
    is_here=lambda root: _is_here(root, "2016"),
    open=lambda root, split: Davis(root, "2016"),
    trains=False,
)
DAVIS_2017 = Declaration(
    name="davis_2017",
    kind="video",
    layout="JPEGImages/480p/SEQUENCE/00000.jpg, Annotations/480p/SEQUENCE/00000.png (or another resolution), "
    "ImageSets/2017/val.txt (else all sequences)",
    source="davischallenge.org/davis2017/code.html, TrainVal (CC BY-NC 4.0)",
    is_here=lambda root: _is_here(root, "2017"),
    open=lambda root, split: Davis(root, "2017"),
    trains=False,
)
