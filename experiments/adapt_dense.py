"""Dense tasks, and classes of images that nothing was adapted on: what adapting keeps and gains there.

    python experiments/adapt_dense.py runs/adapt/ENCODER --sets DATA_SETS --images IMAGES [--renders SET]

Trains nothing. Scores ways of adapting an encoder that adapt.py has adapted and kept: those that leave the encoder as
it is on everything, and those that train it on classes alone. Keeps the scores in docs/results/adapt-dense, without
paths, and makes docs/results/adapt-dense.md from all that lie there. A page is not replaced by one with fewer rows
unless --replace is given.
"""

from __future__ import annotations

import argparse
import dataclasses
import functools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from adapt_baselines import Beside, LayersBeside
from adapt_kept import read_kept
from adapt_readings import MIDDLE_LAYERS, Kept, Reading, readings
from adapt_ways import DRAWN
from pages import write_page
from published import keep_scores, slug

from equicoherence.downstream.representation import with_representation
from equicoherence.evaluation.frozen_model import FrozenModel
from equicoherence.evaluation.jobs import Job, plan_jobs
from equicoherence.evaluation.model import load_model
from equicoherence.evaluation.module import as_frozen
from equicoherence.evaluation.registry import make_tasks
from equicoherence.evaluation.scoring import Scoring, score_jobs
from equicoherence.evaluation.store import FILE, read_scores
from equicoherence.evaluation.suites import Suite
from equicoherence.notice import say
from equicoherence.reporting.adaptation.adaptation import ADAPTED, SCORED
from equicoherence.reporting.names import data_name
from equicoherence.reporting.origin import origin_line
from equicoherence.reporting.summary import Score, select, summarise_scores
from equicoherence.reporting.tables import MISSING, Cell, Grid, floor_cell, with_deviation

PAGE = Path(__file__).parents[1] / "docs" / "results" / "adapt-dense.md"
KEPT = PAGE.with_name("adapt")  # what adapt.py keeps
DENSE = ("head", DRAWN)
PLACE = "dense"  # the folder of these scores among the runs, beside the ways of adapting an encoder
SEEDS = (0, 1)
SEEDED = ("segmentation", "depth", "linear")  # tasks that train a head
ON_SETS: dict[str, dict[str, Any]] = {
    "hummingbird": {"pixels": 96, "memory": 6000, "train": 120, "test": 40},
    "homography-correspondence": {"pairs": 64},
    "segmentation": {"pixels": 96, "train": 120, "test": 60, "steps": 300, "batch": 8, "lr": 3e-3},
    "video": {"pixels": 96, "sequences": 3},
    "depth": {"pixels": 96, "steps": 200, "batch": 4, "lr": 2e-3},
}
"""In this order, for encoders of about 96 px: some minutes of one core for each encoder."""
ON_RENDERS: dict[str, dict[str, Any]] = {"correspondence": {"pairs": 20}}
ON_IMAGES: dict[str, dict[str, Any]] = {"knn": {"limit": 600}, "linear": {"limit": 600}}
SETTINGS = {**ON_SETS, **ON_RENDERS, **ON_IMAGES}
SUITE = Suite(PLACE, SETTINGS, ())
FIGURES = {
    ("segmentation", "miou"): "segmentation mIoU",
    ("hummingbird", "miou"): "hummingbird mIoU",
    ("depth", "rmse"): "depth RMSE (lower is better)",
    ("video", "j_and_f"): "video J&F",
    ("homography-correspondence", "matched"): "true matches found",
    ("correspondence", "matched"): "true matches found",
    ("correspondence", "mirrored"): "wrong matches at the mirror place (lower is better)",
    ("knn", "top1"): "k-NN",
    ("linear", "top1"): "linear",
}
"""The title of each column, by task and metric."""
Column = tuple[str, str, str]
"""Task, metric and data set."""


