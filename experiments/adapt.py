"""Adapt an encoder that exists: which part of it is trained, from what, and what that gains and keeps.

    python experiments/adapt.py MODEL --data FOLDER_OR_ARCHIVE [--check IMAGES] [--out runs/adapt]

Adapts one encoder in several ways, one after another, each as `equicoherence adapt` does. After each its scores are
kept in docs/results/adapt, without paths, and docs/results/adapt.md is made from all that lie there. Run again, it goes
on where it stopped; a way that is kept is not done again. --page, with the same options, trains nothing: it keeps what
is done in --out and writes the page. A page is not replaced by one with fewer rows unless --replace is given. Dense
tasks of what is done are scored by adapt_dense.py.
"""

from __future__ import annotations

import argparse
import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from adapt_baselines import Baseline, keep_baselines, read_baselines, score_baselines
from adapt_charts import Baselines, Found, bars, gained_and_kept, is_watched, kept_over_steps
from adapt_kept import Experiment, is_kept, keep, outdated, read_kept, refuse_other_encoder
from adapt_ways import BESIDE, DRAWN, RECIPE, REPRESENTATIONS, encoder_name, from_model, refusals, ways_of_adapting
from pages import RowsLost, write_page
from published import slug

from equicoherence.adapting.adaptation import adapt_with
from equicoherence.adapting.asked import Asked
from equicoherence.evaluation.suites import ADAPT
from equicoherence.evaluation.transformation import NOISE
from equicoherence.notice import say
from equicoherence.recipes import recipe
from equicoherence.reporting.adaptation.adaptation import CHECK, ORIGINAL, SCORED, Adaptation
from equicoherence.reporting.adaptation.figures import BACKBONE, BEST, JOINED, OUTPUT, Z_EQUI, FigureRow
from equicoherence.reporting.adaptation.page import PAGE as DONE
from equicoherence.reporting.names import target_name
from equicoherence.reporting.noise_limit import NEAR_ZERO, with_warning
from equicoherence.reporting.origin import origin_line
from equicoherence.reporting.summary import select, summarise_scores
from equicoherence.reporting.tables import MISSING, Cell, Grid, number
from equicoherence.training import load_config, pretrain
from equicoherence.training.online import MOST, PER_BATCH
from equicoherence.training.run import is_finished

PAGE = Path(__file__).parents[1] / "docs" / "results" / "adapt.md"
KEPT = PAGE.with_name("adapt-kept.png")
CHART = Path(__file__).parents[1] / "docs" / "adapt.png"
ON_NOISE = [figure.target for figure in ADAPT.figures if figure.metric == NOISE]
NAMED = {
    "geodesic": " *geodesic*: the path is the one between the views.",
    "render and labels": " *render and labels*: the decoder, and the regression beside it.",
    "moments": " *moments*: half of the channels of z_equi are weighted by the place of a token.",
}
WATCHED = """
Where the encoder itself is trained, what its features keep is watched while it trains, on {} images that are held out:

![k-NN and rotation R2 over the steps, for each way that trains the encoder](adapt-kept.png)
"""


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
    parser.add_argument("--only", nargs="+", metavar="WAY", help="ways of adapting, by name")
    parser.add_argument("--page", action="store_true", help="train nothing: keep what is done in --out, write the page")
    parser.add_argument("--replace", action="store_true", help="write the page even if it loses rows or columns")
    parser.add_argument("--baselines", action="store_true", help="also score what needs no training")
    given = parser.parse_args()
    if given.page and given.baselines:
        parser.error("--baselines scores, and --page scores nothing: give one of them")
    encoder, ways = encoder_name(given.model), ways_of_adapting(from_model(given.model, given.data, given.steps))
    if strange := set(given.only or ()) - set(ways):
        parser.error(f"--only {', '.join(sorted(strange))}: there is no such way; there are {', '.join(ways)}")
    runs, store = given.out / encoder, PAGE.with_suffix("")
    experiment = Experiment(encoder, ways, Asked(given.check, given.images, given.limit))
    try:
        refuse_other_encoder(store, experiment)
    except ValueError as error:
        parser.error(str(error))
    names = [name for name in ways if name in (given.only or ways)]
    if given.page:
        keep_done(runs, names, experiment)
    else:
        if given.baselines:
            score_baselines(next(iter(ways.values())), experiment.options, runs, store / encoder)
        for name in able(names, experiment):
            adapt_one(runs / slug(name), name, experiment)
            try:
                draw(experiment, given.replace)
            except RowsLost as error:
                say(str(error))  # the other ways are done before the command fails
    draw(experiment, given.replace)
    print(PAGE)


def able(names: Sequence[str], experiment: Experiment) -> list[str]:
    """Return the ways that are still to be done and that the encoder can take; a line names each other one."""
    kept = [name for name in names if is_kept(PAGE.with_suffix(""), name, experiment)]
    for name in kept:
        say(f"{name} of {experiment.encoder} is kept beside the page, and not done again")
    refused = refusals({name: experiment.ways[name] for name in names if name not in kept})
    for name, why in refused.items():
        say(f"{name} is left out, as {experiment.encoder} cannot be adapted so: {why}")
    return [name for name in names if name not in kept and name not in refused]


def adapt_one(run: Path, name: str, experiment: Experiment) -> None:
    """Adapt the encoder in one way, score it, and keep the scores; what is done of it in its run is taken."""
    config, options = experiment.ways[name], experiment.options
    if (run / DONE).is_file() and Asked.of_run(run) != options:
        (run / DONE).unlink()  # scores that were made with these options are taken, and the others are made
    options.write(run)
    if not is_finished(run):
        pretrain(config, run, resume=(run / "config.yaml").is_file())
    _with_original(run)
    adapt_with(config, run, resume=True)
    keep(run, name, PAGE.with_suffix("") / experiment.encoder)


