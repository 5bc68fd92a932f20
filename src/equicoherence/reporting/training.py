"""Training curves: losses, learning rate and speed, health, all runs over each other."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from equicoherence.metric_fields import CHANGED, ENDS_WITH, HEALTH, HELD_OUT, STOPPED, WATCHED
from equicoherence.reporting import curve_plot, plot_keys
from equicoherence.reporting.markup import Markup, element, join, note, section
from equicoherence.reporting.runs import Run, curve, is_number, labels

AXES = ("step", "epoch", "seconds", ENDS_WITH)
PACE = ("lr", "images_per_second")
READ = {"z_equi": "z_equi", "joined": "[features, z_equi]"}  # of a head, by what follows the field of a figure
TITLES = {
    "loss": "loss (total)",
    "lr": "learning rate",
    "images_per_second": "images per second",
    "std_invariant": "standard deviation, z_inv",
    "std_equivariant": "standard deviation, z_equi",
    "rank_invariant": "effective rank, z_inv",
    "rank_equivariant": "effective rank, z_equi",
    "spread_invariant": "relative spread, z_inv",
    "spread_equivariant": "relative spread, z_equi",
    "teacher_entropy": "entropy of the teacher, nats",
    "prototype_entropy": "entropy of the teacher's mean, nats",
    "watched_knn": "k-NN on some training images",
    "watched_cosine": "cosine of the features to those at the start",
    "watched_lost": "lost since the start",
    "watched_lost_at_least": "lost since the start, at least (95 % certainty)",
}


def training_section(groups: dict[str, list[Run]]) -> Markup:
    """Return the section of curves; runs of one name share a color. Of frozen encoders there is no health to draw."""
    runs = [run for of_name in groups.values() for run in of_name]
    remarks = [
        note(f"No curves for {label}: metrics.jsonl is ", run.problems["metrics.jsonl"], ".")
        for run, label in zip(runs, labels(runs))
        if "metrics.jsonl" in run.problems
    ]
    remarks += [
        note(f"{label}: ", str(line[said]))
        for run, label in zip(runs, labels(runs))
        for line in run.metrics
        for said in ("collapse", STOPPED, CHANGED)
        if said in line
    ]
    lines = [line for run in runs for line in run.metrics]
    present = list(dict.fromkeys(k for line in lines for k, v in line.items() if v is None or is_number(v)))
    if all(run.frozen for run in runs):
        present = [k for k in present if not k.startswith(HEALTH) or k.endswith("_equivariant")]
    health = [k for k in present if k.startswith(HEALTH)]
    kept = [k for k in present if k.startswith(WATCHED)]
    held_out = [k for k in present if k.startswith(HELD_OUT)]
    others = (*AXES, *PACE, *health, *kept, *held_out)
    losses = sorted((k for k in present if k not in others), key=lambda k: k != "loss")
    parts: list[object] = [*remarks]
    for title, keys, text in (
        (
            "Losses",
            losses,
            "The total, and each part under the method's own name. reconstruction is the loss of the auxiliary task; "
            "with the name of a decoder behind it, the part of that decoder (of the oracle, of its regression).",
        ),
        (
            "Held-out images",
            held_out,
            "Measured with the encoder, or the head, of each step: the accuracy of k-NN, and R2 of a ridge regression "
            "that predicts the transformation from the features of an image and of its transformed copy.",
        ),
        (
            "What the encoder has kept",
            kept,
            "Measured on a few training images during training, compared with the encoder at the start.",
        ),
        (
            "Health of the representation",
            health,
            "A spread or a rank that falls towards zero means collapse: all images get the same embedding.",
        ),
        ("Learning rate and speed", [k for k in PACE if k in present], ""),
    ):
        if keys:
            panels = join([panel(key, groups, logarithmic=keys is losses) for key in keys])
            parts += [element("h3", title), element("p", text) if text else "", element("div", panels, class_="grid")]
    return section("training", "Training", legend(list(groups)) if len(groups) > 1 else "", *parts)


def panel(key: str, groups: dict[str, list[Run]], logarithmic: bool = False) -> Markup:
    """Return the figure of one metric over steps; ``logarithmic`` where its values span orders of magnitude."""
    lines, broken = [], 0
    last: list[str] = []
    every = [run for runs in groups.values() for run in runs]
    called = dict(zip((run.path for run in every), labels(every)))
    for index, (name, runs) in enumerate(groups.items()):
        for run in runs:
            steps, values = curve(run, key)
            if len(values):
                lines.append(curve_plot.Curve(steps, values, index, called[run.path]))
                broken += int((~np.isfinite(values)).sum())
                last.append(f"{name} {values[-1]:.4g} at step {steps[-1]:.0f}")
    title = TITLES.get(key) or (_held_out_title(key) if key.startswith(HELD_OUT) else key)
    if not lines:
        return Markup("")
    alt = f"Curve of {title} over training steps. Last values: {'; '.join(last)}."
    remark = (
        element("span", f"not finite at {broken} {'step' if broken == 1 else 'steps'} (crosses)", class_="warning")
        if broken
        else ""
    )
    picture = curve_plot.curves(lines, alt, logarithmic)
    return element("figure", element("figcaption", element("strong", title), " ", remark), picture, class_="card")


def _held_out_title(key: str) -> str:
    """Return the title of a figure of held-out images, by its field: what is measured and, of a head, what is read."""
    what, read = key.removeprefix(HELD_OUT), ""
    for name, title in READ.items():
        if what.endswith(f"_{name}"):
            what, read = what.removesuffix(f"_{name}"), f" from {title}"
    return f"{'k-NN' if what == 'knn' else f'R2 of {what}'}{read}, held-out images"


def legend(names: Sequence[str], controls: Sequence[str] = ()) -> Markup:
    """Return the list of names with their colors, then the control marks."""
    meaning = {"random": "random encoder (floor)", "constant": "constant guess (floor)"}
    items = [element("li", plot_keys.key(index), name) for index, name in enumerate(names)]
    items += [element("li", plot_keys.control_key(control), meaning[control]) for control in controls]
    return element("ul", *items, class_="legend", aria_label="Legend")
