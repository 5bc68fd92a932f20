"""Every method with and without the task, on photographs: does it learn, and what does the task add and cost?

Beside the task stand label-free baselines that build on one of the methods: SER, STL, E-SSL.

    python experiments/every_method.py --data FOLDER_OR_ARCHIVE [--out runs/every-method] [--methods vicreg dino]
        [--images 76800] [--precision fp32]

Trains each tiny recipe, once with the task and once without, and rewrites docs/results/methods.md
(methods-N-images.md for another number of images) after each pair: what the task adds in R2, and what it costs in
classification. --rivals adds the rivals of the methods. --baselines trains nothing, and scores what costs nothing;
--page only writes the page of the scores there are. Run again, it continues where it stopped.
"""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path

from pages import write_page
from photographs import IMAGES, MEASURED, PRECISIONS, SUITE, other_precision, score_missing
from published import published
from without_training import baselines_note, in_order, score_without_training

from equicoherence.evaluation.transformation import transformation_of
from equicoherence.methods import METHODS
from equicoherence.recipes import RECIPES, recipe
from equicoherence.reporting.comparison.evaluated import Evaluated
from equicoherence.reporting.comparison.lines import RANDOM, Group, group, members
from equicoherence.reporting.noise_limit import noisy_transformations
from equicoherence.reporting.origin import origin_line
from equicoherence.reporting.suite_table import SuiteRow, suite_grid, suite_rows
from equicoherence.reporting.tables import MISSING, NUMBER, Cell, Grid, number
from equicoherence.training import PretrainConfig
from equicoherence.training.config import Precision

PAGE = Path(__file__).parents[1] / "docs" / "results" / "methods.md"
SEEN = 76800  # images that each encoder of the page above sees; runs of another number have a page of their own
TASK = " + task"
TINY = {name.removesuffix("-tiny"): recipe(name) for name in RECIPES if name.endswith("-tiny")}
RIVALS = {
    "simclr": {"E-SSL": "essl-tiny", "STL, with g": "stl-tiny"},
    "mocov3": {"SER": "ser-tiny"},
}  # by what they build on
TITLES = {"BarlowTwins": "Barlow Twins", "MoCoV3": "MoCo v3", "IBOT": "iBOT"}  # the others have their class's name
WITH_TASK = {name: config for name, config in TINY.items() if config.coherence and config.encoder.train == "all"}

BATCHES = sorted({config.optim.batch_size for config in WITH_TASK.values()})


