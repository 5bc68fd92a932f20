"""Parsing of a command's arguments."""

from __future__ import annotations

import difflib
import io
import os
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout, suppress
from pathlib import Path
from typing import Annotated, Any, TypeVar, get_type_hints

import tyro

from equicoherence.commands.given_values import values_of

T = TypeVar("T")
FLAT = (tyro.conf.AvoidSubcommands, tyro.conf.ConsolidateSubcommandArgs)
Comma = Annotated[str, tyro.conf.arg(metavar="A,B,..")]
# Options whose description says what they are by default, so that None is not shown:
CommaOrNone = Annotated[str | None, tyro.conf.arg(metavar="A,B,..", help_behavior_hint="")]
TextOrNone = Annotated[str | None, tyro.conf.arg(metavar="STR", help_behavior_hint="")]
PathOrNone = Annotated[Path | None, tyro.conf.arg(metavar="PATH", help_behavior_hint="")]
IntOrNone = Annotated[int | None, tyro.conf.arg(metavar="INT", help_behavior_hint="")]
FloatOrNone = Annotated[float | None, tyro.conf.arg(metavar="FLOAT", help_behavior_hint="")]
EVERY = "--help-all"  # shows every field of a configuration, where --help shows what one changes first


def split(text: str) -> list[str]:
    """Return the names of a list with commas, and spaces or none beside them."""
    return [name.strip() for name in text.split(",")]


def parse(cls: type[T], arguments: list[str], name: str, default: T | None = None) -> T:
    """Return the arguments as an instance of a dataclass; for --help, print it and raise SystemExit.

    name: of the command, for its help. default: values of what is not given, where they are not those of the class.

    Raises ValueError for arguments that do not fit, see `option_error`, and for a list with commas that is given twice,
    of which the first would be forgotten.
    """
    hints = get_type_hints(cls, include_extras=True)
    lists = [f"--{field.replace('_', '-')}" for field, hint in hints.items() if hint in (Comma, CommaOrNone)]
    given = {option: values_of(arguments, option) for option in lists}
    for option, values in given.items():
        if len(values) > 1:
            joined = ",".join(value for several in values for value in several)
            raise ValueError(f"{option} is given {len(values)} times: give it once, with commas: {option} {joined}")
    how: dict[str, Any] = {"prog": f"equicoherence {name}", "config": FLAT}
    how |= {} if default is None else {"default": default}
    status, _, found = _heard(lambda: tyro.cli(cls, args=arguments, **how))
    if found is not None:
        return found
    if not status:
        raise SystemExit(0)
    for option, values in given.items():
        joined = ",".join(value.strip(",") for value in values[0]) if values else ""
        meant = _with(arguments, option, joined)
        if joined and len(values[0]) > 1 and _heard(lambda meant=meant: tyro.cli(cls, args=meant, **how))[0] == 0:
            raise ValueError(f"{option} is a list with commas and no spaces; did you mean {option} {joined}?")
    from equicoherence.commands.option_errors import option_error, options_of

    page = io.StringIO()
    with _columns(80):  # whatever the terminal's width, in which words may be broken
        _, said, _ = _heard(lambda: tyro.cli(cls, args=arguments, **how))
        with redirect_stdout(page), suppress(SystemExit):
            tyro.cli(cls, args=["--help"], **how)
    raise option_error(how["prog"], arguments, options_of(page.getvalue()), said)


@contextmanager
def _columns(width: int) -> Iterator[None]:
    """Let the parser write for a terminal of a width."""
    before = os.environ.get("COLUMNS")
    os.environ["COLUMNS"] = str(width)
    try:
        yield
    finally:
        del os.environ["COLUMNS"]
        if before is not None:
            os.environ["COLUMNS"] = before


def _heard(parsing: Callable[[], T]) -> tuple[int, str, T | None]:
    """Return the exit status of the parser, what it says of an error, and what it returns."""
    said, found, status = io.StringIO(), None, 0
    with redirect_stderr(said):
        try:
            found = parsing()
        except SystemExit as stop:
            status = int(stop.code or 0)
    if not status:
        sys.stderr.write(said.getvalue())  # of others, such as a warning
    return status, said.getvalue(), found


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


def run_to_resume(arguments: list[str], command: str) -> Path:
    """Return the run that is to go on, ``--out``, which stands for all else. Raises ValueError where none is given."""
    given = values_of(arguments, "--out")
    if not given or not given[-1]:
        raise ValueError(f"{command} --resume: say with --out which run to continue")
    return Path(given[-1][0])


def recipe_first(arguments: list[str], command: str, known: Iterable[str]) -> tuple[str | None, list[str]]:
    """Take the recipe off, which stands first; None if help is asked for instead.

    Raises ValueError without a recipe there, with the nearest of the ``known`` ones for one that stands elsewhere.
    """
    if arguments and not arguments[0].startswith("-"):
        return arguments[0], arguments[1:]
    if "-h" in arguments or "--help" in arguments:
        return None, arguments
    given = [values[0] for values in values_of(arguments, "--recipe") if values]
    if given:
        near = difflib.get_close_matches(given[-1], known, n=1)
        meant = near[0] if near else given[-1]
        raise ValueError(f"the recipe is the first argument, not --recipe: write `equicoherence {command} {meant}`")
    raise ValueError(
        f"{command} needs a recipe as its first argument, such as `equicoherence {command} vicreg-tiny`; "
        "`equicoherence recipes` lists them"
    )
