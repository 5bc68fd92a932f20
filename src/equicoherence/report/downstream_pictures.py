"""Pictures of downstream tasks, those of each encoder side by side."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image, UnidentifiedImageError

from equicoherence.report.downstream_lines import Group, control_column
from equicoherence.report.markup import Markup, details, element, image
from equicoherence.report.tables import MISSING

SHOWN = 2  # titles of a task on a data set in sight; the others open on a click
WIDEST = 900  # pixels; larger pictures are reduced, and all are written as JPEG, which keeps the page small
QUALITY = 85


@dataclass(frozen=True)
class Row:
    """Pictures of one title. files: column -> the first picture that an encoder of it has."""

    protocol: str
    data: str
    title: str
    files: dict[str, Path]


def picture_rows(groups: Sequence[Group], task: str) -> list[Row]:
    """Return the pictures of a task, those of a data set and a protocol together, in the order they first appear."""
    found: dict[tuple[str, str], dict[str, dict[str, Path]]] = {}
    for of in groups:
        for each in of.members:
            for part in each.about["parts"].values():
                if part["task"] != task:
                    continue
                column = control_column(groups, of) if part["control"] else of.label
                rows = found.setdefault((part["protocol"], part["data"]), {})
                for title, file in part["pictures"].items():
                    rows.setdefault(title, {}).setdefault(column, each.folder / file)
    return [Row(*place, title, files) for place, rows in found.items() for title, files in rows.items()]


def pictures(groups: Sequence[Group], columns: Sequence[str], task: str) -> list[Markup]:
    """Return for each protocol on a data set its titles, each with a picture, or a dash, for every column."""
    parts: list[Markup] = []
    rows = picture_rows(groups, task)
    for place in dict.fromkeys((row.protocol, row.data) for row in rows):
        shown = [_side_by_side(row, columns) for row in rows if (row.protocol, row.data) == place]
        parts += [element("h3", f"Pictures: {place[0]} on {place[1]}"), *shown[:SHOWN]]
        if len(shown) > SHOWN:
            parts.append(details(f"{len(shown) - SHOWN} more", *shown[SHOWN:]))
    return parts


def jpeg(file: Path) -> bytes | None:
    """Return a picture as JPEG, at most `WIDEST` pixels wide; None where there is none to read."""
    try:
        with Image.open(file) as opened:
            picture = opened.convert("RGB")
    except (OSError, UnidentifiedImageError, Image.DecompressionBombError):
        return None
    picture.thumbnail((WIDEST, WIDEST), Image.Resampling.BOX)
    buffer = io.BytesIO()
    picture.save(buffer, format="JPEG", quality=QUALITY, subsampling=0)
    return buffer.getvalue()


def _side_by_side(row: Row, columns: Sequence[str]) -> Markup:
    shots = []
    for column in columns:
        data = jpeg(row.files[column]) if column in row.files else None
        alt = f"{row.title}, {column}"
        shown = image(data, "image/jpeg", alt) if data else element("span", MISSING, class_="blank", title=f"no {alt}")
        shots.append(element("figure", element("figcaption", element("strong", column)), shown, class_="shot"))
    return element("div", element("h4", row.title), element("div", *shots, class_="shots"))