def main() -> None:
    """Score what is adapted, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", type=Path, metavar="OUT/ENCODER", help="where adapt.py adapted the encoder")
    parser.add_argument("--sets", required=True, help="folder of data sets for dense tasks")
    parser.add_argument("--images", required=True, help="labelled images that nothing is adapted on")
    parser.add_argument("--renders", help="a set that `equicoherence render` wrote, for correspondence between poses")
    parser.add_argument(
        "--only",
        nargs="+",
        metavar="WAY",
        help="ways of adapting, also such that train it; without: " + " and ".join(DENSE),
    )
    parser.add_argument("--replace", action="store_true", help="write the page even if it loses rows or columns")
    given = parser.parse_args()
    encoder = given.runs.resolve().name
    try:
        kept = read_kept(KEPT)
    except FileNotFoundError as error:
        parser.error(f"{error}; first run adapt.py")
    found = {name: {way: Kept.of(each) for way, each in ways.items()} for name, ways in kept.items()}
    ways = found.get(encoder, {})
    wanted = given.only or [way for way in DENSE if way in ways]
    if others := [way for way in wanted if way not in ways]:
        parser.error(
            f"--only {', '.join(others)}: {KEPT} does not hold it as of today; of {encoder} there are "
            f"{', '.join(ways) or 'none'}"
        )
    runs = {way: given.runs / slug(way) for way in wanted}
    if not runs:
        parser.error(f"{KEPT} holds no {' or '.join(DENSE)} of {encoder}: first run adapt.py, or give --only")
    if others := [str(run) for way, run in runs.items() if _weights(run) != ways[way].weights]:
        parser.error(f"{', '.join(others)}: it is not the run that {KEPT} holds scores of; first run adapt.py")
    sets = {given.sets: ON_SETS} | ({given.renders: ON_RENDERS} if given.renders else {})
    score_dense(runs, {way: ways[way].frozen for way in wanted}, sets, given.images, given.runs / PLACE)
    keep_dense(given.runs / PLACE, PAGE.with_suffix("") / encoder)
    write_page(dense_page(PAGE.with_suffix(""), found), PAGE, keep=not given.replace)
    print(PAGE)


def _weights(run: Path) -> str:
    """Return the digest of the weights of an adapted encoder, "" where it is not scored."""
    return read_scores(run / SCORED / ADAPTED / FILE).get("weights", "")


def score_dense(
    runs: Mapping[str, Path],
    ways: Mapping[str, bool],
    sets: Mapping[str, Mapping[str, Mapping[str, Any]]],
    images: str,
    out: Path,
) -> None:
    """Score classes of ways of adapting, and dense tasks of those that leave the encoder as it is; what is scored is
    taken.

    runs: by the name of the way.
    ways: see `readings`.
    sets: folder of data sets -> settings of the tasks on them.
    images: with classes.
    out: folder of the scores.
    """
    models = {way: load_model(run) for way, run in runs.items()}
    labelled = plan_jobs(make_tasks(list(ON_IMAGES), settings=ON_IMAGES), images, None)
    classes = {f"{name} classes": model for name, model in models.items()}
    dense: dict[str, FrozenModel] = {}
    jobs: list[Job] = []
    if frozen := [way for way, is_frozen in ways.items() if is_frozen]:
        first = models[frozen[0]]
        beside = as_frozen(LayersBeside(first), size=first.size, name=MIDDLE_LAYERS)
        pooled = as_frozen(Beside(first, first.encoder.layers), size=first.size, name=MIDDLE_LAYERS)
        classes[f"{MIDDLE_LAYERS} classes"] = pooled
        for row in readings(dict.fromkeys(frozen, True)):
            of_run = row.classes in models
            dense[row.name] = with_representation(models[row.classes], row.pooled) if of_run else beside
        for folder, tasks in sets.items():
            planned = plan_jobs(make_tasks(list(tasks), settings=tasks), None, folder)
            jobs += sorted(planned, key=lambda job, order=list(tasks): order.index(job.task.name))
    for split in (split for job in jobs for split in (job.train, job.test)):
        _read_once(split)
    scoring = Scoring(controls=False)
    for seed in SEEDS:
        for name, model in classes.items():
            score_jobs(model, _of_seed(labelled, seed), _folder(out, name, seed), scoring)
        for job in _of_seed(jobs, seed):  # a task after another, so that all rows have it before the next
            for name, model in dense.items():
                score_jobs(model, [job], _folder(out, name, seed), scoring)


def _read_once(split: object) -> None:
    """Keep what is read of a split in memory, as every row reads the same."""
    for name in ("image", "mask", "depth"):
        if hasattr(split, name):
            setattr(split, name, functools.cache(getattr(split, name)))


def _of_seed(jobs: Sequence[Job], seed: int) -> list[Job]:
    """Return the jobs with a seed: all for the first one, for others those whose heads have seeds."""
    seeded = [job for job in jobs if job.task.name in SEEDED or seed == SEEDS[0]]
    return [
        dataclasses.replace(job, task=dataclasses.replace(job.task, seed=seed)) if job.task.name in SEEDED else job  # type: ignore[type-var]
        for job in seeded
    ]


def _folder(encoder: Path, name: str, seed: int) -> Path:
    return encoder / f"{slug(name)}-seed{seed}"


def keep_dense(out: Path, encoder: Path) -> None:
    """Keep the scores of an encoder without paths. out: their folder among the runs. encoder: that beside the page."""
    for file in sorted(out.glob(f"*/{FILE}")):
        keep_scores(SUITE, read_scores(file), encoder / file.parent.name, file.parent.name)


def dense_page(store: Path, found: Mapping[str, Mapping[str, Kept]]) -> str:
    """Return the page about dense tasks of all encoders; a line names scores of other weights than those given.

    store: a folder of scores for each encoder.
    found: the ways that adapt.py has kept, by encoder and way.

    Raises FileNotFoundError where none is scored.
    """
    tables: list[str] = []
    files: list[dict[str, Any]] = []
    for encoder in sorted(path for path in store.glob("*/") if path.is_dir()):
        ways: dict[str, bool] = {}
        for name, kept in found.get(encoder.name, {}).items():
            scores = read_scores(_folder(encoder, f"{name} classes", SEEDS[0]) / FILE)
            if scores and scores["weights"] == kept.weights:
                ways[name] = kept.frozen
            elif scores:
                say(f"dense tasks of {encoder.name}, {name}, are left out: it was adapted anew since they were scored")
        rows = {row: _of_row(row, encoder) for row in readings(ways)}
        if any(rows.values()):
            tables.append(f"## {encoder.name}\n\n{_grid(rows).markdown()}")
            files += [read_scores(path) for path in sorted(encoder.glob(f"*/{FILE}"))]
    if not tables:
        raise FileNotFoundError(f"{str(store)!r} holds no scores of dense tasks of ways that adapt.py has kept")
    return "\n\n".join([_about(files), *tables, ""])


def _of_row(row: Reading, encoder: Path) -> dict[Column, Score]:
    """Return the scores of a row by column, over the seeds that have them."""
    found: dict[Column, Score] = {}
    for name, representation in ((row.name, ""), (f"{row.classes} classes", row.pooled)):
        files = [read_scores(_folder(encoder, name, seed) / FILE) for seed in SEEDS]
        every = summarise_scores({"": [each for each in files if each]})
        for task, metric in FIGURES:
            place = {"representation": representation, "parameter": "", "control": ""}
            found |= {(task, metric, score.data): score for score in select(every, task=task, metric=metric, **place)}
    return found


def _grid(found: Mapping[Reading, Mapping[Column, Score]]) -> Grid:
    """Return a row for a constant prediction and one for each reading."""
    known = {column: score for of_row in found.values() for column, score in of_row.items()}
    columns = sorted(known, key=lambda column: list(FIGURES).index(column[:2]))
    titles = [f"{data_name(data)}, {FIGURES[task, metric]}" for task, metric, data in columns]
    floors = [floor_cell(known[column].floors, known[column].metric) for column in columns]
    body: list[list[object]] = [["a constant", MISSING, *floors]]
    body += [[row.way, row.read, *(_cell(scores.get(column)) for column in columns)] for row, scores in found.items()]
    return Grid(["encoder", "read", *titles], body)


def _cell(score: Score | None) -> object:
    if score is None:
        return MISSING
    return Cell(with_deviation(score.mean, score.spread_of_runs, score.metric), "number")


def _about(files: Sequence[Mapping[str, Any]]) -> str:
    """Return what the tables are of, with their settings."""
    parts = [part for each in files for part in each["parts"].values()]
    order = dict.fromkeys(task for task, _ in FIGURES)
    tasks = "\n".join(dict.fromkeys(_said(part) for task in order for part in parts if part["task"] == task))
    return f"""# Dense tasks and other images, for adapted encoders

