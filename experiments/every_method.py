"""Every method with and without the task, on photographs: does it learn, what does the task add, and what does it cost?

    python experiments/every_method.py --data FOLDER_OR_ARCHIVE [--out runs/every-method] [--methods vicreg dino]

Trains each tiny recipe as it is, once with the task and once without, and rewrites docs/results/methods.md after each
pair. Run again, it continues where it stopped.
"""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path

from pages import write_page
from photographs import IMAGES, MEASURED, SUITE, missing
from published import publish, published

from equicoherence.comparing import compare, floor_of
from equicoherence.evaluation.suites import Figure
from equicoherence.methods import METHODS
from equicoherence.recipes import RECIPES, recipe
from equicoherence.reporting.comparison.evaluated import Evaluated
from equicoherence.reporting.comparison.lines import RANDOM, group, members
from equicoherence.reporting.origin import origin_line
from equicoherence.reporting.suite_table import SuiteRow, suite_grid, suite_rows
from equicoherence.reporting.tables import MISSING, NUMBER, Cell, Grid, number
from equicoherence.training import PretrainConfig

PAGE = Path(__file__).parents[1] / "docs" / "results" / "methods.md"
TASK = " + task"
TINY = {name.removesuffix("-tiny"): recipe(name) for name in RECIPES if name.endswith("-tiny")}
TITLES = {"BarlowTwins": "Barlow Twins", "MoCoV3": "MoCo v3", "IBOT": "iBOT"}  # the others have their class's name
WITH_TASK = {name: config for name, config in TINY.items() if config.coherence and config.encoder.train == "all"}


def arms(data: str, images: int) -> dict[str, dict[str, PretrainConfig]]:
    """Return for each method its configurations by name: plain, and with the task.

    images: that each sees.
    """
    found = {}
    for method, base in WITH_TASK.items():
        steps = images // base.optim.batch_size
        config = dataclasses.replace(base, data=data, max_steps=steps, checkpoint_every=100, precision="fp32")
        name = METHODS[type(base.method)].__name__
        title = TITLES.get(name, name)
        found[method] = {title: config.plain(), title + TASK: config}
    return found


def main() -> None:
    """Train, evaluate and write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--data", required=True, help="Tiny-ImageNet-100: a folder with train/ and val/, or its archive"
    )
    parser.add_argument("--out", type=Path, default=Path("runs/every-method"))
    parser.add_argument("--images", type=int, default=76800, help="that each encoder sees in training")
    parser.add_argument("--methods", nargs="*", default=[*WITH_TASK], choices=[*WITH_TASK])
    parser.add_argument("--seeds", nargs="+", type=int, default=[0], metavar="N")
    parser.add_argument("--jobs", type=int, help="runs at once")
    parser.add_argument("--replace", action="store_true", help="write the page even if it loses rows")
    given = parser.parse_args()
    pairs = arms(given.data, given.images)
    configs = {name: config for pair in pairs.values() for name, config in pair.items()}
    for method in given.methods:
        for chosen, seed in missing(pairs[method], given.seeds, PAGE):
            runs = compare(
                chosen,
                given.out,
                seeds=(seed,),
                settings=SUITE.settings,
                tasks=tuple(SUITE.settings),
                controls=first_of_its_encoder(method, pairs),
                jobs=given.jobs,
            )
            publish(SUITE, (run for of_arm in runs.values() for run in of_arm), PAGE)
            write_page(page(published(PAGE, configs), configs), PAGE, keep=not given.replace)
    write_page(page(published(PAGE, configs), configs), PAGE, keep=not given.replace)
    print(PAGE)


def first_of_its_encoder(method: str, pairs: Mapping[str, Mapping[str, PretrainConfig]]) -> bool:
    """Return whether a method is the first of those whose random weights have the same scores."""
    floors = {name: floor_of(next(iter(pair.values()))) for name, pair in pairs.items()}
    return method == next(name for name, floor in floors.items() if floor == floors[method])


def page(evaluated: Sequence[Evaluated], configs: Mapping[str, PretrainConfig]) -> str:
    """Return the page of scores."""
    groups = sorted(group(evaluated), key=lambda each: [*configs].index(each.members[0].about["name"]))
    rows = list(suite_rows(SUITE, groups))
    there = dataclasses.replace(SUITE, representation="z_equi")
    equivariant = [row for row in suite_rows(there, groups) if any(row.scores)]
    config = next(iter(configs.values()))
    images = (config.max_steps or 0) * config.optim.batch_size
    seeds = ", ".join(str(seed) for seed in sorted({each.about["seed"] for each in members(groups)}))
    return f"""# Every method, with and without the task

Written by `python experiments/every_method.py`. {origin_line([each.about for each in members(groups)])}.

Each `tiny` recipe as it is, on Tiny-ImageNet-100: {images:,} images seen ({images / IMAGES:.1f} epochs), 32 px views of
64 px images, SE(2) paths, float32, seed {seeds}. iBOT and DINOv2 have a vision transformer of six blocks (1.2 M
parameters), the others a residual network of four blocks (0.6 M). The task has two decoders, on half of the samples,
and the method's own loss does not see g. Plain: `--no-coherence`. Equal images, not equal time.

{MEASURED} Brackets: 95 % bootstrap intervals over test images.

## What the task changes

The encoder's output with the task, minus that without; in brackets without. k-NN and linear accuracy in points.

{changes(rows).markdown()}

## The encoder's output

{suite_grid(SUITE, rows).markdown()}

## The equivariant part of z

{suite_grid(there, equivariant).markdown()}
"""


SHOWN = ("rotation R2", "absolute rotation R2", "translation R2", "scale R2", "color R2", "blur R2")
CLASSES = ("k-NN accuracy", "linear accuracy")


def changes(rows: Sequence[SuiteRow]) -> Grid:
    """Return what the task adds to each method whose two encoders are scored, and the k-NN of random weights."""
    own = {row.name: row for row in rows if row.kind != RANDOM}
    places = [place for place, figure in enumerate(SUITE.figures) if figure.title in SHOWN + CLASSES]
    body = []
    for name, before in own.items():
        after = own.get(name + TASK)
        if after is not None:
            body.append([name, *(_change(SUITE.figures[n], before, after, n) for n in places)])
    return Grid(["method", *(SUITE.figures[place].title for place in places)], body)


def _change(figure: Figure, before: SuiteRow, after: SuiteRow, place: int) -> Cell:
    start, end = before.scores[place], after.scores[place]
    if start is None or end is None:
        return Cell(MISSING, NUMBER)
    change = number(end.mean - start.mean, figure.metric)
    sign = "" if change.startswith("\N{MINUS SIGN}") else "+"
    return Cell(f"{sign}{change.removesuffix(' %')} ({number(start.mean, figure.metric)})", NUMBER)


if __name__ == "__main__":
    main()
