"""Where and when scores were measured, and with which settings, from the parts of ``scores.json``."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from equicoherence.reporting.names import data_name
from equicoherence.reporting.tables import MISSING

IDENTITY = ("folder", "files", "newest", "splits.")  # settings that say no more than which data they are
MOVED = ("folder", "newest")  # of data that may be the same in another place
INPUT = "input, pixels"
SAMPLES = "samples, "
ORIGIN = ("date", "machine", "versions")


@dataclass(frozen=True)
class Taken:
    """What settings are of."""

    task: str
    variant: str
    protocol: str
    data: str

    @property
    def on(self) -> str:
        """Protocol and data set, as tables call them."""
        return f"{self.protocol} on {data_name(self.data)}"


def settings_taken(parts: Iterable[Mapping[str, Any]]) -> dict[Taken, dict[str, list[str]]]:
    """Return for each task on a data set each setting and count with its different values, random weights' among them.

    The folder of the data is left out: moved data are the same, and are identified by files and splits.
    """
    found: dict[Taken, list[dict[str, str]]] = {}
    for part in parts:
        taken = Taken(part["task"], part["variant"], part["protocol"], part["data"])
        found.setdefault(taken, []).append(_settings(part))
    return {
        taken: {
            field: list(dict.fromkeys(fields.get(field, MISSING) for fields in of_taken))
            for field in dict.fromkeys(field for fields in of_taken for field in fields)
        }
        for taken, of_taken in found.items()
    }


def joined_variants(settings: Mapping[Taken, Mapping[str, list[str]]]) -> dict[Taken, dict[str, list[str]]]:
    """Return settings with the variants of a task taken together, less those that say which data they are."""
    found: dict[Taken, dict[str, list[str]]] = {}
    for taken, fields in settings.items():
        joint = found.setdefault(Taken(taken.task, "", taken.protocol, taken.data), {})
        for field, values in fields.items():
            if not field.startswith(IDENTITY):
                joint[field] = list(dict.fromkeys([*joint.get(field, ()), *values]))
    return found


def parts_say(scores: Mapping[str, Any], field: str) -> list[str]:
    """Return ``date``, ``machine`` or ``versions`` of the parts of a ``scores.json``, each text once."""
    said = (part[field] for part in scores["parts"].values() if field in part)
    return list(
        dict.fromkeys(
            ", ".join(f"{k} {v}" for k, v in flatten(x).items()) if isinstance(x, Mapping) else str(x) for x in said
        )
    )


def dates_of(scores: Iterable[Mapping[str, Any]]) -> str:
    """Return the first and the last day on which parts were scored, "" if none is said."""
    days = sorted({day for each in scores for day in parts_say(each, "date")})
    return " to ".join(dict.fromkeys((days[0], days[-1]))) if days else ""


def origin_line(scores: Sequence[Mapping[str, Any]]) -> str:
    """Return all dates, machines, versions, seeds and data sets of ``scores.json`` files in one line."""
    parts = [part for each in scores for part in each["parts"].values()]
    texts = [" / ".join(sorted({str(part["date"]) for part in parts if "date" in part}))]
    for field in ("machine", "versions"):
        for name in dict.fromkeys(name for part in parts for name in part.get(field, {})):
            values = dict.fromkeys(str(part.get(field, {}).get(name, MISSING)) for part in parts)
            texts.append(f"{name} {' / '.join(values)}")
    seeds = ", ".join(map(str, sorted({each["seed"] for each in scores})))
    data = " / ".join(dict.fromkeys(part["data"] for part in parts))
    return f"{', '.join(texts)}; seeds {seeds}; data {data}"


def flatten(mapping: Mapping[Any, Any], prefix: str = "") -> dict[str, str]:
    """Return nested fields under dotted names, in order, with values as text; lists stay on one line."""
    flat: dict[str, str] = {}
    for key, value in mapping.items():
        name = f"{prefix}{key}"
        if isinstance(value, Mapping) and value:
            flat |= flatten(value, f"{name}.")
        else:
            flat[name] = "none" if value is None else str(value)
    return flat


def _settings(part: Mapping[str, Any]) -> dict[str, str]:
    own: dict[str, Any] = {}
    if part.get("input"):
        height, width = part["input"]
        own[INPUT] = f"{height} x {width}"
    own |= {field: value for field, value in part["settings"].items() if field not in MOVED}
    return flatten(own | {f"{SAMPLES}{split}": count for split, count in part["counts"].items()})
