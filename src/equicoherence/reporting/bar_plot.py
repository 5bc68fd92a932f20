"""Scores as grouped bars, drawn as inline SVG, whose colors follow the page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from equicoherence.reporting.markup import Markup, element
from equicoherence.reporting.plot_frame import Frame, lines_across, picture
from equicoherence.reporting.plot_keys import CONTROLS, TONES, dashed
from equicoherence.reporting.tables import MISSING, number

LOWEST = -0.5  # an R2 below this is cut off and its bar marked
LEFT = 44  # width of the numbers at the axis
MARGIN = 56  # width that groups of bars leave to the axis
CHARACTER = 5.6  # width of one in the letters of a plot, about
USUAL = 16  # letters of the title of a group, with the space beside it


@dataclass(frozen=True)
class Bar:
    """One score: mean with the ends of its whisker, the floors {control: value} that go with it, and what it is."""

    mean: float
    low: float
    high: float
    controls: dict[str, float] = field(default_factory=dict)
    text: str = ""


def bars(
    categories: Sequence[str],
    series: Sequence[Sequence[Bar | None]],
    label: str,
    lowest: float = 0.0,
    axis: str = "R²",
    width: float = 240,
) -> Markup:
    """Draw scores as grouped bars with whiskers, and a mark across each bar for its floors.

    categories: groups on the x axis. series: for each name, one `Bar` for each category, None if there is none.
    label: what the plot shows. lowest: lower end of the axis, at least `LOWEST`, so that several charts share one axis.
    axis: what the heights are. width: of the plot at the least, in its units.
    """
    bottom = max(lowest, LOWEST)
    longest = max(map(len, categories))
    room = max(34.0, least_room(len(series)), (width - MARGIN) / len(categories))
    tilted = longest * CHARACTER > room - 4
    depth = 22 + (min(longest, 26) * CHARACTER * 0.55 if tilted else 4)
    left = LEFT + (min(longest, 26) * CHARACTER * 0.4 if tilted else 0)
    span = bottom - (0.06 if bottom < 0 else 0.0), 1.05
    width = left + MARGIN - LEFT + room * len(categories)
    frame = Frame((0, len(categories)), span, width=width, height=196 + depth, left=left, top=18, bottom=depth)
    parts = [lines_across(frame), element("text", axis, x=2, y=frame.top - 2, class_="unit")]
    step = (frame.across(1) - frame.across(0)) / (len(series) + 0.8)
    for index, scores in enumerate(series):
        for place, bar in enumerate(scores):
            parts.append(_bar(frame, frame.across(place) + step * (0.4 + index), step * 0.88, index, bar))
    parts.append(element("line", x1=frame.left, x2=frame.width - frame.right, y1=frame.down(0), y2=frame.down(0),
                         class_="axis"))  # fmt: skip
    for place, title in enumerate(categories):
        x, y = frame.across(place + 0.5), frame.height - frame.bottom + 14
        turn = {"transform": f"rotate(-32 {x:.1f} {y:.1f})", "text_anchor": "end"} if tilted else {}
        short = title if len(title) <= 26 else title[:25] + "…"
        parts.append(element("text", short, x=f"{x:.1f}", y=f"{y:.1f}", **({"text_anchor": "middle"} | turn)))
    return picture(frame, label, parts, [])


def least_room(names: int) -> float:
    """Return the width of a group of bars at the least, one bar for each name."""
    return 15.0 * names + 14


def fitting(names: int, width: float) -> int:
    """Return how many groups of bars with a title of usual length fit into a width, one at the least."""
    return max(1, int((width - MARGIN) / max(USUAL * CHARACTER, least_room(names))))


def _bar(frame: Frame, x: float, width: float, index: int, bar: Bar | None) -> Markup:
    if bar is None:
        return element("text", MISSING, x=f"{x + width / 2:.1f}", y=f"{frame.down(0) - 2:.1f}", text_anchor="middle")
    shown = min(max(bar.mean, LOWEST), 1.05)
    top, base, middle = frame.down(max(shown, 0)), frame.down(min(shown, 0)), x + width / 2
    tone = f"t{index % TONES}"
    parts = [element("rect", x=f"{x:.1f}", y=f"{top:.1f}", width=f"{width:.1f}", height=f"{base - top:.1f}",
                     class_=f"tone {tone} fill{' pale' if index >= TONES else ''}")]  # fmt: skip
    if bar.high > bar.low:
        low, high = (frame.down(min(max(end, LOWEST), 1.05)) for end in (bar.low, bar.high))
        reach = width / 6
        ends = "".join(f"M{middle - reach:.1f} {end:.1f}h{2 * reach:.1f}" for end in (low, high))
        parts.append(element("path", d=f"M{middle:.1f} {low:.1f}V{high:.1f}{ends}", class_="whisker"))
    for control, value in bar.controls.items():
        y = frame.down(min(max(value, LOWEST), 1.05))
        line = {"x1": f"{x - 2:.1f}", "x2": f"{x + width + 2:.1f}", "y1": f"{y:.1f}", "y2": f"{y:.1f}"}
        parts.append(element("line", **line, class_="halo"))
        parts.append(element("line", **line, class_="floor", stroke_dasharray=dashed(CONTROLS[control])))
    if bar.mean < LOWEST:
        parts.append(element("text", "▼", x=f"{middle:.1f}", y=f"{frame.down(LOWEST) + 4:.1f}", text_anchor="middle"))
    return element("g", *parts, class_="bar", tabindex="0", data_tip=bar.text or number(bar.mean), aria_label=bar.text)
