"""How the site is made from docstrings and from files of the repository beside docs/."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

SITE = Path(__file__).resolve().parents[1] / "docs" / "site"


@pytest.fixture
def module(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """Return a module of docs/site by its name."""
    spec = importlib.util.spec_from_file_location(f"site_{request.param}", SITE / f"{request.param}.py")
    assert spec is not None
    assert spec.loader is not None
    loaded = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, spec.name, loaded)
    spec.loader.exec_module(loaded)
    return loaded


NAMES = {"runs", "out", "size", "mean", "std"}


@pytest.mark.parametrize("module", ["docstrings"], indirect=True)
@pytest.mark.parametrize(
    ("written", "listed"),
    [
        ("Write a page.", "Write a page."),
        (
            "Write a page.\n\nruns: one or more; names: no argument. out: the file,\nor none. It is whole or not.",
            "Write a page.\n\nIt is whole or not.\n\n"
            "Args:\n    runs: one or more; names: no argument.\n    out: the file, or none.",
        ),
        (
            "Write.\n\nmean, std: of colors. size: pixels. Raises ValueError for 0.",
            "Write.\n\nRaises ValueError for 0.\n\nArgs:\n    mean: of colors.\n    std: of colors.\n    size: pixels.",
        ),
        (
            "Write.\n\nruns: which. A sentence of it.\nsize: in\n    pixels. At least 1.\n\nMore of size: prose.",
            "Write.\n\nMore of size: prose.\n\n"
            "Args:\n    runs: which. A sentence of it.\n    size: in pixels. At least 1.",
        ),
        ("Write.\n\nArgs:\n    size: pixels.", "Write.\n\nArgs:\n    size: pixels."),
        ("In ``out``::\n\n    size: a file", "In ``out``:\n\n    size: a file"),
    ],
)
def test_what_a_docstring_says_of_its_arguments_becomes_a_list(module: Any, written: str, listed: str) -> None:
    assert module.arguments_listed(written, NAMES) == listed


@pytest.mark.parametrize("module", ["sources"], indirect=True)
@pytest.mark.parametrize(
    ("page", "made", "link", "leads_to"),
    [
        ("own-loop.md", False, "../examples/own_loop.py", "examples/own_loop.md"),
        ("results/index.md", False, "../../benchmarks/results/paths.md", "../benchmarks/results/paths.md"),
        ("results/index.md", False, "../official.md#equal", "../official.md#equal"),
        ("CHANGELOG.md", True, "docs/adapting.md", "adapting.md"),
        ("examples/adapt_an_encoder.md", True, "../docs/adapting.md", "../adapting.md"),
        ("examples/adapt_an_encoder.md", True, "what_is_kept.ipynb", "what_is_kept.md"),
        ("index.md", False, "https://arxiv.org/abs/2412.03314", "https://arxiv.org/abs/2412.03314"),
        ("index.md", False, "#here", "#here"),
    ],
)
def test_links_between_docs_and_the_rest_of_the_repository_lead_to_pages(
    module: Any, page: str, made: bool, link: str, leads_to: str
) -> None:
    file = SimpleNamespace(src_uri=page, generated_by="a hook" if made else None)
    assert module.on_page_markdown(f"[text]({link})", SimpleNamespace(file=file)) == f"[text]({leads_to})"


@pytest.mark.parametrize("module", ["sources"], indirect=True)
def test_a_notebook_is_shown_with_what_it_printed_and_drew(module: Any, tmp_path: Path) -> None:
    (tmp_path / "a.ipynb").write_text(
        '{"cells": [{"cell_type": "markdown", "source": ["# Title\\n", "words"]},'
        ' {"cell_type": "code", "source": ["print(1)"], "outputs": [{"output_type": "stream", "text": ["1\\n"]},'
        ' {"output_type": "display_data", "data": {"text/plain": ["<Figure>"], "image/png": "QUJD"}}]}]}'
    )
    assert module.as_markdown(tmp_path / "a.ipynb") == (
        "# Title\nwords\n\n```python\nprint(1)\n```\n\n```text\n1\n```\n\n"
        '<img alt="picture" src="data:image/png;base64,QUJD">'
    )
