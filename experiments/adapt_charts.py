"""Charts of adaptations: what each way gained against what it kept, and one way figure by figure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import matplotlib
from adapt_baselines import Baseline
from chart_style import PALETTE, STYLE
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from equicoherence.reporting.adaptation.adaptation import Adaptation
from equicoherence.reporting.adaptation.figures import BACKBONE, JOINED, Z_EQUI, FigureRow
from equicoherence.reporting.summary import Score

GAINS = ("rotation R2", "absolute rotation R2", "color R2")
"""R2 alone, of which a mean can be taken, and not of scale: see `BARS`."""
BARS = ("rotation R2", "absolute rotation R2", "rotation sign accuracy", "translation R2", "color R2")
"""Not scale: of it the probe also reads how sharp an image is, as R2 on noise shows."""
TICKS = {"rotation R2": "rotation", "absolute rotation R2": "absolute rotation",
          "rotation sign accuracy": "rotation sign", "translation R2": "translation", "color R2": "color"}  # fmt: skip
MARKERS = {BACKBONE: "o", JOINED: "s", Z_EQUI: "^"}
LABELS = {BACKBONE: "its features", JOINED: "[features, z_equi]", Z_EQUI: "z_equi alone"}
Found = Mapping[str, Mapping[str, Adaptation]]
"""By encoder and way."""
Baselines = Mapping[str, Mapping[str, Baseline]]
"""By encoder and name."""


def gained_and_kept(found: Found, beside: Baselines, path: Path) -> None:
    """Draw for each way of adapting the mean change of `GAINS` over the change of k-NN, an encoder a panel."""
    names = dict.fromkeys(name for ways in (*found.values(), *beside.values()) for name in ways)
    colors = {name: PALETTE[number % len(PALETTE)] for number, name in enumerate(names)}
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(1.6 + 4.0 * len(found), 4.2), layout="constrained")
        panels = figure.subplots(1, len(found), sharey=True, squeeze=False)[0]
        for axes, (encoder, ways) in zip(panels, found.items()):
            for name, way in ways.items():
                for read in (each for each in MARKERS if each != BACKBONE or way.output == BACKBONE):
                    _point(axes, way.rows, read, MARKERS[read], colors[name], name)
            for name, baseline in beside[encoder].items():
                _point(axes, baseline.rows, BACKBONE, "x", colors[name], name)
            axes.axvline(0, color="#7a828e", linewidth=0.8)
            axes.axhline(0, color="#7a828e", linewidth=0.8)
            axes.set_title(encoder, fontsize=10)
            axes.set_xlabel("k-NN: change, points")
        panels[0].set_ylabel("R2 of rotation (signed, absolute) and color: mean change")
        marks = {**{LABELS[read]: mark for read, mark in zip(MARKERS, "●■▲")}, "no training": "x"}
        figure.supxlabel(", ".join(f"{mark} {label}" for label, mark in marks.items()), fontsize=8)
        _legend(figure)
        figure.savefig(path, dpi=130)


def is_watched(way: Adaptation) -> bool:
    """Return whether the features were watched while the encoder was trained."""
    return any("held_out_knn" in line for line in way.run.metrics)


def kept_over_steps(found: Found, path: Path) -> None:
    """Draw what was watched of the features while encoders were trained: k-NN, and rotation R2 by a ridge probe.

    Nothing is drawn where none was.
    """
    figures = {"held_out_knn": "k-NN on images held out", "held_out_rotation": "rotation R2, ridge probe"}
    lines = {
        f"{encoder}: {name}": way.run.metrics
        for encoder, ways in found.items()
        for name, way in ways.items()
        if is_watched(way)
    }
    if not lines:
        return
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(8.6, 3.4), layout="constrained")
        for axes, (field, title) in zip(figure.subplots(1, 2), figures.items()):
            for number, (label, metrics) in enumerate(lines.items()):
                points = [(line["step"], line[field]) for line in metrics if field in line]
                axes.plot(*zip(*points), color=PALETTE[number % len(PALETTE)], label=label)
            axes.set_ylim(min(-0.1, axes.get_ylim()[0]), 1)  # one scale: changes of a thousandth look like none
            axes.set_title(title, fontsize=10)
            axes.set_xlabel("step")
        _legend(figure)
        figure.savefig(path, dpi=130)


def bars(found: Mapping[str, Adaptation], path: Path) -> None:
    """Draw what is read before and after, with intervals over test images, a panel for each encoder; none: nothing."""
    if not found:
        return
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(8.6, 2.9 * len(found)), layout="constrained")
        for axes, (encoder, way) in zip(figure.subplots(len(found), 1, squeeze=False)[:, 0], found.items()):
            rows = [*(row for row in way.rows if row.title in BARS), *(row for row in way.rows if row.of_classes)]
            kinds = {
                "features, before": ("#7a828e", lambda row: row.original),
                "best layer, before": (PALETTE[4], lambda row: row.layer),
                f"adapted: {LABELS[way.output]}": (PALETTE[0], lambda row: row.adapted.get(row.output)),
                "adapted: z_equi alone": (PALETTE[1], lambda row: row.adapted.get(Z_EQUI)),
            }
            for number, (label, (color, score)) in enumerate(kinds.items()):
                _bars(axes, [score(row) for row in rows], (number - 1.5) * 0.2, color, label)
            axes.set_xticks(range(len(rows)), [TICKS.get(row.title, row.title.partition(",")[0]) for row in rows])
            axes.set_ylim(min(0.0, axes.get_ylim()[0]), 1)
            axes.set_title(encoder, fontsize=10)
            axes.set_ylabel("R2 or accuracy")
        figure.axes[0].legend(fontsize=8, ncols=4, loc="upper center", bbox_to_anchor=(0.5, 1.28), frameon=False)
        figure.savefig(path, dpi=130)


def _bars(axes: Axes, scores: list[Score | None], shift: float, color: str, label: str) -> None:
    places = [place + shift for place, score in enumerate(scores) if score is not None]
    known = [score for score in scores if score is not None]
    axes.bar(places, [max(score.mean, 0.0) for score in known], 0.18, color=color, label=label)
    for place, score in zip(places, known):
        if score.interval is not None:
            low, high = (max(end, 0.0) for end in score.interval)
            axes.vlines(place, low, high, color="#23272e", linewidth=1)


def _point(axes: Axes, rows: Sequence[FigureRow], read: str, marker: str, color: str, name: str) -> None:
    """Draw the change of k-NN in points and the mean change of `GAINS`; R2 below 0 counts as 0."""
    gains = [change for row in rows if row.title in GAINS and (change := _change(row, read)) is not None]
    knn = next((row for row in rows if row.title.startswith("k-NN")), None)
    kept = None if knn is None else _change(knn, read)
    if gains and kept is not None:
        axes.plot(100 * kept, sum(gains) / len(gains), marker, color=color, label=name)


def _change(row: FigureRow, read: str) -> float | None:
    after = row.adapted.get(read)
    return None if after is None or row.original is None else max(after.mean, 0) - max(row.original.mean, 0)


def _legend(figure: Figure) -> None:
    """Name each way once, beside the panels."""
    found: dict[str, Artist] = {}
    for axes in figure.axes:
        for handle, label in zip(*axes.get_legend_handles_labels()):
            found.setdefault(label, handle)
    figure.legend(found.values(), found.keys(), fontsize=8, loc="outside right upper", frameon=False)
