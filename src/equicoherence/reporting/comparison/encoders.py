"""What each encoder of a comparison is, and where and when it was scored."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from equicoherence.reporting.comparison.lines import Group, members
from equicoherence.reporting.provenance import flatten
from equicoherence.reporting.tables import MISSING

DIGEST = 12  # letters of a hash that are shown
NAMED = 4  # encoders whose names fit into a line
SCORED = ("date", "machine", "versions")


@dataclass(frozen=True)
class Encoders:
    """A table with a row for each encoder. common: what is the same for all, which the table does without."""

    common: str
    header: list[str]
    rows: list[list[str]]


def encoders(groups: Sequence[Group]) -> Encoders:
    """Return what each encoder is and where it was scored."""
    evaluated = members(groups)
    scored = {field: [" / ".join(told(each.about, field)) or MISSING for each in evaluated] for field in SCORED}
    alike = {field: texts[0] for field, texts in scored.items() if len(set(texts)) == 1}
    common = "; ".join(f"{field} {text}" for field, text in alike.items() if text != MISSING)
    header = ["name", "seed", "architecture", "pretrained at", "weights"]
    rows = [
        [of.label, str(each.about["seed"]), of.arch, f"{of.size} px", str(each.about["weights"])[:DIGEST]]
        for of in groups
        for each in of.members
    ]
    apart = [field for field in SCORED if field not in alike]
    rows = [[*row, *(scored[field][index] for field in apart)] for index, row in enumerate(rows)]
    return Encoders(f"The same for all: {common}." if common else "", header + apart, rows)


def told(about: Mapping[str, Any], field: str) -> list[str]:
    """Return what the parts of an encoder tell of where and when they were scored; what the whole does without."""
    every = [part[field] for part in about["parts"].values() if field in part] or [about[field]] * (field in about)
    texts = (", ".join(f"{k} {v}" for k, v in flatten(x).items()) if isinstance(x, Mapping) else str(x) for x in every)
    return list(dict.fromkeys(texts))


def dates(groups: Sequence[Group]) -> str:
    """Return the first and the last day on which encoders were scored, "" where none is told."""
    days = sorted({day for each in members(groups) for day in told(each.about, "date")})
    return " to ".join(dict.fromkeys((days[0], days[-1]))) if days else ""


def named(groups: Sequence[Group]) -> str:
    """Return the names of the encoders, the first of many."""
    labels = [each.label for each in groups]
    return " · ".join(labels if len(labels) <= NAMED else [*labels[: NAMED - 1], f"{len(labels) - NAMED + 1} more"])
