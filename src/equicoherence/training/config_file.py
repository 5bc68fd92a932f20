"""A configuration's way to plain values and YAML, and back."""

from __future__ import annotations

import dataclasses
import math
import re
import types
import typing
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

import yaml

from equicoherence.errors import unknown
from equicoherence.files import write_aside
from equicoherence.json_file import read_yaml
from equicoherence.methods import METHODS
from equicoherence.training.config import PretrainConfig

NUMBER = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?")  # YAML takes 1e-3, which has no point, for a text
TYPES = {int: "a whole number", float: "a number", str: "a text", bool: "true or false", type(None): "null"}


def to_dict(config: Any) -> dict[str, Any]:
    """Return nested plain values; the method carries its ``kind``."""
    values = plain_values(config)
    if isinstance(config, PretrainConfig):
        values["method"] = {"kind": METHODS[type(config.method)].__name__, **values["method"]}
    return values


def from_dict(values: dict[str, Any]) -> PretrainConfig:
    """Rebuild a configuration from `to_dict`'s values; fields that are missing have their defaults.

    Unknown fields and wrong types raise ValueError, quoting them, with the nearest field or the type expected.
    """
    values = dict(values)
    method = values.get("method", {})
    if not isinstance(method, dict):
        raise ValueError(f"method cannot be {method!r}; a mapping with its kind is expected")
    method = dict(method)
    kind = method.pop("kind", "VICReg")
    kinds = {cls.__name__: config for config, cls in METHODS.items()}
    if kind not in kinds:
        raise unknown("method.kind", kind, kinds)
    values["method"] = _build(kinds[kind], method, "method")
    return _build(PretrainConfig, values, "")


def save_config(config: PretrainConfig, path: Path) -> None:
    """Write the configuration as YAML, aside and renamed."""
    write_aside(path, yaml.safe_dump(to_dict(config), sort_keys=False, allow_unicode=True))


def load_config(path: str | Path, whole: bool = False) -> PretrainConfig:
    """Read a configuration written by `save_config`; ValueError, naming the file and the field, where it is none.

    whole: refuse one that lacks a field, as another version of the package wrote it: its default need not be what the
        run was trained with.
    """
    path = Path(path)
    values = read_yaml(path, "put back what was written, or train the run anew")
    try:
        config = from_dict(values)
        if whole and (lacking := list(_lacking(values, to_dict(config)))):
            raise ValueError(
                f"it does not say {', '.join(lacking)}: another version of equicoherence wrote it; add what the run "
                "was trained with, or train it anew in another --out"
            )
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error
    return config


def differences(a: PretrainConfig, b: PretrainConfig) -> dict[str, str]:
    """Return field -> ``value in a -> value in b`` of each field in which the two differ."""

    def flat(value: Any, prefix: str) -> dict[str, Any]:
        if isinstance(value, dict) and value and prefix != "encoder.args":
            return {k: v for name, part in value.items() for k, v in flat(part, f"{prefix}.{name}".strip(".")).items()}
        return {prefix: value}

    left, right = flat(to_dict(a), ""), flat(to_dict(b), "")
    names = [name for name in {**left, **right} if left.get(name) != right.get(name)]
    return {name: f"{left.get(name)!r} -> {right.get(name)!r}" for name in names}


def plain_values(value: Any) -> Any:
    """Return dataclasses and tuples, nested, as plain dictionaries and lists."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: plain_values(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, tuple | list):
        return [plain_values(v) for v in value]
    if isinstance(value, dict):
        return {k: plain_values(v) for k, v in value.items()}
    return value


def _lacking(values: Mapping[str, Any], whole: Mapping[str, Any], where: str = "") -> Iterator[str]:
    """Yield the fields that nested values lack of ``whole``."""
    for name, value in whole.items():
        place = f"{where}.{name}".lstrip(".")
        if name not in values:
            yield place
        elif isinstance(value, dict) and isinstance(values[name], dict) and place != "encoder.args":
            yield from _lacking(values[name], value, place)


def _build(cls: type, values: dict[str, Any], where: str) -> Any:
    hints = typing.get_type_hints(cls)
    for name in values:
        if name not in hints:
            raise unknown("field", name, hints, f"{where}.".lstrip("."))
    built = {name: _value(hints[name], value, f"{where}.{name}".strip(".")) for name, value in values.items()}
    return cls(**built)


def _value(hint: Any, value: Any, where: str) -> Any:
    if dataclasses.is_dataclass(value):
        return value
    options = _options(hint)
    if value is None and type(None) in options:
        return None
    for option in options:
        if isinstance(option, type) and dataclasses.is_dataclass(option) and isinstance(value, dict):
            return _build(option, value, where)
        if typing.get_origin(option) is tuple:
            kinds = typing.get_args(option)
            if not isinstance(value, list | tuple) or (kinds[-1] is not ... and len(kinds) != len(value)):
                continue
            kinds = kinds[:1] * len(value) if kinds[-1] is ... else kinds
            return tuple(_value(kind, v, f"{where}[{i}]") for i, (kind, v) in enumerate(zip(kinds, value)))
        if option is float and (number := _number(value)) is not None:
            return number
        if typing.get_origin(option) is Literal and value in typing.get_args(option):
            return value
        if isinstance(value, bool) and option is not bool:  # which Python takes for a whole number
            continue
        kind = typing.get_origin(option) or option
        if isinstance(kind, type) and kind is not float and isinstance(value, kind):
            return value
    raise ValueError(f"{where} cannot be {value!r}; {_wanted(hint)} is expected")


def _options(hint: Any) -> tuple[Any, ...]:
    return typing.get_args(hint) if isinstance(hint, types.UnionType) else (hint,)


def _number(value: object) -> float | None:
    """Return the finite number that a value is, None for anything else."""
    if isinstance(value, str) and NUMBER.fullmatch(value):
        value = float(value)
    if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value):
        return float(value)
    return None


def _wanted(hint: Any) -> str:
    """Return in plain words what a field may be."""
    words = []
    for option in _options(hint):
        kind, inner = typing.get_origin(option), typing.get_args(option)
        if kind is Literal:
            words.append(f"one of {', '.join(map(str, inner))}")
        elif kind is tuple:
            words.append("a list" if inner[-1] is ... else f"a list of {len(inner)} values, each {_wanted(inner[0])}")
        else:
            words.append(TYPES.get(option, "a mapping"))
    return " or ".join(words)
