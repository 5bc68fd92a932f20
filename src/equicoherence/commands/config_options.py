"""Options of a configuration before they are parsed: lists may have commas, and what needs no torch is checked."""

from __future__ import annotations

from equicoherence.commands.given_values import values_of
from equicoherence.models.train_setting import read_train

LISTS = ("--coherence.layers", "--coherence.parts", "--coherence.scales", "--views.told")


def with_spaces(arguments: list[str]) -> list[str]:
    """Return the arguments with spaces in place of commas in the fields that are lists: 2,7 is the same as 2 7."""
    found: list[str] = []
    inside = False
    for argument in arguments:
        option, equals, value = argument.partition("=")
        if argument.startswith("--"):
            inside = option.replace("_", "-") in LISTS
            found += [option, *_parts(value)] if inside and equals else [argument]
        else:
            found += _parts(argument) if inside else [argument]
    return found


def _parts(text: str) -> list[str]:
    return [part for part in text.split(",") if part]


def check_train(arguments: list[str]) -> None:
    """Raise ValueError for a value of ``--encoder.train`` that there is not."""
    for values in values_of(arguments, "--encoder.train"):
        read_train(" ".join(values))
