"""Video: masks of a first frame handed on to the others by the likeness of patch tokens; J&F, and mIoU of parts."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeVar

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from equicoherence.data.source import BadImage, UnusableData
from equicoherence.downstream.class_pictures import class_legend
from equicoherence.downstream.palette import palette, side_by_side
from equicoherence.downstream.segmentation.pixel_classes import confusion, intersection_over_union
from equicoherence.downstream.tokens import (
    extract_tokens,
    input_size,
    read_ahead,
    resizable,
    resize_image,
    sized,
    stride,
)
from equicoherence.downstream.video.jf import contour, contour_accuracy, region_similarity, statistics
from equicoherence.downstream.video.propagation import SETTINGS, Propagation, propagate
from equicoherence.downstream.video.resizing import resize_bilinear
from equicoherence.downstream.video.sizes import PUBLISHED, published_size
from equicoherence.evaluation.frozen_model import FrozenModel
from equicoherence.evaluation.picture import Picture
from equicoherence.evaluation.task import Row, TaskScore, Track, no_bar, spread
from equicoherence.notice import say
from equicoherence.sets.files import resized_labels
from equicoherence.sets.kinds import IGNORE, VideoSet

if TYPE_CHECKING:
    from equicoherence.downstream.video.task import VideoPropagation

T = TypeVar("T")
PARTS_TOP_K = 10  # as part propagation is published
PICTURES, SHOWN = 6, 5  # sequences, and frames of each
SHOWN_HEIGHT = 160  # pixels


def score_video(task: VideoPropagation, model: FrozenModel, train: None, test: VideoSet, track: Track) -> TaskScore:
    encoder = resizable(model.encoder).eval()
    step, parts, built = stride(encoder, model.size), len(test.classes), (0, 0)
    how = SETTINGS[task.setting]
    if parts:
        how = dataclasses.replace(how, top_k=PARTS_TOP_K)
    test_indices = spread(len(test), task.sequences)
    shown = {test_indices[position] for position in spread(len(test_indices), PICTURES)}
    scores = [_Scores(parts, how.first_scored), _Scores(parts, how.first_scored)]
    pictures: dict[str, Picture] = {}
    frames, unpublished = 0, False
    left_out: dict[str, str] = {}
    for sequence in track(test_indices, f"video: sequences, {task.setting}"):
        count, (first, masks) = test.frames(sequence), _masks(test, sequence)
        if reason := unscorable(first, masks, parts):
            left_out[test.name(sequence)] = reason
            continue
        shape = test.image(sequence, 0).shape[:2]
        size = frame_size(shape, task, step, parts=bool(parts))
        if size != built:
            encoder, built = sized(encoder, size), size
        tokens = extract_tokens(
            encoder,
            lambda i, s=sequence, to=size: resize_bilinear(test.image(s, i), to),
            range(count),
            size,
            no_bar,
            "video: frames",
        )
        numbers = np.union1d(first, [0])
        soft = propagate(tokens.patches, first_labels(first, numbers, size, tokens.patches.shape[1:3], how), how)
        predicted = [numbered(labels, numbers, size, first.shape, how) for labels in soft]
        for scored, guess in zip(scores, (predicted, [first] * count)):
            scored.add(test.name(sequence), guess, masks, np.arange(1, first.max() + 1))
        frames += count
        unpublished |= task.pixels == PUBLISHED and size != published_size(shape, task.setting, parts=bool(parts))
        if sequence in shown:
            pictures[test.name(sequence)] = _picture(test, sequence, predicted, masks)
    _tell(left_out, len(test_indices))
    if unpublished:
        say(f"video: strides of {step} px do not fit the published frame sizes, so each video keeps its aspect instead")
    rows = [
        dataclasses.replace(row, floor=floor.value)
        for row, floor in zip(*(scored.rows(test.classes) for scored in scores))
    ]
    return TaskScore(rows, pictures, {"sequences": len(test_indices) - len(left_out), "frames": frames})


def frame_size(shape: tuple[int, int], task: VideoPropagation, step: int, *, parts: bool) -> tuple[int, int]:
    """Return the size (h, w) that frames (H, W) are squashed to, in multiples of ``step``.

    At the published number of pixels it is `published_size`, where that is in such multiples; else `input_size`.
    """
    if task.pixels == PUBLISHED:
        size = published_size(shape, task.setting, parts=parts)
        if all(side and side % step == 0 for side in size):
            return size
    return input_size([shape], task.pixels, step)


def unscorable(first: np.ndarray, masks: Sequence[np.ndarray | None], parts: int) -> str:
    """Return why a sequence has nothing to score, "" if it has.

    first: (H, W), what is handed on. masks: of all frames, None if there is none. parts: as in `_Scores`.
    """
    if not first.any():
        return "nothing is marked in its first frame"
    if not any(mask is not None for mask in scored_frames(masks, parts)):
        but = "but the first" if parts else "but the first and the last"
        return f"of its {len(masks)} frames none has a mask {but}"
    return ""


def scored_frames(frames: Sequence[T], parts: int) -> Sequence[T]:
    """Return the frames that are predicted and count: all but the first, and of objects but the last too, as in DAVIS'
    toolkit."""
    return frames[1:] if parts else frames[1:-1]


def _tell(left_out: Mapping[str, str], count: int) -> None:
    """Say which sequences are left out. Raises `UnusableData` where none of ``count`` remains."""
    for name, reason in left_out.items():
        say(f"sequence {name} is left out: {reason}")
    if len(left_out) == count:
        raise UnusableData(f"none of {count} sequences has anything to score")


def first_labels(
    mask: np.ndarray, numbers: np.ndarray, size: tuple[int, int], grid: tuple[int, ...], how: Propagation
) -> Tensor:
    """Return the labels (L, h, w) of a ``grid`` of tokens for the ``numbers`` (L,) in a mask (H, W), as
    ``how.first_mask`` says.

    size: of the input. As CropMAE's script has it, a mask comes to that size first, each pixel's number from the one
    that its upper left corner lies in, before labels are read bilinearly.
    """
    if how.first_mask == "nearest":
        return torch.from_numpy(resized_labels(mask, (grid[0], grid[1])) == numbers[:, None, None])
    rows, columns = (np.arange(new) * old // new for old, new in zip(mask.shape, size))
    labels = torch.from_numpy(mask[rows[:, None], columns] == numbers[:, None, None]).float()
    return F.interpolate(labels[None], (grid[0], grid[1]), mode="bilinear")[0]


def enlarged(labels: Tensor, size: tuple[int, ...], *, stretch: bool = True) -> Tensor:
    """Return the largest label (H, W) of each pixel of soft labels (L, h, w), enlarged bilinearly.

    stretch: whether the values of each label are stretched over 0 to 1 first.
    """
    large = F.interpolate(labels[None], size, mode="bilinear")[0]
    if not stretch:
        return large.argmax(dim=0)
    lowest, highest = large.amin(dim=(1, 2), keepdim=True), large.amax(dim=(1, 2), keepdim=True)
    return ((large - lowest) / (highest - lowest).clamp(min=1e-12)).argmax(dim=0)


def numbered(
    labels: Tensor, numbers: np.ndarray, size: tuple[int, int], shape: tuple[int, ...], how: Propagation
) -> np.ndarray:
    """Return the ``numbers`` (L,) of soft labels (L, h, w) as a mask (H, W) uint8 of ``shape``.

    As published, labels are chosen at the ``size`` of the input, and each pixel of the mask takes the nearest one.
    """
    chosen = numbers[enlarged(labels, size, stretch=how.stretch).cpu().numpy()].astype(np.uint8)
    return resized_labels(chosen, (shape[0], shape[1]))


@dataclass
class _Scores:
    """What sequences have scored so far. parts: how many a set has, 0 for objects. first: whether parts are scored in
    the first frame too."""

    parts: int
    first: bool
    objects: dict[str, tuple[tuple[float, float, float], tuple[float, float, float]]] = field(default_factory=dict)
    counts: Tensor | int = 0

    def add(self, name: str, predicted: Sequence[np.ndarray], masks: Sequence[np.ndarray | None], numbers: np.ndarray):
        """Score a sequence.

        predicted, masks: (H, W) uint8 of all frames. numbers: of the objects, all up to the largest in the first
        frame, as in DAVIS' toolkit: one that is missing there scores 1 where it stays away, and 0 where it comes.
        """
        pairs = list(zip(predicted, masks))
        pairs = pairs if self.parts and self.first else scored_frames(pairs, self.parts)
        truths = [(guess, mask) for guess, mask in pairs if mask is not None]
        if self.parts:
            for guess, mask in truths:
                self.counts = self.counts + confusion(torch.from_numpy(guess), torch.from_numpy(mask), self.parts + 1)
            return
        values = [_of_frame(*pair, numbers) for pair in truths]
        for position, number in enumerate(numbers):
            label = f"{name}_{number}" if len(numbers) > 1 else name
            j, f = (torch.stack([of_frame[which][position] for of_frame in values]).numpy() for which in (0, 1))
            self.objects[label] = (statistics(j), statistics(f))

    def rows(self, classes: Sequence[str]) -> list[Row]:
        """Return the scores of all sequences, and of each object or part."""
        if self.parts:
            assert isinstance(self.counts, Tensor)
            iou, seen = intersection_over_union(self.counts), self.counts.sum(dim=1) > 0
            each = zip(("background", *classes), iou, seen)
            rows = [Row("iou", float(value), parameter=name) for name, value, is_seen in each if is_seen]
            return [Row("miou", float(iou.nanmean())), *rows]
        means = np.mean(list(self.objects.values()), axis=0)
        rows = [Row("j_and_f", float(means[:, 0].mean()))]
        for letter, of_letter in zip("jf", means):
            names = (f"{letter}_mean", f"{letter}_recall", f"{letter}_decay")
            rows += [Row(name, float(value)) for name, value in zip(names, of_letter)]
        return rows + [Row("j_and_f", (j[0] + f[0]) / 2, parameter=name) for name, (j, f) in self.objects.items()]


def _of_frame(predicted: np.ndarray, mask: np.ndarray, numbers: np.ndarray) -> tuple[Tensor, Tensor]:
    """Return J and F (L,) of the objects ``numbers`` in a frame."""
    ours, theirs = (torch.from_numpy(each == numbers[:, None, None]) for each in (predicted, mask))
    return region_similarity(ours, theirs), contour_accuracy(ours, theirs)


def _masks(test: VideoSet, sequence: int) -> tuple[np.ndarray, list[np.ndarray | None]]:
    """Return the masks to propagate from the first frame, (H, W) uint8, none if it has no mask; and all masks.

    Of objects `IGNORE` is 0, as in DAVIS' toolkit: what is predicted there is wrong.
    """
    masks = list(read_ahead(lambda i: test.mask(sequence, i), range(test.frames(sequence))))
    if not test.classes:
        masks = [mask if mask is None else np.where(mask == IGNORE, 0, mask) for mask in masks]
    first = np.where(masks[0] == IGNORE, 0, masks[0]) if masks[0] is not None else np.zeros((1, 1))
    for frame, mask in enumerate(masks):
        if masks[0] is not None and mask is not None and mask.shape != first.shape:
            name = f"{test.name(sequence)}, frame {frame}"
            raise BadImage(name, f"its mask is {mask.shape}, but the first one {first.shape}")
    return first.astype(np.uint8), masks


def _picture(
    test: VideoSet, sequence: int, predicted: Sequence[np.ndarray], masks: Sequence[np.ndarray | None]
) -> Picture:
    """Return frames with the true masks laid over them in colors, and with the predicted ones, on which the contours
    of the true ones are white."""
    true_panels, panels, seen = [], [], []
    for frame in spread(len(predicted), SHOWN):
        labels, truth = predicted[frame], masks[frame]
        size = (SHOWN_HEIGHT, round(labels.shape[1] * SHOWN_HEIGHT / len(labels)))
        image, labels = resize_image(test.image(sequence, frame), size), resized_labels(labels, size)
        panel = _overlaid(image, labels)
        seen.append(labels)
        if truth is not None:
            truth = resized_labels(truth, size)
            known = np.where(truth == IGNORE, 0, truth)
            true_panels.append(_overlaid(image, known))
            seen.append(known)
            numbers = torch.from_numpy(truth)
            edges = torch.stack([contour(numbers == number) for number in numbers.unique()]).any(dim=0)
            panel[edges.numpy()] = 255
        else:
            true_panels.append(image)
        panels.append(panel)
    names = ("", *test.classes) if test.classes else [f"object {number}" for number in range(IGNORE)]
    legend = [meaning for meaning in class_legend(names, *seen) if meaning.number]
    return Picture(side_by_side(panels), {"true masks": side_by_side(true_panels)}, legend)


def _overlaid(image: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Return an image (H, W, 3) uint8 with labels (H, W) uint8 laid over it in colors, but for 0."""
    mixed = np.where(labels[..., None] > 0, (image.astype(np.uint16) + palette()[labels]) // 2, image)
    return mixed.astype(np.uint8)
