"""Where the numbers come from: the runs at a glance, their configurations and differences, machine, date, versions."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from typing import Any

from equicoherence.reporting.markup import Markup, details, element, note, section
from equicoherence.reporting.origin import ORIGIN, flatten, joined_variants, parts_say, settings_taken
from equicoherence.reporting.runs import SCORES, Run, curve, is_number, labels
from equicoherence.reporting.tables import MISSING, Cell, Grid

OF_ONE_SEED = ("seed", "out")  # fields in which the seeds of one recipe may differ
ABOUT = ("model", "arch", "size", "random_weights", "weights", "seed")


def configuration_section(groups: dict[str, list[Run]]) -> Markup:
    """Return the section with all configuration fields; those that differ between runs stand first and marked."""
    runs = [run for of_name in groups.values() for run in of_name]
    flat = [flatten(run.config) for run in runs]
    fields = list(dict.fromkeys(field for config in flat for field in config))
    differing = [field for field in fields if len({config.get(field) for config in flat}) > 1]
    parts: list[object] = []
    for name, of_name in groups.items():
        odd = _differences_within(of_name)
        if odd:
            parts.append(
                note(f"The runs named {name} differ in more than the seed: {', '.join(odd)}. Their mean mixes them.")
            )

    def lines(chosen: Sequence[str]) -> list[list[object]]:
        return [[field, *(element("code", config.get(field, MISSING)) for config in flat)] for field in chosen]

    header = ["field", *labels(runs)]
    if differing:
        parts.append(Grid(header, lines(differing)).html("What differs between the runs"))
    elif len(runs) > 1:
        parts.append(element("p", "The configurations are the same in every field."))
    everything = Grid(header, lines(fields)).html("Configuration", [field in differing for field in fields])
    parts.append(details(f"All {len(fields)} fields, as resolved", everything))
    return section("configuration", "Configuration", *parts)


def provenance_section(groups: dict[str, list[Run]]) -> Markup:
    """Return the section, folded, with folders, model, machine, date and versions, and the settings of tasks."""
    runs = [run for of_name in groups.values() for run in of_name]
    parts = [_folders(runs)]
    if any(run.scores for run in runs):
        header = ["", *labels(runs)]
        evaluation = _side_by_side([_about(run.scores) if run.scores else {} for run in runs])
        tasks = _side_by_side([_tasks(run.scores) if run.scores else {} for run in runs])
        parts.append(Grid(header, evaluation).html("The evaluation"))
        parts.append(Grid(header, tasks).html("Settings and counts of the tasks"))
    else:
        parts.append(note(f"There is no evaluation yet: `equicoherence evaluate RUN` writes {SCORES}."))
    return section(
        "provenance", "Where the numbers come from", details("Folders, weights, machine, date, versions", *parts)
    )


def _folders(runs: Sequence[Run]) -> Markup:
    """Return a table with a row for each run: how far it went, how fast, what its folder holds."""
    rows = [
        [
            run.name,
            Cell(MISSING if run.seed is None else run.seed, "number"),
            Cell(_last(run, "step", "{:.0f}"), "number"),
            Cell(_last(run, "epoch", "{:.1f}"), "number"),
            Cell(_last(run, "loss", "{:.4g}"), "number"),
            Cell(_median_speed(run), "number"),
            ", ".join(file for file in ("metrics.jsonl", "samples.npz", SCORES) if file not in run.problems) or MISSING,
            element("code", run.path),
        ]
        for run in runs
    ]
    header = ["name", "seed", "steps", "epochs", "last loss", "images/s (median)", "has", "folder"]
    return Grid(header, rows).html(f"{len(runs)} runs" if len(runs) > 1 else "One run")


def _about(scores: Mapping[str, Any]) -> dict[str, str]:
    """Return what the evaluation was of, and all that its parts say of where and when."""
    seconds = sum(float(part["seconds"]) for part in scores["parts"].values())
    data = dict.fromkeys(part["data"] for part in scores["parts"].values())
    about = flatten({key: scores[key] for key in ABOUT if key in scores})
    said = {field: " / ".join(parts_say(scores, field)) for field in ORIGIN}
    return {**about, "data": " / ".join(data), **said, "seconds": f"{seconds:.0f}"}


def _tasks(scores: Mapping[str, Any]) -> dict[str, str]:
    """Return the settings of each task on each data set."""
    joint = joined_variants(settings_taken(scores["parts"].values()))
    return {
        f"{taken.task}, {taken.on}: {field}": " / ".join(values)
        for taken, fields in joint.items()
        for field, values in fields.items()
    }


def _side_by_side(of_runs: Sequence[Mapping[str, str]]) -> list[list[str]]:
    """Return a row for each field that a run has."""
    fields = dict.fromkeys(field for found in of_runs for field in found)
    return [[field, *(found.get(field, MISSING) for found in of_runs)] for field in fields]


def _differences_within(runs: Sequence[Run]) -> list[str]:
    flat = [flatten(run.config) for run in runs]
    fields = dict.fromkeys(field for config in flat for field in config)
    return [f for f in fields if f not in OF_ONE_SEED and len({config.get(f) for config in flat}) > 1]


def _last(run: Run, key: str, form: str) -> str:
    values = [line[key] for line in run.metrics if is_number(line.get(key))]
    return form.format(values[-1]) if values else MISSING


def _median_speed(run: Run) -> str:
    _, values = curve(run, "images_per_second")
    return f"{statistics.median(values):,.0f}" if len(values) else MISSING
