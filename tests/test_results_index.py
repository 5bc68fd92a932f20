"""The summary of what failed is true: each of its figures stands on a page that its line links."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

RESULTS = Path(__file__).resolve().parents[1] / "docs" / "results"
INDEX = (RESULTS / "index.md").read_text(encoding="utf-8")
FAILED = [
    line for line in INDEX.partition("## What failed\n")[2].partition("\n## ")[0].splitlines() if line[:2] == "- "
]


def test_there_is_a_summary_of_what_failed() -> None:
    assert len(FAILED) > 8


@pytest.mark.parametrize("line", FAILED, ids=[line[4:30] for line in FAILED])
def test_each_figure_of_what_failed_stands_on_a_page_that_is_linked(line: str) -> None:
    pages = [RESULTS / link for link in re.findall(r"\]\(([^)]+\.md)\)", line)]
    assert pages
    known = set(re.findall(r"(?<![\w.])\d*\.\d+", " ".join(page.read_text(encoding="utf-8") for page in pages)))
    assert {*re.findall(r"(?<![\w.])\d*\.\d+", line)} - known == set()
