"""Docstrings for the site: ``name: what it is``, after a sentence or on a line, becomes an item of a list."""

from __future__ import annotations

import re
from typing import Any

import griffe

HEADINGS = re.compile(r"^(Args|Returns|Yields|Raises|Attributes):$", re.MULTILINE)
"""Google's headings: such a docstring stays as it is."""
ITEM = re.compile(r"(?:^|(?<=\n)|(?<=[.;])\s+)((?:\w+, )*\w+): ")


def arguments_listed(text: str, names: set[str]) -> str:
    """Return a docstring with what it says of its arguments in a section ``Args:``, in the order of the docstring.

    names: of the arguments. An item ends where the next one begins, at a paragraph's end, or where ``Raises`` follows.
    """
    text = re.sub(r"::$", ":", text, flags=re.MULTILINE)  # a colon is enough before a block in Markdown
    if HEADINGS.search(text):
        return text
    prose, items = [], []
    for paragraph in text.split("\n\n"):
        rest, found = paragraph, []
        starts = [match for match in ITEM.finditer(paragraph) if set(match[1].split(", ")) <= names]
        if starts and not paragraph.startswith(" "):
            rest = paragraph[: starts[0].start()]
            for start, end in zip(starts, [*(match.start() for match in starts[1:]), len(paragraph)], strict=True):
                item = paragraph[start.end() : end]
                said, after = _parted(item, last=end == len(paragraph) and "\n    " not in item)
                found += [(name, " ".join(said.split())) for name in start[1].split(", ")]
                rest += f"\n\n{after}" if after else ""
        prose.append(rest.strip("\n"))
        items += found
    body = "\n\n".join(part for part in prose if part.strip())
    if not items:
        return body
    return f"{body}\n\nArgs:\n" + "\n".join(f"    {name}: {said}" for name, said in items)


def _parted(item: str, last: bool) -> tuple[str, str]:
    """Return what an item says, and what follows it: what is raised, and after the last one all further sentences."""
    end = re.search(r"(?<=\.)\s+(?=[A-Z])" if last else r"(?=Raises )", item)
    return (item[: end.start()], item[end.end() :]) if end else (item, "")


class Docstrings(griffe.Extension):
    """Rewrite the docstrings of a package when it has been read whole."""

    def on_package(self, *, pkg: griffe.Module, **_: Any) -> None:
        """Rewrite those of all functions and classes."""
        self._walk(pkg)

    def _walk(self, parent: griffe.Module | griffe.Class) -> None:
        for member in parent.members.values():
            if isinstance(member, griffe.Module | griffe.Class):
                self._walk(member)
            if isinstance(member, griffe.Function | griffe.Class) and member.docstring:
                member.docstring.value = arguments_listed(member.docstring.value, _names(member))


def _names(member: griffe.Function | griffe.Class) -> set[str]:
    """Return the arguments of a function or a class; the fields of a dataclass, which has no ``__init__`` to read."""
    named = {parameter.name for parameter in member.parameters} - {"self", "cls"}
    if named or not any("dataclass" in str(decorator.value) for decorator in getattr(member, "decorators", ())):
        return named
    return {name for name, each in member.members.items() if isinstance(each, griffe.Attribute)}