def arms(data: str, images: int, precision: Precision = "fp32") -> dict[str, dict[str, PretrainConfig]]:
    """Return for each method its configurations by name: plain, with the task, and its rivals.

    images: that each sees.
    """

    def from_recipe(base: PretrainConfig) -> PretrainConfig:
        batch = base.optim.batch_size
        steps = images // batch
        epochs = max(base.optim.epochs, -(-steps // (IMAGES // batch)))  # that hold these steps
        optim = dataclasses.replace(base.optim, epochs=epochs)
        return dataclasses.replace(
            base, data=data, max_steps=steps, checkpoint_every=100, precision=precision, optim=optim
        )

    found = {}
    for method, base in WITH_TASK.items():
        name = METHODS[type(base.method)].__name__
        title, config = TITLES.get(name, name), from_recipe(base)
        rivals = {f"{title} + {rival}": from_recipe(recipe(of)) for rival, of in RIVALS.get(method, {}).items()}
        found[method] = {title: config.plain(), title + TASK: config, **rivals}
    return found


def main() -> None:
    """Train, evaluate and write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--data", required=True, help="Tiny-ImageNet-100: a folder with train/ and val/, or its archive"
    )
    parser.add_argument("--out", type=Path, default=Path("runs/every-method"))
    parser.add_argument("--images", type=int, default=SEEN, metavar="N", help="that each encoder sees in training")
    parser.add_argument(
        "--precision", choices=PRECISIONS, default="fp32", help="of training; one for all runs of a page"
    )
    parser.add_argument("--methods", nargs="+", default=[*WITH_TASK], choices=[*WITH_TASK])
    parser.add_argument("--rivals", action="store_true", help="also those of the methods: SER, STL, E-SSL")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0], metavar="N")
    parser.add_argument("--jobs", type=int, help="runs at once")
    parser.add_argument(
        "--baselines", action="store_true", help="train nothing: score a thumbnail and the spectrum, and write the page"
    )
    parser.add_argument(
        "--page", action="store_true", help="train nothing: only write the page of the scores there are"
    )
    parser.add_argument("--replace", action="store_true", help="write the page even if it loses rows")
    given = parser.parse_args()
    if wrong := [size for size in BATCHES if given.images < size or given.images % size]:
        parser.error(f"--images {given.images} is no multiple of the batch size {wrong[0]}: give one of {max(BATCHES)}")
    if given.rivals and not set(given.methods) & set(RIVALS):
        parser.error(f"--rivals: {', '.join(given.methods)} have none; {' and '.join(RIVALS)} have")
    pairs = arms(given.data, given.images, given.precision)
    configs = {name: config for pair in pairs.values() for name, config in pair.items()}
    place = PAGE if given.images == SEEN else PAGE.with_stem(f"{PAGE.stem}-{given.images}-images")
    if not given.replace and (other := other_precision(place, given.precision)):
        parser.error(f"{place.name} has runs of --precision {other}, not {given.precision}: give that, or --replace")

    def write() -> None:
        write_page(page(published(place, configs), configs), place, keep=not given.replace)

    if given.baselines:
        score_without_training(SUITE, next(iter(configs.values())), given.out, place)
    for method in () if given.page or given.baselines else given.methods:
        names = [
            name for name, config in pairs[method].items() if given.rivals or " + " not in name or name.endswith(TASK)
        ]
        score_missing(names, given.seeds, configs, given.out, place, write, given.jobs)
    write()
    print(place)


def page(evaluated: Sequence[Evaluated], configs: Mapping[str, PretrainConfig]) -> str:
    """Return the page of scores."""
    groups = group(in_order(evaluated, [*configs]))
    rows = list(suite_rows(SUITE, groups))
    there = dataclasses.replace(SUITE, representation="z_equi")
    equivariant = [row for row in suite_rows(there, groups) if any(row.scores)]
    config = next(iter(configs.values()))
    images = (config.max_steps or 0) * config.optim.batch_size
    option = "" if images == SEEN else f" --images {images}"
    used = "" if config.precision == "fp32" else f" --precision {config.precision}"
    other = ", where the recipes take bfloat16 if the processor has it" if config.precision == "fp32" else ""
    seeds = ", ".join(str(seed) for seed in sorted({each.about["seed"] for each in members(groups)}))
    return f"""# Every method, with and without the task{f", {images:,} images" if option else ""}

Written by `python experiments/every_method.py{option}{used}`. {origin_line([each.about for each in members(groups)])}.

Each `tiny` recipe, on Tiny-ImageNet-100: {images:,} images seen ({images / IMAGES:.1f} epochs), 32 px views of
64 px images, SE(2) paths, seed {seeds}. All are trained in {PRECISIONS[config.precision]}{other}; the precision
above is that of scoring, a dash where none was noted.
iBOT and DINOv2 have a vision transformer of six blocks with a convolution before its patches (1.2 M parameters), the
others a residual network of four blocks (0.6 M). The task has two decoders, on half of the samples, and the method's
own loss does not see g. Its weight is {weights(configs)}. Plain: `--no-coherence`. Equal images, not equal time.
*STL, with g*: view 2 of STL and of its SimCLR loss is transformed, the same g for two images each.

{MEASURED} Square brackets: 95 % bootstrap intervals over test images.{baselines_note(evaluated)}

## What the task changes

Scores of the encoder's output: with the task minus without it, *from* the score without it; and the same for the
label-free baselines SER, STL and E-SSL. k-NN and linear accuracy in points. (!): R2 on noise of this
transformation is not near 0, in one of the two. A method whose k-NN accuracy is not above that of random weights has
not learned.

{changes(rows, groups).markdown()}

## The encoder's output

{suite_grid(SUITE, rows).markdown()}

## The equivariant part of z

{suite_grid(there, equivariant).markdown()}
"""


def weights(configs: Mapping[str, PretrainConfig]) -> str:
    """Return lambda in words: 1, and which methods have another."""
    others = [
        f"{name.removesuffix(TASK)} {config.coherence.weight:g}"
        for name, config in configs.items()
        if config.coherence and config.coherence.weight != 1
    ]
    return f"1 ({', '.join(others)})" if others else "1"


SHOWN = ("rotation R2", "absolute rotation R2", "translation R2", "scale R2", "color R2", "blur R2")
KNN = "k-NN accuracy"
CLASSES = (KNN, "linear accuracy")


def changes(rows: Sequence[SuiteRow], groups: Sequence[Group]) -> Grid:
    """Return what the task or a rival adds to each method scored without it, and the k-NN of random weights."""
    own = {row.name: row for row in rows if row.kind != RANDOM}
    kinds = {each.label: (each.arch, each.build, each.size) for each in groups}
    random = {kinds[row.name]: row for row in rows if row.kind == RANDOM}
    places = {figure.title: place for place, figure in enumerate(SUITE.figures) if figure.title in SHOWN + CLASSES}
    body: list[list[object]] = []
    for added, after in own.items():
        name, plus, _ = added.partition(" + ")
        if plus and (before := own.get(name)) is not None:
            cells = [_change(before, after, place) for place in places.values()]
            floor = random[kinds[name]].scores[places[KNN]] if kinds[name] in random else None
            body.append([added, *cells, Cell(MISSING if floor is None else number(floor.mean, floor.metric), NUMBER)])
    return Grid(["method", *places, f"{KNN} of random weights"], body)


def _change(before: SuiteRow, after: SuiteRow, place: int) -> Cell:
    start, end, figure = before.scores[place], after.scores[place], SUITE.figures[place]
    if start is None or end is None:
        return Cell(MISSING, NUMBER)
    change = number(end.mean - start.mean, figure.metric)
    sign = "" if change.startswith("\N{MINUS SIGN}") else "+"
    noisy = noisy_transformations(filter(None, (*before.scores, *after.scores)))
    mark = " (!)" if transformation_of(figure.target) in noisy else ""
    return Cell(f"{sign}{change.removesuffix(' %')} from {number(start.mean, figure.metric)}{mark}", NUMBER)


if __name__ == "__main__":
    main()
