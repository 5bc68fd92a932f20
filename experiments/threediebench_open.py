"""The benchmark of 3DIEBench on an open stand-in: views of the meshes given, rendered first.

    python experiments/threediebench_open.py --meshes FOLDER [--out runs/3diebench-open] [--epochs 40]
        [--only ARM... [--seeds N...]] [--page] [--replace]

Renders, trains one method after another on pairs of views at 64 px, scores them and writes
docs/results/3diebench-open.md; run again, it continues where it stopped. --encoders vit trains those of the small ViT
alone: two processes can share the work, the second begun when the renders are there. --only and --seeds choose arms.

The page shows all scores of today's settings, which are kept beside it. If it would lose rows, it is not written.
"""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from asked_arms import check_arms
from kept import holds
from pages import RowsLost, made_with, write_page
from published import keep_scores, slug

from equicoherence.arms import train_once
from equicoherence.coherence import CoherenceConfig
from equicoherence.data.poses.latents import change_names
from equicoherence.evaluation import evaluate
from equicoherence.evaluation.fingerprint import config_digest
from equicoherence.evaluation.own_predictor import OWN, OWN_WITH_HUES
from equicoherence.evaluation.poses.linear_map import LinearMap
from equicoherence.evaluation.store import FILE, read_scores
from equicoherence.evaluation.suites import Suite
from equicoherence.methods import METHODS
from equicoherence.notice import say
from equicoherence.recipes import recipe
from equicoherence.rendering import render
from equicoherence.reporting.names import metric_name
from equicoherence.reporting.summary import Score, distinct, flat_rows, joint_floors, pivot, select, summarise_scores
from equicoherence.reporting.tables import MISSING, Grid, floor_cell, with_deviation
from equicoherence.training import EncoderConfig, OptimConfig, PretrainConfig, ViewsConfig

PAGE = Path(__file__).parents[1] / "docs" / "results" / "3diebench-open.md"
VIEWS, PATHS, STATES, SIZE, TURN, PROBE_EPOCHS, SOURCES = 16, 8, 11, 64, 30.0, 100, 5
ENCODERS = {
    # ResNet-18 with one block a stage and half its channels: 1.2 million parameters, a token for each 16 pixels
    "resnet": EncoderConfig("resnet18", {"layers": [1] * 4, "channels": [32, 64, 128, 256], "output_stride": 16}),
    # six blocks, 1.2 million parameters, a token for each 8 pixels, summarised by their mean
    "vit": EncoderConfig(
        "vit_tiny_patch16_224",
        {
            "img_size": SIZE,
            "patch_size": 8,
            "embed_dim": 128,
            "depth": 6,
            "num_heads": 4,
            "class_token": False,
            "global_pool": "avg",
            "fc_norm": False,
        },
    ),
}
# lower is better for PRE alone
RETRIEVAL = {name: metric_name(name) for name in ("mrr", "hit_at_1", "hit_at_5", "pre", "pre_split")}
# (heading, target, metric, probe)
PROBED = (
    ("rotation R2", "relative_rotation", "r2", "mlp"),
    ("the same, one scalar mean", "relative_rotation", "r2_scalar_mean", "mlp"),
    ("color R2", "color", "r2", "mlp"),
    ("absolute rotation R2", "absolute_rotation", "r2", "mlp"),
    ("top-1", "class", "top1", "linear"),
)
PREDICTORS = {OWN: "own", OWN_WITH_HUES: "own, hues too", LinearMap.name: "fitted map"}
IDENTITY = "identity"
MAIN = ("VICReg", "SIE, rotation", "VICReg + [P1]", "VICReg + [P2], K = 2")  # of the ResNet with two seeds
OF_VIT = (*MAIN, "SimCLR", "EquiMod", "AugSelf")


