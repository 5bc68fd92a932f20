"""Video: masks of a first frame handed on to the others by the likeness of patch tokens; J&F, and mIoU of parts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

from equicoherence.downstream.video.sizes import PUBLISHED
from equicoherence.evaluation.task import Task, TaskScore, Track

if TYPE_CHECKING:
    from equicoherence.evaluation.model import FrozenModel
    from equicoherence.sets.kinds import VideoSet


@dataclass(frozen=True)
class VideoPropagation(Task):
    """Nothing is trained: see `propagate`.

    setting: of the propagation, see `SETTINGS`; parts take the 10 most similar tokens in both. pixels: short side of
    the input. sequences: at most, evenly spread; 0 for all.

    As in the published scripts, frames are squashed bilinearly without antialiasing (`resize_bilinear`), and with
    pixels=480 to the sizes they have there (`published_size`: DAVIS 480 x 832 by DINO, 480 x 880 by CropMAE) where the
    encoder's strides fit. Otherwise each video keeps its aspect, in whole strides. Both run the encoder in single
    precision; here tokens are taken under bfloat16 autocast and kept in half precision. DINO's divides the channels by
    .228, .224 and .225, here by what the encoder was trained with (.229 of the first).

    Propagated labels are enlarged bilinearly to the input, where the largest is taken (`Propagation.stretch`), and
    masks take the nearest of those. Objects are scored as in DAVIS' semi-supervised task: J and F of each in all frames
    but the first and the last, their mean, recall (share above .5) and decay (first quarter less last), averaged over
    the objects of all sequences. Objects are all numbers up to the largest in the first frame, and 255 is background,
    as in DAVIS' toolkit. Parts: IoU of each and of the background over all sequences together, in all frames but the
    first, of ``cropmae`` in the first too, as its script has it (what the tokens keep of the mask that is given). The
    floor is the first frame's mask, kept for ever. Sequences without anything to score (a clip of two frames, an empty
    first mask) are left out, and said.
    """

    setting: Literal["dino", "cropmae"] = "dino"
    pixels: int = 320
    sequences: int = 0

    name: ClassVar[str] = "video"
    order: ClassVar[int] = 70
    revision: ClassVar[int] = 3
    caption: ClassVar[str] = "Frames of a sequence: propagated masks in color, outlines of the true ones in white."
    kind: ClassVar[str] = "video"
    metrics: ClassVar[dict[str, bool]] = {
        "j_and_f": True,
        "j_mean": True,
        "j_recall": True,
        "j_decay": False,
        "f_mean": True,
        "f_recall": True,
        "f_decay": False,
        "miou": True,
        "iou": True,
    }

    @property
    def protocol(self) -> str:
        size = "" if self.pixels == PUBLISHED else f" at {self.pixels} px"
        return f"frozen, propagation as {'DINO' if self.setting == 'dino' else 'CropMAE'}{size}"

    def score(self, model: FrozenModel, train: None, test: VideoSet, track: Track) -> TaskScore:
        from equicoherence.downstream.video.scoring import score_video

        return score_video(self, model, train, test, track)
