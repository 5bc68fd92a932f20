"""Downstream scores of frozen encoders: the plain method against the task, with random weights as the floor.

    python experiments/downstream.py --sets FOLDER --runs FOLDER --pose-runs FOLDER [--seeds 2] [--suite poses]

--sets holds CamVid, 7-Scenes, Tiny-ImageNet with boxes, photographs and DAVIS-2016, as far as they are at hand; --runs
is what experiments/vicreg_tiny_imagenet.py wrote, --pose-runs what experiments/threediebench_open.py wrote, renders
included. Evaluates every encoder on every task, with the seeds that were trained, and writes
docs/results/downstream.md; run again, it continues where it stopped. --suite photographs or poses evaluates only the
encoders of one of the two, so two processes can share the work.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pages import made_with, write_page

from equicoherence.evaluation.jobs import plan_jobs
from equicoherence.evaluation.model import load_model
from equicoherence.evaluation.registry import make_tasks
from equicoherence.evaluation.scoring import Scoring, score_jobs
from equicoherence.evaluation.store import FILE, read_scores
from equicoherence.json_file import write_json
from equicoherence.reporting.comparison.evaluated import read_evaluated
from equicoherence.reporting.comparison.lines import columns, group, score_lines
from equicoherence.reporting.comparison.page import comparison
from equicoherence.reporting.comparison.texts import arrowed, lines_grid
from equicoherence.reporting.names import data_name

PAGE = Path(__file__).parents[1] / "docs" / "results" / "downstream.md"
# pixels: small, as the encoders have a token for each 8 of them (photographs) or 16 (poses)
ON_SETS: dict[str, dict[str, Any]] = {
    "segmentation": {"pixels": 112, "steps": 500},
    "depth": {"pixels": 64, "steps": 600},
    "localisation": {"pixels": 64},
    "homography": {"pixels": 64, "pairs": 4000, "test_pairs": 500, "steps": 1000},
    "video": {"pixels": 160, "sequences": 8},
}
ON_RENDERS: dict[str, dict[str, Any]] = {
    "depth": {"pixels": 64, "steps": 400, "train": 2000, "test": 400},
    "detection": {"labels": "agnostic", "pixels": 64, "steps": 400, "train": 1600, "test": 150},
    "keypoints": {"pixels": 64, "steps": 2000, "train": 4000, "test": 600},
}
MAIN = ("miou", "rmse", "delta1", "corloc", "corner_error", "j_and_f", "apb", "apm", "pckh@0.5")


@dataclass(frozen=True)
class Suite:
    """about: its encoders. encoders: name -> the run's folder, less "-seed0". on_sets: whether they are
    scored on --sets too, besides the renders."""

    about: str
    encoders: dict[str, str]
    on_sets: bool


SUITES = {
    "photographs": Suite(
        "Encoders of docs/results/vicreg-tiny-imagenet.md: a ResNet of 0.6 M parameters, 2.6 epochs of "
        "Tiny-ImageNet-100 at 32 px, border content",
        {
            "VICReg": "VICReg",
            "+ render and [P1]": "+ render and [P1], g outside, on half of the samples",
            "+ cross-attention [P1]": "+ cross-attention [P1]",
            "+ conv [P2]": "+ conv [P2]",
        },
        on_sets=True,
    ),
    "poses": Suite(
        "Encoders of docs/results/3diebench-open.md: a ResNet of 1.2 M parameters, trained on pairs of views of "
        "rendered objects at 64 px. Evaluated on renders of other objects",
        {
            "VICReg": "resnet-vicreg",
            "SIE, receives the rotation": "resnet-sie-rotation",
            "VICReg + [P1]": "resnet-vicreg-p1",
            "VICReg + [P2], K = 2": "resnet-vicreg-p2-k-2",
        },
        on_sets=False,
    ),
}


def main() -> None:
    """Score what is given and write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sets", type=Path, required=True)
    parser.add_argument("--runs", type=Path, required=True)
    parser.add_argument("--pose-runs", type=Path, required=True)
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--suite", choices=SUITES, action="append")
    parser.add_argument("--out", type=Path, default=Path("runs/downstream"))
    given = parser.parse_args()
    renders, sets = (
        plan_jobs(make_tasks(list(settings), settings=settings), None, data, every=False)
        for data, settings in ((given.pose_runs / "renders", ON_RENDERS), (given.sets, ON_SETS))
    )
    for title in given.suite or SUITES:
        suite, folder = SUITES[title], given.out / title
        runs, jobs = (given.runs, [*sets, *renders]) if suite.on_sets else (given.pose_runs, renders)
        scored: list[Path] = []
        for seed in range(given.seeds):
            for name, slug in suite.encoders.items():
                run, out = runs / f"{slug}-seed{seed}", folder / f"{slug}-seed{seed}"
                if seed and not run.is_dir():
                    continue
                scores = score_jobs(load_model(run), jobs, out, Scoring(controls=name == "VICReg"))
                write_json(out / FILE, {**scores, "name": name})
                scored.append(out)
                comparison(scored, folder)
                write_page(page(given.out), PAGE)
    print(PAGE)


def page(out: Path) -> str:
    """Return the page: for each suite that was begun the main figures."""
    parts = []
    for title, suite in SUITES.items():
        folders = sorted(file.parent for file in (out / title).glob(f"*/{FILE}"))
        if not folders:
            continue
        read = [read_scores(folder / FILE) for folder in folders]
        seeds = ", ".join(sorted({str(each["seed"]) for each in read}))
        latest = max(read, key=lambda each: each["date"])
        parts += [f"## {title.capitalize()}", f"{suite.about}. Seeds {seeds}. {made_with(latest)}.", table(folders)]
    return (
        "# Downstream\n\n"
        "Written by `python experiments/downstream.py`. Frozen encoders; heads and protocols as in the docstrings of "
        "`downstream/`, with small inputs and short training: compare scores between columns, not with published "
        "ones. Mean over the seeds of training ± their sample standard deviation (n - 1); random weights: the same "
        "architecture, initialised with the same seeds; constant: a prediction that looks at no image (in videos, the "
        "first frame's mask). Arrows: whether higher or lower is better. The best mean of a row is bold if it beats "
        "the constant, however small the difference. Detection is class-agnostic: all objects are one class.\n\n"
    ) + "\n\n".join(parts)


def table(folders: Sequence[Path]) -> str:
    """Return the main figures of folders with scores as a Markdown table, encoders in the order of ``SUITES``."""
    order = [name for suite in SUITES.values() for name in suite.encoders]
    read = sorted((read_evaluated(folder) for folder in folders), key=lambda each: order.index(each.about["name"]))
    groups = group(read)
    place = {"task": lambda entry: entry.task, "data": lambda entry: data_name(entry.data), "metric": arrowed}
    shown = [line for line in score_lines(groups) if line.about.metric in MAIN and not line.about.parameter]
    return lines_grid(shown, groups, columns(groups), place).markdown()


if __name__ == "__main__":
    main()
