"""The people of MPII Human Pose, from the annotations in either form: the published MATLAB file, or json."""

from __future__ import annotations

import json
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from equicoherence.data.source import printable
from equicoherence.sets.declaration import SetSplit
from equicoherence.sets.odd_rows import OddRows

POINTS = 16
HEAD_SHARE = 0.6
"""Head length, as a share of the diagonal of the head's box."""
JSON_FILES = {
    "annot": {"train": "train.json", "val": "valid.json", "heads": "gt_valid.mat"},
    "annotations": {"train": "mpii_train.json", "val": "mpii_val.json", "heads": "mpii_gt_val.mat"},
}
"""Of HRNet's folder and of MMPose's, which hold the same."""
RELEASE = "mpii_human_pose_v1_u12_1.mat"
RELEASE_FOLDERS = ("", "mpii_human_pose_v1_u12_2", "annot", "annotations")


@dataclass(frozen=True)
class Person:
    """image: name of the file. points: (16, 2), labelled: (16,) bool. centre: (2,), about the middle of the person;
    scale: height of the person / 200 px. head: length in pixels, nan where the annotations have none. Coordinates are
    as published: the first pixel's centre is at (1, 1)."""

    image: str
    points: np.ndarray
    labelled: np.ndarray
    centre: np.ndarray
    scale: float
    head: float


def find_annotations(root: Path) -> Path | None:
    """Return the folder of json files, or the MATLAB file, that lies below ``root``; None if there is neither."""
    for folder, names in JSON_FILES.items():
        if (root / folder / names["train"]).is_file() or (root / folder / names["val"]).is_file():
            return root / folder
    release = [root / folder / RELEASE for folder in RELEASE_FOLDERS]
    return next((path for path in release if path.is_file()), None)


def read_people(annotations: Path, split: SetSplit) -> list[Person]:
    """Read the people of a split from what `find_annotations` found.

    json has the split of Tompson et al. (2014), 22,246 people and 2,958, by which papers report. In the MATLAB file the
    labels of the test images are withheld: of the others, those of every seventh video, by a checksum of its number,
    are for scoring.
    Raises FileNotFoundError, naming what is missing, and ValueError, naming what is damaged.
    """
    if annotations.is_dir():
        names = JSON_FILES[annotations.name]
        people = read_json(annotations / names[split])
        if split == "val":
            people = with_heads(people, annotations / names["heads"])
        return [person for person in people if person is not None]
    return [person for video, person in read_release(annotations) if _is_held_out(video) == (split == "val")]


def _is_held_out(video: int) -> bool:
    return zlib.crc32(str(video).encode()) % 7 == 0


def read_json(path: Path) -> list[Person | None]:
    """Read a list of people with image, joints, joints_vis, center and scale each; heads are nan. None stands for one
    that cannot be used: a few are left out, and a line says so."""
    if not path.is_file():
        raise FileNotFoundError(f"no file {path}")
    try:
        entries = json.loads(path.read_bytes())
    except ValueError as error:
        raise ValueError(f"{path} is no json: {printable(str(error))}") from error
    if not isinstance(entries, list) or not entries:
        raise ValueError(f"{path} holds no list of people")
    people: list[Person | None] = []
    odd = OddRows(str(path), "people")
    for number, entry in enumerate(entries):
        try:
            people.append(_of_json(entry))
        except ValueError as error:
            people.append(None)
            odd.note(f"person {number}", str(error))
    odd.settle(len(people))
    return people


def _of_json(entry: Any) -> Person:
    try:
        points = np.array(entry["joints"], dtype=np.float32)
        labelled = np.array(entry["joints_vis"]) > 0
        centre, scale = np.array(entry["center"], dtype=np.float32), float(entry["scale"])
        return _checked(Person(str(entry["image"]), points, labelled, centre, scale, float("nan")))
    except (KeyError, TypeError) as error:
        what = f"{type(error).__name__} {error}"
        raise ValueError(f"{what}; each needs image, joints, joints_vis, center and scale") from error


