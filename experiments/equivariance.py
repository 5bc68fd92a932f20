"""Suite equivariance on pretrained encoders: page, CSV file and the scores of its rows, and a plot over layers.

    python experiments/equivariance.py [FOLDER...] [--page equivariance-clothing]

FOLDER holds the scores of a new row, of `equicoherence evaluate MODEL --suite equivariance --data DATA`, here or
elsewhere. DATA is that of the page. The folder is checked as `equicoherence suite equivariance FOLDER` checks it.
Nothing is scored here, and the scores of earlier rows stay as they are. The rows' scores, without paths, and
equivariance.csv lie in docs/results/PAGE; docs/results/PAGE.md and PAGE-layers.png are made from them, also without a
FOLDER. A page is of one data set: equivariance of tiny_imagenet_100.tar.gz, equivariance-clothing of
clothing_128.tar.gz.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import matplotlib
from chart_style import PALETTE, STYLE
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from pages import write_page
from published import row_folders

from equicoherence.evaluation.layers import OUTPUT
from equicoherence.evaluation.layers.task import Layers
from equicoherence.evaluation.suites import EQUIVARIANCE
from equicoherence.files import write_aside
from equicoherence.reporting.comparison.lines import Group
from equicoherence.reporting.submission import write_submissions
from equicoherence.reporting.suite_table import read_suite, suite_csv, suite_markdown, suite_rows

RESULTS = Path(__file__).resolve().parents[1] / "docs" / "results"
ROTATION = {"rotation": "rotation R2", "rotation, absolute": "absolute rotation R2",
            "rotation, side": "rotation sign accuracy"}  # fmt: skip
CONTROLS = {"": "-", "random": "--"}


def over_layers(groups: list[Group], path: Path) -> Figure:
    """Draw rotation scores and k-NN over the depth of each encoder that has layers; return the figure.

    Tokens that are read in two ways, as the class token and as the mean of the patch tokens, have panels each. Dashed:
    random weights. All panels have the same axes of scores, so that their slopes can be compared.
    """
    found = [(of.label, parts, tokens) for of in groups if (parts := _layers(of)) for tokens in _tokens(parts)]
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(8.6, 0.4 + 2.9 * len(found)), layout="constrained")
        panels = figure.subplots(len(found), 2, squeeze=False, sharey="col")
        for (rotation, classes), (label, parts, tokens) in zip(panels, found):
            for number, (target, called) in enumerate(ROTATION.items()):
                metric = "accuracy" if target == "rotation, side" else "r2"
                _lines(rotation, parts, tokens, target, metric, PALETTE[number], called)
            _lines(classes, parts, tokens, "", "top1", PALETTE[3], "k-NN accuracy")
            rotation.set_title(label if len(_tokens(parts)) == 1 else f"{label}\n{tokens}", fontsize=9)
            for axes in (rotation, classes):
                axes.legend(frameon=False, fontsize=8)
        panels[0, 0].set_ylim(-0.05, 1.05)
        panels[0, 1].set_ylim(bottom=0)  # now that the lines of all encoders are drawn
        figure.supxlabel("layer (solid: as trained; dashed: random weights)", fontsize=8)
        figure.savefig(path, dpi=130)
    return figure


def _layers(of: Group) -> dict[str, Mapping[str, Any]]:
    parts = of.members[0].parts
    return {part["control"]: part for part in parts if part["task"] == Layers.name}


def _tokens(parts: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Return how tokens are read, in the order of the rows; that of the output comes first."""
    rows = [row for row in parts[""]["rows"] if row["at"] is not None]
    output = [row["representation"] for row in rows if row["parameter"] == OUTPUT]
    return [*dict.fromkeys([*output, *(row["representation"] for row in rows)])]


def _lines(
    axes: Axes, parts: Mapping[str, Mapping[str, Any]], tokens: str, target: str, metric: str, color: str, called: str
) -> None:
    for control, dash in CONTROLS.items():
        found: dict[float, list[Mapping[str, Any]]] = {}
        for row in parts[control]["rows"] if control in parts else ():
            wanted = (row["target"], row["metric"], row["representation"]) == (target, metric, tokens)
            if wanted and row["at"] is not None:
                found.setdefault(row["at"], []).append(row)
        ordered = sorted(found.items())
        means = [sum(row["value"] for row in points) / len(points) for _, points in ordered]
        depths = [depth for depth, _ in ordered]
        axes.plot(depths, means, dash, marker="o", markersize=3, color=color, label=called if not control else None)
        if not control:
            axes.set_xticks(
                depths, [points[0]["parameter"].removeprefix("layer ") for _, points in ordered], fontsize=8
            )


def main() -> None:
    """Add rows, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", nargs="*", type=Path, metavar="FOLDER", help="with the scores of a new row")
    parser.add_argument("--page", default=EQUIVARIANCE.name, help="of one data set, by its name in docs/results")
    given = parser.parse_args()
    page, scores = RESULTS / f"{given.page}.md", RESULTS / given.page
    if given.folders:
        found = read_suite(EQUIVARIANCE, [*row_folders(scores), *given.folders], whole=True)
        write_submissions(EQUIVARIANCE, found, scores)
    groups = read_suite(EQUIVARIANCE, row_folders(scores), whole=True)
    rows = list(suite_rows(EQUIVARIANCE, groups))
    write_aside(scores / f"{EQUIVARIANCE.name}.csv", suite_csv(EQUIVARIANCE, rows))
    over_layers(groups, RESULTS / f"{given.page}-layers.png")
    write_page(suite_markdown(EQUIVARIANCE, rows, groups), page)


if __name__ == "__main__":
    main()
