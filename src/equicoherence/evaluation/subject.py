"""Models to score side by side, each with the options that apply to it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from equicoherence.models.names import split_file
from equicoherence.models.prefixes import TIMM, is_baseline
from equicoherence.models.weights import read_export


@dataclass(frozen=True)
class Subject:
    """A model to score, and the options of `load_model` that apply to it."""

    model: str
    arch: str | None = None
    random_weights: bool = False
    size: int | None = None
    layer: int | None = None

    @property
    def options(self) -> dict[str, Any]:
        """The options by name."""
        return {"arch": self.arch, "random_weights": self.random_weights, "size": self.size, "layer": self.layer}


def subjects_of(
    models: Sequence[str], arch: str | None, random_weights: bool, size: int | None, layer: int | None = None
) -> list[Subject]:
    """Return the models, each with the options that apply to it.

    FILE@ARCH is a weights file and its architecture; ``arch`` that of weights files that do not say so.
    ``random_weights`` is for timm's models, ``size`` for all that are no runs, ``layer`` for all. Raises ValueError
    for an option that applies to none of the models.
    """
    if size is not None and size < 1:
        raise ValueError(f"--size is {size}, but an input has at least 1 pixel")
    subjects = []
    for model in models:
        file, own = split_file(model)
        if own is not None:
            subjects.append(Subject(file, own, size=size, layer=layer))
        elif model.startswith(TIMM):
            subjects.append(Subject(model, random_weights=random_weights, size=size, layer=layer))
        elif Path(model).is_dir():
            subjects.append(Subject(model, layer=layer))
        elif is_baseline(model):
            subjects.append(Subject(model, size=size, layer=layer))
        else:  # what `export` wrote says itself what it is
            says = Path(model).is_file() and arch is not None and read_export(Path(model)) is not None
            subjects.append(Subject(model, None if says else arch, size=size, layer=layer))
    given = {"--arch": arch, "--random-weights": random_weights or None, "--size": size}
    used = {
        "--arch": any(arch is not None and each.arch == arch and each.model in models for each in subjects),
        "--random-weights": any(each.random_weights for each in subjects),
        "--size": any(each.size for each in subjects),
    }
    kinds = {"--arch": "weights files", "--random-weights": "timm's models", "--size": "models that are no runs"}
    for option, value in given.items():
        if value is not None and not used[option]:
            raise ValueError(
                f"{option} is for {kinds[option]}, of which there is none: it applies to none of {', '.join(models)}; "
                "leave it out"
            )
    return subjects
