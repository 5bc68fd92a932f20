"""Dense tasks, and classes of images that nothing was adapted on: what adapting keeps and gains there.

    python experiments/adapt_dense.py runs/adapt/ENCODER --sets DATA_SETS --images IMAGES

Trains nothing. Scores ways of adapting an encoder that leave its features as they are, which adapt.py has adapted and
kept; keeps the scores in docs/results/adapt-dense, without paths, and makes docs/results/adapt-dense.md from all that
lie there. A page is not replaced by one with fewer rows unless --replace is given.
"""

from __future__ import annotations

import argparse
import dataclasses
import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from adapt_baselines import Beside
from adapt_kept import read_kept
from adapt_ways import BESIDE, DRAWN, REPRESENTATIONS
from pages import write_page
from published import keep_scores, slug
from torch import Tensor, nn

from equicoherence.downstream.representation import Read, joined_maps, output_map, with_representation
from equicoherence.downstream.tokens import resizable
from equicoherence.evaluation.frozen_model import FrozenModel
from equicoherence.evaluation.jobs import Job, plan_jobs
from equicoherence.evaluation.model import load_model
from equicoherence.evaluation.module import as_frozen
from equicoherence.evaluation.registry import make_tasks
from equicoherence.evaluation.scoring import Scoring, score_jobs
from equicoherence.evaluation.store import FILE, read_scores
from equicoherence.evaluation.suites import Suite
from equicoherence.models.token_maps import on_grid
from equicoherence.notice import say
from equicoherence.reporting.adaptation.adaptation import ADAPTED, ORIGINAL, SCORED
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
ON_IMAGES: dict[str, dict[str, Any]] = {"knn": {"limit": 600}, "linear": {"limit": 600}}
SUITE = Suite(PLACE, {**ON_SETS, **ON_IMAGES}, ())
FIGURES = {
    "segmentation": ("miou", "segmentation mIoU"),
    "hummingbird": ("miou", "hummingbird mIoU"),
    "depth": ("rmse", "depth RMSE (lower is better)"),
    "video": ("j_and_f", "video J&F"),
    "homography-correspondence": ("matched", "true matches found"),
    "knn": ("top1", "k-NN"),
    "linear": ("top1", "linear"),
}
"""The column of each task: its metric and title."""
Column = tuple[str, str]
"""Task and data set."""
MIDDLE_LAYERS = "no training: middle layers"


