"""The page of a report: heading, contents, guide, and sections."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from functools import cache
from importlib import resources
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from equicoherence.reporting.markup import Markup


def fill(title: str, subtitle: str, contents: Mapping[str, str], guide: str, body: Markup) -> str:
    """Return a page as HTML, all it needs inside.

    contents: anchor -> title of each section, as the page links them. guide: how to read it. body: the sections.
    """
    script = _packaged("page.js")
    return rendered(
        "page.html",
        title=title,
        subtitle=subtitle,
        style=Markup(_packaged("style.css")),
        script=Markup(script),
        fingerprint=base64.b64encode(hashlib.sha256(f"\n{script}\n".encode()).digest()).decode("ascii"),
        contents=contents,
        guide=guide,
        body=body,
    )


def rendered(template: str, **values: Any) -> Markup:
    """Return a template of this package with its values, escaped unless they are markup."""
    return Markup(_environment().get_template(template).render(values))


@cache
def _environment() -> Environment:
    """Return what reads the templates; each value is escaped, and one that is missing is an error."""
    loader = PackageLoader("equicoherence.reporting", "templates")
    return Environment(loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)


def _packaged(name: str) -> str:
    return (resources.files("equicoherence.reporting") / "templates" / name).read_text(encoding="utf-8").strip()
