"""Means and spreads over seeds and repeats, and how numbers are written."""

from __future__ import annotations

import math
from dataclasses import asdict
from typing import Any

import pytest

from equicoherence.evaluation.task import Row
from equicoherence.reporting.summary import FIELDS, distinct, flat_rows, pivot, select, summarise
from equicoherence.reporting.tables import number, range_text
from tests.reporting.scored import part, scores

PLACE = {"task": "transformation", "data": "shapes", "protocol": "frozen", "control": "", "main": True, "higher": True}


def score(value: float, **fields: Any) -> dict[str, Any]:
    return {**asdict(Row("r2", value, target="rotation")), **PLACE, **fields}


def test_repeats_are_averaged_within_a_run_before_runs_are_compared() -> None:
    first = [score(0.2, repeat=0), score(0.4, repeat=1)]
    second = [score(0.5, repeat=0)]  # one repeat: must weigh as much as the two of the first run
    (entry,) = summarise({"a": [first, second]})
    assert entry.mean == pytest.approx(0.4)
    assert (entry.low, entry.high) == (pytest.approx(0.3), pytest.approx(0.5))
    assert entry.std == entry.spread_of_runs == pytest.approx(0.2 / math.sqrt(2))
    assert (entry.n, entry.over, entry.runs) == (2, "runs", 2)


def test_spread_is_over_repeats_where_one_run_has_the_score() -> None:
    (entry,) = summarise({"a": [[score(0.2, repeat=0), score(0.4, repeat=1), score(0.6, repeat=2)], []]})
    assert (entry.mean, entry.std) == (pytest.approx(0.4), pytest.approx(0.2))
    assert (entry.n, entry.over, entry.runs, entry.spread_of_runs) == (3, "repeats", 1, None)
    assert range_text(entry) == "0.200 to 0.600, 3 repeats"


def test_a_single_value_has_no_spread() -> None:
    (entry,) = summarise({"a": [[score(0.2)]]})
    assert (entry.std, entry.n, range_text(entry)) == (None, 1, "")


@pytest.mark.parametrize("field", FIELDS)
def test_scores_that_differ_in_any_field_are_kept_apart(field: str) -> None:
    entries = summarise({"a": [[score(0.1), score(0.9, **{field: "other"})]]})
    assert sorted(entry.mean for entry in entries) == [0.1, 0.9]


def test_floors_go_from_the_smallest_to_the_largest_over_runs() -> None:
    with_floors = summarise({"a": [[score(0.5, floor=0.2)], [score(0.5, floor=-0.1)], [score(0.5)]]})
    assert [entry.floors for entry in with_floors] == [(-0.1, 0.2)]
    assert [entry.floors for entry in summarise({"a": [[score(0.5)]]})] == [None]


def test_names_are_kept_apart_and_stand_side_by_side_in_a_pivot() -> None:
    entries = summarise(
        {"a": [[score(0.1, border="zeros"), score(0.2, border="content")]], "b": [[score(0.3, border="zeros")]]}
    )
    rows = pivot(entries, ("border",))
    assert [key for key, _ in rows] == [("content",), ("zeros",)]
    assert {name: entry.mean for name, entry in rows[1][1].items()} == {"a": 0.1, "b": 0.3}
    assert [entry.mean for entry in select(entries, border=("content", "other"))] == [0.2]


def test_values_stand_in_reading_order_and_unknown_ones_as_they_appear() -> None:
    entries = summarise(
        {"a": [[score(0.1, task=task, representation=task) for task in ("z", "new", "knn", "backbone")]]}
    )
    assert distinct(entries, "task") == ["knn", "z", "new", "backbone"]
    assert distinct(entries, "representation") == ["backbone", "z", "new", "knn"]


def test_rows_say_what_their_part_is_and_whether_they_are_a_main_figure() -> None:
    rows = [
        Row("r2", 0.5, target="se2", probe="linear"),
        Row("r2", 0.7, target="se2", probe="mlp"),
        Row("r2", 0.9, target="se2", probe="mlp", parameter="angle"),
        Row("r2", 0.6, target="a new one", probe="linear"),
    ]
    flat = flat_rows(scores([part(rows, task="transformation", control="random", probe_order=["mlp", "linear"])]))
    assert [row["value"] for row in flat if row["main"]] == [0.7, 0.6]
    assert {(row["task"], row["data"], row["control"], row["higher"]) for row in flat} == {
        ("transformation", "shapes", "random", True)
    }
    assert flat_rows({}) == []


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
