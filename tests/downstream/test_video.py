"""Masks follow the tokens that look alike, as a plain loop over all pairs has them, and are scored as DAVIS does."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from equicoherence.data.source import UnusableData
from equicoherence.downstream.largest import top
from equicoherence.downstream.video.propagation import SETTINGS, Propagation, propagate
from equicoherence.downstream.video.resizing import resize_bilinear
from equicoherence.downstream.video.scoring import enlarged, first_labels, frame_size, numbered
from equicoherence.downstream.video.sizes import published_size
from equicoherence.downstream.video.task import VideoPropagation
from equicoherence.evaluation.frozen_model import FrozenModel
from equicoherence.evaluation.model import load_model
from equicoherence.evaluation.task import TaskScore, no_bar
from equicoherence.models import Encoder, Features
from equicoherence.sets import find_sets
from equicoherence.sets.davis import DAVIS_2016, Davis
from equicoherence.sets.kinds import IGNORE, VideoSet

PARTS = ("head", "body")


class Squares(VideoSet):
    """Coloured squares that go right over a gray ground, two pixels a frame; parts have masks in every other frame."""

    def __init__(self, classes: tuple[str, ...] = (), frames: int = 6, objects: int = 2) -> None:
        self.classes, self._frames, self._objects = classes, frames, objects

    def __len__(self) -> int:
        return 2

    def name(self, sequence: int) -> str:
        return f"squares-{sequence}"

    def frames(self, sequence: int) -> int:
        return self._frames

    def image(self, sequence: int, frame: int) -> np.ndarray:
        colours = np.array([[90, 90, 90], [250, 0, 0], [0, 0, 250]], np.uint8)
        return colours[self._numbers(sequence, frame)]

    def mask(self, sequence: int, frame: int) -> np.ndarray | None:
        return None if self.classes and frame % 2 else self._numbers(sequence, frame)

    def _numbers(self, sequence: int, frame: int) -> np.ndarray:
        numbers = np.zeros((32, 48), np.uint8)
        left = 4 + 4 * sequence + 2 * frame
        for number in range(self._objects):
            numbers[4 + 14 * number : 14 + 14 * number, left : left + 10] = number + 1
        return numbers


class FirstFrames(Davis):
    """Six frames of the first sequence."""

    def __len__(self) -> int:
        return 1

    def frames(self, sequence: int) -> int:
        return 6


class Pixels(Encoder):
    """An encoder whose tokens are the mean colours of patches of 2 pixels, beside gray."""

    def forward(self, images: Tensor, masks: Tensor | None = None, *, class_only: bool = False) -> Features:
        patches = F.avg_pool2d(images - 0.3, 2)
        return Features(None, patches.flatten(2).transpose(1, 2), (patches.shape[2], patches.shape[3]))


@pytest.fixture(scope="module")
def pixels() -> FrozenModel:
    encoder = Pixels("resnet10t").eval()
    encoder.model.feature_info = [{"reduction": 2}]  # type: ignore[assignment]
    return FrozenModel("pixels", "pixels", encoder, 32, 32)


def value(score: TaskScore, metric: str, parameter: str = "") -> tuple[float, float]:
    (row,) = (row for row in score.rows if (row.metric, row.parameter) == (metric, parameter))
    assert row.floor is not None
    return row.value, row.floor


def plain(tokens: Tensor, labels: Tensor, how: Propagation) -> Tensor:
    """Hand labels on token by token."""
    count, height, width, _ = tokens.shape
    unit = F.normalize(tokens.float(), dim=-1)
    soft = [labels.float()]
    for frame in range(1, count):
        latest = range(frame - how.frames, frame)
        context = [0, *((max(0, c) for c in latest) if how.padded else (c for c in latest if c > 0))]
        found = torch.zeros_like(soft[0])
        for y in range(height):
            for x in range(width):
                near_by = torch.zeros(height, width, dtype=torch.bool)
                for row in range(height):
                    for column in range(width):
                        up, across = abs(row - y), abs(column - x)
                        if how.shape == "disk":
                            near_by[row, column] = (up**2 + across**2) ** 0.5 < how.radius
                        else:
                            near_by[row, column] = max(up, across) <= how.radius
                everywhere = torch.ones_like(near_by)
                searched = [
                    everywhere if how.first_everywhere and not place else near_by for place in range(len(context))
                ]
                cosines = torch.cat([unit[c][where] @ unit[frame, y, x] for c, where in zip(context, searched)])
                near = torch.cat([soft[c][:, where] for c, where in zip(context, searched)], dim=1)
                best = cosines.topk(min(how.top_k, len(cosines)))
                found[:, y, x] = near[:, best.indices] @ (best.values / how.temperature).softmax(dim=0)
        soft.append(found)
    return torch.stack(soft)


@pytest.mark.parametrize(
    ("how", "grid"),
    [
        (Propagation(0.1, 5, 3, 2), (5, 29)),
        (Propagation(0.7, 7, 2, 9), (14, 13)),
        (Propagation(0.1, 10, 1, 1), (6, 3)),
        (SETTINGS["dino"], (4, 7)),
        (Propagation(0.7, 7, 3, 2, shape="disk"), (5, 15)),
        (Propagation(0.1, 5, 1, 2, first_everywhere=True), (5, 14)),
        (Propagation(0.1, 5, 2, 7, padded=True), (4, 6)),
        (dataclasses.replace(SETTINGS["cropmae"], radius=3, frames=3), (6, 13)),
        (SETTINGS["cropmae"], (4, 7)),
    ],
)
def test_labels_are_those_of_a_loop_over_tokens(how: Propagation, grid: tuple[int, int]) -> None:
    generator = torch.Generator().manual_seed(0)
    tokens = torch.randn(5, *grid, 6, generator=generator).half()
    labels = F.one_hot(torch.randint(3, grid, generator=generator)).permute(2, 0, 1)
    torch.testing.assert_close(propagate(tokens, labels, how), plain(tokens, labels, how), atol=1e-5, rtol=0)


def test_the_largest_values_are_found_in_groups() -> None:
    values = torch.randn(7, 3001, generator=torch.Generator().manual_seed(0))
    values[0, 20:] = -torch.inf
    found, places = top(values, 7)
    assert (found.sort(descending=True).values == values.topk(7).values).all()
    assert (values.gather(1, places) == found).all()


def test_a_disk_leaves_out_the_corners_and_the_first_frame_has_no_limit() -> None:
    tokens = torch.zeros(2, 7, 7, 2)
    tokens[..., 1] = 1
    tokens[0, 0, 0] = tokens[1, 2, 2] = torch.tensor([1.0, 0.0])  # 2 up and 2 across: 2.8 apart
    labels = torch.zeros(1, 7, 7)
    labels[0, 0, 0] = 1
    square = Propagation(0.01, 1, 2, 1)
    found = [
        float(propagate(tokens, labels, dataclasses.replace(square, **more))[1, 0, 2, 2])
        for more in ({}, {"shape": "disk"}, {"shape": "disk", "first_everywhere": True}, {"radius": 1})
    ]
    assert found == [1, 0, 1, 0]


def test_copies_of_the_first_frame_take_places_among_the_best() -> None:
    tokens = torch.tensor([[1.0, 0.0], [1.0, 0.1], [1.0, 0.0]])[:, None, None]
    labels = torch.ones(1, 1, 1)
    plain_way, padded = (propagate(tokens, labels, Propagation(1, 3, 1, 4, padded=each)) for each in (False, True))
    assert plain_way.flatten().tolist() == pytest.approx([1, 1, 1])
    assert padded.flatten().tolist() == pytest.approx([1, 1, 1])
    half = torch.tensor([[1.0, 0.2], [1.0, 0.0]])[:, None]  # two tokens that are both neighbours
    tokens, labels = torch.stack([half, half]), torch.tensor([[[1.0], [0.0]]])
    once, often = (propagate(tokens, labels, Propagation(1, 2, 1, 4, padded=each))[1] for each in (False, True))
    assert once.flatten().tolist() == pytest.approx([0.5, 0.5], abs=0.01), "both tokens of the one first frame"
    assert often.flatten().tolist() == [1, 0], "the same token of two copies of it"


def test_each_label_is_stretched_before_the_largest_is_taken_as_dino_does_and_cropmae_does_not() -> None:
    labels = torch.tensor([[[0.9, 0.8]], [[0.1, 0.2]]])
    assert enlarged(labels, (1, 2)).tolist() == [[0, 1]]
    assert enlarged(labels, (1, 2), stretch=False).tolist() == [[0, 0]]
    assert [SETTINGS[name].stretch for name in ("dino", "cropmae")] == [True, False]


def test_the_first_mask_comes_to_tokens_by_the_nearest_pixel_or_bilinearly() -> None:
    mask, numbers = np.array([[0, 3, 3, 3], [0, 0, 3, 3]], np.uint8), np.array([0, 3])
    nearest = first_labels(mask, numbers, (2, 4), (1, 2), SETTINGS["dino"])
    assert nearest.sum(dim=0).tolist() == [[1, 1]]
    assert nearest.dtype == torch.bool
    bilinear = first_labels(mask, numbers, (2, 4), (1, 2), SETTINGS["cropmae"])
    torch.testing.assert_close(bilinear, torch.tensor([[[0.75, 0.0]], [[0.25, 1.0]]]))


def test_before_it_is_read_bilinearly_a_mask_comes_to_the_size_of_the_input() -> None:
    mask, numbers, size = np.random.default_rng(0).integers(0, 2, (7, 11), np.uint8), np.array([0, 1]), (6, 8)
    inner = torch.tensor([[float(mask[y * 7 // 6, x * 11 // 8]) for x in range(8)] for y in range(6)])
    expected = F.avg_pool2d(inner[None], 2)[0]  # halfway between the middle pixels of each token
    found = first_labels(mask, numbers, size, (3, 4), SETTINGS["cropmae"])
    torch.testing.assert_close(found, torch.stack([1 - expected, expected]))


@pytest.mark.parametrize("size", [(3, 4), (5, 13), (16, 9), (23, 31)])
def test_frames_are_read_between_the_four_nearest_pixels(size: tuple[int, int]) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (16, 21, 3), np.uint8)
    expected = np.empty((*size, 3))
    for y in range(size[0]):
        for x in range(size[1]):
            at = [(place + 0.5) * whole / n - 0.5 for place, whole, n in zip((y, x), pixels.shape, size)]
            low = [math.floor(place) for place in at]
            expected[y, x] = sum(
                (1 - abs(at[0] - low[0] - up))
                * (1 - abs(at[1] - low[1] - across))
                * pixels[np.clip(low[0] + up, 0, 15), np.clip(low[1] + across, 0, 20)].astype(float)
                for up in (0, 1)
                for across in (0, 1)
            )
    assert np.abs(resize_bilinear(pixels, size) - expected).max() <= 0.5 + 1e-4
    assert resize_bilinear(pixels, (16, 21)) is pixels


def test_shrunk_frames_are_not_averaged() -> None:
    stripes = np.zeros((12, 12, 3), np.uint8)
    stripes[:, 1::3] = 240  # the middle one of three, at which a third of the size is read
    assert (resize_bilinear(stripes, (4, 4)) == 240).all()


@pytest.mark.parametrize(
    ("shape", "setting", "parts", "size"),
    [
        ((480, 854), "dino", False, (480, 832)),  # most of DAVIS
        ((1080, 1920), "dino", False, (480, 832)),
        ((480, 910), "dino", True, (480, 896)),
        ((854, 480), "dino", False, (832, 480)),
        ((500, 500), "dino", False, (480, 448)),
        ((480, 854), "cropmae", False, (480, 880)),
        ((854, 480), "cropmae", False, (480, 880)),
        ((720, 1280), "cropmae", True, (448, 880)),
        ((1280, 720), "cropmae", True, (880, 448)),
        ((500, 500), "cropmae", True, (880, 832)),
    ],
)
def test_frames_have_the_published_sizes_at_480_pixels(shape, setting, parts, size) -> None:
    assert published_size(shape, setting, parts=parts) == size
    assert frame_size(shape, VideoPropagation(setting, pixels=480), 16, parts=parts) == size


def test_frames_keep_their_aspect_at_other_sizes_and_where_strides_do_not_fit() -> None:
    assert frame_size((480, 854), VideoPropagation(pixels=240), 16, parts=False) == (240, 432)
    assert frame_size((480, 854), VideoPropagation(pixels=480), 14, parts=False) == (476, 854)
    assert frame_size((900, 50), VideoPropagation("cropmae", pixels=480), 16, parts=True) == (8640, 480)


@pytest.mark.parametrize("how", SETTINGS.values())
def test_masks_take_the_label_of_the_nearest_pixel_of_the_input(how: Propagation) -> None:
    labels = torch.rand(3, 4, 5, generator=torch.Generator().manual_seed(0))
    numbers, size, shape = np.array([0, 4, 7]), (8, 10), (11, 17)
    chosen = enlarged(labels, size, stretch=how.stretch)
    expected = [
        [numbers[chosen[int((y + 0.5) * 8 / 11), int((x + 0.5) * 10 / 17)]] for x in range(17)] for y in range(11)
    ]
    assert numbered(labels, numbers, size, shape, how).tolist() == expected


def test_a_protocol_is_named_alone_only_at_its_own_size() -> None:
    assert VideoPropagation(pixels=480).protocol == "frozen, propagation as DINO"
    assert VideoPropagation("cropmae", pixels=320).protocol == "frozen, propagation as CropMAE at 320 px"


def test_objects_that_move_are_followed(pixels: FrozenModel) -> None:
    score = VideoPropagation(pixels=32).score(pixels, None, Squares(), no_bar)
    j_and_f, floor = value(score, "j_and_f")
    assert j_and_f > 0.95
    assert floor < 0.6
    assert j_and_f == pytest.approx((value(score, "j_mean")[0] + value(score, "f_mean")[0]) / 2)
    each = [value(score, "j_and_f", f"squares-{s}_{o}")[0] for s in (0, 1) for o in (1, 2)]
    assert np.mean(each) == pytest.approx(j_and_f)
    assert value(score, "j_decay")[1] > 0.2
    assert value(score, "f_recall")[0] == 1
    assert {row.metric for row in score.rows} <= set(VideoPropagation.metrics)
    assert score.counts == {"sequences": 2, "frames": 12}


def test_first_and_last_frames_are_not_scored(pixels: FrozenModel) -> None:
    videos = Squares(frames=3)
    score = VideoPropagation(pixels=32, sequences=1).score(pixels, None, videos, no_bar)
    overlap = 8 / 12  # columns that a square shares with itself one frame before, over those of both
    assert value(score, "j_mean")[1] == pytest.approx(overlap)


class Renumbered(Squares):
    """The second object has the number 3, there is none of number 2, and in frame 3 the first one's square is marked
    `IGNORE`."""

    def mask(self, sequence: int, frame: int) -> np.ndarray | None:
        mask = np.array([0, 1, 3], np.uint8)[self._numbers(sequence, frame)]
        return np.where(mask == 1, IGNORE, mask).astype(np.uint8) if frame == 3 else mask


def test_as_in_davis_toolkit_missing_numbers_count_and_what_is_ignored_is_background(pixels: FrozenModel) -> None:
    score = VideoPropagation(pixels=32).score(pixels, None, Renumbered(), no_bar)
    each = {row.parameter: row.value for row in score.rows if row.metric == "j_and_f" and row.parameter}
    assert list(each) == [f"squares-{sequence}_{number}" for sequence in (0, 1) for number in (1, 2, 3)]
    assert (each["squares-0_2"], each["squares-1_2"]) == (1, 1)
    whole = VideoPropagation(pixels=32).score(pixels, None, Squares(), no_bar)
    for sequence in (0, 1):
        # of frames 1 to 4 the third scores nothing
        before, _ = value(whole, "j_and_f", f"squares-{sequence}_1")
        assert each[f"squares-{sequence}_1"] == pytest.approx(3 / 4 * before, abs=0.01)
        assert each[f"squares-{sequence}_3"] == pytest.approx(value(whole, "j_and_f", f"squares-{sequence}_2")[0])


class Returning(Squares):
    """An object of number 1 that the first frame lacks, beside number 2, is there in frame 2 of frames 1 to 4."""

    def mask(self, sequence: int, frame: int) -> np.ndarray | None:
        mask = 2 * (self._numbers(sequence, frame) > 0).astype(np.uint8)
        mask[0, 0] = frame == 2
        return mask


def test_an_object_that_comes_after_the_first_frame_is_missed_where_it_is(pixels: FrozenModel) -> None:
    score = VideoPropagation(pixels=32).score(pixels, None, Returning(objects=1), no_bar)
    assert value(score, "j_and_f", "squares-0_1") == pytest.approx((3 / 4, 3 / 4))


class WithOddOnes(Squares):
    """Behind two whole sequences a clip of two frames, one of which nothing is marked at first, and one without a mask
    in its third frame."""

    def __len__(self) -> int:
        return 5

    def frames(self, sequence: int) -> int:
        return 2 if sequence == 2 else super().frames(sequence)

    def mask(self, sequence: int, frame: int) -> np.ndarray | None:
        mask = super().mask(sequence, frame)
        if (sequence, frame) == (4, 2) or mask is None:
            return None
        return np.zeros_like(mask) if (sequence, frame) == (3, 0) else mask

    def _numbers(self, sequence: int, frame: int) -> np.ndarray:
        return super()._numbers(min(sequence, 1), frame)


@pytest.mark.parametrize("parts", [(), PARTS])
def test_odd_sequences_are_left_out_and_the_others_scored(
    pixels: FrozenModel, capsys: pytest.CaptureFixture[str], parts: tuple[str, ...]
) -> None:
    score = VideoPropagation(pixels=32).score(pixels, None, WithOddOnes(parts), no_bar)
    names = {row.parameter.rsplit("_")[0] for row in score.rows if row.metric == "j_and_f" and row.parameter}
    assert names == (set() if parts else {"squares-0", "squares-1", "squares-4"})
    assert score.counts == {"sequences": 3, "frames": 18}
    reason = "but the first" if parts else "but the first and the last"
    assert capsys.readouterr().err.splitlines() == [
        f"sequence squares-2 is left out: of its 2 frames none has a mask {reason}",
        "sequence squares-3 is left out: nothing is marked in its first frame",
    ]


def test_sequences_that_are_all_odd_end_the_task_without_looking_like_a_bug(pixels: FrozenModel) -> None:
    for videos in (Squares(frames=2), Squares(objects=0)):
        with pytest.raises(UnusableData, match="none of 2 sequences has anything to score"):
            VideoPropagation(pixels=32).score(pixels, None, videos, no_bar)


@pytest.mark.parametrize("setting", ["dino", "cropmae"])
def test_parts_are_scored_over_all_sequences_together(pixels: FrozenModel, setting: str) -> None:
    task = VideoPropagation(setting=setting, pixels=32)  # type: ignore[arg-type]
    score = task.score(pixels, None, Squares(PARTS), no_bar)
    miou, floor = value(score, "miou")
    parts = [value(score, "iou", name) for name in ("background", *PARTS)]
    assert (miou, floor) == pytest.approx(tuple(np.mean(parts, axis=0)))
    # frames 2 and 4: a square has moved by 4 and 8 pixels, so that 6 and 2 of 10 columns are still right; CropMAE's
    # script scores frame 0 too, in which all are
    first = 10 if setting == "cropmae" else 0
    assert parts[1][1] == pytest.approx((first + 6 + 2) / (first + 14 + 18))
    assert miou > 0.9 > floor


def test_pictures_show_frames_in_a_row(pixels: FrozenModel) -> None:
    parts = VideoPropagation(pixels=32).score(pixels, None, Squares(PARTS), no_bar)
    assert [meaning.name for meaning in parts.pictures["squares-0"].legend] == list(PARTS)
    score = VideoPropagation(pixels=32).score(pixels, None, Squares(), no_bar)
    assert list(score.pictures) == ["squares-0", "squares-1"]
    picture = score.pictures["squares-0"]
    assert list(picture.given) == ["true masks"]
    for shown in (picture.predicted, picture.given["true masks"]):
        assert (shown.shape, shown.dtype) == ((160, 5 * 240 + 4 * 4, 3), np.uint8)
    assert [(name, color) for _, name, color in picture.legend] == [("object 1", "#800000"), ("object 2", "#008000")]
    first = picture.given["true masks"][:, :240]
    assert not (first == 255).all(axis=2).any(), "no outlines"
    assert (picture.predicted[:, :240] == 255).all(axis=2).any()


def test_the_real_davis_is_scored(shared_data: Callable[[str], Path]) -> None:
    (found,) = find_sets(shared_data("davis2016_val_240p"), (DAVIS_2016,))
    videos = FirstFrames(found.folder, "2016")
    model = load_model("timm:vit_tiny_patch16_224", random_weights=True)
    before = {name: tensor.clone() for name, tensor in model.encoder.state_dict().items()}
    scores = [VideoPropagation(pixels=96).score(model, None, videos, no_bar) for _ in range(2)]
    assert scores[0].rows == scores[1].rows
    j_and_f, floor = value(scores[0], "j_and_f", "blackswan"), value(scores[0], "j_and_f")[1]
    assert 0.2 < j_and_f[0] < 1
    assert 0.5 < floor < 1
    assert all((model.encoder.state_dict()[name] == tensor).all() for name, tensor in before.items())
