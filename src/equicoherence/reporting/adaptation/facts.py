"""What an adaptation cost, and whether it was label-free: read from its run directory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from equicoherence.evaluation.frozen_model import generators_kept
from equicoherence.metric_fields import STOPPED
from equicoherence.models.trained import trained_parameters
from equicoherence.reporting.labels import receives_labels
from equicoherence.training.build import build_learner
from equicoherence.training.config import PretrainConfig
from equicoherence.training.config_file import to_dict


@dataclass(frozen=True)
class Facts:
    """What it cost, and whether it was label-free.

    seconds: of the steps of training.
    images: number of images seen, repeats included.
    trained, whole: trained and all parameters of the encoder. head: parameters of the head of z_equi.
    labelled: whether training received the parameters of the transformation as labels.
    stopped: why it ended before its last step; "" if it did not.
    """

    seconds: float
    steps: int
    images: int
    trained: int
    whole: int
    head: int
    labelled: bool
    stopped: str = ""

    def words(self) -> list[str]:
        """Return the facts in sentences."""
        minutes = f"{self.seconds / 60:.1f} minutes" if self.seconds >= 60 else f"{self.seconds:.0f} seconds"
        parameters, labels = "the transformation parameters between the views", "the class labels of images"
        received = f"{parameters}, but not {labels}" if self.labelled else f"neither {parameters} nor {labels}"
        said = [
            f"Training: {minutes}, {self.steps:,} steps, {self.images:,} images seen; {_count(self.trained)} of the "
            f"encoder's {_count(self.whole)} parameters were trained, and {_count(self.head)} of the head.",
            f"Training received {received}.",
        ]
        return [f"It was stopped: {self.stopped}.", *said] if self.stopped else said


def facts_of(config: PretrainConfig, metrics: Sequence[Mapping[str, Any]]) -> Facts:
    """Return the facts of a finished run. metrics: the lines of its ``metrics.jsonl``.

    Parameters are counted in a new learner: the files of a run do not say which of them are trained.
    """
    lines = [line for line in metrics if "seconds" in line]
    steps = max((int(line["step"]) for line in lines), default=0)
    shown = sum(line["images_per_second"] * line["seconds"] for line in lines)
    batch = config.optim.batch_size
    processes = max(1, round(shown / (steps * batch))) if steps else 1
    with generators_kept():
        learner = build_learner(config, pretrained=False)
    return Facts(
        sum(line["seconds"] for line in lines),
        steps,
        steps * batch * processes,
        trained_parameters(learner.encoder),
        sum(parameter.numel() for parameter in learner.encoder.model.parameters()),
        trained_parameters(learner.head),
        receives_labels(to_dict(config)),
        next((str(line[STOPPED]) for line in metrics if STOPPED in line), ""),
    )


def _count(parameters: int) -> str:
    return f"{parameters / 1e6:.2f} million" if parameters >= 1e5 else f"{parameters:,}"
