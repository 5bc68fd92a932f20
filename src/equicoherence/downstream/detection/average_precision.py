"""COCO's average precision of boxes and masks, by torchmetrics on faster-coco-eval."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from equicoherence.sets.kinds import Objects

if TYPE_CHECKING:
    from torchmetrics.detection import MeanAveragePrecision

SCORES = {"map": "", "map_50": "50", "map_75": "75"}
KINDS = {"bbox": "apb", "segm": "apm"}


class AveragePrecision:
    """COCO's AP over IoU .50 to .95, at .50 and at .75: ``apb``, ``apb50``, ``apb75`` of boxes, ``apm``... of masks.

    It is the mean over the classes that occur. Crowd regions are neither right nor wrong. Raises ImportError, with the
    command that helps, where the extra ``coco`` is not installed.
    """

    def __init__(self, *, masks: bool) -> None:
        self.kinds = ("bbox", "segm") if masks else ("bbox",)
        self._metric = _metric(self.kinds)

    def add(self, detected: dict[str, Tensor], truth: Objects) -> None:
        """Count one image. detected: ``boxes`` (N, 4), ``scores`` (N,), ``labels`` (N,) from 0 and ``masks``
        (N, H, W) bool, all in the image's own pixels."""
        target = {
            "boxes": torch.from_numpy(truth.boxes),
            "labels": torch.from_numpy(truth.labels),
            "iscrowd": torch.from_numpy(truth.crowd.astype(np.int64)),
        }
        if "segm" in self.kinds:
            if truth.masks is None:
                raise ValueError("masks are to be scored, but there are no true ones")
            target["masks"] = torch.from_numpy(truth.masks)
        self._metric.update([{name: values.cpu() for name, values in detected.items()}], [target])

    def scores(self) -> dict[str, float]:
        """Return each AP, 0 to 1; nan where there is nothing to detect."""
        found = self._metric.compute()
        prefix = "{}_" if len(self.kinds) > 1 else ""
        values = {
            KINDS[kind] + ending: float(found[prefix.format(kind) + key])
            for kind in self.kinds
            for key, ending in SCORES.items()
        }
        return {name: value if value >= 0 else float("nan") for name, value in values.items()}


def _metric(kinds: tuple[str, ...]) -> MeanAveragePrecision:
    try:
        import faster_coco_eval  # noqa: F401
        from torchmetrics.detection import MeanAveragePrecision
    except ImportError as error:
        raise ImportError(
            "average precision needs torchmetrics and faster-coco-eval: pip install 'equicoherence[coco]'"
        ) from error
    return MeanAveragePrecision(
        iou_type=kinds,  # type: ignore[arg-type]
        # torchmetrics' own are rounded to single precision, which changes AP where a recall is one of them
        iou_thresholds=np.linspace(0.5, 0.95, 10).tolist(),
        rec_thresholds=np.linspace(0, 1, 101).tolist(),
        backend="faster_coco_eval",
    )
