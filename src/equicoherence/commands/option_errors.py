"""What is wrong with the arguments of a command, in one sentence: the option, and the nearest that there is."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Sequence

from equicoherence.commands.given_values import values_of
from equicoherence.errors import unknown

OPTION = re.compile(r"^\W{1,2}(--[a-z][\w.-]*)(?:, (--[a-z][\w.-]*))?", re.MULTILINE)
LINE = re.compile(r"^(?:│ |  )(.*?) *│?$", re.MULTILINE)  # in a box, which has no edges where they cannot be written
RULE = re.compile(r"^[-─]+$")
STYLE = re.compile(r"\x1b\[[\d;]*m")  # of a terminal
INDENT = " " * 4  # of the name of what is missing; its help has twice as much
CLOSE = 0.65  # of two names, without their dashes; --models is no --borders
CLOSE_END = 0.5  # of what stands after their last points, which is often short
TRUTH = {"true", "false", "yes", "no", "0", "1"}
NUMBERS = {"INT": (int, "whole number"), "FLOAT": (float, "number")}  # by their names in a help


def options_of(page: str) -> dict[str, str]:
    """Return the options that a page of help describes, each with the one that says no, or "" if it has none."""
    return dict(OPTION.findall(STYLE.sub("", page)))


def option_error(prog: str, arguments: Sequence[str], options: dict[str, str], box: str) -> ValueError:
    """Return the error for arguments that the parser refuses.

    prog: the program and the command, as one types them.
    options: see `options_of`.
    box: what the parser says.
    """
    known = ["--help", *options, *filter(None, options.values())]
    for argument in arguments:
        option = argument.partition("=")[0]
        if option.startswith("--") and option.replace("_", "-") not in known:
            near = nearest(option.replace("_", "-"), known)
            hint = f"is it {near}? " if near else ""
            return ValueError(f"option {option!r} is unknown; {hint}`{prog} --help` describes the options")
    for option, no in options.items():
        given = values_of(list(arguments), option) if no else []
        if any(values and values[0].lower() in TRUTH for values in given):
            return ValueError(f"{option} takes no value: write {option} or {no}")
    text = _text(box)
    if text[:1] == [f"Missing from {prog}:"]:
        lacking = ", ".join(line.strip() for line in text if len(line) - len(line.lstrip()) == len(INDENT))
        return ValueError(f"{prog} needs {lacking}; `{prog} --help` describes what can be given")
    return _not_a_number(arguments, box) or _in_words(prog, text)


def nearest(option: str, known: Sequence[str]) -> str:
    """Return the options that one may have meant, by their whole names or by what stands after the last point.

    Two names with points must also be close after the last one: --optim.betas is no --optim.epochs.
    """
    meant: dict[str, list[str]] = {}
    for name in known:
        whole = name.removeprefix("--")
        for short in dict.fromkeys((whole, whole.rpartition(".")[2])):
            meant.setdefault(short, []).append(name)
    typed = option.removeprefix("--")
    near = difflib.get_close_matches(typed, meant, n=5, cutoff=CLOSE)
    close = next((name for name in near if "." not in typed or "." not in name or _ends_close(typed, name)), None)
    return " or ".join(map(repr, meant[close][:3])) if close else ""


def _ends_close(typed: str, name: str) -> bool:
    """Return whether what stands after the last points of two names is close."""
    one, other = (each.rpartition(".")[2] for each in (typed, name))
    return difflib.SequenceMatcher(None, one, other).ratio() >= CLOSE_END


def _text(box: str) -> list[str]:
    """Return the lines of the first part of a box; the rest is help."""
    lines = LINE.findall(STYLE.sub("", box))
    return lines[: next((number for number, line in enumerate(lines) if RULE.match(line)), len(lines))]


def _not_a_number(arguments: Sequence[str], box: str) -> ValueError | None:
    """Return the error for an option that takes numbers and was given another value; None for any other error."""
    text = STYLE.sub("", box)
    option = re.search(r"Error parsing (--\S+):", text)
    takes = option and re.search(rf"^\W+{re.escape(option[1])} (.*)", text, re.MULTILINE)
    found = re.findall("INT|FLOAT", takes[1]) if takes else []
    if not (option and takes and found):
        return None
    kind, word = NUMBERS[found[0]]
    given = [value for values in values_of(list(arguments), option[1]) for value in values]
    wrong = next((value for value in given if not _is(kind, value)), None)
    if wrong is None:
        return None
    several = f"{word}s are" if "..." in takes[1] else f"{len(found)} {word}s are"
    return ValueError(f"{option[1]} cannot be {wrong!r}: {f'a {word} is' if len(found) == 1 else several} expected")


def _is(kind: Callable[[str], object], value: str) -> bool:
    """Return whether a value can be read as a kind of number."""
    try:
        kind(value)
    except ValueError:
        return False
    return True


def _in_words(prog: str, lines: Sequence[str]) -> ValueError:
    """Return what the parser says as the other errors say it."""
    text = " ".join(line.strip() for line in lines if line)
    if found := re.fullmatch(r"invalid choice '(.*)' for argument '(.*)'\. Expected one of \((.*)\)\.", text):
        return unknown(found[2], found[1], sorted({*re.findall(r"'([^']*)'", found[3])} - {"None"}))
    if found := re.match(r"Missing value for argument '(\S+)'\. Expected (\d+)", text):
        return ValueError(f"{found[1]} needs {'a value' if found[2] == '1' else f'{found[2]} values'}")
    if found := re.fullmatch(r"Unrecognized options: (.*)", text):
        return ValueError(f"{found[1]}: no option or argument takes this; `{prog} --help` describes what can be given")
    return ValueError(re.sub(r"^Error parsing \S+: ", "", text))
