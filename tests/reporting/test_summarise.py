"""Means and spreads over seeds and repeats, and how numbers are written."""

from __future__ import annotations

import math
from typing import Any

import pytest

from equicoherence.reporting.tables import number, pivot, select, spread, summarise


def score(value: Any, **fields: Any) -> dict[str, Any]:
    return {"task": "transformation", "metric": "r2", "transformation": "rotation", "value": value, **fields}


def test_repeats_are_averaged_within_a_run_before_runs_are_compared() -> None:
    first = [score(0.2, repeat=0), score(0.4, repeat=1)]
    second = [score(0.5, repeat=0)]  # one repeat: must weigh as much as the two of the first run
    (entry,) = summarise({"a": [first, second]})
    assert entry["mean"] == pytest.approx(0.4)
    assert (entry["min"], entry["max"]) == (pytest.approx(0.3), pytest.approx(0.5))
    assert entry["std"] == pytest.approx(0.2 / math.sqrt(2))
    assert (entry["n"], entry["over"]) == (2, "runs")


def test_spread_is_over_repeats_where_one_run_has_the_score() -> None:
    (entry,) = summarise({"a": [[score(0.2, repeat=0), score(0.4, repeat=1), score(0.6, repeat=2)], []]})
    assert (entry["mean"], entry["std"]) == (pytest.approx(0.4), pytest.approx(0.2))
    assert (entry["n"], entry["over"]) == (3, "repeats")
    assert spread(entry) == "0.200 to 0.600, 3 repeats"


def test_a_single_value_has_no_spread() -> None:
    (entry,) = summarise({"a": [[score(0.2)]]})
    assert (entry["std"], entry["n"], spread(entry)) == (None, 1, "")


@pytest.mark.parametrize(
    "field", ["task", "metric", "representation", "transformation", "border", "probe", "parameter", "control"]
)
def test_scores_that_differ_in_any_field_are_kept_apart(field: str) -> None:
    entries = summarise({"a": [[score(0.1), score(0.9, **{field: "other"})]]})
    assert sorted(entry["mean"] for entry in entries) == [0.1, 0.9]


def test_names_are_kept_apart_and_stand_side_by_side_in_a_pivot() -> None:
    summary = summarise(
        {"a": [[score(0.1, border="zeros"), score(0.2, border="content")]], "b": [[score(0.3, border="zeros")]]}
    )
    rows = pivot(summary, ("border",))
    assert [key for key, _ in rows] == [("content",), ("zeros",)]
    assert {name: entry["mean"] for name, entry in rows[1][1].items()} == {"a": 0.1, "b": 0.3}
    assert [entry["mean"] for entry in select(summary, border=("content", "other"))] == [0.2]


@pytest.mark.parametrize("value", [None, "0.5", True])
def test_a_row_without_a_number_counts_for_nothing(value: object) -> None:
    (entry,) = summarise({"a": [[score(value), score(0.5)]]})
    assert (entry["mean"], entry["n"]) == (0.5, 1)


def test_a_failed_probe_is_not_hidden_by_the_others() -> None:
    (entry,) = summarise({"a": [[score(math.nan), score(0.5)]]})
    assert all(math.isnan(entry[key]) for key in ("mean", "std", "min", "max"))
    assert number(entry["mean"]) == "NaN"


@pytest.mark.parametrize(
    ("value", "metric", "text"),
    [
        (0.81249, "r2", "0.812"),
        (-0.0601, "r2", "\N{MINUS SIGN}0.060"),
        (-0.0001, "r2", "0.000"),
        (0.61849, "top1", "61.8 %"),
        (None, "r2", "\N{EN DASH}"),
    ],
)
def test_numbers_are_written_as_agreed(value: float | None, metric: str, text: str) -> None:
    assert number(value, metric) == text
