"""The downstream tasks by name, with their default settings."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from equicoherence.evaluation.downstream.depth.task import Depth
from equicoherence.evaluation.downstream.detection.task import Detection
from equicoherence.evaluation.downstream.homography.task import HomographyEstimation
from equicoherence.evaluation.downstream.keypoints.task import KeypointDetection
from equicoherence.evaluation.downstream.localisation import Localisation
from equicoherence.evaluation.downstream.looks import Looks
from equicoherence.evaluation.downstream.segmentation.task import Segmentation
from equicoherence.evaluation.downstream.task import Task
from equicoherence.evaluation.downstream.video.task import VideoPropagation

TASKS: dict[str, type[Task]] = {
    task.name: task
    for task in (
        Segmentation,
        Depth,
        Detection,
        Localisation,
        KeypointDetection,
        HomographyEstimation,
        VideoPropagation,
        Looks,
    )
}


def make_tasks(
    names: Sequence[str], *, fine_tuned: bool = False, settings: Mapping[str, Mapping[str, Any]] | None = None
) -> list[Task]:
    """Return tasks by name with their default settings, but for those given; ``fine_tuned``: of that protocol.

    Raises ValueError for a name, a setting or a protocol that there is not.
    """
    made = []
    for name in names:
        if name not in TASKS:
            raise ValueError(f"task {name!r} is unknown; choose among {', '.join(TASKS)}")
        task, given = TASKS[name], dict((settings or {}).get(name, {}))
        known = {field.name for field in dataclasses.fields(task)}  # type: ignore[arg-type]
        if unknown := sorted(set(given) - known):
            raise ValueError(f"{name} has no setting {', '.join(unknown)}; it has {', '.join(sorted(known))}")
        if fine_tuned:
            if "encoder" not in known:
                raise ValueError(f"{name} has no fine-tuning protocol; leave it out, or leave --fine-tune out")
            given = {"encoder": "fine-tuned", **given}
        made.append(task(**given))
    return made
