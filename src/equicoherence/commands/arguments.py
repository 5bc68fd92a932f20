"""Parsing of a command's arguments."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, TypeVar

import tyro

T = TypeVar("T")
FLAT = (tyro.conf.AvoidSubcommands, tyro.conf.ConsolidateSubcommandArgs)
Comma = Annotated[str, tyro.conf.arg(metavar="A,B,..")]
CommaOrNone = Annotated[str | None, tyro.conf.arg(metavar="A,B,..")]


def split(text: str | None) -> list[str] | None:
    """Return the names of a list with commas."""
    return None if text is None else text.split(",")


def parse(cls: type[T], arguments: list[str], name: str) -> T:
    """Return the arguments as an instance of a dataclass; those that do not fit raise SystemExit."""
    return tyro.cli(cls, args=arguments, prog=f"equicoherence {name}", config=FLAT)


def positional(arguments: list[str], what: str, known: Iterable[str]) -> tuple[str | None, list[str]]:
    """Take the first argument off; None where help is asked for instead."""
    if arguments and not arguments[0].startswith("-"):
        return arguments[0], arguments[1:]
    if "-h" in arguments or "--help" in arguments:
        return None, arguments
    raise ValueError(f"{what}: give a name first, one of {', '.join(known)}")
