"""The summary of what failed is true: each of its figures stands on a page that its line links, of the same thing."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from pathlib import Path

import pytest

RESULTS = Path(__file__).resolve().parents[1] / "docs" / "results"
INDEX = (RESULTS / "index.md").read_text(encoding="utf-8")
FAILED = [
    line for line in INDEX.partition("## What failed\n")[2].partition("\n## ")[0].splitlines() if line[:2] == "- "
]
FIGURE = re.compile(r"(?<![\w.])([+\u2212-]?)(\d*\.\d+)")
LINK = re.compile(r"\[[^]]*\]\(([^)]+\.md)\)")
WITH_FIGURES = [line for line in FAILED if FIGURE.search(LINK.sub("", line))]
MINUS = "\u2212-"
LOST = {"lose", "loses", "cost", "costs"}
CLAUSE = r"(?<=[\w%)*][.;])\s"
VAGUE = {"r2", "accuracy", "of", "and", "the", "with", "in", "on", "are", "is", "it", "same", "one", "method"}


def words(text: str) -> set[str]:
    """Return the beginnings of the words of a text that tell what it is about: a decoder is named where it decodes."""
    return {word[:5] for word in re.findall(r"[a-z][\w-]+", text.lower()) if word not in VAGUE}


def cells(page: str) -> Iterator[tuple[set[str], str]]:
    """Yield the cells of a page's tables, each with the words of its row and its column."""
    header: list[str] = []
    for line in page.splitlines():
        row = [cell.strip(" *") for cell in line.strip("|").split("|")] if line[:1] == "|" else []
        if header:
            name = words(" ".join(cell for cell in row if not FIGURE.search(cell)))
            yield from ((name | words(column), cell) for column, cell in zip(header, row))
        header = header or row if row else []


def has(text: str, figure: str, signs: Collection[str], *, rounded: bool = False) -> bool:
    """Return whether a text has a figure with one of some signs, of which "" is none."""
    digits = len(figure.partition(".")[2])
    values = [(sign, f"{float(value):.{digits}f}" if rounded else value) for sign, value in FIGURE.findall(text)]
    return any(value.lstrip("0") == figure.lstrip("0") and sign in signs for sign, value in values)


def unfounded(line: str) -> list[str]:
    """Return the figures of a line that no page that it links has.

    It has one as a cell, rounded, of whose row and column the line has all words; or in a clause of its reading that
    shares two words with the line. What is lost has a minus, or the line says so.
    """
    pages = [(RESULTS / link).read_text(encoding="utf-8") for link in LINK.findall(line)]
    told = words(line)
    readings = [re.split(CLAUSE, page.partition("## Reading\n")[2]) for page in pages]
    sources = [clause for clauses in readings for clause in clauses if len(words(clause) & told) > 1]
    table = [cell for page in pages for names, cell in cells(page) if names <= told]
    missing = []
    for part in re.split(CLAUSE, LINK.sub("", line)):
        for sign, figure in FIGURE.findall(part):
            minus = sign in MINUS if sign else bool(words(part) & LOST)
            signs = [*([] if sign else [""]), *(MINUS if minus else "+")]
            in_table = any(has(cell, figure, signs, rounded=True) for cell in table)
            if not in_table and not any(has(clause, figure, signs) for clause in sources):
                missing.append(sign + figure)
    return missing


def test_there_is_a_summary_of_what_failed() -> None:
    assert len(FAILED) > 8


@pytest.mark.parametrize("line", WITH_FIGURES, ids=[line[4:30] for line in WITH_FIGURES])
def test_each_figure_of_what_failed_stands_on_a_page_that_is_linked(line: str) -> None:
    assert LINK.findall(line)
    assert unfounded(line) == []


@pytest.mark.parametrize(
    ("line", "missing"),
    [
        ("VICReg gains .077 of color with the task ([page](methods.md))", []),
        ("BYOL gains .077 of color with the task ([page](methods.md))", [".077"]),
        ("VICReg gains .077 of scale with the task ([page](methods.md))", [".077"]),
        ("VICReg loses .077 of color with the task ([page](methods.md))", [".077"]),
        ("MoCo v3 gains rotation with the task (+.01) ([page](methods.md))", []),
        ("MoCo v3 gains rotation with the task (-.01) ([page](methods.md))", ["-.01"]),
    ],
    ids=["true", "of another row", "of another column", "lost", "true sign", "wrong sign"],
)
def test_a_figure_of_another_row_or_sign_is_found(line: str, missing: list[str]) -> None:
    assert unfounded(line) == missing
