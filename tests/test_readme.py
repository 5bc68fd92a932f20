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
RESULTS = ROOT / "docs" / "results"
TABLES = {
    "What does an encoder keep?": (
        "equivariance.md",
        "# Suite equivariance",
        {
            "output": "efficientnet_lite0 (tf_efficientnet_lite0)",
            "best layer, for each score": "efficientnet_lite0 (tf_efficientnet_lite0), best layer",
            "random weights, output": "efficientnet_lite0 (tf_efficientnet_lite0), random weights",
            "thumbnail of 16 x 16 pixels": "baseline:thumbnail (96 px)",
        },
    ),
    "Add it to a pretrained encoder": (
        "adapt.md",
        "## tf_efficientnet_lite0",
        {
            "features": "original, features",
            "[features, z_equi]": "head, [features, z_equi]",
            "the same, head with random weights": "head, as drawn, [features, z_equi]",
            "best layer, for each score": "best layer, features",
        },
    ),
    "Train one with it from the start": (
        "vicreg-tiny-imagenet-10000-steps.md",
        "## Backbone",
        {
            "random weights": "VICReg, random weights",
            "VICReg": "VICReg",
            "VICReg + the task": "+ render and [P1], g outside, on half of the samples, [P1] 128 wide, of one view of "
            "each, weight .3",
        },
    ),
}
"""Tables of the README by their headings: page and heading that each comes from; its rows: name -> name on the page."""


def table(text: str) -> dict[str, dict[str, str]]:
    """Return the first table of a Markdown text: row -> column -> cell, without bold, intervals and warnings.

    A column "read" is part of a row's name.
    """
    header, *body = [[cell.replace("**", "") for cell in row] for row in cells_of(text)]
    names = 1 + (header[1] == "read")
    bare = [[cell.partition(" [")[0].removesuffix(" (!)") for cell in row[names:]] for row in body]
    return {", ".join(row[:names]): dict(zip(header[names:], cells, strict=True)) for row, cells in zip(body, bare)}


def cells_of(text: str) -> list[list[str]]:
    """Return the cells of the first table of a Markdown text, a list for each row, the header first."""
    lines = text[text.index("\n|") + 1 :].split("\n\n")[0].splitlines()
    header, _, *body = ([cell.strip() for cell in line.strip("|").split("|")] for line in lines)
    return [header, *body]


@pytest.mark.parametrize("heading", TABLES)
def test_the_figures_of_the_readme_are_those_of_the_results_page(heading: str) -> None:
    page, above, names = TABLES[heading]
    section = README.split(f"\n### {heading}\n")[1].split("\n#")[0]
    shown = table(section)
    results = table((RESULTS / page).read_text(encoding="utf-8").split(above)[1].split("\n## ")[0])
    assert f"](docs/results/{page})" in section
    assert list(shown) == list(names)
    for name, cells in shown.items():
        found = results[names[name]]
        source = {column.replace(", tiny_imagenet_100", " accuracy"): cell for column, cell in found.items()}
        for column, cell in cells.items():
            assert cell in {source[column], source[column].partition(" ±")[0]}, (name, column)


def test_the_figures_of_other_tasks_are_those_of_their_page() -> None:
    section = README.split("\n### Train one with it from the start\n")[1].split("\n#")[0]
    shown, results = (_of_tasks(text) for text in (section.split("on other tasks")[1], _page("downstream.md")))
    assert len(shown) == 4
    for place, cells in shown.items():
        for column, cell in cells.items():
            assert cell == results[place][column], (place, column)


def _page(name: str) -> str:
    return (RESULTS / name).read_text(encoding="utf-8")


def _of_tasks(text: str) -> dict[tuple[str, ...], dict[str, str]]:
    """Return the first table of scores of tasks: task, data and metric -> encoder -> cell; without numbers of seeds."""
    header, *body = cells_of(text)
    names = [name.partition(" (")[0] for name in header[3:]]
    return {tuple(row[:3]): dict(zip(names, row[3:], strict=True)) for row in body}


def test_the_first_table_tells_a_mirror_image_from_a_feature_that_lost_the_angle() -> None:
    """Rotation R2 near 0 alone does not: the absolute angle and its sign stand beside it."""
    rows = table(README.split("\n### What does an encoder keep?\n")[1])
    columns = list(rows["output"])
    assert columns[:3] == ["rotation R2", "absolute rotation R2", "rotation sign accuracy"]
    assert columns[-1] == "k-NN accuracy"


def commands(text: str) -> Iterator[tuple[str, list[str]]]:
    """Yield the commands in a page's blocks and between its words, each with the options that it is given."""
    text = re.sub(r"^```[a-z].*?^```", "", text, flags=re.DOTALL | re.MULTILINE)
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
    links = re.findall(r"(?:\]\(|src=\")([^)\"#]+)", page.read_text(encoding="utf-8"))
    missing = [link for link in links if not link.startswith("http") and not (page.parent / link).exists()]
    assert not missing
