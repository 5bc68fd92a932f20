"""MODEL on a command line, checked before torch is loaded, which takes seconds."""

from __future__ import annotations

from pathlib import Path

from equicoherence.models.model_folder import with_source
from equicoherence.models.prefixes import BASELINE, TIMM, is_baseline
from equicoherence.models.timm_names import check_timm_name


def checked_model(model: str) -> str:
    """Return MODEL, `with_source`. The Hub is not asked: `check_published` does that, after all other checks.

    Raises FileNotFoundError for what is neither a name nor at a place that there is, and for a folder that holds no
    model; ValueError for the name of a timm model or a baseline that there is not.
    """
    check_timm_name(model)
    if is_baseline(model):
        from equicoherence.evaluation.baselines import check_baseline

        check_baseline(model.removeprefix(BASELINE))
    file, at, _ = model.rpartition("@")
    if model.startswith(TIMM) or is_baseline(model) or Path(model).exists() or (at and Path(file).is_file()):
        return with_source(model)
    from equicoherence.models.missing import no_model

    raise no_model(model)
