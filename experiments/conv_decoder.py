"""Does the decoder of [P2] show at small scale? Its scores by border, flips, who sees g, weight, width, and steps.

    python experiments/conv_decoder.py --data FOLDER_OR_ARCHIVE [--out runs/conv-decoder] [--only ARM...]

Trains one arm after another, from the settings as published, as far as they are known, to the recipes', and scores
each with both borders of rotated images: what an image shows beyond its edge, and zeros, which leave black corners.
Rewrites docs/results/conv-decoder.md and its plot after each. Run again, it continues where it stopped.
"""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Sequence
from pathlib import Path

import matplotlib
from asked_arms import check_arms
from chart_style import PALETTE, STYLE
from matplotlib.figure import Figure
from pages import write_page
from photographs import IMAGES, SUITE, score_missing
from published import published
from vicreg_tiny_imagenet import HALF, INDEPENDENT, INSIDE, NO_FLIPS, PLAIN, arms

from equicoherence.evaluation.suites import Suite
from equicoherence.reporting.comparison.evaluated import Evaluated
from equicoherence.reporting.comparison.lines import RANDOM, group, members
from equicoherence.reporting.origin import origin_line
from equicoherence.reporting.summary import Score, select, summarise
from equicoherence.reporting.tables import MISSING, Grid, number
from equicoherence.training import PretrainConfig

PAGE = Path(__file__).parents[1] / "docs" / "results" / "conv-decoder.md"
STEPS, LONG = 300, 1500
CONV, OUTSIDE = "+ conv [P2]", "+ conv [P2], g outside"
CORNERS = f"{CONV}, independent flips, zeros"
BORDERS = {"content": "what the image shows", "zeros": "zeros"}
BOTH_BORDERS = Suite(
    "conv-decoder",
    {
        "transformation": {
            "transformations": ("rotation", "translation", "scale", "color"),
            "borders": tuple(BORDERS),
            "probes": ("mlp",),
        },
        **{task: SUITE.settings[task] for task in ("knn", "linear")},
    },
    SUITE.figures,
)
COLUMNS = (  # title, task, target, border, metric
    *(
        (f"{target} R2, {name}", "transformation", target, border, "r2")
        for target in ("rotation", "translation")
        for border, name in BORDERS.items()
    ),
    ("rotation sign accuracy", "transformation", "rotation, side", "content", "accuracy"),
    ("scale R2", "transformation", "scale", "content", "r2"),
    ("color R2", "transformation", "color", "content", "r2"),
    ("k-NN accuracy", "knn", "", "", "top1"),
    ("linear accuracy", "linear", "", "", "top1"),
)


def ladder(data: str) -> dict[str, PretrainConfig]:
    """Return the configurations by name, from the settings that are known as published to the recipes'."""
    short, long = arms(data, STEPS, "bf16"), arms(data, LONG, "bf16")

    def changed(name: str, **fields: object) -> PretrainConfig:
        config = short[name]
        return dataclasses.replace(config, views=dataclasses.replace(config.views, **fields))  # type: ignore[arg-type]

    def other_task(**fields: object) -> PretrainConfig:
        config = short[OUTSIDE]
        assert config.coherence is not None
        return dataclasses.replace(config, coherence=dataclasses.replace(config.coherence, **fields))  # type: ignore[arg-type]

    return {
        INDEPENDENT: short[INDEPENDENT],
        CORNERS: changed(CONV, flip="independent", border="zeros"),
        f"{CONV}, independent flips": changed(CONV, flip="independent"),
        PLAIN: short[PLAIN],
        NO_FLIPS: short[NO_FLIPS],
        CONV: short[CONV],
        OUTSIDE: short[OUTSIDE],
        f"{OUTSIDE}, weight 4": other_task(weight=4.0),
        f"{OUTSIDE}, 64 equivariant features": other_task(d_equi=64),
        f"{OUTSIDE}, 192 equivariant features": other_task(d_equi=192),
        INSIDE: short[INSIDE],
        HALF: short[HALF],
        f"{PLAIN}, {LONG} steps": long[PLAIN],
        f"{OUTSIDE}, {LONG} steps": long[OUTSIDE],
    }


