"""Named configurations, ``METHOD-SIZE``: ``tiny`` runs on a laptop CPU, ``small`` on one GPU, ``paper`` as published.

A public function ``METHOD`` in the file of a size is the recipe, and there is no other list; its docstring says
hardware, time and expected scores. All include the auxiliary task; ``PretrainConfig.plain`` (``--no-coherence``) gives
the plain method. Only the baselines that are equivariant by their own means are without it. ``adapt-SIZE``, in their
own file, start from a pretrained encoder.
"""

from __future__ import annotations

import ast
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from equicoherence.errors import unknown

if TYPE_CHECKING:
    from equicoherence.training.config import PretrainConfig

SIZES = ("tiny", "small", "paper")
ADAPT = "adapt"


def _declared() -> dict[str, str]:
    """Return the docstring of each recipe, read from the files: importing them would take seconds."""
    found = {}
    for file in (*SIZES, ADAPT):
        module = ast.parse((Path(__file__).parent / f"{file}.py").read_text(encoding="utf-8"))
        for node in module.body:
            if isinstance(node, ast.FunctionDef) and not node.name.startswith("_"):
                name = f"{ADAPT}-{node.name}" if file == ADAPT else f"{node.name}-{file}"
                found[name] = ast.get_docstring(node) or ""
    return found


RECIPES: dict[str, str] = _declared()
"""Name of each recipe -> its docstring."""


def recipe(name: str) -> PretrainConfig:
    """Return the configuration of a recipe; a misspelt name raises ValueError with the nearest of the known ones."""
    check_recipe(name)
    method, size = name.rsplit("-", 1)
    file, function = (ADAPT, size) if method == ADAPT else (size, method)
    return getattr(import_module(f"equicoherence.recipes.{file}"), function)()


def check_recipe(name: str) -> None:
    """Raise ValueError for an unknown recipe, without loading one."""
    if name not in RECIPES:
        raise unknown("recipe", name, RECIPES)


def is_file_name(text: str) -> bool:
    """Return whether RECIPE is a YAML file, and not a name."""
    return text.endswith((".yaml", ".yml"))


def describe(name: str) -> dict[str, Any]:
    """Return the parts of a recipe's docstring: summary, hardware, time, scores."""
    lines = RECIPES[name].splitlines()
    fields = dict(line.split(": ", 1) for line in lines[1:] if ": " in line)
    return {"name": name, "summary": lines[0], **fields}
