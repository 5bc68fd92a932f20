"""Run parts of somebody else's repository as they stand there, without what else it needs.

Training scripts import much (submitit, apex, tensorboardX, modules of their own) of which a loss needs nothing: single
definitions are taken out of their file, and whole scripts run on the CPU.
"""

from __future__ import annotations

import ast
import contextlib
import functools
import io
import runpy
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any
from unittest.mock import patch

import torch
import torch.distributed as dist
from torch import Tensor, nn


def definitions(path: Path, *names: str, **given: object) -> SimpleNamespace:
    """Return functions and classes of a file, made without the rest of it.

    What they name in their file comes along, and nothing else is imported. given: stands for names of the file, which
    are then neither made nor imported. Raises LookupError where the file has no such name.
    """
    makers: dict[str, list[ast.stmt]] = {}
    tree = ast.parse(path.read_text(), str(path))
    body = [part for each in tree.body if not _only_as_script(each) for part in _one_by_one(each)]
    for statement in body:
        for name in _bound(statement):
            makers.setdefault(name, []).append(statement)
    wanted, kept = list(names), set()
    while wanted:
        name = wanted.pop()
        for statement in makers.get(name, []) if name not in given else []:
            if statement not in kept:
                kept.add(statement)
                wanted += [node.id for node in ast.walk(statement) if isinstance(node, ast.Name)]
        if name in names and name not in makers:
            raise LookupError(f"{path} has no {name}")
    space: dict[str, Any] = {"__name__": path.stem, **given}
    exec(compile(ast.Module([each for each in body if each in kept], []), str(path), "exec"), space)
    return SimpleNamespace(**{name: space[name] for name in names})


def _only_as_script(statement: ast.stmt) -> bool:
    """Return whether a statement is ``if __name__ == "__main__"``."""
    return isinstance(statement, ast.If) and any(
        isinstance(node, ast.Name) and node.id == "__name__" for node in ast.walk(statement.test)
    )


def _one_by_one(statement: ast.stmt) -> list[ast.stmt]:
    """Return imports of several names as one statement each, anything else as it is."""
    if isinstance(statement, ast.Import):
        return [ast.copy_location(ast.Import([alias]), statement) for alias in statement.names]
    if isinstance(statement, ast.ImportFrom):
        module, level = statement.module, statement.level
        return [ast.copy_location(ast.ImportFrom(module, [alias], level), statement) for alias in statement.names]
    return [statement]


def _bound(statement: ast.stmt) -> set[str]:
    """Return the names of a module that a statement makes."""
    if isinstance(statement, (ast.FunctionDef, ast.ClassDef)):
        return {statement.name}
    if isinstance(statement, (ast.Import, ast.ImportFrom)):
        return {alias.asname or alias.name.split(".")[0] for alias in statement.names}
    if isinstance(statement, (ast.If, ast.Try, ast.With)):
        inside = [node for node in ast.iter_child_nodes(statement) if isinstance(node, (ast.stmt, ast.ExceptHandler))]
        inside += [part for node in inside if isinstance(node, ast.ExceptHandler) for part in node.body]
        return set().union(*(_bound(node) for node in inside if isinstance(node, ast.stmt)))
    return {node.id for node in ast.walk(statement) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}


def run_script(path: Path, arguments: Sequence[str], folder: Path, modules: dict[str, ModuleType]) -> None:
    """Run a whole script in a folder, silently and on the CPU. modules: name -> what it imports by that name."""
    with contextlib.ExitStack() as stack:
        stack.enter_context(patch.object(sys, "argv", [str(path), *arguments]))
        stack.enter_context(patch.dict(sys.modules, modules))
        stack.enter_context(contextlib.chdir(folder))
        stack.enter_context(silence())
        stack.enter_context(on_the_cpu())
        runpy.run_path(str(path), run_name="__main__")


@contextlib.contextmanager
def silence() -> Iterator[None]:
    """Leave out what is printed."""
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        yield


@contextlib.contextmanager
def on_the_cpu() -> Iterator[None]:
    """Let code that moves tensors to a GPU by name leave them where they are, and load data in this process."""

    def stay(self: Any, *anything: object, **more: object) -> Any:
        return self

    def staying(move: Any) -> Any:
        @functools.wraps(move)
        def to(self: Any, *where: object, **more: object) -> Any:
            return self if str(next(iter(where), "")).startswith("cuda") else move(self, *where, **more)

        return to

    loader = functools.partialmethod(_load_here, torch.utils.data.DataLoader.__init__)
    with (
        patch.object(Tensor, "cuda", stay),
        patch.object(nn.Module, "cuda", stay),
        patch.object(Tensor, "to", staying(Tensor.to)),
        patch.object(nn.Module, "to", staying(nn.Module.to)),
        patch.object(torch.utils.data.DataLoader, "__init__", loader),
    ):
        yield


def _load_here(self: Any, init: Any, *arguments: object, **more: object) -> None:
    init(self, *arguments, **{**more, "num_workers": 0})


@contextlib.contextmanager
def one_process() -> Iterator[None]:
    """Make a group of this process alone, for code that gathers from all processes."""
    dist.init_process_group("gloo", store=dist.HashStore(), rank=0, world_size=1)
    try:
        yield
    finally:
        dist.destroy_process_group()


def bare(kind: type[nn.Module], **attributes: object) -> nn.Module:
    """Return a module of a class whose constructor is not called, with the attributes that its forward needs."""
    module = kind.__new__(kind)
    nn.Module.__init__(module)
    for name, value in attributes.items():
        setattr(module, name, value)
    return module


def registry() -> SimpleNamespace:
    """Return what stands for a registry of OpenMMLab's: classes stay as they are."""
    return SimpleNamespace(register_module=lambda: lambda kind: kind)
