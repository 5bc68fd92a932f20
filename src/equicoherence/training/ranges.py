"""Checks of the values of settings."""

from __future__ import annotations

import dataclasses
import math


def check(holds: bool, name: str, wanted: str, value: object) -> None:
    """Raise ValueError where a value does not hold, with its name, what is wanted, and the value."""
    if not holds:
        raise ValueError(f"{name} must be {wanted}, got {value}")


def check_finite(value: object, where: str = "") -> None:
    """Refuse a number in nested settings that is NaN or infinite, quoting it with its place."""
    if isinstance(value, float):
        check(math.isfinite(value), where, "a finite number", value)
    elif dataclasses.is_dataclass(value):
        for each in dataclasses.fields(value):
            check_finite(getattr(value, each.name), f"{where}.{each.name}".lstrip("."))
    elif isinstance(value, tuple | list):
        for number, part in enumerate(value):
            check_finite(part, f"{where}[{number}]")
