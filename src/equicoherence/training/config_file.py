"""A configuration's way to plain values and YAML, and back."""

from __future__ import annotations

import dataclasses
import types
import typing
from pathlib import Path
from typing import Any, Literal

import yaml

from equicoherence.files import write_aside
from equicoherence.methods import METHODS
from equicoherence.training.config import PretrainConfig


def to_dict(config: Any) -> dict[str, Any]:
    """Return nested plain values; the method carries its ``kind``."""
    values = plain_values(config)
    if isinstance(config, PretrainConfig):
        values["method"] = {"kind": METHODS[type(config.method)].__name__, **values["method"]}
    return values


def from_dict(values: dict[str, Any]) -> PretrainConfig:
    """Rebuild a configuration from `to_dict`'s values. Unknown fields and wrong types raise ValueError, quoting
    them."""
    values = dict(values)
    method = dict(values.get("method") or {})
    kind = method.pop("kind", "VICReg")
    kinds = {cls.__name__: config for config, cls in METHODS.items()}
    if kind not in kinds:
        raise ValueError(f"method kind {kind!r} is unknown; choose one of {', '.join(kinds)}")
    values["method"] = _build(kinds[kind], method, "method")
    return _build(PretrainConfig, values, "")


def save_config(config: PretrainConfig, path: Path) -> None:
    """Write the configuration as YAML, aside and renamed."""
    write_aside(path, yaml.safe_dump(to_dict(config), sort_keys=False, allow_unicode=True))


def load_config(path: Path) -> PretrainConfig:
    """Read a configuration written by `save_config`."""
    values = yaml.safe_load(path.read_text(encoding="utf-8"))
    if not isinstance(values, dict):
        raise ValueError(f"{path} is not a configuration: a mapping is expected, found {type(values).__name__}")
    return from_dict(values)


def differences(a: PretrainConfig, b: PretrainConfig) -> list[str]:
    """Return one line for each field in which the two differ, as ``path: value in a -> value in b``."""

    def flat(value: Any, prefix: str) -> dict[str, Any]:
        if isinstance(value, dict) and value and prefix != "encoder.args":
            return {k: v for name, part in value.items() for k, v in flat(part, f"{prefix}.{name}".strip(".")).items()}
        return {prefix: value}

    left, right = flat(to_dict(a), ""), flat(to_dict(b), "")
    return [f"{k}: {left.get(k)!r} -> {right.get(k)!r}" for k in {**left, **right} if left.get(k) != right.get(k)]


def plain_values(value: Any) -> Any:
    """Return dataclasses and tuples, nested, as plain dictionaries and lists."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: plain_values(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, tuple | list):
        return [plain_values(v) for v in value]
    if isinstance(value, dict):
        return {k: plain_values(v) for k, v in value.items()}
    return value


def _build(cls: type, values: dict[str, Any], where: str) -> Any:
    hints = typing.get_type_hints(cls)
    unknown = set(values) - set(hints)
    if unknown:
        raise ValueError(f"configuration has unknown field {where + '.' if where else ''}{sorted(unknown)[0]}")
    built = {name: _value(hints[name], value, f"{where}.{name}".strip(".")) for name, value in values.items()}
    return cls(**built)


def _value(hint: Any, value: Any, where: str) -> Any:
    if dataclasses.is_dataclass(value):
        return value
    options = typing.get_args(hint) if isinstance(hint, types.UnionType) else (hint,)
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
        if option is float and isinstance(value, int) and not isinstance(value, bool):
            return float(value)
        if typing.get_origin(option) is Literal and value in typing.get_args(option):
            return value
        if isinstance(typing.get_origin(option) or option, type) and isinstance(
            value, typing.get_origin(option) or option
        ):
            return value
    raise ValueError(f"configuration field {where} cannot be {value!r}; {hint} is expected")
