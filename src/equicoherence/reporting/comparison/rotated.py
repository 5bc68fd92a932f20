"""The rotation slider of a comparison: all encoders whose rotated images `evaluate` kept beside their scores."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from equicoherence.files import Damaged
from equicoherence.reporting.comparison.lines import Group
from equicoherence.reporting.explorer.rotated_file import read_rotated, side_by_side
from equicoherence.reporting.explorer.turned_section import turned_section
from equicoherence.reporting.markup import Markup


def rotated_section(groups: Sequence[Group]) -> Markup:
    """Return the section; empty if no encoder has rotated images. Of several seeds the first that has them is shown."""
    found: dict[str, dict[str, Any]] = {}
    notes = []
    for of in groups:
        for each in of.members:
            try:
                kept = read_rotated(each.folder)
            except Damaged as error:
                notes.append(f"{of.label}: rotated images cannot be shown: {error}")
                continue
            if kept:
                found.setdefault(of.label, kept)
    return turned_section(side_by_side(found), notes)
