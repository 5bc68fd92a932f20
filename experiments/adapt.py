"""Adapt an encoder that exists: which part of it is trained, from what, and what that gains and keeps.

    python experiments/adapt.py MODEL --data FOLDER_OR_ARCHIVE [--check IMAGES] [--out runs/adapt]
    python experiments/adapt.py MODEL --data FOLDER_OR_ARCHIVE --dense DATA_SETS --other IMAGES

Adapts one encoder in several ways, one after another, each as `equicoherence adapt` does, and rewrites
docs/results/adapt.md after each, with all encoders that lie in --out. Run again, it goes on where it stopped. The
original is scored once. --dense trains nothing: it scores dense tasks, and classes of other images, of what is done.
"""

from __future__ import annotations

import argparse
import dataclasses
import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from adapt_baselines import Baseline, read_baselines, score_baselines
from adapt_charts import Baselines, Found, bars, gained_and_kept, kept_over_steps
from adapt_dense import dense_section, score_dense
from pages import write_page
from published import slug

from equicoherence.adapting.adaptation import adapt_with
from equicoherence.adapting.asked import Asked
from equicoherence.adapting.start_config import start_config
from equicoherence.coherence import CoherenceConfig
from equicoherence.evaluation.suites import ADAPT
from equicoherence.evaluation.transformation import NOISE
from equicoherence.reporting.adaptation.adaptation import CHECK, ORIGINAL, SCORED, Adaptation, read_adaptation
from equicoherence.reporting.adaptation.figures import BACKBONE, BEST, JOINED, OUTPUT, Z_EQUI, FigureRow
from equicoherence.reporting.adaptation.page import PAGE as DONE
from equicoherence.reporting.names import target_name
from equicoherence.reporting.noise_limit import NEAR_ZERO, with_warning
from equicoherence.reporting.origin import origin_line
from equicoherence.reporting.summary import select, summarise_scores
from equicoherence.reporting.tables import MISSING, Cell, Grid, number
from equicoherence.training import PretrainConfig, pretrain
from equicoherence.training.run import is_finished

PAGE = Path(__file__).parents[1] / "docs" / "results" / "adapt.md"
KEPT = PAGE.with_name("adapt-kept.png")
CHART = Path(__file__).parents[1] / "docs" / "adapt.png"
DRAWN = "head, as drawn"  # a control: the head before it has learned anything
DENSE = ("head", DRAWN)
READ = {BACKBONE: "features", Z_EQUI: "z_equi", JOINED: "[features, z_equi]"}
BESIDE = "[features, that]"
ON_NOISE = [figure.target for figure in ADAPT.figures if figure.metric == NOISE]
WATCHED = """
Where the encoder itself is trained, what its features keep is watched while it trains, on 500 images that are held out:

![k-NN and rotation R2 over the steps, for each way that trains the encoder](adapt-kept.png)
"""


def arms(model: str, steps: int) -> dict[str, PretrainConfig]:
    """Return the ways of adapting an encoder, most telling first."""
    base = dataclasses.replace(start_config("adapt-tiny", model)[0], max_steps=steps, keep=0.0)
    assert base.coherence is not None

    def way(train: str = "head", lr: float = 1.0, seed: int = 0, **task: object) -> PretrainConfig:
        coherence: CoherenceConfig = dataclasses.replace(base.coherence, **task)  # type: ignore[type-var, arg-type]
        optim = dataclasses.replace(base.optim, lr=base.optim.lr * lr)
        encoder = dataclasses.replace(base.encoder, train=train)
        watch = {} if train == "head" else {"watch": "knn,rotation", "watch_every": 25}
        return dataclasses.replace(base, encoder=encoder, coherence=coherence, optim=optim, seed=seed, **watch)

    return {
        "head": way(),
        "head, second seed": way(seed=1),
        "head, 1024 wide": way(d_equi=1024),
        "head, with labels": way(decoder="oracle"),
        "head, 128 wide": way(d_equi=128),
        "head, 128 wide, with labels": way(d_equi=128, decoder="oracle"),
        "head, 128 wide, as drawn": dataclasses.replace(way(lr=1e-9, d_equi=128), max_steps=1),
        DRAWN: dataclasses.replace(way(lr=1e-9), max_steps=1),
        "last layer": way("last:1", lr=0.1, layers=(), split="linear"),
        "last layer, with labels": way("last:1", lr=0.1, layers=(), split="linear", decoder="oracle"),
        "head, render and [P1]": way(decoder="render+cross-attention"),
        "head, conv [P2]": way(decoder="conv"),
        "lora": way("lora:8", lr=0.1, layers=(), split="linear"),
        "all": way("all", lr=0.1, layers=(), split="linear"),
    }


