"""Scores of the frozen encoders: R2 of the transformation parameters, downstream accuracy, and every number."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from equicoherence.reporting import plots
from equicoherence.reporting.markup import Cell, Markup, details, element, image, join, note, section, table
from equicoherence.reporting.runs import Run, labels
from equicoherence.reporting.tables import FIELDS, MISSING, distinct, number, pivot, select, spread, summarise
from equicoherence.reporting.training import legend

Entry = Mapping[str, Any]
Controls = Mapping[tuple[str, ...], float]
CONTROL_TITLES = {"random": "random encoder", "constant": "constant guess", "oracle": "oracle"}
PROBES = {"": "a", "mlp": "an MLP", "linear": "a linear", "attentive": "an attentive"}
GUIDE = (
    "that reads the parameters of the transformation from the frozen embeddings of both images: 1 is perfect, 0 is no "
    "better than a constant guess. Bars are means; whiskers run from the smallest to the largest over the runs of one "
    "name, or over probe repeats where there is one run. Marks across a bar are its floors and its ceiling. Read "
    "“content” first: with “zeros” the empty corners alone give the answer away."
)
BORDERS = {
    "": "border not named",
    "content": "border “content”: no leak",
    "zeros": "border “zeros”: black corners leak the parameters",
}


def scores(groups: dict[str, list[Run]]) -> Markup:
    """Return the sections of all evaluation results."""
    summary = summarise({name: [run.rows for run in runs] for name, runs in groups.items()})
    names, runs = list(groups), [run for of_name in groups.values() for run in of_name]
    remarks = [
        note(f"No scores for {label}: results.json is ", run.problems["results.json"], ".")
        for run, label in zip(runs, labels(runs))
        if "results.json" in run.problems
    ]
    every = _every_score(summary) if summary else note("No scores yet: `equicoherence evaluate RUN` writes them.")
    everything = section("numbers", "Every score", every)
    transformation = select(summary, task="transformation", metric="r2")
    downstream = [entry for entry in summary if entry["task"] != "transformation"]
    return join([_transformation(transformation, names, remarks), _downstream(downstream, names), everything])


def _transformation(summary: Sequence[Entry], names: Sequence[str], remarks: Sequence[Markup]) -> Markup:
    title = "Does the encoder keep the transformation?"
    if not any(not entry["control"] for entry in summary):
        missing = note("There is no R² yet: `equicoherence evaluate RUN --tasks transformation` measures it.")
        return section("transformation", title, *remarks, missing)
    probe = distinct([e for e in summary if not e["control"]], "probe")[0]
    shown = [e for e in summary if e["probe"] in (probe, "")]
    controls = [c for c in plots.CONTROLS if any(e["control"] == c for e in shown)]
    floor = min([0.0, *(e["mean"] for e in shown if not e["control"] and math.isfinite(e["mean"]))])
    panels = [
        _panel(shown, names, representation, border, floor)
        for representation in distinct([e for e in shown if not e["control"]], "representation")
        for border in distinct([e for e in shown if not e["control"]], "border")
    ]
    text = element("p", f"R² of {PROBES.get(probe, f'a {probe}')} probe {GUIDE}")
    charts = element("div", *panels, class_="grid wide")
    tables = _comparisons(summary, names, probe)
    return section("transformation", title, *remarks, text, legend(names, controls), charts, *tables)


def _comparisons(summary: Sequence[Entry], names: Sequence[str], probe: str) -> list[Markup]:
    """Return one table for each probe and border: the first in sight, the others on a click."""
    tables = []
    for kind in dict.fromkeys([probe, *(p for p in distinct(summary, "probe") if p)]):
        for border in distinct(summary, "border"):
            chosen = select(summary, probe=(kind, ""), border=border)
            if any(not entry["control"] for entry in chosen):
                caption = f"R² of {PROBES.get(kind, f'a {kind}')} probe, {BORDERS.get(border, f'border {border}')}"
                compared = _comparison(caption, chosen, names)
                tables.append(details(caption, compared) if tables else compared)
    return tables


def _panel(summary: Sequence[Entry], names: Sequence[str], representation: str, border: str, floor: float) -> Markup:
    entries = select(summary, representation=representation, border=border, control="")
    categories = _categories(entries)
    if not categories:
        return Markup("")
    series, controls = [], _controls(summary)
    for name in names:
        found = {(e["transformation"], e["parameter"]): e for e in entries if e["name"] == name}
        series.append([_bar(controls, found[key]) if key in found else None for key in categories])
    described = [f"{name}: {_described(categories.values(), of_name)}" for name, of_name in zip(names, series)]
    alt = f"Bar chart of R², representation {representation}, border {border}. {'; '.join(described)}."
    picture = image(plots.bars(list(categories.values()), series, floor), "image/svg+xml", alt)
    caption = (
        element("strong", representation or "representation not named"),
        f" · {BORDERS.get(border, f'border {border}')}",
    )
    return element("figure", element("figcaption", *caption), picture, class_="card")


def _described(categories: Iterable[str], bars: Sequence[plots.Bar | None]) -> str:
    return ", ".join(f"{title} {number(bar.mean if bar else None)}" for title, bar in zip(categories, bars))


def _categories(entries: Sequence[Entry]) -> dict[tuple[str, str], str]:
    """Choose the bars: each transformation's mean over its parameters where it is there, else each parameter."""
    chosen: dict[tuple[str, str], str] = {}
    for transformation in distinct(entries, "transformation"):
        parameters = distinct(select(entries, transformation=transformation), "parameter")
        if "mean" in parameters or len(parameters) == 1:
            chosen[transformation, parameters[0]] = transformation
        else:
            chosen |= {(transformation, p): f"{transformation} {p}".strip() for p in parameters}
    return chosen


