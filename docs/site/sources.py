"""What the site shows of the repository beside docs/: examples, notebooks, figures of speed, the two lists for people.

They are pages made when the site is built. Links between them and docs/ are those of the repository, made to fit.
"""

from __future__ import annotations

import json
import posixpath
import re
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).resolve().parents[2]
SHOWN = ("examples/*.py", "examples/*.ipynb", "benchmarks/results/*.md", "CONTRIBUTING.md", "CHANGELOG.md")
LINK = re.compile(r"(?<=\]\()(?![a-z]+:|#|/)([^)#\s]+)")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add a page for each file that is shown."""
    for pattern in SHOWN:
        for path in sorted(ROOT.glob(pattern)):
            name = path.relative_to(ROOT).as_posix()
            files.append(File.generated(config, page_of(name), content=as_markdown(path)))
    return files


def on_page_markdown(markdown: str, page: Page, **_: Any) -> str:
    """Lead links that leave docs/ to the pages made of their files, and those of such pages into docs/."""
    here = page.file.src_uri
    folder = posixpath.dirname(here if page.file.generated_by else f"docs/{here}")

    def lead(match: re.Match[str]) -> str:
        target = posixpath.normpath(posixpath.join(folder, match[1]))
        inside = target.removeprefix("docs/") if target.startswith("docs/") else page_of(target)
        return posixpath.relpath(inside, posixpath.dirname(here) or ".")

    return LINK.sub(lead, markdown)


def page_of(name: str) -> str:
    """Return the page that shows a file of the repository."""
    return re.sub(r"\.(py|ipynb)$", ".md", name)


def as_markdown(path: Path) -> str:
    """Return a file as the text of a page: a program in a block, a notebook cell by cell."""
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".py":
        return f"# {path.name}\n\n```python\n{text}```\n"
    if path.suffix == ".ipynb":
        return "\n\n".join(part for cell in json.loads(text)["cells"] for part in _cell(cell))
    return text


def _cell(cell: dict[str, Any]) -> list[str]:
    source = "".join(cell["source"])
    if cell["cell_type"] == "markdown":
        return [source]
    return [f"```python\n{source}\n```", *(part for output in cell["outputs"] for part in _output(output))]


def _output(output: dict[str, Any]) -> list[str]:
    data = output.get("data", {"text/plain": output.get("text", "")})
    if "image/png" in data:
        return [f'<img alt="picture" src="data:image/png;base64,{"".join(data["image/png"]).strip()}">']
    return [f"```text\n{''.join(data['text/plain']).rstrip()}\n```"]