def arms(data: Path, epochs: int, encoder: str) -> dict[str, PretrainConfig]:
    """Return the methods by name: those that receive the pose, and those that do not."""
    vicreg = dataclasses.replace(
        recipe("vicreg-tiny"),
        encoder=ENCODERS[encoder],
        data=str(data),
        views=ViewsConfig(size=SIZE, source=SIZE, path="poses"),
        optim=OptimConfig(epochs=epochs, batch_size=128, lr=2e-3),
        checkpoint_every=1000,
        threads=1,
    )
    plain = vicreg.plain()
    other = CoherenceConfig(d_equi=128, decoder="cross-attention-other")
    between = CoherenceConfig(d_equi=128, decoder="conv")
    rotation = dataclasses.replace(plain.views, told=change_names(7)[:4])

    def method(name: str) -> PretrainConfig:
        return dataclasses.replace(plain, method=recipe(name).method)

    def states(count: int) -> PretrainConfig:
        return dataclasses.replace(vicreg, coherence=dataclasses.replace(between, states=count))

    def solid(decoder: str) -> PretrainConfig:
        return dataclasses.replace(vicreg, coherence=CoherenceConfig(d_equi=128, decoder=decoder))

    return {
        "VICReg": plain,
        "SIE, rotation": dataclasses.replace(method("sie-tiny"), views=rotation),
        "VICReg + [P1]": dataclasses.replace(vicreg, coherence=other),
        "VICReg + [P2], K = 2": states(2),
        "VICReg, split, K = 0": states(0),
        "VICReg + [P2], K = 1": states(1),
        "VICReg + [P2], K = 3": states(3),
        "VICReg + solid, K = 2": solid("solid"),
        "VICReg + [P1] and solid": solid("cross-attention-other+solid"),
        "oracle": dataclasses.replace(vicreg, coherence=CoherenceConfig(d_equi=128, decoder="oracle")),
        "SIE": method("sie-tiny"),
        "SimCLR": method("simclr-tiny"),
        "EquiMod": method("equimod-tiny"),
        "AugSelf": method("augself-tiny"),
    }


def planned(given: argparse.Namespace, data: Path) -> Iterator[tuple[str, str, int, PretrainConfig]]:
    """Yield encoder, name, seed and configuration of every run that is asked for, the most telling first."""
    found = {encoder: arms(data, given.epochs, encoder) for encoder in ENCODERS}
    rest = [name for name in found["resnet"] if name not in MAIN]
    stages = [("resnet", 0, MAIN), ("resnet", 1, MAIN), ("resnet", 0, rest), ("vit", 0, OF_VIT)]
    if given.only:
        stages = [(encoder, seed, given.only) for seed in given.seeds or (0,) for encoder in ENCODERS]
    for encoder, seed, names in stages:
        for name in names if encoder in given.encoders else ():
            yield encoder, name, seed, dataclasses.replace(found[encoder][name], name=name, seed=seed)


def main() -> None:
    """Render, train, score and write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--meshes", help="what `equicoherence render --meshes` takes; needless with --page")
    parser.add_argument("--out", type=Path, default=Path("runs/3diebench-open"))
    parser.add_argument("--epochs", type=int, default=40)
    parser.add_argument("--encoders", nargs="+", choices=list(ENCODERS), default=list(ENCODERS))
    parser.add_argument("--only", nargs="+", metavar="ARM", help="arms to run, by name")
    parser.add_argument("--seeds", nargs="+", type=int, metavar="N", help="of the arms of --only; 0 by default")
    parser.add_argument("--page", action="store_true", help="train nothing: only write the page of the scores kept")
    parser.add_argument("--replace", action="store_true", help="write the page even if it loses rows")
    given = parser.parse_args()
    # of these numbers: a run is of its own renders, and is refused with others
    data = given.out / f"renders-{VIEWS}-{PATHS}-{STATES}-{SIZE}-{TURN:g}"
    check_arms(parser, given, arms(data, given.epochs, "resnet"))
    if not given.page and not given.meshes:
        parser.error("without --page, arms are trained on renders: give --meshes")

    def write() -> None:
        write_page(page(given.epochs, data), PAGE, keep=not given.replace)

    left = ""
    if given.page:
        write()
    else:
        render(given.meshes, data, views=VIEWS, paths=PATHS, states=STATES, size=SIZE, turn=TURN)
        for encoder, name, seed, config in planned(given, data):
            run = given.out / f"{stem(encoder, name)}{seed}"
            train_once(config, run)
            found = score(run, data, controls=(name, seed) == ("VICReg", 0))
            keep_scores(suite(), found, PAGE.with_suffix("") / run.name, name)
            try:
                write()
                left = ""
            except RowsLost as error:
                left = f"{error}. All scores of this run are kept beside it"
    if left:
        say(left)
    else:
        print(PAGE)


def stem(encoder: str, name: str) -> str:
    """Return the name, without its seed, of a run's directory, and of that of its scores beside the page."""
    return f"{encoder}-{slug(name)}-seed"


