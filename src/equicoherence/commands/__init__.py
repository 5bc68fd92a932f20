"""The commands. Each is a module with a function `run`, which parses the arguments and calls the function of the same
name. The module docstring begins "`equicoherence NAME ARGUMENTS`: what it does.", which is its line in the help. A new
command is a new file, and nothing else. Modules here import heavy packages only in `run`, after parsing.
"""

from __future__ import annotations

import ast
import importlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from equicoherence.errors import refusing, unknown


@dataclass(frozen=True)
class Command:
    """The line of a command in the help. usage: its name and arguments. summary: what it does."""

    usage: str
    summary: str


def known_commands() -> dict[str, Command]:
    """Return the commands by name, read from their files: none is imported."""
    found = {}
    for path in sorted(Path(__file__).parent.glob("*.py")):
        module = ast.parse(path.read_text(encoding="utf-8"))
        if any(isinstance(node, ast.FunctionDef) and node.name == "run" for node in module.body):
            line = (ast.get_docstring(module) or "").partition("\n")[0]
            shown, _, summary = line.removeprefix("`equicoherence ").partition("`: ")
            found[path.stem] = Command(shown, summary.removesuffix("."))
    return found


def find_command(name: str) -> Callable[[list[str]], None]:
    """Return the function that runs a command. Raises `RefusedValue` for an unknown name."""
    known = known_commands()
    with refusing():
        if name not in known:
            raise unknown("command", name, [*known, "--help", "--version"])
    return importlib.import_module(f"equicoherence.commands.{name}").run


def usage() -> str:
    """Return the help of the program: one line for each command."""
    commands = known_commands().values()
    width = max(len(command.usage) for command in commands)
    lines = "".join(f"  {command.usage:{width}}  {command.summary}\n" for command in commands)
    more = "equicoherence COMMAND --help describes a command; equicoherence --version prints the version."
    return f"usage: equicoherence COMMAND ...\n\n{lines}\n{more}"
