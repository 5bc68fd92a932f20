"""Pictures of downstream tasks: what is given once, then what each encoder predicts, side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError

from equicoherence.evaluation.picture import Meaning, shown_in
from equicoherence.reporting.comparison.lines import Group, control_column, members
from equicoherence.reporting.explorer.files import address
from equicoherence.reporting.markup import Markup, details, element, image
from equicoherence.reporting.names import data_name
from equicoherence.reporting.tables import MISSING

TITLES_SHOWN = 2  # titles of a task on a data set in sight, where they are strips one; the others open on a click
WIDEST = 900  # pixels; larger pictures are reduced, which keeps the page small
STRIP_WIDEST = 1120  # pixels, as wide as the page
STRIP = 3  # a picture wider than so many times its height takes the whole width of the page
WIDE = 1.8  # one wider than so many times its height takes that of two
CARD = 230  # pixels, the least width of one that stands beside others: small ones are magnified as far as they fit
MAGNIFIED = 4  # times, at most
FLAT = 64  # pictures of so many colors at most, such as those of classes, keep every pixel


@dataclass
class PictureRow:
    """Pictures of one title.

    given: label -> column -> the first picture that an encoder of it has, which is mostly the same for all.
    predicted: column -> the first one.
    legend: what colors mean in any of them.
    """

    protocol: str
    data: str
    title: str
    given: dict[str, dict[str, Path]] = field(default_factory=dict)
    predicted: dict[str, Path] = field(default_factory=dict)
    legend: set[Meaning] = field(default_factory=set)


def picture_rows(groups: Sequence[Group], task: str) -> list[PictureRow]:
    """Return the pictures of a task, those of a data set and a protocol together, in the order they first appear."""
    found: dict[tuple[str, str], dict[str, PictureRow]] = {}
    for of in groups:
        for each in of.members:
            for part in (part for part in each.parts if part["task"] == task):
                column = control_column(groups, of) if part["control"] else of.label
                rows = found.setdefault((part["protocol"], part["data"]), {})
                for title, shown in shown_in(part).items():
                    row = rows.setdefault(title, PictureRow(part["protocol"], part["data"], title))
                    if column in row.predicted:
                        continue
                    row.predicted[column] = each.folder / shown["predicted"]
                    row.legend.update(Meaning(*meaning) for meaning in shown["legend"])
                    for label, file in shown["given"].items():
                        row.given.setdefault(label, {})[column] = each.folder / file
    return [row for rows in found.values() for row in rows.values()]


def captions(groups: Sequence[Group], task: str) -> list[str]:
    """Return what the pictures of a task show, as its parts say it: once, where all say the same."""
    parts = [part for each in members(groups) for part in each.parts]
    told = (part.get("caption", "") for part in parts if part["task"] == task and shown_in(part))
    return list(dict.fromkeys(caption for caption in told if caption))


def picture_panels(groups: Sequence[Group], columns: Sequence[str], task: str) -> list[Markup]:
    """Return what pictures show, and for each protocol on a data set its titles, each with what is given and with a
    picture, or a dash, for every column. A title none of whose pictures can be read is left out."""
    drawn: dict[tuple[str, str], list[tuple[Markup, bool]]] = {}
    for row in picture_rows(groups, task):
        if panel := _panel(row, columns):
            drawn.setdefault((row.protocol, row.data), []).append(panel)
    parts = [element("p", caption) for caption in captions(groups, task)] if drawn else []
    for (protocol, data), of_data in drawn.items():
        shown = [panel for panel, _ in of_data]
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
    picture.thumbnail((widest, widest), Image.Resampling.NEAREST if is_flat(picture) else Image.Resampling.BOX)
    return picture


def is_flat(picture: Image.Image) -> bool:
    """Return whether a picture has so few colors that compression would blur its edges."""
    return picture.getcolors(FLAT) is not None


def is_strip(picture: Image.Image) -> bool:
    """Return whether a picture is too wide to stand beside others."""
    return picture.width > max(STRIP * picture.height, CARD)


def _panel(row: PictureRow, columns: Sequence[str]) -> tuple[Markup, bool] | None:
    """Return a row's pictures beside each other, strips one below the other, and whether there are strips."""
    predicted = {column: read_picture(file) for column, file in row.predicted.items()}
    given = [each for label, files in row.given.items() for each in _distinct(label, files)]
    pictures = [picture for _, picture in given] + [picture for picture in predicted.values() if picture]
    if not pictures:
        return None
    shots = [_shot(label, picture, f"{row.title}, {label}") for label, picture in given]
    for column in columns:
        shots.append(_shot(element("strong", column), predicted.get(column), f"{row.title}, {column}"))
    kind = "shots" if row.legend else "shots drawn"  # lines and words on a photograph need more room than flat colors
    parts = [element("h4", row.title), element("div", *shots, class_=kind), *_legend(row.legend)]
    return element("div", *parts), any(map(is_strip, pictures))


def _distinct(label: str, files: Mapping[str, Path]) -> list[tuple[str, Image.Image]]:
    """Return what columns were given: one picture, or several with the names of their columns where they differ."""
    found: dict[tuple[int, int, bytes], tuple[Image.Image, list[str]]] = {}
    for column, file in files.items():
        if picture := read_picture(file):
            found.setdefault((*picture.size, picture.tobytes()), (picture, []))[1].append(column)
    alone = len(found) == 1
    return [(label if alone else f"{label} ({', '.join(of)})", picture) for picture, of in found.values()]


def _shot(caption: object, picture: Image.Image | None, alt: str) -> Markup:
    """Return a picture with its caption, or a dash in its place."""
    heading = element("figcaption", caption)
    if picture is None:
        return element("figure", heading, element("span", MISSING, class_="blank", title=f"no {alt}"), class_="shot")
    place = " across" if is_strip(picture) else " wide" if picture.width > max(WIDE * picture.height, CARD) else ""
    shown = address(np.asarray(picture), exact=is_flat(picture))
    magnified = min(MAGNIFIED, CARD // picture.width)
    return element("figure", heading, image(shown, alt, magnified, picture.width), class_=f"shot{place}")


def _legend(meanings: set[Meaning]) -> list[Markup]:
    items = [
        element("li", element("span", class_="swatch", style=f"--swatch: {color}"), name)
        for _, name, color in sorted(meanings)
    ]
    return [element("ul", *items, class_="legend", aria_label="Legend")] if items else []
