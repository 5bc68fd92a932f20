"""The guides are true: their code runs, page by page; each page of the docs is on the site's table of contents."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from equicoherence.recipes.from_file import config_of_file
from tests.small import picture_folder

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"
ELSEWHERE = {"extending.md": "test_extension", "features.md": "test_features_page", "own-loop.md": "test_examples"}
"""Pages whose code another file of tests runs."""


def blocks(page: Path, language: str) -> list[str]:
    """Return the blocks of a page in a language."""
    return re.findall(rf"^```{language}[^\n]*\n(.*?)^```", page.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)


PAGES = {page.relative_to(DOCS).as_posix(): page for page in sorted(DOCS.rglob("*.md"))}
GUIDES = [name for name, page in PAGES.items() if blocks(page, "python") and name not in ELSEWHERE]


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with photographs, as the guides have it."""
    folder = tmp_path_factory.mktemp("desk")
    picture_folder(folder / "photos", per_class=60)
    return folder


@pytest.mark.parametrize("name", GUIDES)
def test_the_code_of_a_guide_runs_from_its_first_block_to_its_last(
    name: str, desk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(desk)
    exec("\n".join(blocks(PAGES[name], "python")), {"__name__": name})  # the page's own words


def test_the_tour_and_the_guides_are_among_them() -> None:
    assert {"index.md", "pretraining.md", "evaluating.md", "own-encoder.md"} <= set(GUIDES)
    for name, test in ELSEWHERE.items():
        assert blocks(PAGES[name], "python")
        assert name in (ROOT / "tests" / f"{test}.py").read_text(encoding="utf-8")


def test_a_configuration_in_a_guide_is_one(tmp_path: Path) -> None:
    (text,) = blocks(PAGES["pretraining.md"], "yaml")
    (tmp_path / "my-run.yaml").write_text(text)
    config = config_of_file(tmp_path / "my-run.yaml")
    assert (config.name, config.views.path) == ("my-run", "rotation")
    assert config.coherence is not None
    assert config.coherence.states == 3


def test_no_block_is_in_a_language_that_no_test_runs() -> None:
    found = {
        name: re.findall(r"^```([a-z]+)", page.read_text(encoding="utf-8"), re.MULTILINE)
        for name, page in PAGES.items()
    }
    yaml = {"pretraining.md", "adapting.md"}  # the second in tests/methods/test_anchor.py
    assert {language for languages in found.values() for language in languages} <= {"python", "yaml"}
    assert {name for name, languages in found.items() if "yaml" in languages} == yaml


def test_every_page_is_on_the_table_of_contents() -> None:
    nav = (ROOT / "mkdocs.yml").read_text(encoding="utf-8").partition("\nnav:\n")[2]
    listed = re.findall(r"[\w./-]+\.md", nav)
    assert len(listed) == len(set(listed))
    assert set(PAGES) <= set(listed)
    shown = set(listed) - set(PAGES)
    sources = {re.sub(r"\.(py|ipynb)$", ".md", path.relative_to(ROOT).as_posix()) for path in ROOT.glob("examples/*.*")}
    assert shown == sources | {"CONTRIBUTING.md", "CHANGELOG.md"}