def suite() -> Suite:
    """Return what is scored."""
    settings = {
        "pose": {"epochs": PROBE_EPOCHS, "views": VIEWS},
        "retrieval": {"views": VIEWS, "sources": SOURCES},
    }
    return Suite("poses", settings, ())


def score(run: Path, data: Path, controls: bool) -> dict[str, Any]:
    """Return the scores of a run; they are kept in its directory, and made anew where they were scored otherwise."""
    settings = suite().settings
    if holds(run, settings, controls=controls):
        return read_scores(run / FILE)
    return evaluate(run, data=data, tasks=list(settings), settings=settings, controls=controls)


def scores_beside(data: Path, epochs: int) -> dict[str, dict[str, list[dict]]]:
    """Return encoder -> label of an arm -> the scores of its seeds that lie beside the page, of today's settings."""
    found: dict[str, dict[str, list[dict]]] = {encoder: {} for encoder in ENCODERS}
    for encoder in ENCODERS:
        for name, config in arms(data, epochs, encoder).items():
            now = config_digest(dataclasses.replace(config, name=name))
            files = sorted(PAGE.with_suffix("").glob(f"{stem(encoder, name)}*/{FILE}"))
            every = [read_scores(file) for file in files]
            if of_today := [each for each in every if each["config"] == now]:
                found[encoder][label(name, config)] = of_today
            if len(of_today) < len(every):
                say(f"scores of {encoder}, {name}, beside {PAGE.name} are left out: they are of other settings")
    return found


def page(epochs: int, data: Path) -> str:
    """Return the page of all scores that lie beside it; SystemExit where there are none."""
    scores = scores_beside(data, epochs)
    every = [each for arm in scores.values() for runs in arm.values() for each in runs]
    if not every:
        raise SystemExit(f"no scores of today lie beside {PAGE.name}: train and score some arms first (give --meshes)")
    last = max(every, key=lambda each: each["date"])
    objects = next(part["counts"] for part in last["parts"].values() if part["task"] == "pose")
    tables = [
        f"## {title}\n\n" + pose_grid(summarise_scores(scores[encoder]), list(scores[encoder])).markdown() + "\n"
        for encoder, title in (("resnet", "ResNet of four blocks"), ("vit", "ViT of six blocks"))
        if scores[encoder]
    ]
    chances = ", ".join(f"{name} {chance(last, metric):.2f}" for metric, name in RETRIEVAL.items())
    return (
        "# 3DIEBench on open meshes\n\n"
        f"Written by `python experiments/threediebench_open.py`. {made_with(last)}.\n\n"
        f"{objects['train']:,} objects for training, {objects['val']} others for testing, {VIEWS} views of each at "
        f"{SIZE} px, rendered by `equicoherence render` with {PATHS} pose paths of {STATES} states each, of which a "
        f"method uses the states that it needs. Objects are rotated by up to {TURN:g} degrees about each axis "
        "(3DIEBench: 90). "
        f"{epochs} epochs of one pair of views of each object, encoders of 1.2 M parameters; probes of "
        f"{PROBE_EPOCHS} epochs. ± is over the seeds of training, where there are several. Rotation, color: R2 of "
        "differences of two views, mean of the dimensions, 0 for a constant; also SIE's variant with one "
        "scalar mean, which is large for a constant. The oracle is VICReg with a head that learns rotation and hues as "
        "labels. Retrieval is through the method's own predictor or a bilinear map fitted on training pairs; a "
        "predictor that receives hues can find views by them, so its scores do not measure pose. E-SSL has no arm: it "
        "classifies rotated crops, which poses do not have. "
        f"Chance among {VIEWS} views: {chances} (lower is better).\n\n"
    ) + "\n".join(tables)


