"""Build HTML from values: whatever is not already markup is escaped, so a value in a file can never become a tag."""

from __future__ import annotations

import base64
import re
from collections.abc import Sequence

from markupsafe import Markup, escape

__all__ = ["Markup", "data_uri", "details", "element", "escape", "image", "join", "note", "section"]


def element(tag: str, *children: object, **attributes: object) -> Markup:
    """Return ``<tag ...>children</tag>``, children and attribute values escaped; ``class_`` stands for ``class``.

    An attribute that is True is written bare, one that is None or False is left out.
    """
    written = ""
    for name, value in attributes.items():
        if value is not None and value is not False:
            name = name.rstrip("_").replace("_", "-")
            written += f" {name}" if value is True else f' {name}="{escape(str(value))}"'
    return Markup(f"<{tag}{written}>{join(children)}</{tag}>")


def join(parts: Sequence[object]) -> Markup:
    """Put parts one after the other, escaped."""
    return Markup("").join(map(escape, parts))


def image(address: str, alt: str, magnified: int = 1, width: int = 0) -> Markup:
    """Return an ``<img>``.

    address: such as `data_uri` gives.
    magnified: how many times larger it is drawn, its pixels as squares; 1 to leave the size to the style.
    width: of the picture in pixels.
    """
    large = Markup(' class="pixels" width="{}"').format(magnified * width) if magnified > 1 else ""
    return Markup('<img src="{}" alt="{}"{}>').format(address, alt, large)


def data_uri(data: bytes, media_type: str) -> str:
    """Return bytes as an address that carries them."""
    return f"data:{media_type};base64,{base64.b64encode(data).decode('ascii')}"


def details(summary: object, *children: object, open: bool = False) -> Markup:
    """Return a part of the page that opens on a click."""
    return element("details", element("summary", summary), *children, open=open)


def note(*children: object) -> Markup:
    """Return a remark on something missing or odd; text between backticks is set as code."""
    marked = re.sub("`([^`<]*)`", r"<code>\1</code>", str(join(children)))
    return element("p", Markup(marked), class_="note")


def section(identifier: str, title: str, *children: object) -> Markup:
    """Return a section with its heading; ``identifier`` is its anchor."""
    heading = element("h2", title, id=f"{identifier}-title")
    return element("section", heading, *children, id=identifier, aria_labelledby=f"{identifier}-title")
