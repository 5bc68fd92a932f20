"""The README is true: its figures are those of the page they come from, its links lead somewhere."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from equicoherence.cli import main

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
PAGES = sorted([ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").rglob("*.md")])
RESULTS = ROOT / "docs" / "results" / "vicreg-tiny-imagenet-1500-steps.md"


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
    page = rows(RESULTS.read_text(encoding="utf-8").split("## Backbone")[1])
    shown = rows(section)
    assert len(shown) >= 3
    for name, cells in shown.items():
        source = [cell.partition(" [")[0] for cell in page[name]]  # without intervals
        assert cells == [source[column] for column in (0, 1, 2, 3, 6, 7, 14, 15)], name


def commands(text: str) -> Iterator[tuple[str, list[str]]]:
    """Yield the commands in a page's blocks and between its words, each with the options that it is given."""
    text = re.sub(r"```python.*?```", "", text, flags=re.DOTALL)
    for block in re.findall(r"```\n(.*?)```|`((?:equicoherence|torchrun|python) [^`]+)`", text, flags=re.DOTALL):
        for line in "".join(block).replace("\\\n", " ").splitlines():
            if found := re.search(r"equicoherence ([a-z]+)(.*)", line.partition("#")[0]):
                yield found[1], re.findall(r"--[a-z][\w.-]*", found[2])


def test_every_command_on_a_page_is_there_and_has_the_options_it_is_given(capsys: pytest.CaptureFixture[str]) -> None:
    asked: dict[str, set[str]] = {}
    for page in PAGES:
        for command, options in commands(page.read_text(encoding="utf-8")):
            asked.setdefault(command, set()).update(options)
    assert asked.keys() >= {
        "pretrain",
        "evaluate",
        "compare",
        "report",
        "embed",
        "export",
        "render",
        "quickstart",
        "adapt",
    }
    for command, options in asked.items():
        wanted = {"pretrain": ["vicreg-tiny", "--help-all"], "adapt": ["--help-all"]}.get(command, ["--help"])
        assert main([command, *wanted]) == 0
        shown = set(re.findall(r"--[a-z][\w.-]*", capsys.readouterr().out))
        assert options <= shown, command


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_file_of_the_project_that_a_page_names_is_there(page: Path) -> None:
    named = re.findall(r"`([\w.-]+/[\w./-]*?(?:\.py|\.sh|\w/))`", page.read_text(encoding="utf-8"))
    places = (ROOT, ROOT / "src" / "equicoherence", page.parent)
    assert [name for name in named if not any((place / name).exists() for place in places)] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_relative_link_leads_to_a_file(page: Path) -> None:
    links = re.findall(r"\]\(([^)#]+)[^)]*\)", page.read_text(encoding="utf-8"))
    missing = [link for link in links if not link.startswith("http") and not (page.parent / link).exists()]
    assert not missing
