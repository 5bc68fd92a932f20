"""A few samples that cannot be read do not end what is done with a data set; many do, and all are named."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from equicoherence.data import BadImage, TooManyBadImages
from equicoherence.sets import BoxSet, DetectionSet, KeypointSet, SegmentationSet, VideoSet, find_sets
from equicoherence.sets.camvid import CAMVID, CamVid
from equicoherence.sets.davis import DAVIS_2016
from equicoherence.sets.files import in_order
from equicoherence.sets.kinds import Keypoints, Objects
from equicoherence.sets.odd_rows import OddRows
from equicoherence.sets.tolerant import tolerant

from .test_video_sets import davis


def write_camvid(root: Path, count: int) -> Path:
    for folder in ("train", "trainannot", "test", "testannot"):
        (root / folder).mkdir(parents=True)
        for number in range(count):
            pixels = np.full((4, 6), number % 11, np.uint8)
            Image.fromarray(pixels).convert("L" if "annot" in folder else "RGB").save(root / folder / f"{number}.png")
    return root


def test_what_is_shown_of_a_bad_sample_is_the_next_one_image_and_truth_alike(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = write_camvid(tmp_path, 120)
    (root / "test" / "3.png").write_bytes(b"no image")
    (root / "testannot" / "4.png").write_bytes(b"no mask")
    (found,) = find_sets(root, [CAMVID])
    data = found.open("val", tolerance=0.02)
    assert isinstance(data, SegmentationSet)
    assert (data.classes, len(data), data.name(3)) == (CamVid.classes, 120, "3")
    for index in (3, 4, 5):
        for _ in range(2):
            assert data.image(index)[0, 0, 0] == 5
            assert (data.mask(index) == 5).all()
    assert (data.mask(2) == 2).all()
    said = [line for line in capsys.readouterr().err.splitlines() if "left out" in line]
    assert [line.split(": ")[:2] for line in said] == [
        ["camvid (val)", "3 is left out, the next one that can be read stands for it"],
        ["camvid (val)", "4 is left out, the next one that can be read stands for it"],
    ]


def test_more_bad_samples_than_are_tolerated_are_all_named(tmp_path: Path) -> None:
    root = write_camvid(tmp_path, 100)
    for number in (1, 7):
        (root / "test" / f"{number}.png").write_bytes(b"no image")
    data = tolerant(CamVid(root, "val"), "camvid")
    assert isinstance(data, SegmentationSet)
    data.image(1)
    with pytest.raises(TooManyBadImages, match=r"2 of 100 .*\n  1: .*not an image.*\n  7: .*not an image"):
        data.mask(7)


class Numbered(DetectionSet, KeypointSet, BoxSet):
    """Samples of all kinds, of which number 1 has no ground truth that can be read."""

    classes, has_masks, names, mirrored = ("thing",), False, ("nose",), (0,)

    def __init__(self, kind: str) -> None:
        self.kind = kind  # type: ignore[misc]

    def __len__(self) -> int:
        return 3

    def name(self, index: int) -> str:
        return f"number {index}"

    def image(self, index: int) -> np.ndarray:
        return np.full((2, 2, 3), index, np.uint8)

    def objects(self, index: int) -> Objects:
        return Objects(self.box(index)[None], np.zeros(1, np.int64), np.zeros(1, bool))

    def keypoints(self, index: int) -> Keypoints:
        return Keypoints(self.box(index)[None, :2], np.ones(1, bool), 1.0)

    def box(self, index: int) -> np.ndarray:
        if index == 1:
            raise BadImage("number 1", "no box")
        return np.array([index, index, 5, 5], np.float32)


@pytest.mark.parametrize(
    ("kind", "read"),
    [
        ("detection", lambda data: data.objects(1).boxes[0, 0]),
        ("keypoints", lambda data: data.keypoints(1).points[0, 0]),
        ("box", lambda data: data.box(1)[0]),
    ],
)
def test_every_kind_of_truth_is_tolerated(kind: str, read: object) -> None:
    data = tolerant(Numbered(kind), kind, 0.5)
    assert data.kind == kind
    assert data.image(1).max() == 2  # type: ignore[union-attr, call-arg]
    assert read(data) == 2  # type: ignore[operator]


def test_a_frame_that_cannot_be_read_is_not_scored_or_seen_twice(tmp_path: Path) -> None:
    root = davis(tmp_path)
    frames, masks = (root / name / "480p" / "bear" for name in ("JPEGImages", "Annotations"))
    (masks / "00001.png").write_bytes(b"no mask")
    (frames / "00002.jpg").write_bytes(b"no image")
    (masks.with_name("goat") / "00002.png").write_bytes(Path(masks / "00000.png").read_bytes())
    Image.fromarray(np.ones((4, 4), np.uint8)).save(masks.with_name("goat") / "00001.png")
    (found,) = find_sets(root, [DAVIS_2016])
    videos = found.open("val", tolerance=0.5)
    assert isinstance(videos, VideoSet)
    assert videos.mask(0, 1) is None
    assert abs(int(videos.image(0, 2)[0, 0, 0]) - 60) < 3
    assert videos.mask(0, 2) is not None
    assert videos.mask(1, 1) is None
    assert videos.bad.reasons.keys() == {"bear, frame 1", "bear, frame 2", "goat, frame 1"}  # type: ignore[attr-defined]
    assert "its mask has 4 x 4 pixels, the first one 12 x 8" in videos.bad.reasons["goat, frame 1"]  # type: ignore[attr-defined]
    with pytest.raises(TooManyBadImages):
        found.open("val").mask(0, 1)  # type: ignore[union-attr]


def test_frames_are_in_the_order_of_their_numbers(tmp_path: Path) -> None:
    names = ["frame_10.jpg", "frame_2.jpg", "frame_1.jpg", "frame_002.jpg", "._frame_1.jpg", "b2_1.jpg", "b10.jpg"]
    assert [path.name for path in in_order(tmp_path / name for name in names)] == [
        "b2_1.jpg",
        "b10.jpg",
        "frame_1.jpg",
        "frame_002.jpg",
        "frame_2.jpg",
        "frame_10.jpg",
    ]
    root = write_camvid(tmp_path / "set", 12)
    data = CamVid(root, "val")
    assert [data.name(index) for index in range(12)] == [str(number) for number in range(12)]


def test_few_odd_rows_are_said_and_many_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    odd = OddRows("list.txt", "lines")
    odd.settle(0)
    odd.note("line 3", "no number")
    odd.note("line 9", "no name")
    odd.settle(200)
    assert capsys.readouterr().err == "list.txt: 2 of 200 lines cannot be used, such as line 3: no number; left out\n"
    with pytest.raises(ValueError, match=r"2 of 199 lines cannot be used, .*: no number; at most 1% are left out"):
        odd.settle(199)
