"""The colors and dashes by which a plot tells names apart, and their marks in a legend."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

from equicoherence.reporting.markup import Markup, element

T = TypeVar("T")

TONES = 7  # colors of names in style.css, .t0 to .t6
DASHES = ((), (6, 3), (2, 2))
QUIET_DASHES = ((6, 3), (2, 2), (9, 3, 2, 3))
CONTROLS: dict[str, tuple[float, ...]] = {"random": (), "constant": (2, 2)}


def key(index: int) -> Markup:
    """Return a small color patch for the legend."""
    return _key(f"tone t{index % TONES}", cycle(DASHES, index, TONES), 6)


def control_key(control: str) -> Markup:
    """Return the mark of a floor for the legend, in the color of the text."""
    return _key("floor", CONTROLS[control], 2.5)


def random_key(index: int) -> Markup:
    """Return the mark of random weights in `score_curves` for the legend, in the color of the text."""
    return _key("floor", cycle(QUIET_DASHES, index, 1), 2.5)


def dashed(dash: Sequence[float]) -> str | None:
    """Return the lengths of dashes and gaps as SVG takes them; None for a whole line."""
    return " ".join(map(str, dash)) or None


def cycle(options: Sequence[T], index: int, stride: int) -> T:
    """Return the option of an index, where every one is that of ``stride`` indices, and all come round again."""
    return options[index // stride % len(options)]


def _key(kind: str, dash: Sequence[float], width: float) -> Markup:
    line = element("line", x1="1", y1="5", x2="25", y2="5", class_=kind, stroke_dasharray=dashed(dash),
                   style=f"stroke-width:{width}")  # fmt: skip
    return element("svg", line, class_="key", width="26", height="10", aria_hidden="true")
