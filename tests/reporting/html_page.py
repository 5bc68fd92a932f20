"""A page as a reader of its HTML has it."""

from __future__ import annotations

import base64
import hashlib
import json
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

VOID = {"meta", "img", "line", "br", "wbr", "link", "input"}


class Page(HTMLParser):
    """Collect tags, pictures and the text in sight of a page; fail on tags that are not closed in order."""

    def __init__(self, file: Path) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.text = ""
        self.scripts: list[str] = []
        self.feed(file.read_text(encoding="utf-8"))
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag == "script":
            self.scripts.append("")
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open[-1:] == ["script"]:
            self.scripts[-1] += data
        elif "style" not in self.open:
            self.text += data

    def alternatives(self) -> list[str]:
        """Return the words for each picture, a plot among them."""
        plots = [each for tag, each in self.tags if tag == "svg" and each.get("role") == "img"]
        return [each["alt"] or "" for tag, each in self.tags if tag == "img"] + [
            each["aria-label"] or "" for each in plots
        ]

    def runs_its_own_script_alone(self) -> bool:
        """Tell whether all that runs is what the page allows by its hash; blocks of data do not run."""
        kinds = [attributes.get("type") for tag, attributes in self.tags if tag == "script"]
        (own,) = [script for script, kind in zip(self.scripts, kinds) if kind != "application/json"]
        digest = base64.b64encode(hashlib.sha256(own.encode()).digest()).decode()
        (policy,) = [a["content"] or "" for tag, a in self.tags if tag == "meta" and a.get("http-equiv")]
        alone = f"script-src 'sha256-{digest}'" in policy and "default-src 'none'" in policy
        return alone and not [name for _, attributes in self.tags for name in attributes if name.startswith("on")]

    def data(self) -> list[Any]:
        """Return what the blocks of data hold."""
        kinds = [attributes.get("type") for tag, attributes in self.tags if tag == "script"]
        return [json.loads(text) for text, kind in zip(self.scripts, kinds) if kind == "application/json"]
