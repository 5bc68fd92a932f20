"""The first section of a page of runs: what was trained, the verdict in one chart, and a drawing of the idea."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import PurePath
from typing import Any

import numpy as np

from equicoherence.reporting.explorer.files import address, reduced
from equicoherence.reporting.explorer.scene import PathScene
from equicoherence.reporting.explorer.tried import tried
from equicoherence.reporting.labels import receives_labels
from equicoherence.reporting.markup import Markup, note
from equicoherence.reporting.names import data_name
from equicoherence.reporting.plot_keys import key
from equicoherence.reporting.runs import ADAPT_PAGE, Run, is_number, random_sources
from equicoherence.reporting.summary import summarise_scores
from equicoherence.reporting.template import rendered
from equicoherence.reporting.training import legend
from equicoherence.reporting.verdict import Said, main_figures, verdict_chart, verdicts


def card_section(groups: Mapping[str, Sequence[Run]], scenes: Sequence[PathScene]) -> Markup:
    """Return the section. groups: runs by name. scenes: whose pictures are in the drawing."""
    names = list(groups)
    entries = summarise_scores({name: [run.scores for run in runs] for name, runs in groups.items()})
    figures = main_figures(entries, random_sources(groups))
    plain = [
        name for name, runs in groups.items() if not _of(runs[0].config, "coherence") and "coherence" in runs[0].config
    ]
    scored = [name for name in names if any(name in figure.scores for figure in figures)]
    reference = next((name for name in plain if name in scored and len(scored) > 1), None)
    controls = [kind for kind, there in (("random", any(f.random for f in figures)), ("constant", True)) if there]
    adapted, notes = _adapted(groups)
    from equicoherence.paths.between import BETWEEN  # needs torch, as mistakes do not

    return rendered(
        "card.html",
        trained=[(key(index), name, trained(runs)) for index, (name, runs) in enumerate(groups.items())],
        verdicts=[*verdicts(figures, scored, reference), *(said for said, _ in adapted)],
        chart=verdict_chart(figures, names) if figures else None,
        adapted=[(said.name, drawn) for said, drawn in adapted],
        notes=list(map(note, notes)),
        legend=legend((), controls),
        between=[name for name, runs in groups.items() if _path(runs[0].config) == BETWEEN],
        inside=[
            name
            for name, runs in groups.items()
            if _of(runs[0].config, "views", "invariant") == "path" and _path(runs[0].config) not in ("", BETWEEN)
        ],
        labelled=[name for name, runs in groups.items() if receives_labels(runs[0].config)],
        pictures=_pictures(scenes[0]) if scenes else {},
    )


def _adapted(groups: Mapping[str, Sequence[Run]]) -> tuple[list[tuple[Said, Markup]], list[str]]:
    """Return the verdict and the charts of the first adapted run of each name, and why those of others are missing."""
    from equicoherence.reporting.adaptation.charts import adapted_verdict  # needs torch, as mistakes do not

    found, notes = [], []
    for runs in groups.values():
        run = next((run for run in runs if run.adapted), None)
        if run is None:
            continue
        verdict, reason = tried(lambda run=run: adapted_verdict(run))
        if verdict is None:
            notes.append(
                f"{run.name}: `{ADAPT_PAGE}` in its folder has its scores; they cannot be drawn here: {reason}"
            )
        else:
            found.append(verdict)
    return found, notes


def trained(runs: Sequence[Run]) -> str:
    """Return one line on what runs of one name trained, from their configuration."""
    config = runs[0].config
    method, encoder = _of(config, "method", "kind") or _of(config, "method", "name"), _of(config, "encoder", "name")
    start, data = _of(config, "encoder", "weights"), _of(config, "data")
    parts = [" on ".join(str(part) for part in (method, encoder) if part)]
    parts += [f"from {PurePath(str(start)).name}"] if start else []
    if "coherence" in config:
        decoder, path = _of(config, "coherence", "decoder"), _of(config, "views", "path")
        task = f"with the task: {str(decoder).replace('+', ' and ')}, path {path}"
        parts.append(task if _of(config, "coherence") else "without the task")
    parts += [f"images: {data_name(str(data))}"] if data else []
    last = next((line for line in reversed(runs[0].metrics) if is_number(line.get("step"))), None)
    if last is not None:
        epochs = f", {last['epoch']:.1f} epochs" if is_number(last.get("epoch")) else ""
        parts.append(f"{last['step']:.0f} steps{epochs}")
    parts += [f"{len(runs)} seeds"] if len(runs) > 1 else []
    return "; ".join(part for part in parts if part) or "unknown: there is no configuration"


def _path(config: Mapping[str, Any]) -> str:
    """Return the path that the task of a run sees; "" without one, or without the task."""
    path = str(_of(config, "views", "path") or "none")
    return path if path != "none" and _of(config, "coherence") else ""


def _of(config: Mapping[str, Any], *path: str) -> Any:
    """Return a field of a configuration, None if there is none."""
    found: Any = config
    for name in path:
        found = found.get(name) if isinstance(found, Mapping) else None
    return found


def _pictures(scene: PathScene) -> dict[str, str]:
    """Return the pictures of the drawing by what they are."""
    middle = int(np.abs(scene.times - 0.5).argmin())
    chosen = {"v1": scene.v1[0], "u": scene.states[0, 0], "between": scene.states[0, middle], "v2": scene.states[0, -1]}
    return {name: address(reduced(picture, 64)) for name, picture in chosen.items()}
