"""Parsing of a command's arguments."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, TypeVar, get_type_hints

import tyro

from equicoherence.notice import say

T = TypeVar("T")
FLAT = (tyro.conf.AvoidSubcommands, tyro.conf.ConsolidateSubcommandArgs)
Comma = Annotated[str, tyro.conf.arg(metavar="A,B,..")]
CommaOrNone = Annotated[str | None, tyro.conf.arg(metavar="A,B,..")]
EVERY = "--help-all"  # shows every field of a configuration, where --help shows what one changes first


def split(text: str) -> list[str]:
    """Return the names of a list with commas, and spaces or none beside them."""
    return [name.strip() for name in text.split(",")]


def parse(cls: type[T], arguments: list[str], name: str, default: T | None = None) -> T:
    """Return the arguments as an instance of a dataclass; those that do not fit raise SystemExit.

    name: of the command, for its help. default: values of what is not given, where they are not those of the class.

    Raises ValueError for a list with commas that is given twice, of which the first would be forgotten.
    """
    hints = get_type_hints(cls, include_extras=True)
    lists = [f"--{field.replace('_', '-')}" for field, hint in hints.items() if hint in (Comma, CommaOrNone)]
    given = {option: values_of(arguments, option) for option in lists}
    for option, values in given.items():
        if len(values) > 1:
            joined = ",".join(value for several in values for value in several)
            raise ValueError(f"{option} is given {len(values)} times: give it once, with commas: {option} {joined}")
    try:
        prog = f"equicoherence {name}"
        if default is None:
            return tyro.cli(cls, args=arguments, prog=prog, config=FLAT)
        return tyro.cli(cls, args=arguments, prog=prog, config=FLAT, default=default)
    except SystemExit as stop:
        for option, values in given.items():
            if not (stop.code and values and len(values[0]) > 1):
                continue
            joined = ",".join(value.strip(",") for value in values[0])
            if _fits(cls, _with(arguments, option, joined)):
                say(f"{option} is a list with commas and no spaces; did you mean {option} {joined}?")
        raise


def _fits(cls: type, arguments: list[str]) -> bool:
    try:
        tyro.cli(cls, args=arguments, config=FLAT, console_outputs=False)
    except SystemExit:
        return False
    return True


def _with(arguments: list[str], option: str, value: str) -> list[str]:
    """Return the arguments with one value for an option that was given once."""
    found: list[str] = []
    inside = False
    for argument in arguments:
        if argument.startswith("--"):
            inside = argument.partition("=")[0].replace("_", "-") == option
        if not inside:
            found.append(argument)
    return [*found, option, value]


def values_of(arguments: list[str], option: str) -> list[list[str]]:
    """Return, for each time that an option is given, what stands between it and the next option."""
    found: list[list[str]] = []
    inside = False
    for argument in arguments:
        name, equals, value = argument.partition("=")
        if argument.startswith("--"):
            inside = name.replace("_", "-") == option
            found += [[value] if equals else []] * inside
        elif inside:
            found[-1].append(argument)
    return found


def run_to_resume(arguments: list[str], command: str) -> Path:
    """Return the run that is to go on, ``--out``, which stands for all else. Raises ValueError where none is given."""
    given = values_of(arguments, "--out")
    if not given or not given[-1]:
        raise ValueError(f"{command} --resume: say with --out which run to continue")
    return Path(given[-1][0])


def positional(arguments: list[str], what: str, known: Iterable[str]) -> tuple[str | None, list[str]]:
    """Take the first argument off; None if help is asked for instead."""
    if arguments and not arguments[0].startswith("-"):
        return arguments[0], arguments[1:]
    if "-h" in arguments or "--help" in arguments:
        return None, arguments
    raise ValueError(f"{what}: give a name first, one of {', '.join(known)}")
