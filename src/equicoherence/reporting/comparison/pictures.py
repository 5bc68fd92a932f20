"""Pictures of downstream tasks, those of each encoder side by side."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image, UnidentifiedImageError

from equicoherence.reporting.comparison.lines import Group, control_column, members
from equicoherence.reporting.markup import Markup, details, element, image
from equicoherence.reporting.names import data_name
from equicoherence.reporting.tables import MISSING

TITLES_SHOWN = 2  # titles of a task on a data set in sight, where they are strips one; the others open on a click
WIDEST = 900  # pixels; larger pictures are reduced, and all are written as JPEG, which keeps the page small
STRIP = 3  # a picture wider than so many times its height takes the whole width of the page
CARD = 300  # pixels, the least width of those that stand beside each other: what fits into it stays there
STRIP_WIDEST = 1120  # pixels, as wide as the page
QUALITY = 85


@dataclass(frozen=True)
class PictureRow:
    """Pictures of one title. files: column -> the first picture that an encoder of it has."""

    protocol: str
    data: str
    title: str
    files: dict[str, Path]


def picture_rows(groups: Sequence[Group], task: str) -> list[PictureRow]:
    """Return the pictures of a task, those of a data set and a protocol together, in the order they first appear."""
    found: dict[tuple[str, str], dict[str, dict[str, Path]]] = {}
    for of in groups:
        for each in of.members:
            for part in each.parts:
                if part["task"] != task:
                    continue
                column = control_column(groups, of) if part["control"] else of.label
                rows = found.setdefault((part["protocol"], part["data"]), {})
                for title, file in part["pictures"].items():
                    rows.setdefault(title, {}).setdefault(column, each.folder / file)
    return [PictureRow(*place, title, files) for place, rows in found.items() for title, files in rows.items()]


def captions(groups: Sequence[Group], task: str) -> list[str]:
    """Return what the pictures of a task show, as its parts say it: once, where all say the same."""
    parts = [part for each in members(groups) for part in each.parts]
    told = (part.get("caption", "") for part in parts if part["task"] == task and part["pictures"])
    return list(dict.fromkeys(caption for caption in told if caption))


def picture_panels(groups: Sequence[Group], columns: Sequence[str], task: str) -> list[Markup]:
    """Return what pictures show, and for each protocol on a data set its titles, each with a picture, or a dash, for
    every column."""
    parts = [element("p", caption) for caption in captions(groups, task)]
    rows = picture_rows(groups, task)
    for protocol, data in dict.fromkeys((row.protocol, row.data) for row in rows):
        of_data = [_panel(row, columns) for row in rows if (row.protocol, row.data) == (protocol, data)]
        shown = [row for row, _ in of_data]
        count = 1 if any(strips for _, strips in of_data) else TITLES_SHOWN
        parts += [element("h3", f"Pictures: {protocol} on {data_name(data)}"), *shown[:count]]
        if len(shown) > count:
            parts.append(details(f"{len(shown) - count} more", *shown[count:]))
    return parts


def read_picture(file: Path) -> Image.Image | None:
    """Return a picture at most as wide as it is shown; None if there is none to read."""
    try:
        with Image.open(file) as opened:
            picture = opened.convert("RGB")
    except (OSError, UnidentifiedImageError, Image.DecompressionBombError):
        return None
    widest = STRIP_WIDEST if is_strip(picture) else WIDEST
    picture.thumbnail((widest, widest), Image.Resampling.BOX)
    return picture


def is_strip(picture: Image.Image) -> bool:
    """Return whether a picture is too wide to stand beside others."""
    return picture.width > max(STRIP * picture.height, CARD)


def jpeg(picture: Image.Image) -> bytes:
    """Return a picture's file."""
    buffer = io.BytesIO()
    picture.save(buffer, format="JPEG", quality=QUALITY, subsampling=0)
    return buffer.getvalue()


def _panel(row: PictureRow, columns: Sequence[str]) -> tuple[Markup, bool]:
    """Return a row's pictures beside each other, strips one below the other, and whether there are strips."""
    shots, strips = [], False
    for column in columns:
        picture = read_picture(row.files[column]) if column in row.files else None
        alt = f"{row.title}, {column}"
        missing = element("span", MISSING, class_="blank", title=f"no {alt}")
        shown = image(jpeg(picture), "image/jpeg", alt) if picture else missing
        wide = picture is not None and is_strip(picture)
        strips |= wide
        caption = element("figcaption", element("strong", column))
        shots.append(element("figure", caption, shown, class_="shot across" if wide else "shot"))
    return element("div", element("h4", row.title), element("div", *shots, class_="shots")), strips
