"""Photographs of scenes, taken with several rotations of the camera about its axis, with a list of angles."""

from __future__ import annotations

import csv
import io
import math
from pathlib import Path

import numpy as np

from equicoherence.data.source import printable
from equicoherence.sets.declaration import Declaration, SetSplit
from equicoherence.sets.files import inside, read_bytes, read_image, refuse_missing
from equicoherence.sets.kinds import TurnedSet
from equicoherence.sets.odd_rows import OddRows

LIST = "turned.csv"
COLUMNS = ("file", "base", "angle")
HELD_OUT = 5  # one scene in so many is for scoring
LEAST = 3  # scenes: one to score, and two for the probes, of which one is held out


class Turned(TurnedSet):
    """The images that ``turned.csv`` lists, of every fifth scene (by name) for scoring, of the others for the probes.

    Its columns: file, an image in the folder; base, the name of the scene; angle, the rotation of the scene in this
    image, in degrees counter-clockwise, relative to any fixed orientation of the scene. Scenes with a single angle are
    left out. Images are read as viewers show them, with EXIF rotation. A few unusable rows are left out, with a notice.
    """

    def __init__(self, root: Path, split: SetSplit) -> None:
        self.variant = LIST
        rows = _read_rows(root)
        of_scene: dict[str, set[float]] = {}
        for _, base, angle in rows:
            of_scene.setdefault(base, set()).add(angle % 360)
        scenes = sorted(base for base, angles in of_scene.items() if len(angles) > 1)
        if len(scenes) < LEAST:
            raise ValueError(
                f"{printable(str(root / LIST))} lists {len(scenes)} scenes with images at two angles or more; "
                f"at least {LEAST} are needed"
            )
        wanted = {base: i for i, base in enumerate(scenes) if (i % HELD_OUT == 0) == (split == "val")}
        kept = [row for row in rows if row[1] in wanted]
        self._root, self._files = root, [file for file, _, _ in kept]
        self.scenes = np.array([wanted[base] for _, base, _ in kept])
        self.angles = np.array([angle for _, _, angle in kept], dtype=np.float64)

    def __len__(self) -> int:
        return len(self._files)

    def name(self, index: int) -> str:
        return printable(self._files[index].relative_to(self._root).as_posix())

    def image(self, index: int) -> np.ndarray:
        return read_image(self._files[index], turn=True)


def _read_rows(root: Path) -> list[tuple[Path, str, float]]:
    """Return file, base and angle of each row that can be used."""
    text = read_bytes(root / LIST).decode("utf-8-sig", errors="replace")
    reader = csv.DictReader(io.StringIO(text), skipinitialspace=True)
    columns = list(reader.fieldnames or ())
    if lacking := [name for name in COLUMNS if name not in columns]:
        raise ValueError(
            f"{printable(str(root / LIST))} has no column {', '.join(lacking)} (its first line has "
            f"{printable(', '.join(columns)) or 'nothing'}); {', '.join(COLUMNS)} are needed, with commas between"
        )
    rows, odd, total = [], OddRows(str(root / LIST), "rows"), 0
    for total, row in enumerate(reader, 1):
        try:
            rows.append(_usable(root, row))
        except ValueError as error:
            odd.note(f"row {total}", str(error))
    odd.settle(total)
    refuse_missing([file for file, _, _ in rows])
    return rows


def _usable(root: Path, row: dict[str, str | None]) -> tuple[Path, str, float]:
    file, base, said = ((row[name] or "").strip() for name in COLUMNS)
    if not base:
        raise ValueError("it names no base")
    try:
        angle = float(said)
    except ValueError:
        raise ValueError(f"its angle is {said!r}, which is no number of degrees") from None
    if not math.isfinite(angle):
        raise ValueError(f"its angle is {said!r}, which is not finite")
    return inside(root, file), base, angle


TURNED = Declaration(
    name="turned",
    kind="turned",
    layout=f"{LIST} with columns {', '.join(COLUMNS)} (degrees counter-clockwise), and the images that it names",
    source="a camera that you turn; see docs/traces.md",
    is_here=lambda root: (root / LIST).is_file(),
    open=Turned,
)
