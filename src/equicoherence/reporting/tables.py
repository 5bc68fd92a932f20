"""Evaluation rows -> means and spreads -> text. Pure functions, shared by the page and the `compare` command."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

FIELDS = ("task", "metric", "representation", "transformation", "border", "probe", "parameter", "control")
MISSING = "\N{EN DASH}"
PERCENT = frozenset({"top1", "top5"})
ORDER = {
    "representation": ("backbone", "z_inv", "z_equi", "z"),
    "border": ("content", "zeros"),
    "probe": ("mlp", "linear", "attentive"),
    "parameter": ("mean",),
    "control": ("", "random", "constant", "oracle"),
    "task": ("transformation", "knn", "linear"),
}


def summarise(rows_by_run: Mapping[str, Sequence[Sequence[dict[str, Any]]]]) -> list[dict[str, Any]]:
    """Return mean and spread of every score over the runs of one name.

    rows_by_run: name -> for each run (seed) its evaluation rows, as in ``results.json``. Repeats are averaged within
    a run first. The spread is over runs where several have the score, else over the repeats of the one that has it;
    ``over`` says which ("runs" or "repeats") and ``n`` how many. ``std`` is the sample standard deviation (n - 1), None
    for n = 1. Keys: name, the `FIELDS` ("" where a row lacks one), mean, std, min, max, n, over. Rows with no number
    are left out; a number that is not finite makes its mean and spread NaN.
    """
    summary = []
    for name, runs in rows_by_run.items():
        scores: dict[tuple[str, ...], list[list[float]]] = {}
        for rows in runs:
            of_run: dict[tuple[str, ...], list[float]] = {}
            for row in rows:
                value = row.get("value")
                if isinstance(value, int | float) and not isinstance(value, bool):
                    of_run.setdefault(tuple(_text(row.get(f)) for f in FIELDS), []).append(float(value))
            for key, repeats in of_run.items():
                scores.setdefault(key, []).append(repeats)
        for key, per_run in scores.items():
            over = "runs" if len(per_run) > 1 else "repeats"
            units = [_mean(repeats) for repeats in per_run] if over == "runs" else per_run[0]
            summary.append({"name": name, **dict(zip(FIELDS, key)), **_spread(units), "over": over})
    return summary


def select(summary: Iterable[Mapping[str, Any]], **fields: str | Sequence[str]) -> list[dict[str, Any]]:
    """Return the entries whose fields have the given value, or one of the given values."""
    wanted = {field: (value,) if isinstance(value, str) else tuple(value) for field, value in fields.items()}
    return [dict(entry) for entry in summary if all(entry[f] in values for f, values in wanted.items())]


def pivot(
    summary: Iterable[Mapping[str, Any]], index: Sequence[str]
) -> list[tuple[tuple[str, ...], dict[str, Mapping[str, Any]]]]:
    """Put names side by side: one (key, {name: entry}) for each combination of ``index`` fields, in reading order."""
    rows: dict[tuple[str, ...], dict[str, Mapping[str, Any]]] = {}
    for entry in summary:
        rows.setdefault(tuple(entry[f] for f in index), {})[entry["name"]] = entry
    return sorted(rows.items(), key=lambda row: [rank(f, value) for f, value in zip(index, row[0])])


def rank(field: str, value: str) -> tuple[int, str]:
    """Return a sort key: known values of a field in the order they are read, then the others by name."""
    order = ORDER.get(field, ())
    return (order.index(value) if value in order else len(order), value)


def distinct(summary: Iterable[Mapping[str, Any]], field: str) -> list[str]:
    """Return the values of a field that occur, in reading order."""
    return sorted({entry[field] for entry in summary}, key=lambda value: rank(field, value))


def number(value: float | None, metric: str = "") -> str:
    """Write a score: accuracies as per cent with one decimal, all else with three; a missing one as a dash."""
    if value is None:
        return MISSING
    if not math.isfinite(value):
        return "NaN"
    text = f"{100 * value:.1f} %" if metric in PERCENT else f"{value:.3f}"
    return "0.000" if text == "-0.000" else text.replace("-", "\N{MINUS SIGN}")


def deviation(value: float, metric: str = "") -> str:
    """Write a standard deviation in the unit of its score, as `number` writes that: "7.1" (per cent) or ".071"."""
    return f"{100 * value:.1f}" if metric in PERCENT else f"{value:.3f}".removeprefix("0")


def spread(entry: Mapping[str, Any] | None) -> str:
    """Write smallest and largest, and over what: "0.801 to 0.823, 2 runs"; empty where there is only one value."""
    if entry is None or entry["n"] < 2:
        return ""
    low, high = (number(entry[key], entry["metric"]) for key in ("min", "max"))
    return f"{low} to {high}, {entry['n']} {entry['over']}"


def _text(value: object) -> str:
    return "" if value is None else str(value)


def _mean(values: Sequence[float]) -> float:
    return math.fsum(values) / len(values) if all(map(math.isfinite, values)) else math.nan


def _spread(values: Sequence[float]) -> dict[str, Any]:
    finite = all(map(math.isfinite, values))
    deviation = statistics.stdev(values) if finite and len(values) > 1 else None
    return {
        "mean": _mean(values),
        "std": deviation if finite or len(values) < 2 else math.nan,
        "min": min(values) if finite else math.nan,
        "max": max(values) if finite else math.nan,
        "n": len(values),
    }


def markdown_table(header: Sequence[object], rows: Iterable[Sequence[object]]) -> str:
    """Return a Markdown table, without an end of line."""
    written = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(plain(cell) for cell in row)} |" for row in written)


def plain(value: object) -> str:
    """Return text that stays in its cell: one line, no bar."""
    return " ".join(str(value).split()).replace("|", "\\|")
