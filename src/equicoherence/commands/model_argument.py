"""MODEL on a command line, checked before torch is loaded, which takes seconds."""

from __future__ import annotations

from pathlib import Path

from equicoherence.models.prefixes import BASELINE, TIMM
from equicoherence.models.timm_names import check_timm_name


def check_model(model: str) -> None:
    """Raise FileNotFoundError for a MODEL that is neither a name nor at a place that there is, ValueError for the name
    of a timm model that there is not."""
    check_timm_name(model)
    file, at, _ = model.rpartition("@")
    if model.startswith((*TIMM, BASELINE)) or Path(model).exists() or (at and Path(file).is_file()):
        return
    from equicoherence.models.missing import no_model

    raise no_model(model)
