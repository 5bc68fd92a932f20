"""The values of an option as they stand among the arguments of a command, before they are parsed."""

from __future__ import annotations


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


def asks_for_epochs(arguments: list[str]) -> bool:
    """Return whether epochs are asked for and steps are not: then a recipe's own steps do not stand in their place.

    A run that is resumed keeps its own.
    """
    asked, steps, resumed = (values_of(arguments, option) for option in ("--optim.epochs", "--max-steps", "--resume"))
    return bool(asked) and not steps and not resumed