def keep_done(runs: Path, names: Sequence[str], experiment: Experiment) -> None:
    """Keep the scores of the ways and baselines that are done, as far as they are as of today; a line names the others.

    runs: the folder of the encoder's runs.
    """
    store = PAGE.with_suffix("") / experiment.encoder
    done = {name: runs / slug(name) for name in names if (runs / slug(name) / DONE).is_file()}
    today: list[Path] = []
    for name, run in done.items():
        if why := outdated(run, name, experiment):
            say(f"{run} is not kept: {why}")
        else:
            keep(run, name, store)
            today.append(run)
    if today:  # all are scored alike
        keep_baselines(runs, store, today[0])


def draw(experiment: Experiment, replace: bool) -> None:
    """Write the page and its charts of the adaptations that are kept. replace: even if the page loses rows."""
    store = PAGE.with_suffix("")
    found = read_kept(store, experiment)
    beside = {encoder: read_baselines(store / encoder, next(iter(ways.values()))) for encoder, ways in found.items()}
    write_page(page(found, beside), PAGE, keep=not replace)
    gained_and_kept(found, beside, PAGE.with_suffix(".png"))
    kept_over_steps(found, KEPT)
    bars({encoder: ways["head"] for encoder, ways in found.items() if "head" in ways}, CHART)


def _with_original(run: Path) -> None:
    """Take the scores of the original from another run of the same encoder, if one has them: one whose z_equi is read
    from the same layers before others, then the newest."""
    layers = _layers(run)
    for place in (f"{SCORED}/{ORIGINAL}", f"{SCORED}/{ORIGINAL}{CHECK}"):
        others = [path for path in run.parent.glob(f"*/{place}") if (path.parents[1] / DONE).is_file()]
        if others and not (run / place).exists():
            first = max(others, key=lambda path: (_layers(path.parents[1]) == layers, path.stat().st_mtime))
            shutil.copytree(first, run / place)


def _layers(run: Path) -> tuple[int, ...]:
    task = load_config(run / "config.yaml").coherence
    return task.layers if task else ()


def page(found: Found, beside: Baselines) -> str:
    """Return the page of adaptations by encoder and way."""
    every = [each for of_encoder in found.values() for each in of_encoder.values()]
    config = recipe(RECIPE)
    images = min(MOST, PER_BATCH * config.optim.batch_size)
    watched = WATCHED.format(images) if any(map(is_watched, every)) else ""
    names = " ".join(name for ways in found.values() for name in ways)
    named = "".join(text for word, text in NAMED.items() if word in names)
    tables = "\n\n".join(
        f"## {encoder}\n\n{grid(ways, beside[encoder]).markdown()}\n\n{costs(ways)}" for encoder, ways in found.items()
    )
    origin = origin_line([scores for each in every for scores in each.scores])
    return f"""# Adapting a pretrained encoder

Written by `python experiments/adapt.py MODEL --data DIR`. {origin}.

Each row is one way of `equicoherence adapt` with the recipe `{RECIPE}`: {config.optim.batch_size} images a step, path
{config.views.path}, decoder {config.coherence.decoder if config.coherence else ""} unless another is named. *head*: the
encoder is frozen, and a head on its middle layers is trained to give z_equi. *last layer*, *all*: this part of the
encoder is trained, kept near its start by `Anchor`, and z_equi is a linear map of its output. The
learning rate is then a tenth of the head's; *ten times the rate*: it is the head's. *with labels*: instead of
a decoder, the transformation parameters are regressed as labels.{named}
*{DRAWN}*: the untrained head. *no training*: in place
of z_equi, and scaled as it is, the image at 16 x 16 pixels, or the mean over the patch tokens of the layers that the
head reads.

R2 of an MLP probe on the features of an image and its transformed copy; rotation sign accuracy: chance .5. R2 on noise
should be {NEAR_ZERO}; where it is not, it is marked (!), and the scores of that
transformation in that row are not to be trusted. One seed unless another is named. *Best layer* is that of the
original, chosen for each score on these images. Classes: accuracy. Dense tasks, and classes of other images, have a
[page of their own](adapt-dense.md).

![Change of R2 (mean of rotation, absolute rotation, color) over that of k-NN, for each way of adapting](adapt.png)
{watched}
{tables}
"""


def grid(ways: Mapping[str, Adaptation], beside: Mapping[str, Baseline]) -> Grid:
    """Return a row for the original, its best layers, each baseline, and what is read of each adapted one."""
    first = next(iter(ways.values()))
    titles = [row.title for row in first.rows]
    output, layer = (noise_cells(first.scores[0], name) for name in (OUTPUT, BEST))
    body = [
        ["original", "features", *_cells(first.rows, titles, lambda row: row.original), *output],
        ["best layer", "features", *_cells(first.rows, titles, lambda row: row.layer), *layer],
    ]
    for name, baseline in beside.items():
        cells = _cells(baseline.rows, titles, lambda row: row.adapted.get(BACKBONE))
        body.append([name, BESIDE, *cells, *noise_cells(baseline.scores, BACKBONE)])
    for name, way in ways.items():
        for representation in _read(way):
            cells = _cells(way.rows, titles, lambda row, read=representation: row.adapted.get(read))
            body.append([name, REPRESENTATIONS[representation], *cells, *noise_cells(way.scores[1], representation)])
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
            f"{'with transformation labels' if facts.labelled else 'no labels'}; {noise}"
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