Written by `python experiments/adapt_dense.py OUT/ENCODER --sets SETS --images IMAGES --renders SET`.
{origin_line(files)}.

Of [ways of adapting](adapt.md); nothing was adapted on these images. **All rows of an encoder read the same images at
the same size. Dense tasks read one grid of patch tokens: that of z_equi of a head.** Tokens of the output are
upsampled bilinearly to it, and there are no class tokens. Where the encoder itself was trained, z_equi has another
grid, so its features are scored on classes alone. *{MIDDLE_LAYERS}*: in place of z_equi, and scaled
as it is, the tokens of the layers that the head reads. *A constant*: the most frequent class, the median depth, the
first mask, the token at the same position. *Mirror place*: where the mirror image of the object has the point
([correspondence](../dense.md#correspondence)). k-NN and linear read pooled features. With ±: mean and sample standard
deviation of two seeds of a head; else one seed, or nothing is trained. Images and steps are few: compare rows, not with
published scores.

{tasks}"""


def _said(part: Mapping[str, Any]) -> str:
    """Return what one task reads, and its settings."""
    size = "{} x {} px, ".format(*part["input"]) if part["input"] else ""
    counts = ", ".join(f"{count} {split}" for split, count in part["counts"].items())
    settings = {name: part["settings"][name] for name in SETTINGS[part["task"]]}
    said = ", ".join(f"{name} {value}" for name, value in settings.items())
    return f"- {part['task']}, {part['protocol']}, on {data_name(part['data'])}: {size}{counts}; {said}"


if __name__ == "__main__":
    main()
