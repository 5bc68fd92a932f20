"""Similarity curves and four rotations of pretrained encoders: page, picture and the scores of its rows.

    python experiments/curves.py [MODEL:PIXELS...] --data tiny_imagenet_100.tar.gz [--out runs/curves]

MODEL is what `equicoherence evaluate` takes, such as FILE@ARCH or baseline:thumbnail; random weights are scored beside
it. Each score is kept in the folder as it is done, and the same command goes on from there. The rows' scores, without
paths, lie in docs/results/curves; docs/results/curves.md and curves.png are made from all that lie there, also without
a MODEL.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import matplotlib.figure
from chart_style import PALETTE, STYLE
from matplotlib.axes import Axes
from pages import write_page
from published import row_folders

from equicoherence import evaluate
from equicoherence.evaluation.registry import all_tasks
from equicoherence.evaluation.run import results_folder
from equicoherence.evaluation.suites import Figure, Suite
from equicoherence.reporting.comparison.lines import Group, control_column
from equicoherence.reporting.submission import write_submissions
from equicoherence.reporting.suite_table import measured_on, read_suite, suite_grid, suite_rows
from equicoherence.reporting.summary import Score, joint_floors, select, summarise
from equicoherence.reporting.tables import plain

RESULTS = Path(__file__).resolve().parents[1] / "docs" / "results"
CURVES = {"rotation-curve": "rotation", "scale-curve": "scale", "shift-curve": "shift"}
IMAGES, TRAIN, TEST = 100, 400, 100  # fewer than the tasks have by default: a ViT on one core
SUITE = Suite(
    "curves",
    {**{task: {"images": IMAGES} for task in CURVES}, "rot4": {"train": TRAIN, "test": TEST}},
    (
        *(
            Figure(f"{called}: {metric}", task, "", metric)
            for task, called in CURVES.items()
            for metric in ("retrieved", "cosine", "others")
        ),
        Figure("rot4: top1", "rot4", "", "top1"),
        Figure("rot4: confused", "rot4", "", "confused"),
    ),
)
GREY = "#7a828e"


def score(models: Sequence[str], data: str, out: Path) -> None:
    """Score each MODEL:PIXELS in a folder of its own, and keep all without paths beside the page."""
    folders = []
    for given in models:
        model, _, pixels = given.rpartition(":")
        folders.append(out / results_folder(model, data, int(pixels), random_weights=False).name)
        evaluate(model, tasks=[*SUITE.settings], settings=SUITE.settings, data=data, size=int(pixels), out=folders[-1])
    write_submissions(SUITE, read_suite(SUITE, folders), RESULTS / SUITE.name)


def draw(groups: Sequence[Group], path: Path) -> None:
    """Draw what is retrieved and the cosine over the steps of each curve, all encoders in each plot."""
    entries = summarise({each.label: [member.rows for member in each.members] for each in groups})
    with matplotlib.rc_context(STYLE):
        figure = matplotlib.figure.Figure(figsize=(10.4, 6.6), layout="constrained")
        panels = figure.subplots(2, len(CURVES), sharex="col", sharey="row")
        for (retrieved, cosine), (task, called) in zip(panels.T, CURVES.items()):
            of_task = select(entries, task=task, representation=SUITE.representation)
            for label, control, color in lines(groups):
                own = [each for each in select(of_task, control="random" if control else "") if each.name == label]
                name = control or label
                look = {"linestyle": "--" if control else "-", "color": color, "label": name}
                _line(retrieved, select(own, metric="retrieved"), **look)
                _line(cosine, select(own, metric="cosine"), **look)
                beside = {"linestyle": ":", "color": color, "alpha": 0.5 if control else 1.0}
                _line(cosine, select(own, metric="others"), **beside)
            low, high = joint_floors(select(of_task, metric="retrieved")) or (0.0, 0.0)
            retrieved.axhline((low + high) / 2, color=GREY, linewidth=1, label="a constant feature")
            cosine.axhline(1, color=GREY, linewidth=1)
            retrieved.set_title(called, fontsize=10)
            cosine.set_xlabel(all_tasks()[task].axis)
        panels[0, 0].set_ylabel("retrieved")
        panels[1, 0].set_ylabel("cosine to itself; dotted: to the others")
        panels[0, 0].set_ylim(-0.03, 1.03)
        handles, labels = panels[0, 0].get_legend_handles_labels()
        figure.legend(handles, labels, fontsize=8, loc="outside lower center", ncols=2, frameon=False)
        figure.savefig(path, dpi=130)


def lines(groups: Sequence[Group]) -> Iterator[tuple[str, str, str]]:
    """Yield label, name of random weights and color of each line; the name is empty for an encoder itself."""
    drawn = set[str]()
    for number, each in enumerate(groups):
        color, control = PALETTE[number % len(PALETTE)], control_column(groups, each)
        yield each.label, "", color
        if control not in drawn and any(row["control"] for member in each.members for row in member.rows):
            drawn.add(control)  # encoders of one architecture have one
            yield each.label, control, color


def _line(axes: Axes, points: Sequence[Score], **look: Any) -> None:
    ordered = sorted((each.at, each.mean) for each in points if each.at is not None)
    axes.plot(*zip(*ordered), linewidth=1.4, **look)


def page(groups: Sequence[Group]) -> str:
    """Return what was measured, the picture and the table."""
    names = plain(", ".join(each.label for each in groups))
    return (
        f"# Similarity curves of pretrained encoders\n\n"
        f"{measured_on(groups)}\n\n"
        f"Written by `python experiments/curves.py`. Each curve is of {IMAGES} test images, and each image is "
        f"retrieved among these {IMAGES}; rot4 is trained on {TRAIN} images and tested on {TEST}, each in four "
        "rotations. The tasks have more by default (500; 3,000 and 1,000), so that the ViT could be scored on one "
        "core: do not compare these figures with those of other numbers of images. What the scores mean: "
        "[similarity curves and four rotations](../curves.md).\n\n"
        "![Share of images retrieved, and cosine, over the angle of a rotation, over scale and over shift: "
        f"{names}, and random weights]({SUITE.name}.png)\n\n"
        "Solid: as trained; dashed: the same architecture with random weights; grey: a constant feature. Dotted, in "
        "the same color: the cosine of a transformed image and the other images, which is what a cosine has to "
        "be compared with (for random weights paler).\n\n"
        "Means over the steps that change the image; for rot4, in brackets the 95 % bootstrap interval over test "
        "images.\n\n"
        f"{suite_grid(SUITE, list(suite_rows(SUITE, groups))).markdown()}\n"
    )


def main() -> None:
    """Parse, score what is not there, write picture and page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="*", metavar="MODEL:PIXELS")
    parser.add_argument("--data", help="of which the held-out images are read, and for rot4 the training images")
    parser.add_argument("--out", type=Path, default=Path("runs/curves"))
    given = parser.parse_args()
    if given.models and not given.data:
        parser.error("--data is missing: which images the models are scored on")
    for text in given.models:
        model, _, pixels = text.rpartition(":")
        if not (model and pixels.isdecimal()):
            parser.error(f"{text!r}: give MODEL:PIXELS")
    if given.models:
        score(given.models, given.data, given.out)
    groups = read_suite(SUITE, row_folders(RESULTS / SUITE.name))
    draw(groups, RESULTS / f"{SUITE.name}.png")
    write_page(page(groups), RESULTS / f"{SUITE.name}.md")


if __name__ == "__main__":
    main()
