"""VICReg on Tiny-ImageNet-100: the effect of flips, of decoders, and of a loss that sees g.

    python experiments/vicreg_tiny_imagenet.py --data FOLDER_OR_ARCHIVE [--out runs/vicreg-tiny-imagenet]
        [--steps 1500] [--precision fp32]

Trains one configuration after another, the most informative first, and rewrites
docs/results/vicreg-tiny-imagenet-1500-steps.md (each number of steps has a page of its own) after each stage: one seed
of the main arms, more seeds of them, one seed of all arms. Run again, it continues where it stopped: a finished run is
not trained again, and evaluated again only if its scores have other settings or older probes. --baselines trains
nothing, and scores what costs nothing.
"""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Literal

from asked_arms import check_arms
from pages import write_page
from photographs import IMAGES, MEASURED, PRECISIONS, SUITE, other_precision, score_missing
from published import published
from without_training import ROWS, baselines_note, in_order, score_without_training

from equicoherence.coherence import CoherenceConfig
from equicoherence.evaluation.suites import Suite
from equicoherence.recipes import recipe
from equicoherence.reporting.comparison.evaluated import Evaluated
from equicoherence.reporting.comparison.lines import RANDOM, group, members
from equicoherence.reporting.labels import receives_labels
from equicoherence.reporting.origin import origin_line
from equicoherence.reporting.suite_table import SuiteRow, suite_grid, suite_rows
from equicoherence.reporting.tables import MISSING, Grid
from equicoherence.training import OptimConfig, PretrainConfig
from equicoherence.training.config import Precision
from equicoherence.training.config_file import to_dict
from equicoherence.training.views_config import ViewsConfig

PAGES = Path(__file__).parents[1] / "docs" / "results"  # a page for each number of steps
BOTH = "render+cross-attention"
PLAIN, BEST, ORACLE = "VICReg", "+ render and [P1], g outside", "oracle (theta as label), g outside"
ORACLE_ALL = "oracle (theta of path all as label), g outside"
ORACLES = (ORACLE, ORACLE_ALL)
HALF = f"{BEST}, on half of the samples"
LIGHT = f"{HALF}, weight .3"
INSIDE = "+ render and [P1], on half of the samples"
EIGHTH = f"{BEST}, on an eighth of the samples"
OTHERS = f"{BEST}, [P1] 128 wide, on two fifths of the samples, the loss of VICReg on the others"
INDEPENDENT = "VICReg, independent flips"
NO_FLIPS = "VICReg, no flips"
NARROW = f"{HALF}, [P1] 128 wide, of one view of each"
NARROW_LIGHT = f"{NARROW}, weight .3"
NARROW_EIGHTH = f"{EIGHTH}, [P1] 128 wide, of one view of each, weight .3"
ALL_LIGHT = f"{NARROW_LIGHT}, path all"
ALL_LABELS = f"{ALL_LIGHT}, theta as label too"
BETWEEN = "+ geodesic, path between the views"
BETWEEN_ORACLE = "oracle (all that lies between the views as labels)"
HALF_INDEPENDENT = f"{HALF}, independent flips"
MAIN = (PLAIN, HALF, INSIDE)
FIRST = (*MAIN, INDEPENDENT, NO_FLIPS, HALF_INDEPENDENT, ORACLE, EIGHTH)
PUBLISHED = ("+ conv [P2]", "+ g, no reconstruction")
BASELINES = ("MoCo v3", "MoCo v3 + SER", "SimCLR", "SimCLR + STL, with g")
RIVALS = """
The baselines SER and STL are compared with the plain form of the method that they build on; both are label-free. SER
sees no g; STL sees g in view 2, the same g for two images each."""
SHARE = """Share of the headroom closed, (R2 - plain) / (oracle - plain); a dash if no oracle is above the plain
method by {}. An oracle receives the parameters of g as labels, which it regresses from z_equi of v1 and v2: rotation
and translation; or (*path all*) also scale, color and blur, which g changes there, too. The better oracle counts, for
each score.

{}

"""
SHARE_THERE = """
The same share, from the backbone of the plain method to the equivariant part of the oracle.

{}
"""
HEADROOM = 0.05  # an oracle that is no better than the plain method leaves no headroom to close


