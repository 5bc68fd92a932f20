"""Draw curves and bars as SVG. No name of a run is drawn: the page's own legend (`key`) says which color is which."""

from __future__ import annotations

import html
import io
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

import matplotlib
import numpy as np
from matplotlib import font_manager
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke
from matplotlib.ticker import MultipleLocator

from equicoherence.reporting.markup import Markup
from equicoherence.reporting.tables import MISSING, number

T = TypeVar("T")

# Okabe and Ito's palette without its yellow, which a white ground swallows.
PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#333333")
DASHES = ((), (4, 2), (1, 1.5))
QUIET_DASHES = ((4, 2), (1, 1.5), (6, 1.5, 1, 1.5))
HATCHES = ("", "////", "....")
INK = "#333a45"
CONTROLS = {"random": (INK, ()), "constant": ("#7a828e", (1, 1.2))}
STYLE: dict[Any, Any] = {
    "font.family": "DejaVu Sans",
    "font.size": 9,
    "axes.edgecolor": "#9aa3af",
    "axes.labelcolor": INK,
    "text.color": INK,
    "text.usetex": False,
    "xtick.color": INK,
    "ytick.color": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.facecolor": "white",
    "figure.facecolor": "white",
    "svg.hashsalt": "equicoherence",  # same numbers, same bytes
    "svg.fonttype": "path",
}
DEGREES = "degrees"  # an axis whose ticks are right angles
POINTS = 1200  # drawn for one line; a screen shows no more
HALO = (withStroke(linewidth=3, foreground="white"),)  # keeps marks and numbers legible on bars and lines
LOWEST = -0.5  # an R2 below this is cut off and its bar marked


@dataclass(frozen=True)
class Curve:
    """One run's curve: steps and values (N,), and the index of its name in the palette."""

    steps: np.ndarray
    values: np.ndarray
    index: int


@dataclass(frozen=True)
class ScoreCurve:
    """Scores of one encoder along an axis, in its order: places, means, smallest and largest (N,).

    index: of its name in the palette; where ``control``, among those of random weights, which share one color.
    """

    at: Sequence[float]
    means: Sequence[float]
    lows: Sequence[float]
    highs: Sequence[float]
    index: int
    control: bool = False


@dataclass(frozen=True)
class Bar:
    """One score: mean with smallest and largest, and the floors {control: value} that go with it."""

    mean: float
    low: float
    high: float
    controls: dict[str, float] = field(default_factory=dict)


def key(index: int) -> Markup:
    """Return a small color patch for the legend, as inline SVG."""
    color, dash = PALETTE[index % len(PALETTE)], _dash(index)
    pattern = " ".join(str(2 * d) for d in dash)
    return Markup(
        '<svg class="key" width="26" height="10" aria-hidden="true"><line x1="1" y1="5" x2="25" y2="5" '
        f'stroke="{color}" stroke-width="6" stroke-dasharray="{html.escape(pattern)}"/></svg>'
    )


def control_key(control: str) -> Markup:
    """Return the mark of a floor for the legend, as inline SVG in the color of the text."""
    return _quiet_key(CONTROLS[control][1])


def random_key(index: int) -> Markup:
    """Return the mark of random weights in `score_curves` for the legend, as inline SVG in the color of the text."""
    return _quiet_key(_cycle(QUIET_DASHES, index, 1))


def _quiet_key(dash: Sequence[float]) -> Markup:
    pattern = " ".join(str(2 * d) for d in dash)
    return Markup(
        '<svg class="key" width="26" height="10" aria-hidden="true"><line x1="1" y1="5" x2="25" y2="5" '
        f'stroke="currentColor" stroke-width="2.5" stroke-dasharray="{pattern}"/></svg>'
    )


def curves(lines: Sequence[Curve], logarithmic: bool = False) -> bytes:
    """Draw one metric over training steps for several runs; non-finite values are crosses on the lower edge.

    logarithmic: use a logarithmic axis where all values are positive and span more than a factor of 50.
    """
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(4.2, 2.5), layout="constrained")
        axes = figure.add_subplot()
        for line in lines:
            color = PALETTE[line.index % len(PALETTE)]
            steps, values = thin(line.steps, line.values)
            marker = "o" if len(values) < 2 else None
            (drawn,) = axes.plot(steps, values, color=color, linewidth=1.5, alpha=0.85, marker=marker, markersize=4)
            if _dash(line.index):
                drawn.set_dashes(_dash(line.index))
            broken = line.steps[~np.isfinite(line.values)]
            axes.plot(
                broken,
                np.full(len(broken), 0.02),
                "x",
                color=color,
                transform=axes.get_xaxis_transform(),
                clip_on=False,
            )
        if logarithmic and _spans_magnitudes(np.concatenate([line.values for line in lines])):
            axes.set_yscale("log")
        axes.set_xlabel("step")
        axes.locator_params(axis="x", nbins=5)
        axes.grid(axis="y", color="#e6e9ee", linewidth=0.8)
        return as_svg(figure)


