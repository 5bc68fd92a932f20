"""The page that holds a report: heading, contents, how to read it, and what it has to say."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import resources
from string import Template

from equicoherence.reporting.markup import Markup, element, escape, join


def fill(title: str, subtitle: str, contents: Mapping[str, str], guide: str, body: Markup) -> str:
    """Return a page as HTML, all it needs inside.

    contents: anchor -> title of each section, as the page links them. guide: says how to read it. body: the sections.
    """
    links = [element("li", element("a", text, href=f"#{anchor}")) for anchor, text in contents.items()]
    return Template(_packaged("page.html")).substitute(
        title=escape(title),
        subtitle=escape(subtitle),
        style=_packaged("style.css"),
        contents=join(links),
        guide=escape(guide),
        body=body,
    )


def _packaged(name: str) -> str:
    return (resources.files("equicoherence.reporting") / "templates" / name).read_text(encoding="utf-8")
