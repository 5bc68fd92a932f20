"""Where the numbers come from: the runs at a glance, their configurations and differences, machine, date, versions."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from typing import Any

from equicoherence.reporting.markup import Cell, Markup, details, element, note, section, table
from equicoherence.reporting.runs import Run, curve, is_number, labels
from equicoherence.reporting.tables import MISSING

OF_ONE_SEED = ("seed", "out")  # fields in which the seeds of one recipe may differ


def overview(groups: dict[str, list[Run]]) -> Markup:
    """Return the section with one line for each run: how far it went, how fast, what its folder holds."""
    runs = [run for of_name in groups.values() for run in of_name]
    rows = [
        [
            run.name,
            Cell(MISSING if run.seed is None else run.seed, "number"),
            Cell(_last(run, "step", "{:.0f}"), "number"),
            Cell(_last(run, "epoch", "{:.1f}"), "number"),
            Cell(_last(run, "loss", "{:.4g}"), "number"),
            Cell(_median_speed(run), "number"),
            ", ".join(file for file in ("metrics.jsonl", "samples.npz", "results.json") if file not in run.problems)
            or MISSING,
            element("code", run.path),
        ]
        for run in runs
    ]
    header = ["name", "seed", "steps", "epochs", "last loss", "images/s (median)", "has", "folder"]
    return section("runs", "Runs", table(f"{len(runs)} runs" if len(runs) > 1 else "One run", header, rows))


def configuration(groups: dict[str, list[Run]]) -> Markup:
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
        parts.append(table("What differs between the runs", header, lines(differing)))
    elif len(runs) > 1:
        parts.append(element("p", "The configurations are the same in every field."))
    everything = table("Configuration", header, lines(fields), [field in differing for field in fields])
    parts.append(details(f"All {len(fields)} fields, as resolved", everything))
    return section("configuration", "Configuration", *parts)


def provenance(groups: dict[str, list[Run]]) -> Markup:
    """Return the section with model, images, machine, date, versions and times of the evaluation, and its tasks'
    settings."""
    runs = [run for of_name in groups.values() for run in of_name]
    wanted = ("date", "model", "arch", "size", "random_weights", "weights", "data", "seed", "machine", "versions")
    wanted += ("seconds", "tasks")
    flat = [_told_once(flatten({key: run.results[key] for key in wanted if key in run.results})) for run in runs]
    fields = list(dict.fromkeys(field for results in flat for field in results))
    if not fields:
        missing = note("Nothing is known yet: `equicoherence evaluate RUN` writes results.json, which says it.")
        return section("provenance", "Machine, date, versions", missing)
    rows = [[field, *(results.get(field, MISSING) for results in flat)] for field in fields]
    return section("provenance", "Machine, date, versions", table("Of the evaluation", ["", *labels(runs)], rows))


def flatten(mapping: Mapping[Any, Any], prefix: str = "") -> dict[str, str]:
    """Return nested fields under dotted names, in order, with values as text; lists stay on one line."""
    flat: dict[str, str] = {}
    for key, value in mapping.items():
        name = f"{prefix}{key}"
        if isinstance(value, Mapping) and value:
            flat |= flatten(value, f"{name}.")
        else:
            flat[name] = "none" if value is None else str(value)
    return flat


def _told_once(flat: dict[str, str]) -> dict[str, str]:
    """Leave out fields of tasks, such as ``tasks.knn.machine.gpu``, that are those of the whole, ``machine.gpu``."""
    return {f: v for f, v in flat.items() if not (f.startswith("tasks.") and flat.get(f.split(".", 2)[-1]) == v)}


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