def score_curves(lines: Sequence[ScoreCurve], axis: str, floor: float | None = None) -> bytes:
    """Draw one score of several encoders along an axis, with bands from smallest to largest.

    axis: what the places are. floor: the score of a constant, drawn where it is in sight.
    """
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(4.2, 2.7), layout="constrained")
        axes = figure.add_subplot()
        for line in lines:
            color = INK if line.control else PALETTE[line.index % len(PALETTE)]
            dash = _cycle(QUIET_DASHES, line.index, 1) if line.control else _dash(line.index)
            width, marker = (1.1, None) if line.control else (1.5, "o")
            (drawn,) = axes.plot(line.at, line.means, color=color, linewidth=width, marker=marker, markersize=3)
            if dash:
                drawn.set_dashes(dash)
            if list(line.lows) != list(line.highs):
                axes.fill_between(line.at, line.lows, line.highs, color=color, alpha=0.15, linewidth=0)
        if floor is not None:
            shown = axes.get_ylim()
            tone, dash = CONTROLS["constant"]
            axes.axhline(floor, color=tone, linewidth=1.2, dashes=dash, zorder=1)
            margin = 0.5 * (shown[1] - shown[0])  # a floor far off must not flatten the curves
            axes.set_ylim(
                min(shown[0], floor) if floor > shown[0] - margin else shown[0],
                max(shown[1], floor) if floor < shown[1] + margin else shown[1],
            )
        axes.set_xlabel(axis)
        if axis == DEGREES:
            axes.xaxis.set_major_locator(MultipleLocator(90))
        axes.grid(color="#e6e9ee", linewidth=0.8)
        axes.set_axisbelow(True)
        return as_svg(figure)


def bars(categories: Sequence[str], series: Sequence[Sequence[Bar | None]], lowest: float = 0.0) -> bytes:
    """Draw R2 as grouped bars with whiskers from smallest to largest, and a mark across each bar for its floors.

    categories: groups on the x axis. series: for each name, one `Bar` for each category, None where there is none.
    lowest: lower end of the axis, at least `LOWEST`, so that several charts share one axis.
    """
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(max(5.2, 0.36 * len(categories) * (len(series) + 1)), 2.9), layout="constrained")
        axes = figure.add_subplot()
        bottom = max(lowest, LOWEST)
        axes.set_ylim(bottom - (0.06 if bottom < 0 else 0.0), 1.05)
        width = min(0.8 / len(series), 0.28)
        for index, scores in enumerate(series):
            offset = (index - (len(series) - 1) / 2) * width
            for position, bar in enumerate(scores):
                _draw_bar(
                    axes, position + offset, 0.88 * width, index, bar, labelled=len(series) * len(categories) <= 16
                )
        axes.axhline(0, color="#9aa3af", linewidth=0.8)
        axes.set_xticks(range(len(categories)), [drawable(c) for c in categories], parse_math=False)
        if len(categories) > 5 or max(map(len, categories)) > 14:
            axes.tick_params(axis="x", rotation=25)
            for label in axes.get_xticklabels():
                label.set_horizontalalignment("right")
        axes.set_xlim(-0.6, len(categories) - 0.4)
        axes.tick_params(axis="x", length=0)
        axes.set_ylabel("R²")
        axes.grid(axis="y", color="#e6e9ee", linewidth=0.8)
        axes.set_axisbelow(True)
        return as_svg(figure)


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


def drawable(text: str) -> str:
    """Replace characters that the font of the plots does not have by "?"."""
    font = font_manager.get_font(font_manager.findfont("DejaVu Sans"))
    return "".join(c if c.isprintable() and font.get_char_index(ord(c)) else "?" for c in text)


def _draw_bar(axes: Axes, x: float, width: float, index: int, bar: Bar | None, labelled: bool) -> None:
    if bar is None:
        axes.text(x, 0.01, MISSING, ha="center", va="bottom", fontsize=8)
        return
    color = PALETTE[index % len(PALETTE)]
    axes.bar(x, bar.mean, width, color=color, hatch=_cycle(HATCHES, index), edgecolor="white", linewidth=0)
    if bar.high > bar.low:
        axes.vlines(x, bar.low, bar.high, color="black", linewidth=1.2, zorder=3)
        axes.hlines((bar.low, bar.high), x - width / 6, x + width / 6, color="black", linewidth=1.2, zorder=3)
    for control, value in bar.controls.items():
        tone, dash = CONTROLS[control]
        reach = (x - width * 0.6, x + width * 0.6)
        # The floor of zero is drawn over the axis line, so both stay visible.
        axes.plot(
            reach, (value, value), color=tone, linewidth=1.6, dashes=dash or (None, None), path_effects=HALO, zorder=4
        )
    if bar.mean < LOWEST:
        axes.text(x, LOWEST, "▼", ha="center", va="center", fontsize=8, color=color)
    if labelled:
        top = min(max(bar.high, 0.0), 1.0)
        axes.text(x, top + 0.02, number(bar.mean), ha="center", va="bottom", fontsize=7, path_effects=HALO, zorder=5)


def _spans_magnitudes(values: np.ndarray) -> bool:
    finite = values[np.isfinite(values)]
    return bool(len(finite)) and bool(finite.min() > 0 and finite.max() > 50 * finite.min())


def _dash(index: int) -> tuple[float, ...]:
    return _cycle(DASHES, index)


def _cycle(options: Sequence[T], index: int, stride: int = len(PALETTE)) -> T:
    return options[index // stride % len(options)]


def as_svg(figure: Figure) -> bytes:
    """Return a figure as SVG: of the same numbers the same bytes."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="svg", metadata={"Date": None})
    return buffer.getvalue()
