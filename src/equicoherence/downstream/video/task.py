"""Video: masks of the first frame, propagated to the other frames by patch tokens; J&F, and mIoU of parts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

from equicoherence.downstream.video.sizes import PUBLISHED
from equicoherence.evaluation.task import Task, TaskScore, Track

if TYPE_CHECKING:
    from equicoherence.evaluation.frozen_model import FrozenModel
    from equicoherence.sets.kinds import VideoSet


@dataclass(frozen=True)
class VideoPropagation(Task):
    """Propagation of the masks of a first frame; nothing is trained, see `propagate`.

    setting: of the propagation, see `SETTINGS`; parts use the 10 most similar tokens in both.
    pixels: short side of the input.
    sequences: largest number, evenly spread; 0 for all.

    As in the published scripts, frames are resized bilinearly without antialiasing (`resize_bilinear`), and with
    pixels=480 to their sizes (`published_size`: DAVIS 480 x 832 by DINO, 480 x 880 by CropMAE) if the encoder's strides
    fit. Otherwise each video keeps its aspect, in whole strides. Both run the encoder in single precision; here tokens
    are computed under bfloat16 autocast and stored in half precision. DINO's divides the channels by .228, .224 and
    .225; here the encoder's own normalisation is used (.229 for the first).

    Propagated labels are upsampled bilinearly to the input, where the largest is taken (`Propagation.stretch`), and
    masks take the nearest of those. Objects are scored as in DAVIS' semi-supervised task: J and F of each in all frames
    but the first and the last, their mean, recall (share above .5) and decay (first quarter minus last), averaged over
    the objects of all sequences. Objects are all numbers up to the largest in the first frame, and 255 is background,
    as in DAVIS' toolkit. Parts: IoU of each and of the background over all sequences together, in all frames but the
    first; ``cropmae`` includes the first, as its script does (what tokens keep of the given mask). The floor is the
    mask of the first frame in all frames. Sequences without anything to score (a clip of two frames, an empty first
    mask) are left out, with a notice.
    """

    setting: Literal["dino", "cropmae"] = "dino"
    pixels: int = 320
    sequences: int = 0

    name: ClassVar[str] = "video"
    order: ClassVar[int] = 70
    revision: ClassVar[int] = 3
    caption: ClassVar[str] = (
        "Frames of a sequence with masks in color; white outlines on propagated masks are those of the true ones."
    )
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
