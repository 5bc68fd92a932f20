"""Training curves: what is read from metrics.jsonl and what is drawn."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from equicoherence.reporting import bar_plot, curve_plot, plot_frame, plot_keys
from equicoherence.reporting.runs import curve, read_run
from equicoherence.reporting.tables import MISSING
from equicoherence.reporting.training import training_section

WriteRun = Callable[..., Path]  # the fixture of conftest.py


def test_half_a_last_line_is_left_out(write_run: WriteRun) -> None:
    run = write_run(lines=10)
    with (run / "metrics.jsonl").open("a") as file:
        file.write('{"step": 275, "loss": 0.')
    steps, losses = curve(read_run(run), "loss")
    assert steps.tolist() == [25.0 * (i + 1) for i in range(10)]
    assert len(losses) == 10


def test_values_that_are_not_finite_are_counted_in_words(write_run: WriteRun) -> None:
    run = write_run(lines=10)
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    for i in (3, 4, 9):
        lines[i]["loss"] = None  # as training writes what is not finite
    (run / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    page = training_section({"a": [read_run(run)]})
    assert page.count("not finite at") == 1
    assert "not finite at 3 steps" in page


def test_a_run_in_which_nothing_is_finite_still_gives_a_picture() -> None:
    line = curve_plot.Curve(np.array([1.0, 2.0]), np.array([np.nan, np.inf]), index=0)
    drawn = curve_plot.curves([line], "a loss", logarithmic=True)
    assert drawn.startswith("<svg")
    assert not re.search("nan|inf", drawn.replace("infin", ""))


def test_a_long_curve_is_thinned_without_losing_its_spikes() -> None:
    values = np.zeros(100_000)
    values[54_321], values[77_777], values[10] = 9.0, -9.0, np.nan
    steps, kept = curve_plot.thin(np.arange(100_000.0), values)
    assert len(kept) <= curve_plot.POINTS
    assert (steps[kept == 9.0].tolist(), steps[kept == -9.0].tolist()) == ([54_321.0], [77_777.0])
    assert (np.diff(steps) > 0).all()


def test_a_stretch_without_a_finite_value_stays_a_gap() -> None:
    values = np.ones(100_000)
    values[40_000:60_000] = np.nan
    steps, kept = curve_plot.thin(np.arange(100_000.0), values)
    assert np.isnan(kept[(steps > 41_000) & (steps < 59_000)]).all()


def test_lines_beyond_the_palette_can_still_be_told_apart() -> None:
    keys = [plot_keys.key(index) for index in range(2 * plot_keys.TONES)]
    assert len(set(keys)) == len(keys)


def test_bars_are_drawn_for_missing_and_very_bad_scores_alike() -> None:
    scores = [None, bar_plot.Bar(0.5, 0.5, 0.5), bar_plot.Bar(-40.0, -50.0, -30.0, {"random": 0.2, "constant": -0.9})]
    drawn = bar_plot.bars(["a", "b", "$c_{"], [scores], "bars", lowest=-40.0)
    assert (drawn.count(MISSING), drawn.count("▼")) == (1, 1)
    heights = [float(height) for height in re.findall('<rect [^>]*height="([^"]*)"', drawn)]
    zero, half = (float(re.findall(f'y="([\\d.]+)" text-anchor="end">{text}<', drawn)[0]) for text in ("0", "0.5"))
    assert heights[0] == pytest.approx(zero - half, abs=0.11)
    assert heights[1] == pytest.approx(zero - half, abs=0.11), "cut off at the lower end of the axis, -.5"


def test_a_pointer_reads_the_values_that_are_drawn() -> None:
    line = curve_plot.Curve(np.array([10.0, 20.0]), np.array([0.12345, np.nan]), index=1, name='a "<b>"')
    drawn = curve_plot.curves([line], "a loss")
    assert "<b>" not in drawn
    (lines,) = re.findall('data-lines="([^"]*)"', drawn)
    assert json.loads(html.unescape(lines)) == [{"name": 'a "<b>"', "x": [10.0, 20.0], "y": [0.1235, None]}]


@pytest.mark.parametrize(
    ("begin", "end", "found"),
    [
        (0, 1, [0, 0.2, 0.4, 0.6, 0.8, 1]),
        (-0.56, 1.05, [-0.5, 0, 0.5, 1]),
        (3, 3.5, [3, 3.1, 3.2, 3.3, 3.4, 3.5]),
        (1, 940, [200, 400, 600, 800]),
    ],
)
def test_ticks_are_round_numbers(begin: float, end: float, found: list[float]) -> None:
    assert plot_frame.ticks(begin, end) == found
