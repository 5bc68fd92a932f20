"""Scores of the frozen encoders: R2 of the transformation parameters, the main figures of all else, every number."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from equicoherence.evaluation.transformation import NOISE
from equicoherence.reporting import bar_plot, plot_keys
from equicoherence.reporting.comparison.lines import KEY, RANDOM, Line
from equicoherence.reporting.comparison.texts import BEST_GUIDE, Place, guide_of, page_table, score_name
from equicoherence.reporting.curve_panels import advice, curve_panels
from equicoherence.reporting.markup import Markup, details, element, join, note, section
from equicoherence.reporting.names import data_name, heading, metric_name, target_name
from equicoherence.reporting.noise_limit import NEAR_ZERO, with_warning
from equicoherence.reporting.runs import SCORES, Run, labels, random_sources
from equicoherence.reporting.summary import (
    FIELDS,
    PLACE,
    Score,
    distinct,
    joint_floors,
    pivot,
    random_scores,
    select,
    summarise_scores,
)
from equicoherence.reporting.tables import MISSING, NUMBER, Cell, Grid, floor_cell, number, range_text
from equicoherence.reporting.training import legend
from equicoherence.reporting.verdict import score_bar

Controls = Mapping[tuple[str, ...], Score]
PROBES = {"": "a", "mlp": "an MLP", "linear": "a linear", "attentive": "an attentive"}
R2_GUIDE = (
    "that predicts the parameters of the transformation from the frozen embeddings of both images. 1 is perfect; 0 is "
    "no better than a constant guess. An angle and a translation have three scores: R² of the signed value, R² of the "
    "absolute value, and in the tables the accuracy of the sign, left against right, of large values (chance 0.5). "
    "Embeddings that are the same for an image and its mirror image have a signed R² of 0 and a sign accuracy of 0.5; "
    f"their absolute R² may still be high. R² on noise, in the tables, should be {NEAR_ZERO}; where it is marked (!), "
    "do not trust the scores of that transformation. Bars are means. Whiskers run from the smallest to the largest "
    "value over the runs of one name. For a single run they are the 95 % interval over test images, or the range over "
    "repeats of the probe. Marks across a bar are its floors. Read border “content” first: with “zeros”, the black "
    "corners alone show the angle."
)
Z_INV = (
    "R² of z_inv may be as high as that of z_equi. z_inv is a linear map of the same backbone features. Where the "
    "method's own loss does not see g, nothing removes a rotation from z_inv."
)
BORDER_TITLES = {
    "": "border not given",
    "content": "border “content”: no leak",
    "zeros": "border “zeros”: black corners leak the parameters",
}


def score_sections(groups: dict[str, list[Run]]) -> Markup:
    """Return the sections of what encoders keep of transformations, and of all other tasks."""
    entries = summarise_scores({name: [run.scores for run in runs] for name, runs in groups.items()})
    names, runs = list(groups), [run for of_name in groups.values() for run in of_name]
    remarks = [
        note(f"No scores for {label}: {SCORES} is ", run.problems[SCORES], ".")
        for run, label in zip(runs, labels(runs))
        if SCORES in run.problems
    ]
    others = [entry for entry in entries if entry.task != "transformation"]
    controls = random_scores(entries, random_sources(groups))
    transformation = _transformation_section(select(entries, task="transformation"), controls, names, remarks)
    seeds = {name: len(runs) for name, runs in groups.items()}
    return join([transformation, _others_section(others, seeds)])


def every_score_section(groups: dict[str, list[Run]]) -> Markup:
    """Return the section with all scores in one table."""
    entries = summarise_scores({name: [run.scores for run in runs] for name, runs in groups.items()})
    every = _every_score(entries) if entries else note("No scores yet: `equicoherence evaluate RUN` writes them.")
    return section("numbers", "Every score", every)


def _transformation_section(
    entries: Sequence[Score], controls: Controls, names: Sequence[str], remarks: Sequence[Markup]
) -> Markup:
    title, own = "Does the encoder keep the transformation?", select(entries, control="")
    if not own:
        missing = note("There is no R² yet: `equicoherence evaluate RUN --tasks transformation` measures it.")
        return section("transformation", title, *remarks, missing)
    main = [entry for entry in own if entry.main and entry.metric == "r2"]
    lowest = min([0.0, *(entry.mean for entry in main), *(floor for entry in main for floor in entry.floors or ())])
    data = distinct(main, "data")
    panels = [
        _panel(of_panel, controls, names, lowest, f" · {each}" if len(data) > 1 else "")
        for each in data
        for representation in distinct(main, "representation")
        for border in distinct(main, "border")
        if (of_panel := select(main, data=each, representation=representation, border=border))
    ]
    probes = distinct(main, "probe")
    text = element(
        "p", f"R² of {PROBES.get(probes[0], f'a {probes[0]}') if len(probes) == 1 else 'a'} probe {R2_GUIDE}"
    )
    of_z_inv = element("p", Z_INV) if {"z_inv", "z_equi"} <= set(distinct(main, "representation")) else ""
    floors = [kind for kind in plot_keys.CONTROLS if kind == "constant" or controls]
    charts = element("div", *panels, class_="grid wide")
    tables = _comparisons(entries, controls, names)
    return section("transformation", title, *remarks, text, of_z_inv, legend(names, floors), charts, *tables)


def _comparisons(entries: Sequence[Score], controls: Controls, names: Sequence[str]) -> list[Markup]:
    """Return one table for each probe and border, each of which opens on a click."""
    tables = []
    for probe in distinct(entries, "probe"):
        for border in distinct(entries, "border"):
            chosen = select(entries, probe=probe, border=border)
            if select(chosen, control=""):
                signs = " (for signs: accuracy)" if select(chosen, metric="accuracy") else ""
                caption = f"R²{signs} of {PROBES.get(probe, f'a {probe}')} probe, {_border_title(border)}"
                compared = _comparison(chosen, controls, names).html(caption)
                tables.append(details(f"Table: {caption}", compared))
    return tables


def _panel(entries: Sequence[Score], controls: Controls, names: Sequence[str], lowest: float, data: str) -> Markup:
    """Return a chart of the main figures of one representation and border, a group of bars for each target."""
    targets, first = distinct(entries, "target"), entries[0]
    by_name = {target: found for (target,), found in pivot(entries, ("target",))}
    series = [[_bar(controls, by_name[target].get(name)) for target in targets] for name in names]
    described = [f"{name}: {_described(targets, of_name)}" for name, of_name in zip(names, series)]
    alt = (
        f"Bar chart of R², representation {first.representation}, border {first.border}{data}. {'; '.join(described)}."
    )
    picture = bar_plot.bars([*map(target_name, targets)], series, alt, lowest)
    about = f" · {_border_title(first.border)}{data}"
    caption = element("figcaption", element("strong", first.representation), about)
    return element("figure", caption, picture, class_="card")


def _border_title(border: str) -> str:
    return BORDER_TITLES.get(border, f"border {border}")


def _described(targets: Iterable[str], bars: Sequence[bar_plot.Bar | None]) -> str:
    return ", ".join(f"{target_name(target)} {number(bar.mean if bar else None)}" for target, bar in zip(targets, bars))


def _bar(controls: Controls, entry: Score | None) -> bar_plot.Bar | None:
    if entry is None:
        return None
    return score_bar(entry, controls.get((entry.name, *entry.key(PLACE))), target_name(entry.target))


def _comparison(entries: Sequence[Score], controls: Controls, names: Sequence[str]) -> Grid:
    rows = []
    index = ("representation", "data", "target", "metric", "parameter")
    several = len(distinct(entries, "data")) > 1
    for (representation, data, target, metric, parameter), by_name in pivot(select(entries, control=""), index):
        random = [found.mean for e in by_name.values() if (found := controls.get((e.name, *e.key(PLACE))))]
        texts = dict.fromkeys(number(value) for value in random)
        floors = Cell(" / ".join(texts) or MISSING, "number quiet"), floor_cell(joint_floors(by_name.values()), "r2")
        of_noise = metric_name(metric) if metric == NOISE else ""
        title = ": ".join(part for part in (target_name(target), parameter, of_noise) if part)
        title += f" on {data}" if several else ""
        rows.append([representation, title, *(_with_range(by_name.get(name)) for name in names), *floors])
    return Grid(["representation", "transformation", *names, "random encoder", "constant guess"], rows)


def _with_range(entry: Score | None) -> Cell:
    if entry is None:
        return Cell(MISSING, NUMBER)
    return Cell(with_warning(number(entry.mean, entry.metric), entry), NUMBER, remark=range_text(entry))


def _others_section(entries: Sequence[Score], seeds: Mapping[str, int]) -> Markup:
    title = "All other tasks"
    if not entries:
        missing = note("There are no other scores yet: `equicoherence evaluate RUN --tasks knn,linear` measures them.")
        return section("others", title, missing)
    by_name: dict[str, list[Score]] = {}
    for entry in entries:
        by_name.setdefault(f"{entry.name}, random" if entry.control else entry.name, []).append(entry)
    randoms = [name for name in by_name if name not in seeds]
    curves: list[Markup] = []
    for task in distinct(entries, "task"):
        if panels := curve_panels(by_name, randoms, task):
            curves += [element("h3", heading(task)), *advice(task), *panels]
    return section("others", title, *_main_table(entries, seeds), *curves)


def _main_table(entries: Sequence[Score], seeds: Mapping[str, int]) -> list[Markup]:
    """Return the main scores, a column for each name and for random weights, and how they are read.

    seeds: name -> how many runs it has.
    """
    controlled = list(dict.fromkeys(entry.name for entry in select(entries, control="random")))
    randoms = {name: RANDOM if len(controlled) == 1 else f"{name}, random" for name in controlled}
    named = [replace(entry, name=randoms[entry.name]) if entry.control else entry for entry in entries]
    main = [line for _, columns in pivot(select(named, parameter=""), KEY) if (line := Line(columns)).main]
    protocols = {(line.about.task, line.about.protocol) for line in main}
    several = [task for task in distinct(entries, "task") if sum(of == task for of, _ in protocols) > 1]
    place: Place = {
        "task": lambda entry: heading(entry.task),
        "data": lambda entry: data_name(entry.data),
        "protocol": lambda entry: entry.protocol if entry.task in several else "",
    }
    shown = [*seeds, *randoms.values()]
    table = page_table(main, seeds, shown, "Main scores of frozen encoders", score_name, place)
    return [element("p", guide_of(BEST_GUIDE, main)), table]


def _said(field: str, value: str) -> str:
    return (target_name(value) if field == "target" else value) or MISSING


def _every_score(entries: Sequence[Score]) -> Markup:
    fields = [field for field in FIELDS if any(getattr(entry, field) for entry in entries)]
    rows = []
    for key, by_name in pivot(entries, FIELDS):
        for name, entry in by_name.items():
            numbers = (entry.mean, entry.std, entry.low, entry.high)
            rows.append(
                [
                    name,
                    *(_said(field, value) for value, field in zip(key, FIELDS) if field in fields),
                    *(Cell(number(value, entry.metric), NUMBER) for value in numbers),
                    Cell(f"{entry.n} {entry.over[:-1] if entry.n == 1 else entry.over}", NUMBER),
                    floor_cell(entry.floors, entry.metric),
                ]
            )
    header = ["name", *fields, "mean", "std (n \N{MINUS SIGN} 1)", "min", "max", "over", "constant"]
    return details(f"The complete table: {len(rows)} scores", Grid(header, rows).html("Every score"))