def _bar(controls: Controls, entry: Entry) -> plots.Bar:
    values = {control: _control(controls, entry, control) for control in plots.CONTROLS}
    present = {control: value for control, value in values.items() if value is not None and math.isfinite(value)}
    return plots.Bar(entry["mean"], entry["min"], entry["max"], present)


def _controls(summary: Sequence[Entry]) -> Controls:
    return {(entry["name"], *(entry[f] for f in FIELDS)): entry["mean"] for entry in summary if entry["control"]}


def _control(controls: Controls, entry: Entry, control: str) -> float | None:
    """Return the mean of a control that goes with a score; one that names no representation or probe goes with all."""
    for representation in (entry["representation"], ""):
        for probe in (entry["probe"], ""):
            wanted = {**entry, "representation": representation, "probe": probe, "control": control}
            value = controls.get((wanted["name"], *(wanted[f] for f in FIELDS)))
            if value is not None:
                return value
    return None


def _comparison(caption: str, summary: Sequence[Entry], names: Sequence[str]) -> Markup:
    measured = [e for e in summary if not e["control"]]
    controls = _controls(summary)
    present = [control for control in CONTROL_TITLES if any(e["control"] == control for e in summary)]
    rows = []
    for key, by_name in pivot(measured, ("representation", "transformation", "parameter")):
        cells = [_score(by_name.get(name)) for name in names]
        marks = [_control_cell(controls, by_name, control) for control in present]
        representation, transformation, parameter = key
        place = f"{transformation}, {parameter}" if parameter else transformation
        rows.append([representation or MISSING, place or MISSING, *cells, *marks])
    header = ["representation", "transformation", *names]
    return table(caption, [*header, *(CONTROL_TITLES[c] for c in present)], rows)


def _control_cell(controls: Controls, by_name: Mapping[str, Entry], control: str) -> Cell:
    values = [_control(controls, entry, control) for entry in by_name.values()]
    texts = list(dict.fromkeys(number(value) for value in values if value is not None))
    return Cell(" / ".join(texts) or MISSING, "number quiet")


def _downstream(summary: Sequence[Entry], names: Sequence[str]) -> Markup:
    title = "What is it good for? Downstream scores"
    if not summary:
        missing = note(
            "There are no downstream scores yet: `equicoherence evaluate RUN --tasks knn,linear` measures them."
        )
        return section("downstream", title, missing)
    index = ("task", "probe", "metric", "control", "representation")
    rows = []
    for (task, probe, metric, control, representation), by_name in pivot(summary, index):
        what = CONTROL_TITLES.get(control, control) if control else representation or MISSING
        if control and representation:
            what = f"{what} ({representation})"
        method = f"{task} ({probe})" if probe else task
        rows.append([method, metric or MISSING, what, *(_score(by_name.get(name)) for name in names)])
    return section("downstream", title, table("Frozen encoders", ["task", "metric", "reads", *names], rows))


def _score(entry: Entry | None) -> Cell:
    if entry is None:
        return Cell(MISSING, "number")
    return Cell(join([number(entry["mean"], entry["metric"]), element("small", spread(entry))]), "number")


def _every_score(summary: Sequence[Entry]) -> Markup:
    rows = [
        [
            entry["name"],
            *(entry[f] or MISSING for f in FIELDS),
            *(Cell(number(entry[f], entry["metric"]), "number") for f in ("mean", "std", "min", "max")),
            Cell(f"{entry['n']} {entry['over'][:-1] if entry['n'] == 1 else entry['over']}", "number"),
        ]
        for entry in sorted(summary, key=lambda e: e["task"] != "transformation")
    ]
    header = ["name", *FIELDS, "mean", "std (n \N{MINUS SIGN} 1)", "min", "max", "over"]
    return details(f"The complete table: {len(rows)} scores", table("Every score", header, rows))
