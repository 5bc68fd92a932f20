"""Whether training received the parameters of the transformation as labels."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def receives_labels(config: Mapping[str, Any]) -> bool:
    """Return whether the method, or the task's decoder, receives the parameters of the path between the views.

    config: the content of a ``config.yaml``, or of `to_dict`.
    """
    from equicoherence.methods import METHODS  # needs torch, as mistakes do not

    methods = {method.__name__ for method in METHODS.values() if method.told}
    method, task = config.get("method"), config.get("coherence")
    decoder = task.get("decoder") if isinstance(task, Mapping) else ""
    kind = method.get("kind") if isinstance(method, Mapping) else ""
    return kind in methods or "oracle" in str(decoder or "").split("+")
