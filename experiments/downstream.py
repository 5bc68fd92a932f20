"""Downstream scores of frozen encoders: the plain method against the task, with random weights as the floor.

    python experiments/downstream.py --suite photographs --runs FOLDER --renders FOLDER --sets FOLDER [--seeds 0 1]
    python experiments/downstream.py --suite poses --runs FOLDER --renders FOLDER [--seeds 0 1]

--sets holds CamVid, 7-Scenes, Tiny-ImageNet with boxes, photographs and DAVIS-2016, as far as they are at hand; --runs
is what experiments/vicreg_tiny_imagenet.py (--steps 10000) or experiments/threediebench_open.py wrote, and --renders
the folder of renders of the latter. Evaluates each encoder that was trained on every task, and writes
docs/results/downstream.md or downstream-poses.md; run again, it continues where it stopped. The scores are kept in a
folder beside the page, which is made from them; --page only writes it. A page is not replaced by one with fewer rows
or columns unless --replace is given.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pages import write_page
from published import publish, published
from vicreg_tiny_imagenet import NARROW_LIGHT, PLAIN

from equicoherence.evaluation.jobs import plan_jobs
from equicoherence.evaluation.model import load_model
from equicoherence.evaluation.registry import make_tasks
from equicoherence.evaluation.scoring import Scoring, score_jobs
from equicoherence.evaluation.store import FILE
from equicoherence.evaluation.suites import Suite
from equicoherence.json_file import write_json
from equicoherence.reporting.comparison.lines import Group, columns, group, members, score_lines, seeds_of
from equicoherence.reporting.comparison.texts import arrowed, lines_grid
from equicoherence.reporting.names import data_name
from equicoherence.reporting.origin import origin_line
from equicoherence.training.run import is_finished

PAGES = Path(__file__).parents[1] / "docs" / "results"
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
class Encoders:
    """of: what they were trained on. about: what they are. page: of their scores. folders: name -> the run, less
    "-seed0"; the first is scored with random weights too. on_sets: whether they are scored on --sets too."""

    of: str
    about: str
    page: Path
    folders: dict[str, str]
    on_sets: bool


SUITES = {
    "photographs": Encoders(
        "photographs",
        "Encoders of [VICReg, 10,000 steps](vicreg-tiny-imagenet-10000-steps.md): a ResNet of 0.6 M parameters, 85 "
        "epochs of Tiny-ImageNet-100 at 32 px, border content. + the task: the recipe `vicreg-tiny`",
        PAGES / "downstream.md",
        {PLAIN: PLAIN, f"{PLAIN} + the task": NARROW_LIGHT},
        on_sets=True,
    ),
    "poses": Encoders(
        "poses",
        "Encoders of [3DIEBench on open meshes](3diebench-open.md): a ResNet of 1.2 M parameters, trained on pairs of "
        "views of rendered objects at 64 px. Evaluated on renders of other objects",
        PAGES / "downstream-poses.md",
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
    parser.add_argument("--suite", choices=SUITES, required=True)
    parser.add_argument("--runs", type=Path, help="trained encoders")
    parser.add_argument("--renders", type=Path, help="rendered objects")
    parser.add_argument("--sets", type=Path, help="published data sets, for the encoders of photographs")
    parser.add_argument("--seeds", nargs="+", type=int, metavar="N", default=[0])
    parser.add_argument("--out", type=Path, default=Path("runs/downstream"))
    parser.add_argument("--page", action="store_true", help="score nothing: only write the page")
    parser.add_argument("--replace", action="store_true", help="write the page even if it loses rows or columns")
    given = parser.parse_args()
    encoders = SUITES[given.suite]
    if not given.page:
        wanted = ("runs", "renders", "sets") if encoders.on_sets else ("runs", "renders")
        if absent := [f"--{name}" for name in wanted if getattr(given, name) is None]:
            parser.error(f"{', '.join(absent)}: missing; give them, or --page to only write the page")
        sources = [(given.renders, ON_RENDERS), *([(given.sets, ON_SETS)] if encoders.on_sets else [])]
        jobs = [
            job
            for data, settings in sources
            for job in plan_jobs(make_tasks(list(settings), settings=settings), None, data, every=False)
        ]
        tasks = Suite(given.suite, ON_SETS | ON_RENDERS, ())
        for seed in given.seeds:
            for name, slug in encoders.folders.items():
                run, out = given.runs / f"{slug}-seed{seed}", given.out / given.suite / f"{slug}-seed{seed}"
                if not is_finished(run):
                    print(f"{run} is not trained: left out")
                    continue
                controls = name == next(iter(encoders.folders))
                scores = score_jobs(load_model(run), jobs, out, Scoring(controls=controls))
                write_json(out / FILE, {**scores, "name": name})
                publish(tasks, [out], encoders.page)
                write_page(page(encoders), encoders.page, keep=not given.replace)
    write_page(page(encoders), encoders.page, keep=not given.replace)
    print(encoders.page)


def page(encoders: Encoders) -> str:
    """Return the page: main scores of the encoders whose scores lie beside it."""
    order = [*encoders.folders]
    groups = group(sorted(published(encoders.page), key=lambda each: order.index(each.about["name"])))
    return (
        f"# Downstream tasks, encoders of {encoders.of}\n\n"
        f"Written by `python experiments/downstream.py --suite {encoders.of}`. "
        f"{origin_line([each.about for each in members(groups)])}.\n\n"
        f"{encoders.about}. Frozen encoders; heads and protocols as in the docstrings of `downstream/`, with small "
        "inputs and short training: compare scores between columns, not with published ones. Mean over the seeds of "
        "training ± their sample standard deviation (n - 1); random weights: the same architecture, initialised with "
        "the same seeds; constant: a prediction that looks at no image (in videos, the first frame's mask). Arrows: "
        "whether higher or lower is better. The best mean of a row is bold if it beats the constant, however small the "
        "difference. Detection is class-agnostic: all objects are one class.\n\n"
        f"{table(groups)}"
    )


def table(groups: Sequence[Group]) -> str:
    """Return the main scores as a Markdown table."""
    place = {"task": lambda entry: entry.task, "data": lambda entry: data_name(entry.data), "metric": arrowed}
    shown = [line for line in score_lines(groups) if line.about.metric in MAIN and not line.about.parameter]
    return lines_grid(shown, seeds_of(groups), columns(groups), place).markdown()


if __name__ == "__main__":
    main()
