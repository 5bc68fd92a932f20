"""MPII Human Pose: people in photographs, 16 points each (Andriluka, Pishchulin, Gehler, Schiele 2014)."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from equicoherence.data.source import printable
from equicoherence.sets.declaration import Declaration, SetSplit
from equicoherence.sets.files import inside, read_image, refuse_missing
from equicoherence.sets.kinds import Keypoints, KeypointSet
from equicoherence.sets.mpii_people import find_annotations, read_people

NAMES = (
    "right ankle", "right knee", "right hip", "left hip", "left knee", "left ankle", "pelvis", "thorax",
    "upper neck", "head top", "right wrist", "right elbow", "right shoulder", "left shoulder", "left elbow",
    "left wrist",
)  # fmt: skip
MIRRORED = (5, 4, 3, 2, 1, 0, 6, 7, 8, 9, 15, 14, 13, 12, 11, 10)
UNSCORED = (6, 7)
SIDE = 250  # pixels of the cut-out for each unit of scale: 200, and a quarter for limbs
DOWN = 15  # pixels for each unit of scale that its middle lies below the annotated one


class MPII(KeypointSet):
    """A square around each person, in the photograph's own pixels, black beyond the photograph.

    The square is HRNet's: 1.25 * 200 px * scale wide, its middle 15 px * scale below the person's. Pelvis and thorax
    are there for training and are not scored, as in the official figures. length: .6 of the head box's diagonal, nan
    for training where the annotations have no box.
    """

    names = NAMES
    mirrored = MIRRORED

    def __init__(self, root: Path, split: SetSplit) -> None:
        annotations = find_annotations(root)
        if annotations is None:
            raise FileNotFoundError(f"no annotations of MPII in {str(root)!r}")
        self.variant = annotations.name
        self._images, self._scores = root / "images", split == "val"
        self._people = read_people(annotations, split)
        refuse_missing(sorted({inside(self._images, each.image) for each in self._people}))

    def __len__(self) -> int:
        return len(self._people)

    def name(self, index: int) -> str:
        return f"{printable(self._people[index].image)}, person {index}"

    def image(self, index: int) -> np.ndarray:
        left, top, side = self._square(index)
        return cut_out(read_image(self._images / self._people[index].image), left, top, side)

    def keypoints(self, index: int) -> Keypoints:
        person = self._people[index]
        left, top, _ = self._square(index)
        scored = person.labelled.copy()
        if self._scores:
            scored[list(UNSCORED)] = False
            scored &= person.head > 0
        points = person.points - np.array([left + 0.5, top + 0.5], dtype=np.float32)
        return Keypoints(points, scored, person.head)

    def _square(self, index: int) -> tuple[int, int, int]:
        person = self._people[index]
        side = max(1, round(SIDE * person.scale))
        x, y = person.centre[0] - 0.5, person.centre[1] - 0.5 + DOWN * person.scale
        return round(float(x) - side / 2), round(float(y) - side / 2), side


def cut_out(image: np.ndarray, left: int, top: int, side: int) -> np.ndarray:
    """Return the square (side, side, 3) of an image whose first pixel is (left, top); black beyond the image."""
    square = np.zeros((side, side, 3), np.uint8)
    height, width = image.shape[:2]
    rows = slice(max(top, 0), max(min(top + side, height), 0))
    columns = slice(max(left, 0), max(min(left + side, width), 0))
    part = image[rows, columns]
    if part.size:
        row, column = rows.start - top, columns.start - left
        square[row : row + part.shape[0], column : column + part.shape[1]] = part
    return square


MPII_SET = Declaration(
    name="mpii",
    kind="keypoints",
    layout="images/*.jpg, and one of: annot/train.json, annot/valid.json, annot/gt_valid.mat (HRNet's form); "
    "annotations/mpii_train.json, mpii_val.json, mpii_gt_val.mat (MMPose's); mpii_human_pose_v1_u12_1.mat (published). "
    "The .mat files need scipy",
    source="human-pose.mpi-inf.mpg.de (for research); json: the README of github.com/leoxiaobin/"
    "deep-high-resolution-net.pytorch",
    is_here=lambda root: (root / "images").is_dir() and find_annotations(root) is not None,
    open=MPII,
)
