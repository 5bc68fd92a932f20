"""JSON and YAML as they are written and read here: strict, whole or not there, and an error names file and place.

Strict JSON has no number for NaN or an infinity: none is written, and a file that holds one is not read.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NoReturn

import yaml

from equicoherence.files import Damaged, write_aside
from equicoherence.finite import NotFinite

KINDS = {dict: "a mapping", list: "a list", str: "a text", bool: "true or false", int: "a number", float: "a number"}


def write_json(path: Path, value: Any, indent: int | None = 1) -> None:
    """Write a value as a JSON file, whole or not there. Raises `NotFinite`, naming key and file, for such a number."""
    write_aside(path, strict_json(value, str(path), indent))


def strict_json(value: Any, what: str, indent: int | None = None) -> str:
    """Return a value as JSON text. what: where it goes, for the error. Raises `NotFinite`, naming the key."""
    try:
        return json.dumps(value, allow_nan=False, indent=indent)
    except ValueError:
        found = next(_not_finite(value, ""), None)
        if found is None:  # something else is wrong with it, such as a circle
            raise
        raise NotFinite(f"{what} is not written: its {found[0]} is {found[1]}, which is not finite") from None


def read_json(path: Path, advice: str, kind: type = dict) -> Any:
    """Return the content of a JSON file that must be of a kind: dict or list.

    advice: what to do where it is damaged, as in "remove it". Raises FileNotFoundError where it is not there, and
    `Damaged`, one sentence with file and advice, where it is empty, cut off, no text, no JSON, of another kind, or
    holds a number that is not finite.
    """
    try:
        value = read_json_text(_text(path))
    except (ValueError, RecursionError) as error:
        raise Damaged(path, _reason(error), advice) from error
    return _checked(path, value, kind, advice)


def read_json_text(text: str) -> Any:
    """Return what strict JSON text says; ValueError, in a few words, where it is none."""
    if not text.strip():
        raise ValueError("it is empty")
    try:
        return json.loads(text, parse_constant=_refuse_constant)
    except json.JSONDecodeError as error:
        raise ValueError(f"it is no JSON: {error.msg}, line {error.lineno}, column {error.colno}") from error


def read_json_lines(path: Path, advice: str) -> list[dict[str, Any]]:
    """Return the mappings of a file that holds one a line; half a last line, of a process that was killed, is left out.

    advice: what to do where it is damaged. Raises `Damaged`, which names file and line, where another line is none.
    """
    lines, found = path.read_bytes().split(b"\n"), []
    for number, line in enumerate(lines, start=1):
        if not line and number == len(lines):
            break
        try:
            value = read_json_text(line.decode("utf-8"))
            if not isinstance(value, dict):
                raise ValueError(f"it is {_kind(value)} where a mapping is expected")
        except (ValueError, RecursionError) as error:
            if number == len(lines) and line.startswith(b"{"):
                break
            raise Damaged(path, f"line {number}: {_reason(error)}", advice) from error
        found.append(value)
    return found


def read_yaml(path: Path, advice: str) -> dict[str, Any]:
    """Return the mapping that a YAML file holds; errors are those of `read_json`. No code of it is run."""
    try:
        text = _text(path)
        if not text.strip():
            raise ValueError("it is empty")
        value = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise Damaged(path, _yaml_reason(error), advice) from error
    except (ValueError, RecursionError) as error:
        raise Damaged(path, _reason(error), advice) from error
    return _checked(path, value, dict, advice)


def _text(path: Path) -> str:
    if path.is_dir():
        raise ValueError("it is a folder")
    if not path.is_file():
        raise FileNotFoundError(f"there is no file {path}")
    return path.read_bytes().decode("utf-8")


def _checked(path: Path, value: Any, kind: type, advice: str) -> Any:
    if not isinstance(value, kind):
        raise Damaged(path, f"it holds {_kind(value)} where {KINDS[kind]} is expected", advice)
    return value


def _reason(error: Exception) -> str:
    if isinstance(error, UnicodeDecodeError):
        return "it is no text"
    return "it is nested too deeply" if isinstance(error, RecursionError) else str(error)


def _yaml_reason(error: yaml.YAMLError) -> str:
    mark, problem = getattr(error, "problem_mark", None), getattr(error, "problem", None)
    place = f", line {mark.line + 1}, column {mark.column + 1}" if mark is not None else ""
    return f"it is no YAML: {problem or 'it holds characters that YAML does not have'}{place}"


def _kind(value: Any) -> str:
    return "nothing" if value is None else KINDS.get(type(value), f"a {type(value).__name__}")


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"it holds {name}, which is no number of JSON")


def _not_finite(value: Any, where: str) -> Iterator[tuple[str, float]]:
    """Yield the places and values of numbers that are not finite, as in ``rows[3].value``."""
    if isinstance(value, float) and not math.isfinite(value):
        yield where or "value", value
    elif isinstance(value, dict):
        for name, part in value.items():
            yield from _not_finite(part, f"{where}.{name}".lstrip("."))
    elif isinstance(value, list | tuple):
        for number, part in enumerate(value):
            yield from _not_finite(part, f"{where}[{number}]")
