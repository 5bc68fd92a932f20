"""The frame of a plot: where numbers lie in the picture, its axes, and what a pointer reads of its lines."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from equicoherence.reporting.markup import Markup, element, join

DEGREES = "degrees"  # an axis whose ticks are right angles
STEPS = "step"  # one whose ticks are whole numbers


@dataclass(frozen=True)
class Frame:
    """Where a plot lies in its picture, in its units, and which numbers it spans: x and y are (begin, end)."""

    x: tuple[float, float]
    y: tuple[float, float]
    width: float = 360
    height: float = 210
    left: float = 44
    right: float = 12
    top: float = 12
    bottom: float = 36
    logarithmic: bool = False

    def across(self, value: float) -> float:
        """Return where a number of the x axis is."""
        begin, end = self.x
        return self.left + (value - begin) / (end - begin) * (self.width - self.left - self.right)

    def down(self, value: float) -> float:
        """Return where a number of the y axis is."""
        begin, end, value = (math.log10(v) if self.logarithmic else v for v in (*self.y, value))
        return self.height - self.bottom - (value - begin) / (end - begin) * (self.height - self.top - self.bottom)


def ticks(begin: float, end: float, most: int = 5) -> list[float]:
    """Return round numbers in [begin, end], at most ``most`` + 1: multiples of 1, 2 or 5 times a power of ten."""
    rough = (end - begin) / most
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * factor for factor in (1, 2, 5, 10) if power * factor >= rough * (1 - 1e-9))
    first, last = math.ceil(begin / step - 1e-9), math.floor(end / step + 1e-9)
    return [round(k * step, 12) for k in range(first, last + 1)]


def axes(frame: Frame, title: str, unit: str = "") -> Markup:
    """Return grid, ticks and the title of the x axis."""
    parts = [lines_across(frame)]
    begin, end = frame.x
    places = [90.0 * k for k in range(math.ceil(begin / 90), math.floor(end / 90) + 1)] if unit == DEGREES else []
    places = places if len(places) > 1 else ticks(begin, end)
    for value in [each for each in places if each == round(each)] if unit == STEPS else places:
        x = f"{frame.across(value):.1f}"
        parts.append(element("text", _short(value), x=x, y=frame.height - frame.bottom + 14, text_anchor="middle"))
    middle = (frame.left + frame.width - frame.right) / 2
    parts.append(element("text", title, x=middle, y=frame.height - 5, text_anchor="middle", class_="title"))
    return join(parts)


def lines_across(frame: Frame) -> Markup:
    """Return the grid of the y axis with its numbers."""
    parts = []
    for value in _ticks_down(frame):
        y = f"{frame.down(value):.1f}"
        parts.append(element("line", x1=frame.left, x2=frame.width - frame.right, y1=y, y2=y, class_="grid"))
        parts.append(element("text", _short(value), x=frame.left - 5, y=f"{frame.down(value) + 3.5:.1f}",
                             text_anchor="end"))  # fmt: skip
    return join(parts)


def with_room(frame: Frame) -> Frame:
    """Return the frame with a left margin that the longest number at the y axis fits into."""
    longest = max((len(_short(value)) for value in _ticks_down(frame)), default=0)
    return dataclasses.replace(frame, left=max(frame.left, 12 + 6.2 * longest))


def picture(
    frame: Frame, label: str, parts: Sequence[object], read: Sequence[tuple[str, np.ndarray, np.ndarray]]
) -> Markup:
    """Return the plot with what a pointer reads of it. read: name, places and values of each line."""
    lines = [{"name": name, "x": _numbers(xs), "y": _numbers(ys)} for name, xs, ys in read]
    where = [frame.left, frame.width - frame.right, *frame.x, frame.width]
    more = {"data_lines": json.dumps(lines, separators=(",", ":")), "data_frame": json.dumps(where)} if lines else {}
    box = f"0 0 {frame.width:.0f} {frame.height:.0f}"
    return element("svg", *parts, class_="plot", viewBox=box, role="img", aria_label=label, **more)


def span(values: np.ndarray, logarithmic: bool = False, margin: float = 0.04) -> tuple[float, float]:
    """Return the ends of an axis that shows all values, never one point alone."""
    if not len(values):
        return 0.0, 1.0
    low, high = float(values.min()), float(values.max())
    if logarithmic:
        return low / 1.1, high * 1.1
    wide = high - low or abs(high) or 1.0
    return low - margin * wide, high + margin * wide


def _ticks_down(frame: Frame) -> list[float]:
    """Return the numbers at the y axis."""
    begin, end = frame.y
    if not frame.logarithmic:
        return ticks(begin, end)
    first, last = math.ceil(math.log10(begin) - 1e-9), math.floor(math.log10(end) + 1e-9)
    return [10.0**k for k in range(first, last + 1)] or [begin, end]


def _short(value: float) -> str:
    text = f"{value:g}" if abs(value) < 1e4 else f"{value / 1000:g}k"
    return text.replace("-", "\N{MINUS SIGN}")


def _numbers(values: np.ndarray) -> list[float | None]:
    return [float(f"{value:.4g}") if math.isfinite(value) else None for value in values.tolist()]
