"""VIP: videos of people with the parts of their bodies (Zhou et al. 2018, "Adaptive Temporal Encoding Network")."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from equicoherence.data.source import BadImage, printable
from equicoherence.sets.declaration import Declaration
from equicoherence.sets.files import in_order, inside, read_bytes, read_image, read_png, refuse_missing
from equicoherence.sets.kinds import VideoSet

CLASSES = (
    "hat", "hair", "gloves", "sunglasses", "upper clothes", "dress", "coat", "socks", "pants", "torso skin", "scarf",
    "skirt", "face", "left arm", "right arm", "left leg", "right leg", "left shoe", "right shoe",
)  # fmt: skip
MASKS = Path("Annotations") / "Category_ids"
LIST = Path("lists") / "val_videos.txt"


class VIP(VideoSet):
    """The videos of the list, each with the frames there are; the first needs a mask, of the others those that have one
    are scored."""

    classes = CLASSES

    def __init__(self, root: Path) -> None:
        refuse_missing([root / LIST])
        names = read_bytes(root / LIST).decode("utf-8", "replace").split()
        if not names:
            raise ValueError(f"no video in {str(root / LIST)!r}")
        self._masks = root / MASKS
        self._sequences = [in_order(inside(root / "Images", name).glob("*.jpg")) for name in names]
        for name, files in zip(names, self._sequences):
            if not files:
                raise FileNotFoundError(f"no files *.jpg in {str(root / 'Images' / name)!r}")
        refuse_missing([self._mask_of(files[0]) for files in self._sequences])

    def __len__(self) -> int:
        return len(self._sequences)

    def name(self, sequence: int) -> str:
        return printable(self._sequences[sequence][0].parent.name)

    def frames(self, sequence: int) -> int:
        return len(self._sequences[sequence])

    def image(self, sequence: int, frame: int) -> np.ndarray:
        return read_image(self._sequences[sequence][frame])

    def mask(self, sequence: int, frame: int) -> np.ndarray | None:
        path = self._mask_of(self._sequences[sequence][frame])
        if not path.is_file():
            return None
        numbers = read_png(path)
        if numbers.ndim != 2 or int(numbers.max()) > len(CLASSES):
            expected = f"expected one channel of 0 to {len(CLASSES)}"
            raise BadImage(printable(str(path)), f"shape {numbers.shape} and numbers up to {numbers.max()}: {expected}")
        return numbers.astype(np.uint8)

    def _mask_of(self, image: Path) -> Path:
        return self._masks / image.parent.name / f"{image.stem}.png"


VIP_FINE = Declaration(
    name="vip",
    kind="video",
    layout="Images/videosN/*.jpg, Annotations/Category_ids/videosN/*.png, lists/val_videos.txt (folder VIP_Fine)",
    source="sysu-hcp.net/lip, Video Instance-level Parsing (for research)",
    is_here=lambda root: (root / "Images").is_dir() and (root / MASKS).is_dir(),
    open=lambda root, split: VIP(root),
    trains=False,
)
