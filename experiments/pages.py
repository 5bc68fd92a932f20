"""Pages of results: figures are rewritten by the experiment; the reading of them is kept, and marked when they change.

python experiments/pages.py PAGE...    # after the reading was written or checked: it is of these figures
"""

from __future__ import annotations

import hashlib
import itertools
import re
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from equicoherence.files import write_aside

READING = "## Reading"
STALE = "\n*Written about earlier figures than those above.*\n"
MARK = "\n<!-- of figures {} -->\n"


class RowsLost(SystemExit):
    """A page is left as it was: the new one would lose rows or columns of its tables. A command ends with its words."""


def write_page(text: str, path: Path, *, keep: bool = False) -> None:
    """Write ``text`` to ``path``, followed by the reading (from its heading to the end) that the old page had.

    A reading that was marked as of other figures says so. keep: raise RowsLost, and leave the old page, if rows or
    columns of its tables are missing in ``text``.
    """
    old = path.read_text(encoding="utf-8") if path.is_file() else ""
    if keep and (lost := _lost(_split(old)[0], text)):
        raise RowsLost(
            f"{path.name} is left as it was: it has {lost}, whose scores do not lie beside it. "
            "Score them again, or give --replace"
        )
    text, reading = text.rstrip("\n") + "\n", _split(old)[1]
    if reading and _mark(text) not in reading and STALE not in reading:
        reading = reading.replace(READING + "\n", READING + "\n" + STALE, 1)
    write_aside(path, text + ("\n" + reading if reading else ""))


def write_block(text: str, path: Path, name: str) -> None:
    """Replace what stands in a page between its two marks. Raises as `around_block` does."""
    before, after = around_block(path, name)
    write_aside(path, f"{before}\n{text.strip()}\n\n{after}")


def around_block(path: Path, name: str) -> tuple[str, str]:
    """Return a page up to its line ``<!-- NAME: begin -->``, and from its line ``<!-- NAME: end -->`` on.

    Raises ValueError where the page does not have both marks, once each and in this order, FileNotFoundError for none.
    """
    if not path.is_file():
        raise FileNotFoundError(f"there is no page {path}")
    begin, end = f"<!-- {name}: begin -->\n", f"<!-- {name}: end -->\n"
    before, found, rest = (page := path.read_text(encoding="utf-8")).partition(begin)
    _, closed, after = rest.partition(end)
    if not (found and closed and page.count(begin) == page.count(end) == 1):
        raise ValueError(f"{path} has no one block of lines {begin.strip()!r} to {end.strip()!r}")
    return before + begin, end + after


def mark_as_read(path: Path) -> None:
    """Note in a page that its reading is of the figures it holds; ValueError where it has no reading."""
    text, reading = _split(path.read_text(encoding="utf-8"))
    if not reading:
        raise ValueError(f"{path} has no heading {READING!r}")
    body = reading.replace(STALE, "").split("\n<!-- of figures", 1)[0].rstrip("\n") + "\n"
    write_aside(path, text + "\n" + body + _mark(text))


def _split(page: str) -> tuple[str, str]:
    """Return figures and reading of a page; "" for a part that is not there."""
    text, heading, reading = page.partition(READING)
    return text.rstrip("\n") + "\n", heading + reading


def _lost(old: str, new: str) -> str:
    """Say which rows and columns of tables are missing in a new page, table by table; "" if none is."""
    now, lost = _names(new), []
    for title, names in _names(old).items():
        if missing := names.keys() - now.get(title, {}).keys():
            named = ", ".join(name for name in names if name in missing)
            lost.append(f"{named} under {title!r}" if title in now else f"the table under {title!r}")
    return "; ".join(lost)


def _names(text: str) -> dict[str, dict[str, None]]:
    """Return the names of rows and columns of tables, in order, by the title that each table stands under."""
    found: dict[str, dict[str, None]] = {}
    title = ""
    for line, below in itertools.pairwise([*re.sub(r" \(\d+ seeds\)", "", text).splitlines(), ""]):
        if line.startswith("#"):
            title = line.lstrip("# ")
        cells = line.strip("| ").split(" | ")
        if line.startswith("| ") and set(line) - set("|- "):
            is_head = below.startswith("|") and not set(below) - set("|- ")
            found.setdefault(title, {}).update(dict.fromkeys(cells if is_head else cells[:1]))
    return found


def _mark(text: str) -> str:
    """Return the mark of a page's figures: of its tables, or of all of it where it has none."""
    tables = "\n".join(line for line in text.splitlines() if line.startswith("|"))
    return MARK.format(hashlib.blake2b((tables or text).encode(), digest_size=8).hexdigest())


def made_with(scores: Mapping[str, Any]) -> str:
    """Return date, machine and versions of a ``scores.json`` in one line."""
    return ", ".join(
        [scores["date"], *(f"{k} {v}" for part in ("machine", "versions") for k, v in scores[part].items())]
    )


def measured(cells: Iterable[Mapping[str, Any]], before: str) -> str:
    """Return dates, machines and versions of kept cells, each once. before: what is known of those that say none."""
    return "; ".join(dict.fromkeys(made_with(each) if "machine" in each else before for each in cells))


if __name__ == "__main__":
    for name in sys.argv[1:]:
        mark_as_read(Path(name))
