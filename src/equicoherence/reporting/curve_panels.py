"""Plots of the scores that are points of curves: one for each figure, all encoders in it."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from equicoherence.evaluation.registry import all_tasks
from equicoherence.reporting import curve_plot, plot_keys
from equicoherence.reporting.markup import Markup, element
from equicoherence.reporting.names import data_name, metric_name, target_name
from equicoherence.reporting.summary import Score, distinct, joint_floors, pivot
from equicoherence.reporting.tables import number

FIGURE = ("data", "protocol", "target", "metric", "border", "representation", "probe")
"""What tells one plot from another."""


def curve_panels(scores: Mapping[str, Sequence[Score]], controls: Collection[str], task: str) -> list[Markup]:
    """Return advice on a task, a legend, and a plot for each of its scores; nothing if it has no curves.

    scores: name -> its scores, of any task. controls: names of random weights.
    """
    points = {name: [each for each in of_name if each.task == task and each.at is not None]
              for name, of_name in scores.items()}  # fmt: skip
    points = {name: of_name for name, of_name in points.items() if of_name}
    if not points:
        return []
    declared = all_tasks().get(task)
    axis = declared.axis if declared else ""
    names = [name for name in points if name not in controls]
    quiet = [name for name in points if name in controls]
    every = [each for of_name in points.values() for each in of_name]
    varying = [field for field in FIGURE if sum(map(bool, distinct(every, field))) > 1]
    panels = []
    for figure, _ in pivot(every, FIGURE):
        of_figure = {name: [each for each in points[name] if each.key(FIGURE) == figure] for name in points}
        panels.append(_panel(of_figure, names, quiet, axis, varying))
    return [_legend(names, quiet), element("div", *panels, class_="grid")]


def advice(task: str) -> list[Markup]:
    """Return the advice of a task on its scores; nothing if it has none."""
    declared = all_tasks().get(task)
    return [element("p", declared.advice)] if declared and declared.advice else []


def _panel(
    points: Mapping[str, Sequence[Score]], names: Sequence[str], quiet: Sequence[str], axis: str, varying: Sequence[str]
) -> Markup:
    lines, described = [], []
    for group, is_control in ((names, False), (quiet, True)):
        for index, name in enumerate(group):
            ordered = sorted(points[name], key=lambda each: each.at or 0.0)
            if ordered:
                of_each = zip(*((each.at or 0.0, each.mean, each.low, each.high) for each in ordered))
                lines.append(curve_plot.ScoreCurve(*map(list, of_each), index=index, control=is_control, name=name))  # type: ignore[arg-type]
                values = ", ".join(f"{each.parameter} {number(each.mean, each.metric)}" for each in ordered)
                described.append(f"{name}: {values}")
    every = [each for of_name in points.values() for each in of_name]
    one, floors = every[0], joint_floors(every)
    title, about = metric_name(one.metric), [each for each in (target_name(one.target), one.representation) if each]
    about += [f"{one.probe} probe"] if one.probe and "probe" in varying else []
    about += [f"border {one.border}"] if one.border and "border" in varying else []
    about += [one.protocol] if "protocol" in varying else []
    about += [data_name(one.data)] if "data" in varying else []
    text = " · ".join(about)
    alt = f"Curve of {title}, {text}, over {axis}. {'; '.join(described)}."
    picture = curve_plot.score_curves(lines, axis, alt, sum(floors) / 2 if floors else None)
    caption = element("figcaption", element("strong", title), f" {text}")
    return element("figure", caption, picture, class_="card")


def _legend(names: Sequence[str], quiet: Sequence[str]) -> Markup:
    items = [element("li", plot_keys.key(index), name) for index, name in enumerate(names)]
    items += [element("li", plot_keys.random_key(index), name) for index, name in enumerate(quiet)]
    items.append(element("li", plot_keys.control_key("constant"), "constant guess (floor)"))
    return element("ul", *items, class_="legend", aria_label="Legend")