def label(name: str, config: PretrainConfig) -> str:
    """Return a name as the table has it: with the labels that the method receives."""
    if config.coherence is not None and "oracle" in config.coherence.decoders:
        return f"{name} (receives rotation and hues)"
    if not METHODS[type(config.method)].told:
        return name
    return f"{name.split(',')[0]} (receives {'the rotation' if config.views.told else 'rotation and hues'})"


def chance(scores: dict, metric: str) -> float:
    """Return what a random order scores."""
    rows = (row for row in flat_rows(scores) if row["task"] == "retrieval")
    return next(row["chance"] for row in rows if row["metric"] == metric)


def pose_grid(entries: Sequence[Score], names: Sequence[str]) -> Grid:
    """Return rows of all scores of names as mean and spread; what a constant and the identity score come last."""
    whole = select(entries, task=("pose", "retrieval"), parameter="")
    rows = [row for name in names for row in _rows_of([entry for entry in whole if entry.name == name])]
    return Grid(["model", "features", *(column[0] for column in PROBED), "predictor", *RETRIEVAL.values()], rows)


def _rows_of(entries: Sequence[Score]) -> list[list[str]]:
    """Return the rows of one name."""
    rows, unprobed = [], [MISSING] * (len(PROBED) + 1)  # and without a predictor
    for (control, representation), _ in pivot(entries, ("control", "representation")):
        chosen = select(entries, control=control, representation=representation)
        what = f"{representation}, random weights" if control else representation
        retrieved = select(chosen, probe=tuple(PREDICTORS))
        predictor = ", ".join(PREDICTORS[probe] for probe in distinct(retrieved, "probe"))
        rows.append([what, *_probed(chosen, _mean), predictor or MISSING, *_retrieved(retrieved, _mean)])
    own = select(entries, control="")
    sources = distinct(own, "representation")
    by_source = {source: select(own, task="retrieval", representation=source) for source in sources}
    rows += [[f"a constant {source}", *unprobed, *_retrieved(of, _floor)] for source, of in by_source.items() if of]
    rows.append(["a constant", *_probed(own, _floor), MISSING, *[MISSING] * len(RETRIEVAL)])
    for source, of in by_source.items():
        if identity := select(of, probe=IDENTITY):
            rows.append([f"{IDENTITY} {source}", *unprobed, *_retrieved(identity, _mean)])
    return [[entries[0].name, *row] for row in rows]


def _probed(entries: Sequence[Score], cell: Callable[[Sequence[Score]], str]) -> list[str]:
    return [cell(select(entries, target=target, metric=metric, probe=probe)) for _, target, metric, probe in PROBED]


def _retrieved(entries: Sequence[Score], cell: Callable[[Sequence[Score]], str]) -> list[str]:
    return [cell(select(entries, metric=metric)) for metric in RETRIEVAL]


def _mean(entries: Sequence[Score]) -> str:
    return with_deviation(entries[0].mean, entries[0].std, entries[0].metric) if entries else MISSING


def _floor(entries: Sequence[Score]) -> str:
    return str(floor_cell(joint_floors(entries), entries[0].metric).content) if entries else MISSING


if __name__ == "__main__":
    main()
