"""The README is true: its figures are those of the page they come from, its links lead somewhere."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
RESULTS = ROOT / "docs" / "results" / "vicreg-tiny-imagenet.md"


def rows(text: str) -> dict[str, list[str]]:
    """Return the cells of a Markdown table's rows, without bold, by their first cell."""
    found = {}
    for line in text.splitlines():
        cells = [cell.strip().replace("**", "") for cell in line.strip("|").split("|")]
        if line.startswith("|") and len(cells) > 1 and re.search(r"\d\.\d", line):
            found.setdefault(cells[0], cells[1:])
    return found


def test_the_figures_of_the_readme_are_those_of_the_results_page() -> None:
    section = README.split("## What it gives")[1].split("\n## ")[0]
    page = rows(RESULTS.read_text(encoding="utf-8").split("## Trained with border `content`")[1])
    shown = rows(section)
    assert len(shown) == 6
    for name, (backbone, equivariant, knn) in shown.items():
        source = page[name]  # seeds, rotation at the backbone, z or z_inv, z_equi, ..., k-NN, linear, headroom
        assert (backbone, equivariant, knn) == (source[1], source[3], source[-3]), name


@pytest.mark.parametrize("page", sorted([ROOT / "README.md", *(ROOT / "docs").rglob("*.md")]), ids=lambda p: p.name)
def test_every_relative_link_leads_to_a_file(page: Path) -> None:
    links = re.findall(r"\]\(([^)#]+)[^)]*\)", page.read_text(encoding="utf-8"))
    missing = [link for link in links if not link.startswith("http") and not (page.parent / link).exists()]
    assert not missing
