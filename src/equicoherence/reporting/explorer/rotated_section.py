"""The rotation slider of encoders whose rotated images were kept beside their scores."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from equicoherence.files import Damaged
from equicoherence.reporting.explorer.rotated_file import PARTS, read_rotated
from equicoherence.reporting.explorer.study import READS
from equicoherence.reporting.explorer.turned_section import turned_section
from equicoherence.reporting.markup import Markup


def rotated_section(folders: Mapping[str, Sequence[Path]], *, together: bool = False) -> Markup:
    """Return the section; empty if no encoder has rotated images.

    folders: name -> the folders of its scores; the first that has rotated images is shown.
    together: show all representations at once, in place of a button for each.
    """
    found: dict[str, dict[str, Any]] = {}
    notes = []
    for name, of_name in folders.items():
        for folder in of_name:
            try:
                kept = read_rotated(folder)
            except Damaged as error:
                notes.append(f"{name}: rotated images cannot be shown: {error}")
                continue
            if kept:
                found.setdefault(name, kept)
    galleries = side_by_side(found)
    return turned_section(list(map(stacked, galleries)) if together else galleries, notes)


def side_by_side(found: Mapping[str, Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return one `gallery` for each set of images, with all encoders that were evaluated on it.

    found: name -> the content of its file. The pictures are those of the largest input.
    """
    galleries: dict[str, dict[str, Any]] = {}
    for name, each in found.items():
        before = galleries.get(each["images"])
        runs = {**(before["runs"] if before else {}), name: each["runs"][""]}
        shown = before if before and before["size"] >= each["size"] else each
        galleries[each["images"]] = {**{part: shown[part] for part in PARTS}, "runs": runs}
    return list(galleries.values())


def stacked(shown: Mapping[str, Any]) -> dict[str, Any]:
    """Return a `gallery` with each representation of each encoder as a row; what is the same for several is one row."""
    rows: list[tuple[list[str], str, Any]] = []
    for name, reads in shown["runs"].items():
        for read, content in reads.items():
            same = next((names for names, *other in rows if other == [read, content]), None)
            if same is None:
                rows.append(([name], read, content))
            else:
                same.append(name)
    return {**shown, "runs": {f"{' and '.join(names)}: {read}": {READS[0]: content} for names, read, content in rows}}