def main() -> None:
    """Adapt, score and write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", help="an encoder that exists, as `equicoherence adapt` takes it")
    parser.add_argument("--data", required=True, help="images to adapt it on")
    parser.add_argument("--check", help="labelled images that it is not adapted on")
    parser.add_argument("--out", type=Path, default=Path("runs/adapt"))
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--images", type=int, default=2000, help="for the probes; two fifths as many test them")
    parser.add_argument("--limit", type=int, default=5000, help="labelled images of each split for k-NN and linear")
    parser.add_argument("--only", nargs="*", help="ways of adapting, by name; no name: train nothing")
    parser.add_argument("--page", action="store_true", help="train nothing: only write the page of what is done")
    parser.add_argument("--baselines", action="store_true", help="also score what needs no training")
    parser.add_argument("--dense", help="train nothing: score what is done of the heads on data sets in this folder")
    parser.add_argument("--other", help="labelled images that nothing is adapted on, for --dense")
    given = parser.parse_args()
    encoder = given.model.rpartition("@")[2].removeprefix("timm:").replace("/", "-")
    ways = arms(given.model, given.steps)
    if bool(given.dense) != bool(given.other):
        parser.error("--dense and --other are given together: data sets for dense tasks, and images with classes")
    if strange := set(given.only or ()) - set(ways):
        parser.error(f"--only {', '.join(sorted(strange))}: there is no such way; there are {', '.join(ways)}")
    if given.dense and (changed := [name for name in given.only or () if ways[name].encoder.train != "head"]):
        parser.error(
            f"--dense: {', '.join(changed)} trains the encoder, whose features are those of the original no more"
        )
    if given.dense or given.page:
        if given.dense:
            heads = {name: given.out / encoder / slug(name) for name in given.only or DENSE}
            done_heads = {name: run for name, run in heads.items() if is_finished(run)}
            score_dense(given.out / encoder, done_heads, given.dense, given.other)
        draw(given.out, [*ways])
        return
    if given.baselines:
        config = dataclasses.replace(next(iter(ways.values())), data=given.data)
        score_baselines(config, Asked(None, given.images, given.limit), given.out / encoder)
    for name, config in ways.items():
        if given.only is not None and name not in given.only:
            continue
        run = given.out / encoder / slug(name)
        config, asked = dataclasses.replace(config, data=given.data), Asked(given.check, given.images, given.limit)
        if not is_finished(run):
            asked.write(run)
            pretrain(config, run, resume=(run / "config.yaml").is_file())
        _with_original(run)
        adapt_with(config, run, resume=True, **dataclasses.asdict(asked))
        draw(given.out, [*ways])
    print(PAGE)


def draw(out: Path, names: Sequence[str]) -> None:
    """Write the page and its charts of the adaptations that are done."""
    found = done(out, names)
    beside = {encoder: read_baselines(out / encoder) for encoder in found}
    gained_and_kept(found, beside, PAGE.with_suffix(".png"))
    watched = WATCHED if kept_over_steps(found, KEPT) else ""
    write_page(page(found, beside, watched) + dense_section(out, names), PAGE)
    bars({encoder: ways["head"] for encoder, ways in found.items() if "head" in ways}, CHART)


def _with_original(run: Path) -> None:
    """Take the scores of the original from another run of the same encoder, if one has them: the newest."""
    for place in (f"{SCORED}/{ORIGINAL}", f"{SCORED}/{ORIGINAL}{CHECK}"):
        others = [path for path in run.parent.glob(f"*/{place}") if (path.parents[1] / DONE).is_file()]
        if others and not (run / place).exists():
            shutil.copytree(max(others, key=lambda path: path.stat().st_mtime), run / place)


def done(out: Path, names: Sequence[str]) -> Found:
    """Return the adaptations that are done, by encoder and way. Raises FileNotFoundError where none is."""
    found: dict[str, dict[str, Adaptation]] = {}
    for folder in sorted(path for path in out.iterdir() if path.is_dir()):
        whole = {name: folder / slug(name) for name in names if (folder / slug(name) / DONE).is_file()}
        if whole:
            found[folder.name] = {name: read_adaptation(run) for name, run in whole.items()}
    if not found:
        raise FileNotFoundError(f"nothing in {str(out)!r} is done")
    return found


def page(found: Found, beside: Baselines, watched: str) -> str:
    """Return the page of adaptations by encoder and way. watched: what it says of trained encoders over their steps."""
    every = [each for of_encoder in found.values() for each in of_encoder.values()]
    config = next(iter(arms(every[0].name, 1).values()))
    tables = "\n\n".join(
        f"## {encoder}\n\n{grid(ways, beside[encoder]).markdown()}\n\n{costs(ways)}" for encoder, ways in found.items()
    )
    origin = origin_line([scores for each in every for scores in each.scores])
    return f"""# Adapting a pretrained encoder