def arms(data: str, steps: int, precision: Precision) -> dict[str, PretrainConfig]:
    """Return the configurations by name. All views of an image share its flip, but for arms with independent flips."""

    def from_recipe(name: str) -> PretrainConfig:
        return dataclasses.replace(
            recipe(name),
            data=data,
            max_steps=steps,
            checkpoint_every=100,
            precision=precision,
            optim=OptimConfig(epochs=100, batch_size=256, lr=2e-3),
        )

    base = from_recipe("vicreg-tiny")

    def views(**fields: object) -> ViewsConfig:
        return dataclasses.replace(base.views, **fields)  # type: ignore[arg-type]

    def task(invariant: str, **fields: object) -> PretrainConfig:
        coherence = CoherenceConfig(d_equi=128, **fields)  # type: ignore[arg-type]
        return dataclasses.replace(base, coherence=coherence, views=views(invariant=invariant))

    def between(**fields: object) -> PretrainConfig:
        coherence = CoherenceConfig(d_equi=128, **fields)  # type: ignore[arg-type]
        return dataclasses.replace(base, coherence=coherence, views=views(path="between"))

    def everything(**fields: object) -> PretrainConfig:
        config = task("base", **fields)
        return dataclasses.replace(config, views=dataclasses.replace(config.views, path="all"))

    def flipped(config: PretrainConfig, how: Literal["independent", "none"]) -> PretrainConfig:
        return dataclasses.replace(config, views=dataclasses.replace(config.views, flip=how))

    plain, half = base.plain(), task("base", decoder=BOTH, share=0.5)
    return {
        PLAIN: plain,
        BEST: task("base", decoder=BOTH),
        INDEPENDENT: flipped(plain, "independent"),
        NO_FLIPS: flipped(plain, "none"),
        ORACLE: task("base", decoder="oracle"),
        ORACLE_ALL: everything(decoder="oracle"),
        HALF: half,
        LIGHT: task("base", decoder=BOTH, share=0.5, weight=0.3),
        NARROW: task("base", decoder=BOTH, share=0.5, width=128, targets="own,either"),
        NARROW_LIGHT: task("base", decoder=BOTH, share=0.5, weight=0.3, width=128, targets="own,either"),
        ALL_LIGHT: everything(decoder=BOTH, share=0.5, weight=0.3, width=128, targets="own,either"),
        ALL_LABELS: everything(
            decoder=f"{BOTH}+oracle", share=0.5, weight=0.3, width=128, targets="cross-attention=either"
        ),
        NARROW_EIGHTH: task("base", decoder=BOTH, share=0.125, weight=0.3, width=128, targets="own,either"),
        HALF_INDEPENDENT: flipped(half, "independent"),
        INSIDE: task("path", decoder=BOTH, share=0.5),
        EIGHTH: task("base", decoder=BOTH, share=0.125),
        f"{EIGHTH}, four times the weight": task("base", decoder=BOTH, share=0.125, weight=4.0),
        OTHERS: task("others", decoder=BOTH, share=0.4, width=128, targets="own,either"),
        BETWEEN: between(decoder="geodesic", states=1, spacing="random", scales=(2, 4)),
        BETWEEN_ORACLE: between(decoder="oracle"),
        "+ render, g outside": task("base", decoder="render"),
        "+ cross-attention [P1], g outside": task("base", decoder="cross-attention"),
        "+ conv [P2], g outside": task("base", decoder="conv"),
        "+ render": task("path", decoder="render"),
        "+ cross-attention [P1]": task("path", decoder="cross-attention"),
        "+ conv [P2]": task("path", decoder="conv"),
        "+ g, no reconstruction": dataclasses.replace(base, coherence=None, views=views(invariant="path")),
        "MoCo v3": from_recipe("mocov3-tiny").plain(),
        "MoCo v3 + SER": from_recipe("ser-tiny"),
        "SimCLR": from_recipe("simclr-tiny").plain(),
        "SimCLR + STL, with g": from_recipe("stl-tiny"),
    }


def stages(
    configs: Mapping[str, PretrainConfig], only: Sequence[str] | None, seeds: Sequence[int]
) -> list[tuple[Sequence[str], Sequence[int]]]:
    """Return which arms are trained with which seeds, the most informative first.

    only, seeds: the arms that are asked for, and their seeds; without any, all arms with seeds of their own.
    """
    if only:
        return [(only, seeds)]
    main = [(FIRST, (0,)), (MAIN, (0, 1)), (PUBLISHED, (0,)), (MAIN, (0, 1, 2))]
    return [*main, (BASELINES, (0,)), (tuple(configs), (0,))]


