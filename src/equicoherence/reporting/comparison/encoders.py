"""What each encoder of a comparison is, and where and when it was scored."""

from __future__ import annotations

from collections.abc import Sequence

from equicoherence.reporting.comparison.lines import Group, members
from equicoherence.reporting.origin import ORIGIN, parts_say
from equicoherence.reporting.tables import MISSING, Grid

DIGEST = 12  # letters of a hash that are shown
NAMED = 4  # encoders whose names fit into a line


def encoder_grid(groups: Sequence[Group]) -> tuple[str, Grid]:
    """Return what is the same for all encoders, and a table with a row for each, which does without that."""
    evaluated = members(groups)
    scored = {field: [" / ".join(parts_say(each.about, field)) or MISSING for each in evaluated] for field in ORIGIN}
    alike = {field: texts[0] for field, texts in scored.items() if len(set(texts)) == 1}
    common = "; ".join(f"{field} {text}" for field, text in alike.items() if text != MISSING)
    header = ["name", "seed", "architecture", "pretrained at", "weights"]
    rows = [
        [of.label, str(each.about["seed"]), of.arch, f"{of.size} px", str(each.about["weights"])[:DIGEST]]
        for of in groups
        for each in of.members
    ]
    apart = [field for field in ORIGIN if field not in alike]
    rows = [[*row, *(scored[field][index] for field in apart)] for index, row in enumerate(rows)]
    return f"The same for all: {common}." if common else "", Grid(header + apart, rows)


def named(groups: Sequence[Group]) -> str:
    """Return the names of the encoders, the first of many."""
    return " · ".join(first_few([each.label for each in groups]))


def first_few(names: Sequence[str]) -> list[str]:
    """Return names, of many the first and how many more."""
    more = len(names) - NAMED + 1
    return [*names] if len(names) <= NAMED else [*names[: NAMED - 1], f"{more} more"]


def counted(groups: Sequence[Group]) -> str:
    """Return how many encoders there are, and of how many recipes."""
    count = sum(each.seeds for each in groups)
    many = f"{count} encoder{'s' if count > 1 else ''}"
    return f"{many}, {len(groups)} recipes" if 1 < len(groups) < count else many