Written by `python experiments/adapt.py MODEL --data DIR`. {origin}.

Each row is one way of `equicoherence adapt` with the recipe `adapt-tiny`: {config.optim.batch_size} images a step, path
{config.views.path}, decoder {config.coherence.decoder if config.coherence else ""} unless another is named. *head*: the
encoder is frozen, and a head on its middle layers is trained to give z_equi. *last layer*, *all*: this part of the
encoder is trained, kept near its start by `Anchor`, and z_equi is a linear map of its output. *with labels*: instead of
a decoder, the transformation parameters are regressed as labels. *{DRAWN}*: the untrained head. *no training*: in place
of z_equi, and scaled as it is, the image at 16 x 16 pixels, or the mean over the patch tokens of the layers that the
head reads.

R2 of an MLP probe on the features of an image and its transformed copy; rotation sign accuracy: chance .5. R2 on noise
should be {NEAR_ZERO}; where it is not, it is marked (!), and the scores of that
transformation in that row are not to be trusted. One seed unless another is named. *Best layer* is that of the
original, chosen for each score on these images. Classes: accuracy.

![Mean change of R2 over the change of k-NN, for each way of adapting](adapt.png)
{watched}
{tables}
"""


def grid(ways: Mapping[str, Adaptation], beside: Mapping[str, Baseline]) -> Grid:
    """Return a row for the original, its best layers, each baseline, and what is read of each adapted one."""
    first = next(iter(ways.values()))
    titles = [row.title for row in first.rows]
    before, layer = (noise_cells(first.scores[0], name) for name in (OUTPUT, BEST))
    body = [
        ["original", "features", *_cells(first.rows, titles, lambda row: row.original), *before],
        ["best layer", "features", *_cells(first.rows, titles, lambda row: row.layer), *layer],
    ]
    for name, baseline in beside.items():
        cells = _cells(baseline.rows, titles, lambda row: row.adapted.get(BACKBONE))
        body.append([name, BESIDE, *cells, *noise_cells(baseline.scores, BACKBONE)])
    for name, way in ways.items():
        for representation in _read(way):
            cells = _cells(way.rows, titles, lambda row, read=representation: row.adapted.get(read))
            body.append([name, READ[representation], *cells, *noise_cells(way.scores[1], representation)])
    return Grid(["encoder", "read", *titles, *(f"{target_name(target)} R2 on noise" for target in ON_NOISE)], body)


def noise_cells(scores: Mapping[str, Any], representation: str) -> list[object]:
    """Return R2 on noise of what is read of an encoder, a dash if it was not measured."""
    every = summarise_scores({"": [scores]})
    cells: list[object] = []
    for target in ON_NOISE:
        found = select(every, target=target, metric=NOISE, representation=representation, parameter="", control="")
        cells.append(Cell(with_warning(number(found[0].mean), found[0]), "number") if found else MISSING)
    return cells


def _read(way: Adaptation) -> Iterator[str]:
    """Yield what is read: of an encoder that stands still, its own features are those of the original."""
    for representation in (BACKBONE, Z_EQUI, JOINED):
        if representation != BACKBONE or way.output == BACKBONE:
            yield representation


def _cells(rows: Sequence[FigureRow], titles: Sequence[str], score: object) -> list[object]:
    by_title = {row.title: (score(row), row.metric) for row in rows}  # type: ignore[operator]
    cells: list[object] = []
    for title in titles:
        value, metric = by_title.get(title, (None, ""))
        cells.append(MISSING if value is None else Cell(number(value.mean, metric), "number"))
    return cells


def costs(ways: Mapping[str, Adaptation]) -> str:
    """Return in a list what each way cost, and whether noise reads nothing."""
    lines = []
    for name, way in ways.items():
        facts = way.facts
        noise = f"**R2 on noise not near 0**: {found}" if (found := _noise(way)) else "R2 on noise near 0"
        lines.append(
            f"- {name}: {facts.seconds / 60:.1f} minutes of training, {facts.steps} steps, {facts.images:,} images; "
            f"trained {facts.trained / 1e6:.2f} million parameters of the encoder, {facts.head / 1e6:.2f} of the head; "
            f"{'with transformation labels' if facts.told else 'no labels'}; {noise}"
        )
    return "\n".join(lines)


def _noise(way: Adaptation) -> str:
    """Return which R2 on noise are not near 0, before and after; "" if all are."""
    rows = [(row, row.original, row.adapted.get(row.output)) for row in way.noise if not row.near_zero]
    return ", ".join(
        f"{row.title.removesuffix(' R2 on noise')} {' to '.join(number(each.mean) for each in scores if each)}"
        for row, *scores in rows
    )


if __name__ == "__main__":
    main()
