"""The examples are short and train with the task, each in a process of its own; so does the code on their page."""

from __future__ import annotations

import ast
import io
import math
import re
import subprocess
import sys
import tokenize
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from tests.small import picture_folder

ROOT = Path(__file__).resolve().parents[1]
LOOPS = ("lightly_dino", "lightly_vicreg", "own_loop", "timm_model")  # the others are run where they belong
EXAMPLES = {name: ROOT / "examples" / f"{name}.py" for name in LOOPS}
PAGE = ROOT / "docs" / "own-loop.md"
STEPS = 3


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, subprocess.Popen[str]]]:
    """Start all examples at once on a folder of pictures: most of their time is importing."""
    pictures = picture_folder(tmp_path_factory.mktemp("data") / "pictures", per_class=40)
    folder = tmp_path_factory.mktemp("elsewhere")
    processes = {
        name: subprocess.Popen(
            [sys.executable, path, str(STEPS), pictures],
            cwd=folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for name, path in EXAMPLES.items()
    }
    yield processes
    for process in processes.values():
        process.kill()
        process.communicate()


def comments(source: str) -> list[str]:
    """Return the comments of a program."""
    tokens = tokenize.generate_tokens(io.StringIO(source).readline)
    return [token.string for token in tokens if token.type == tokenize.COMMENT]


def test_there_are_the_four_loops_and_a_callback() -> None:
    assert sorted(path.stem for path in (ROOT / "examples").glob("*.py")) == sorted([*LOOPS, "callback"])


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_trains_and_prints_a_finite_reconstruction_loss(
    name: str, running: dict[str, subprocess.Popen[str]]
) -> None:
    printed, said = running[name].communicate(timeout=600)
    assert running[name].returncode == 0, said
    losses = re.findall(r"^step (\d+)  \w+ (\S+)  reconstruction (\S+)$", printed, flags=re.MULTILINE)
    assert [int(step) for step, _, _ in losses] == [0, STEPS - 1], printed
    assert all(math.isfinite(float(own)) and 0 < float(ours) < 10 for _, own, ours in losses), printed


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_is_short_and_the_task_takes_a_handful_of_its_lines(name: str) -> None:
    source = EXAMPLES[name].read_text()
    assert len(source.splitlines()) < 60
    marked = [comment for comment in comments(source) if comment.startswith("# task")]
    assert 5 <= len(marked) <= 7, marked


def test_the_timm_example_takes_nothing_of_ours_but_the_task_and_the_paths() -> None:
    imports = [node for node in ast.walk(ast.parse(EXAMPLES["timm_model"].read_text())) if hasattr(node, "names")]
    ours = {
        (node.module, alias.name)
        for node in imports
        if isinstance(node, ast.ImportFrom) and str(node.module).startswith("equicoherence")
        for alias in node.names
    }
    assert {name for module, name in ours if module == "equicoherence"} == {"CoherenceTask"}
    assert {module for module, _ in ours} == {"equicoherence", "equicoherence.paths"}


def test_the_page_links_every_example_and_what_it_links_is_there() -> None:
    links = re.findall(r"\]\(([^)#:]+)\)", PAGE.read_text())
    assert {f"../examples/{path.name}" for path in EXAMPLES.values()} <= set(links)
    assert all((PAGE.parent / link).exists() for link in links), links


def test_the_code_on_the_page_trains() -> None:
    (code,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(), flags=re.DOTALL)
    torch.manual_seed(0)
    names = {
        "encoder": torch.nn.Sequential(torch.nn.Conv2d(3, 256, 16, 16), torch.nn.Flatten(2)),
        "batches": list(torch.randint(256, (2, 4, 3, 80, 80), dtype=torch.uint8)),
        "your_loss": lambda a, b: (a - b).square().mean(),
    }
    names["your_model"] = names["encoder"]
    exec(code, names)  # the page's own words
    assert names["task"].decoder.linear.weight.grad.abs().sum() > 0
    assert names["equivariant"].weight.grad.abs().sum() > 0