def main() -> None:
    """Train, evaluate and write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--data", required=True, help="Tiny-ImageNet-100: a folder with train/ and val/, or its archive"
    )
    parser.add_argument("--out", type=Path, default=Path("runs/vicreg-tiny-imagenet"))
    parser.add_argument(
        "--steps", type=int, default=1500, help="of training; runs of another number need another --out"
    )
    parser.add_argument(
        "--precision", choices=PRECISIONS, default="fp32", help="of training; one for all runs of a page"
    )
    parser.add_argument("--jobs", type=int, help="runs at once")
    parser.add_argument("--only", nargs="+", help="arms to run, by name")
    parser.add_argument("--seeds", nargs="+", type=int, metavar="N", help="of the arms of --only; 0 by default")
    parser.add_argument(
        "--page", action="store_true", help="train nothing: only write the page of the scores there are"
    )
    parser.add_argument(
        "--baselines", action="store_true", help="train nothing: score a thumbnail and the spectrum, and write the page"
    )
    parser.add_argument("--replace", action="store_true", help="write the page even if it loses rows")
    given = parser.parse_args()
    configs = arms(given.data, given.steps, given.precision)
    place = PAGES / f"vicreg-tiny-imagenet-{given.steps}-steps.md"
    check_arms(parser, given, configs)
    if not given.replace and (other := other_precision(place, given.precision)):
        parser.error(f"{place.name} has runs of --precision {other}, not {given.precision}: give that, or --replace")

    def write() -> None:
        write_page(page(published(place, configs), configs), place, keep=not given.replace)

    if given.baselines:
        score_without_training(SUITE, configs[PLAIN], given.out, place)
    for names, seeds in () if given.page or given.baselines else stages(configs, given.only, given.seeds or (0,)):
        score_missing(names, seeds, configs, given.out, place, write, given.jobs)
    write()
    print(place)


def page(evaluated: Sequence[Evaluated], configs: Mapping[str, PretrainConfig]) -> str:
    """Return the page of scores."""
    groups = group(in_order(evaluated, [*configs]))
    tables, plain = [], None
    labelled = {name for name, config in configs.items() if receives_labels(to_dict(config))}
    for representation in ("backbone", "z_equi"):
        suite = dataclasses.replace(SUITE, representation=representation)
        rows = [row for row in suite_rows(suite, groups) if any(row.scores)]
        plain = plain or next((row for row in rows if row.name == PLAIN and row.kind != RANDOM), None)
        tables.append((suite_grid(suite, rows), headroom(suite, rows, plain, labelled)))
    (backbone, closed), (equivariant, closed_there) = tables
    seeds = ", ".join(f"{each.label}: {len(each.members)}" for each in groups if each.label not in ROWS.values())
    rivals = RIVALS if set(BASELINES) & {each.label for each in groups} else ""
    config = next(iter(configs.values()))
    images = (config.max_steps or 0) * config.optim.batch_size
    shares = ("", "")
    if {*ORACLES} & {each.label for each in groups}:
        shares = (SHARE.format(HEADROOM, closed.markdown()), SHARE_THERE.format(closed_there.markdown()))
    origin = origin_line([each.about for each in members(groups)])
    precision = "" if config.precision == "fp32" else f" --precision {config.precision}"
    return f"""# VICReg on Tiny-ImageNet-100, with and without the task, {config.max_steps} steps

Written by `python experiments/vicreg_tiny_imagenet.py --steps {config.max_steps}{precision}`. {origin}.

Encoder: a ResNet of four blocks (0.6 M parameters), 32 px views of 64 px images, {config.max_steps} steps of
{config.optim.batch_size} images ({images / IMAGES:.1f} epochs), SE(2) paths, border content,
{PRECISIONS[config.precision]}. VICReg weights 1, 1, .04 (the published 25, 25, 1 divided by 25), so that
lambda = 1 weighs the reconstruction as one of its terms.
z has 256 features, 128 of them equivariant (plain: all 256 invariant). The views of an image share its flip, unless
said otherwise. *g outside*: the invariant loss is taken on (v1, u) and the task on v1 and v2 = g(u); else the
invariant loss is taken on (v1, v2), as published.{rivals}

{MEASURED} ± is the standard deviation over seeds, if there are several
({seeds});
brackets are 95 % bootstrap intervals over test images.{baselines_note(evaluated)}

## Backbone

{backbone.markdown()}

{shares[0]}## The equivariant part of z

{equivariant.markdown()}
{shares[1]}"""


def headroom(suite: Suite, rows: Sequence[SuiteRow], plain: SuiteRow | None, labelled: Collection[str]) -> Grid:
    """Return what share of the way from the plain method to the better oracle each arm without labels goes.

    plain: where the way begins; the plain method has no equivariant part, so there too it is its backbone.
    labelled: names of the arms that receive theta.
    """
    figures = [number for number, figure in enumerate(suite.figures) if figure.metric == "r2"]
    own = {row.name: row.scores for row in rows if row.kind != RANDOM}
    start, ends = None if plain is None else plain.scores, [own[name] for name in ORACLES if name in own]
    body = []
    for name, scores in own.items():
        if name in (PLAIN, *labelled, *BASELINES, *ROWS.values()) or start is None:
            continue
        cells = []
        for number in figures:
            low, value = start[number], scores[number]
            high = max((score.mean for end in ends if (score := end[number]) is not None), default=None)
            if low is None or value is None or high is None or high - low.mean <= HEADROOM:
                cells.append(MISSING)
            else:
                cells.append(f"{100 * (value.mean - low.mean) / (high - low.mean):.0f} %")
        body.append([name, *cells])
    return Grid(["arm", *(suite.figures[number].title for number in figures)], body)


if __name__ == "__main__":
    main()
