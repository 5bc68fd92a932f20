"""Curves over training steps, and scores along an axis, drawn as inline SVG: colors follow the page, light or dark, and
a pointer shows the values. Names are not drawn; the page has its own legend (`plot_keys`)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from equicoherence.reporting.markup import Markup, element
from equicoherence.reporting.plot_frame import DEGREES, STEPS, Frame, axes, picture, span, with_room
from equicoherence.reporting.plot_keys import CONTROLS, DASHES, QUIET_DASHES, TONES, cycle, dashed

POINTS = 400  # drawn for one line; a screen shows no more


@dataclass(frozen=True)
class Curve:
    """One run's curve: steps and values (N,), and the index of its name among the colors. name: what it is called."""

    steps: np.ndarray
    values: np.ndarray
    index: int
    name: str = ""


@dataclass(frozen=True)
class ScoreCurve:
    """Scores of one encoder along an axis, in its order: places, means, smallest and largest (N,).

    index: of its name among the colors; where ``control``, among those of random weights, which share one. name: what
    it is called.
    """

    at: Sequence[float]
    means: Sequence[float]
    lows: Sequence[float]
    highs: Sequence[float]
    index: int
    control: bool = False
    name: str = ""


def curves(lines: Sequence[Curve], label: str, logarithmic: bool = False) -> Markup:
    """Draw one metric over training steps for several runs; non-finite values are crosses on the lower edge.

    label: what the plot shows, for those who do not see it. logarithmic: use a logarithmic axis where all values are
    positive and span more than a factor of 50.
    """
    every = np.concatenate([line.values for line in lines])
    finite, steps = every[np.isfinite(every)], np.concatenate([line.steps for line in lines])
    logarithmic = logarithmic and _spans_magnitudes(finite)
    frame = with_room(Frame(span(steps), span(finite, logarithmic), logarithmic=logarithmic))
    parts: list[object] = [axes(frame, STEPS, STEPS)]
    read = []
    for line in lines:
        tone, dash = f"tone t{line.index % TONES}", dashed(cycle(DASHES, line.index, TONES))
        xs, ys = thin(line.steps, line.values)
        parts.append(element("path", d=_drawn(frame, xs, ys), class_=tone, stroke_dasharray=dash))
        if len(ys) == 1 and np.isfinite(ys[0]):
            parts.append(_dot(frame, xs[0], ys[0], tone))
        edge = frame.height - frame.bottom - 4
        crosses = [
            f"M{frame.across(x) - 3:.1f} {edge - 3:.1f}l6 6m0 -6l-6 6" for x in line.steps[~np.isfinite(line.values)]
        ]
        parts.append(element("path", d="".join(crosses[:POINTS]), class_=f"{tone} broken") if crosses else "")
        read.append((line.name, xs, ys))
    return picture(frame, label, parts, read)


def score_curves(lines: Sequence[ScoreCurve], axis: str, label: str, floor: float | None = None) -> Markup:
    """Draw one score of several encoders along an axis, with bands from smallest to largest.

    axis: what the places are. label: what the plot shows. floor: the score of a constant, drawn where it is in sight.
    """
    places = np.array([at for line in lines for at in line.at], dtype=np.float64)
    ends = [end for line in lines for ends in (line.lows, line.highs, line.means) for end in ends]
    low, high = span(np.array(ends, dtype=np.float64))
    if floor is not None and low - 0.5 * (high - low) < floor < high + 0.5 * (high - low):
        low, high = span(np.array([*ends, floor], dtype=np.float64))  # one far off must not flatten the curves
    frame = with_room(Frame(span(places, margin=0.02), (low, high)))
    parts, read = [axes(frame, axis, DEGREES if axis == DEGREES else "")], []
    if floor is not None and low <= floor <= high:
        parts.append(_across(frame, floor, "constant"))
    for line in lines:
        tone = "floor" if line.control else f"tone t{line.index % TONES}"
        dash = dashed(cycle(QUIET_DASHES, line.index, 1) if line.control else cycle(DASHES, line.index, TONES))
        at = np.array(line.at, dtype=np.float64)
        if list(line.lows) != list(line.highs):
            there, back = _drawn(frame, at, np.array(line.highs)), _drawn(frame, at[::-1], np.array(line.lows[::-1]))
            parts.append(element("path", d=f"{there}L{back[1:]}Z", class_=f"{tone} band"))
        parts.append(element("path", d=_drawn(frame, at, np.array(line.means)), class_=tone, stroke_dasharray=dash))
        parts += [] if line.control else [_dot(frame, x, y, tone) for x, y in zip(line.at, line.means)]
        read.append((line.name, at, np.array(line.means)))
    return picture(frame, label, parts, read)


def thin(steps: np.ndarray, values: np.ndarray, points: int = POINTS) -> tuple[np.ndarray, np.ndarray]:
    """Keep at most ``points`` of a long curve: the smallest and the largest of each stretch, so no spike is lost."""
    if len(values) <= points:
        return steps, values
    kept = []
    for part in np.array_split(np.arange(len(values)), points // 2):
        finite = part[np.isfinite(values[part])]
        if len(finite):
            kept += sorted({finite[values[finite].argmin()], finite[values[finite].argmax()]})
        else:
            kept.append(part[0])
    return steps[kept], values[kept]


def _across(frame: Frame, value: float, control: str) -> Markup:
    y = f"{frame.down(value):.1f}"
    dash = dashed(CONTROLS[control])
    return element(
        "line", x1=frame.left, x2=frame.width - frame.right, y1=y, y2=y, class_="floor", stroke_dasharray=dash
    )


def _drawn(frame: Frame, xs: np.ndarray, ys: np.ndarray) -> str:
    """Return a line through the points, broken where a value is not finite."""
    written, pen = [], "M"
    for x, y in zip(xs, ys):
        if not math.isfinite(y):
            pen = "M"
            continue
        written.append(f"{pen}{frame.across(x):.1f} {frame.down(y):.1f}")
        pen = "L"
    return "".join(written)


def _dot(frame: Frame, x: float, y: float, tone: str) -> Markup:
    return element("circle", cx=f"{frame.across(x):.1f}", cy=f"{frame.down(y):.1f}", r="2.6", class_=f"{tone} dot")


def _spans_magnitudes(finite: np.ndarray) -> bool:
    return bool(len(finite)) and bool(finite.min() > 0 and finite.max() > 50 * finite.min())