def main() -> None:
    """Train, evaluate, and write the page and the plot."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--data", required=True, help="Tiny-ImageNet-100: a folder with train/ and val/, or its archive"
    )
    parser.add_argument("--out", type=Path, default=Path("runs/conv-decoder"))
    parser.add_argument("--only", nargs="+", help="arms to run, by name")
    parser.add_argument("--jobs", type=int, help="runs at once")
    parser.add_argument(
        "--page", action="store_true", help="train nothing: only write the page of the scores there are"
    )
    given = parser.parse_args()
    configs = ladder(given.data)
    check_arms(parser, given, configs)

    def write() -> None:
        evaluated = published(PAGE, configs)
        write_page(page(evaluated, list(configs)), PAGE, keep=True)
        plot(rows_of(evaluated, list(configs)), PAGE.with_suffix(".png"))

    for name in () if given.page else given.only or configs:
        score_missing([name], (0,), configs, given.out, PAGE, write, given.jobs, BOTH_BORDERS)
    write()
    print(PAGE)


def rows_of(evaluated: Sequence[Evaluated], order: Sequence[str]) -> dict[str, list[Score | None]]:
    """Return the scores of the columns for each arm, and first those of random weights."""
    groups = sorted(group(evaluated), key=lambda each: order.index(each.members[0].about["name"]))
    entries = summarise({each.label: [member.rows for member in each.members] for each in groups})
    controls = select(entries, control="random")
    found = {RANDOM: _columns(controls)} if controls else {}
    return found | {each.label: _columns(select(entries, control="", name=each.label)) for each in groups}


def _columns(entries: Sequence[Score]) -> list[Score | None]:
    """Return the score of each column, None where there is none."""
    found: list[Score | None] = []
    for _, task, target, border, metric in COLUMNS:
        about = {"task": task, "target": target, "border": border, "metric": metric, "parameter": ""}
        found.append(next(iter(select(entries, representation="backbone", **about)), None))
    return found


def page(evaluated: Sequence[Evaluated], order: Sequence[str]) -> str:
    """Return the page of scores."""
    rows = rows_of(evaluated, order)
    body = [
        [name, *(MISSING if s is None else number(s.mean, s.metric) for s in scores)] for name, scores in rows.items()
    ]
    origin = origin_line([each.about for each in members(group(evaluated))])
    return f"""# The convolutional decoder of [P2] at small scale

Written by `python experiments/conv_decoder.py`. {origin}.

VICReg with a ResNet of four blocks (0.6 M parameters), 32 px views of Tiny-ImageNet-100, {STEPS} steps of 256 images
({STEPS * 256 / IMAGES:.1f} epochs) unless a row names another number, bfloat16, one seed. The decoder reads 16 patches,
and decodes two states. The views of an image share its flip and show what the image has beyond their edge, unless a row
says otherwise. *zeros*: the views are black there, as a plain rotation makes them. *g outside*: the invariant loss is
taken on (v1, u); else on (v1, v2), as published. *render and [P1]*: the
decoders of the recipes. 128 of 256 features are equivariant unless said otherwise.

R2 of an MLP probe on the features of the backbone, of an image and its transformed copy, with two borders. With the
border *zeros* the black corners alone show how far an image is rotated: compare the two columns, also for random
weights. The papers do not say which border their probe had.

{Grid(["encoder", *(column[0] for column in COLUMNS)], body).markdown()}

![Rotation R2 of each encoder with both borders](conv-decoder.png)
"""


def plot(rows: dict[str, list[Score | None]], path: Path) -> None:
    """Draw rotation R2 with both borders, an encoder a line."""
    names = list(rows)[::-1]
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(8.6, 0.8 + 0.34 * len(names)), layout="constrained")
        axes = figure.subplots()
        for place, (border, title) in enumerate(BORDERS.items()):
            column = [c[2:4] for c in COLUMNS].index(("rotation", border))
            there = [(y, score) for y, name in enumerate(names) if (score := rows[name][column]) is not None]
            for y, score in there:
                if score.interval:
                    axes.plot(score.interval, [y, y], color=PALETTE[place], linewidth=1.5, alpha=0.6)
            axes.plot(
                [score.mean for _, score in there],
                [y for y, _ in there],
                "os"[place],
                color=PALETTE[place],
                label=f"beyond the edge: {title}",
            )
        axes.set_yticks(range(len(names)), names)
        axes.set_xlabel("rotation R2")
        axes.set_xlim(0, 1)
        axes.grid(axis="x", alpha=0.3)
        figure.legend(loc="outside upper center", ncols=2, frameon=False)
        figure.savefig(path, dpi=130)


if __name__ == "__main__":
    main()