def main() -> None:
    """Score what is adapted, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", type=Path, metavar="OUT/ENCODER", help="where adapt.py adapted the encoder")
    parser.add_argument("--sets", required=True, help="folder of data sets for dense tasks")
    parser.add_argument("--images", required=True, help="labelled images that nothing is adapted on")
    parser.add_argument("--only", nargs="+", metavar="WAY", help="ways of adapting; without: " + " and ".join(DENSE))
    parser.add_argument("--replace", action="store_true", help="write the page even if it loses rows or columns")
    given = parser.parse_args()
    encoder = given.runs.resolve().name
    try:
        kept = read_kept(KEPT)
    except FileNotFoundError as error:
        parser.error(f"{error}; first run adapt.py")
    weights = {name: {way: each.scores[1]["weights"] for way, each in ways.items()} for name, ways in kept.items()}
    heads = [way for way, each in kept.get(encoder, {}).items() if each.run.frozen]
    wanted = given.only or [way for way in DENSE if way in heads]
    if others := [way for way in wanted if way not in heads]:
        parser.error(
            f"--only {', '.join(others)}: it trains the encoder, or {KEPT} does not hold it as of today; "
            f"of {encoder} there are {', '.join(heads) or 'none'}"
        )
    runs = {way: given.runs / slug(way) for way in wanted}
    if not runs:
        parser.error(f"{KEPT} holds no {' or '.join(DENSE)} of {encoder}: first run adapt.py, or give --only")
    if others := [str(run) for way, run in runs.items() if _weights(run) != weights[encoder][way]]:
        parser.error(f"{', '.join(others)}: it is not the run that {KEPT} holds scores of; first run adapt.py")
    score_dense(runs, given.sets, given.images, given.runs / PLACE)
    keep_dense(given.runs / PLACE, PAGE.with_suffix("") / encoder)
    write_page(dense_page(PAGE.with_suffix(""), weights), PAGE, keep=not given.replace)
    print(PAGE)


def _weights(run: Path) -> str:
    """Return the digest of the weights of an adapted encoder, "" where it is not scored."""
    return read_scores(run / SCORED / ADAPTED / FILE).get("weights", "")


class LayersBeside(nn.Module):
    """Patch tokens of the output and, in place of z_equi and scaled as it is, of the layers that the head reads."""

    def __init__(self, model: FrozenModel) -> None:
        super().__init__()
        self.encoder = resizable(model.encoder)

    def forward(self, images: Tensor) -> Tensor:
        """Return (B, C, h, w) of images (B, 3, H, W) in [0, 1], on the grid that z_equi has."""
        features = self.encoder(images)
        grid = features.tapped_grid
        maps = [part.transpose(1, 2).unflatten(2, own) for part, own in zip(features.tapped, features.tapped_grids)]
        layers = [on_grid(each, grid) for each in maps]
        return joined_maps(output_map(features), torch.cat(layers, dim=1))


@dataclass(frozen=True)
class Reading:
    """A row of the table.

    way: the encoder. read: what of it, as the table calls it.
    classes: whose scores of classes hold those of the row, as the representation ``pooled``.
    """

    way: str
    read: str
    classes: str
    pooled: Read

    @property
    def name(self) -> str:
        """What its scores are called by."""
        return f"{self.way} {self.read}"


def readings(ways: Sequence[str]) -> list[Reading]:
    """Return the rows of ways of adapting that leave the encoder as it is; the original is read from the first."""
    rows = [
        Reading(ORIGINAL, REPRESENTATIONS["backbone"], ways[0], "backbone"),
        Reading(MIDDLE_LAYERS, BESIDE, MIDDLE_LAYERS, "backbone"),
    ]
    reads: tuple[Read, ...] = ("joined", "z_equi")
    return rows + [Reading(way, REPRESENTATIONS[read], way, read) for way in ways for read in reads]


def score_dense(ways: Mapping[str, Path], sets: str, images: str, out: Path) -> None:
    """Score dense tasks and classes of ways of adapting that leave the encoder as it is; what is scored is taken.

    ways: name -> run. sets: folder of data sets. images: with classes. out: folder of the scores.
    """
    models = {way: load_model(run) for way, run in ways.items()}
    first = next(iter(models.values()))
    beside = as_frozen(LayersBeside(first), size=first.size, name=MIDDLE_LAYERS)
    pooled = as_frozen(Beside(first, first.encoder.layers), size=first.size, name=MIDDLE_LAYERS)
    rows = readings(list(ways))
    dense = {r.name: with_representation(models[r.classes], r.pooled) if r.classes in models else beside for r in rows}
    classes = {f"{name} classes": model for name, model in {**models, MIDDLE_LAYERS: pooled}.items()}
    planned = plan_jobs(make_tasks(list(ON_SETS), settings=ON_SETS), None, sets)
    jobs = sorted(planned, key=lambda job: list(ON_SETS).index(job.task.name))
    for split in (split for job in jobs for split in (job.train, job.test)):
        _read_once(split)
    labelled = plan_jobs(make_tasks(list(ON_IMAGES), settings=ON_IMAGES), images, None)
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


def dense_page(store: Path, found: Mapping[str, Mapping[str, str]]) -> str:
    """Return the page about dense tasks of all encoders; a line names scores of other weights than those given.

    store: a folder of scores for each encoder.
    found: digests of the weights of the ways that adapt.py has kept, by encoder and way.

    Raises FileNotFoundError where none is scored.
    """
    tables: list[str] = []
    files: list[dict[str, Any]] = []
    for encoder in sorted(path for path in store.glob("*/") if path.is_dir()):
        ways = []
        for name, weights in found.get(encoder.name, {}).items():
            scores = read_scores(_folder(encoder, f"{name} classes", SEEDS[0]) / FILE)
            if scores and scores["weights"] == weights:
                ways.append(name)
            elif scores:
                say(f"dense tasks of {encoder.name}, {name}, are left out: it was adapted anew since they were scored")
        rows = {row: _of_row(row, encoder) for row in readings(ways)} if ways else {}
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
        for task, (metric, _) in FIGURES.items():
            place = {"representation": representation, "parameter": "", "control": ""}
            found |= {(task, score.data): score for score in select(every, task=task, metric=metric, **place)}
    return found


def _grid(found: Mapping[Reading, Mapping[Column, Score]]) -> Grid:
    """Return a row for a constant prediction and one for each reading."""
    known = {column: score for of_row in found.values() for column, score in of_row.items()}
    columns = sorted(known, key=lambda column: list(FIGURES).index(column[0]))
    titles = [f"{data_name(data)}, {FIGURES[task][1]}" for task, data in columns]
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
    tasks = "\n".join(dict.fromkeys(_said(part) for task in FIGURES for part in parts if part["task"] == task))
    return f"""# Dense tasks and other images, for adapted encoders

Written by `python experiments/adapt_dense.py OUT/ENCODER --sets SETS --images IMAGES`. {origin_line(files)}.

Of [ways of adapting](adapt.md) that leave the encoder as it is; nothing was adapted on these images. **All rows of an
encoder read the same images at the same size, on one grid of patch tokens: that of z_equi.** Tokens of the output are
upsampled bilinearly to it, and there are no class tokens. *{MIDDLE_LAYERS}*: in place of z_equi, and scaled
as it is, the tokens of the layers that the head reads. *A constant*: the most frequent class, the median depth, the
first mask, the token at the same position. k-NN and linear read pooled features. With ±: mean and sample standard
deviation of two seeds of a head; else one seed, or nothing is trained. Images and steps are few: compare rows, not with
published scores.

{tasks}"""


def _said(part: Mapping[str, Any]) -> str:
    """Return what one task reads, and its settings."""
    size = "{} x {} px, ".format(*part["input"]) if part["input"] else ""
    counts = ", ".join(f"{count} {split}" for split, count in part["counts"].items())
    settings = {name: part["settings"][name] for name in {**ON_SETS, **ON_IMAGES}[part["task"]]}
    said = ", ".join(f"{name} {value}" for name, value in settings.items())
    return f"- {part['task']}, {part['protocol']}, on {data_name(part['data'])}: {size}{counts}; {said}"


if __name__ == "__main__":
    main()
