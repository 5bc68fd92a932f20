"""The scores of `benchmark_3diebench` side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.table import Table

from equicoherence.evaluation.own_predictor import OWN, OWN_WITH_HUES
from equicoherence.evaluation.poses.linear_map import LinearMap
from equicoherence.reporting.tables import MISSING, deviation, markdown_table, number, pivot, rank

# (heading, task, metric, parameter, probe)
SCORES = (
    ("rotation R2", "relative_rotation", "r2", "mean", "mlp"),
    ("the same, one scalar mean", "relative_rotation", "r2_scalar_mean", "", "mlp"),
    ("color R2", "color", "r2", "mean", "mlp"),
    ("absolute rotation R2", "absolute_rotation", "r2", "mean", "mlp"),
    ("top-1", "class", "top1", "", "linear"),
)
# retrieval, by the predictor in the column before: lower is better for PRE alone
RETRIEVAL = (
    ("MRR", "retrieval", "mrr", "", ""),
    ("H@1", "retrieval", "hit_at_1", "", ""),
    ("H@5", "retrieval", "hit_at_5", "", ""),
    ("PRE", "retrieval", "pre", "", ""),
)
PREDICTORS = {OWN: "own", OWN_WITH_HUES: "own, hues too", LinearMap.name: "fitted map"}
HEADS = ("model", "features", *(column[0] for column in SCORES), "predictor", *(column[0] for column in RETRIEVAL))


def pose_cells(summary: Sequence[Mapping[str, Any]], names: Sequence[str]) -> list[list[str]]:
    """Return rows of text, a cell for each of `HEADS`: scores as mean and spread; the controls come last."""
    rows = []
    for name in names:
        own = [entry for entry in summary if entry["name"] == name]
        for (control, representation), _ in _ordered(own):
            chosen = [e for e in own if (e["control"], e["representation"]) == (control, representation)]
            scores, retrieved = ([_cell(chosen, *column[1:]) for column in part] for part in (SCORES, RETRIEVAL))
            probes = {entry["probe"] for entry in chosen if entry["task"] == "retrieval"}
            predictor = ", ".join(text for probe, text in PREDICTORS.items() if probe in probes) or MISSING
            shown = {"": "{}", "random": "{}, random weights", "constant": "a constant {}"}
            what = shown.get(control, control + " {}").format(representation).strip()
            rows.append([name, what, *scores, predictor, *retrieved])
    return rows


def pose_table(summary: Sequence[Mapping[str, Any]], names: Sequence[str]) -> Table:
    """Return the table that `equicoherence benchmark 3diebench` prints."""
    table = Table(*HEADS)
    for row in pose_cells(summary, names):
        table.add_row(*row)
    return table


def pose_markdown(summary: Sequence[Mapping[str, Any]], names: Sequence[str]) -> str:
    """Return the same as a Markdown table."""
    return markdown_table(HEADS, pose_cells(summary, names)) + "\n"


def _ordered(own: Sequence[Mapping[str, Any]]) -> list[tuple[tuple[str, ...], Any]]:
    found = pivot(own, ("control", "representation"))
    return sorted(found, key=lambda row: (rank("control", row[0][0]), rank("representation", row[0][1])))


def _cell(entries: Sequence[Mapping[str, Any]], task: str, metric: str, parameter: str, probe: str) -> str:
    def fits(entry: Mapping[str, Any]) -> bool:
        same = (entry["task"], entry["metric"], entry["parameter"]) == (task, metric, parameter)
        return same and (entry["control"] in ("constant", "identity") or not probe or entry["probe"] == probe)

    found = next((entry for entry in entries if fits(entry)), None)
    if found is None:
        return number(None)
    text = number(found["mean"], metric)
    return text if found["std"] is None else f"{text} ±{deviation(found['std'], metric)}"