def with_heads(people: Sequence[Person | None], path: Path) -> list[Person | None]:
    """Give people the head lengths of gt_valid.mat, and its word on which points are labelled."""
    if not path.is_file():
        raise FileNotFoundError(f"no file {path}, which has the boxes of the heads that errors are measured by")
    contents = _read_matlab(path)
    try:
        boxes, missing = np.array(contents["headboxes_src"]), np.array(contents["jnt_missing"])
    except KeyError as error:
        raise ValueError(f"{path} has no {error}; it needs headboxes_src and jnt_missing") from error
    if boxes.shape != (2, 2, len(people)) or missing.shape != (POINTS, len(people)):
        raise ValueError(
            f"{path} has headboxes_src of shape {boxes.shape} and jnt_missing of {missing.shape}, not those of "
            f"{len(people)} people"
        )
    heads = HEAD_SHARE * np.linalg.norm((boxes[1] - boxes[0]).astype(np.float64), axis=0)
    return [
        each and Person(each.image, each.points, missing[:, i] == 0, each.centre, each.scale, float(heads[i]))
        for i, each in enumerate(people)
    ]


def read_release(path: Path) -> list[tuple[int, Person]]:
    """Read all people of the published MATLAB file whose points, place, size and head are labelled, each with the
    number of the video that the image is a frame of: those of one video show the same people."""
    contents = _read_matlab(path)
    try:
        release = contents["RELEASE"]
        images, labelled = np.atleast_1d(release.annolist), np.atleast_1d(release.img_train)
    except (KeyError, AttributeError) as error:
        raise ValueError(f"{path} is not the release of MPII: {printable(str(error))}") from error
    people: list[tuple[int, Person]] = []
    count, odd = 0, OddRows(str(path), "people")
    for annotation in images[labelled == 1]:
        for person in np.atleast_1d(annotation.annorect):
            points = np.atleast_1d(getattr(getattr(person, "annopoints", None), "point", []))
            placed = hasattr(getattr(person, "objpos", None), "x") and isinstance(
                getattr(person, "scale", None), int | float
            )
            if len(points) and placed and hasattr(person, "x1"):
                count += 1
                try:
                    video = getattr(annotation, "vididx", None)
                    if not isinstance(video, int | np.integer):
                        raise ValueError(f"vididx is {video!r}, not the number of a video")
                    people.append((int(video), _of_release(annotation.image.name, points, person)))
                except ValueError as error:
                    odd.note(f"one in {annotation.image.name}", str(error))
    odd.settle(count)
    if not people:
        raise ValueError(f"{path} holds no labelled people")
    return people


def _of_release(image: str, points: np.ndarray, person: Any) -> Person:
    """Turn a person of the MATLAB file, which lists labelled points only, each with its number."""
    places, labelled = np.zeros((POINTS, 2), np.float32), np.zeros(POINTS, dtype=bool)
    try:
        for point in points:
            places[int(point.id)], labelled[int(point.id)] = (point.x, point.y), True
        head = HEAD_SHARE * float(np.hypot(person.x2 - person.x1, person.y2 - person.y1))
        centre = np.array([person.objpos.x, person.objpos.y], dtype=np.float32)
        return _checked(Person(str(image), places, labelled, centre, float(person.scale), head))
    except (AttributeError, TypeError, IndexError) as error:
        raise ValueError(f"{type(error).__name__} {error}") from error


def _checked(person: Person) -> Person:
    if person.points.shape != (POINTS, 2) or person.labelled.shape != (POINTS,) or person.centre.shape != (2,):
        shapes = f"{person.points.shape}, {person.labelled.shape} and {person.centre.shape}"
        raise ValueError(f"joints, joints_vis and center have shapes {shapes}, not (16, 2), (16,) and (2,)")
    numbers = [*person.points[person.labelled].ravel(), *person.centre, person.scale]
    if not np.isfinite(numbers).all() or not 0 < person.scale < 100:
        raise ValueError(f"center {person.centre.tolist()} and scale {person.scale} do not say where it is")
    return person


def _read_matlab(path: Path) -> dict[str, Any]:
    try:
        from scipy.io import loadmat
    except ImportError as error:
        raise ValueError(f"{path} is a MATLAB file, which SciPy reads: pip install 'equicoherence[matlab]'") from error
    try:
        return loadmat(str(path), squeeze_me=path.name == RELEASE, struct_as_record=False)
    except Exception as error:  # of damaged files it raises anything
        raise ValueError(f"{path} cannot be read: {type(error).__name__} {printable(str(error))}") from error
