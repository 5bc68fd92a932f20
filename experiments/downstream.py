"""What encoders are worth downstream: baseline against + task, random weights as the floor, frozen light protocols.

    python experiments/downstream.py --runs FOLDER --sets FOLDER [--meshes MESHES] [--seeds 2]

FOLDER of --runs is what experiments/vicreg_tiny_imagenet.py wrote; --sets holds CamVid, 7-Scenes, Tiny-ImageNet with
boxes and DAVIS-2016, as far as they are at hand. Scores every encoder on every task and writes
docs/results/downstream.md; run again, it goes on where it stopped.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from pages import made_with, write_page

from equicoherence.evaluation.downstream.registry import make_tasks
from equicoherence.evaluation.downstream.run import FILE, evaluate_downstream
from equicoherence.files import write_aside
from equicoherence.rendering import render
from equicoherence.report.comparison import comparison

PAGE = Path(__file__).parents[1] / "docs" / "results" / "downstream.md"
ENCODERS = {"VICReg": "content-vicreg", "VICReg + render": "content-render"}
# pixels: the encoders have a token for each 8, where published ones have 14 or 16
ON_SETS = {
    "segmentation": {"pixels": 112, "steps": 500},
    "depth": {"pixels": 112, "steps": 200},
    "localisation": {"pixels": 64},
    "homography": {"pixels": 64, "pairs": 2000, "test_pairs": 500, "steps": 400},
    "video": {"pixels": 160, "sequences": 5},
}
ON_RENDERS = {
    "depth": {"pixels": 64, "steps": 200, "train": 400, "test": 200},
    "detection": {"pixels": 64, "steps": 100, "train": 400, "test": 150},
    "keypoints": {"pixels": 64, "steps": 200, "train": 400, "test": 200},
}


def main() -> None:
    """Render, score and write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=Path, required=True)
    parser.add_argument("--sets", type=Path, required=True)
    parser.add_argument("--meshes", help="what `equicoherence render --meshes` takes")
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--out", type=Path, default=Path("runs/downstream"))
    given = parser.parse_args()
    work = [(given.sets, make_tasks(list(ON_SETS), settings=ON_SETS))]
    if given.meshes:
        renders = given.out / "renders"
        render(given.meshes, renders, views=2, size=64, objects=10)
        work.append((renders, make_tasks(list(ON_RENDERS), settings=ON_RENDERS)))
    folders = []
    for seed in range(given.seeds):
        for name, slug in ENCODERS.items():
            run, out = given.runs / f"{slug}-seed{seed}", given.out / f"{slug}-seed{seed}"
            for data, tasks in work:
                results = evaluate_downstream(
                    run, data, out, tasks, every=False, controls=(seed, name) == (0, "VICReg")
                )
            write_aside(out / FILE, json.dumps({**results, "name": name}, indent=1))
            folders.append(out)
            comparison(folders, given.out)
            write_page(page(results, given.out), PAGE)
    print(PAGE)


def page(results: dict, out: Path) -> str:
    """Return the page: the comparison's table, and what it is of."""
    table = (out / "comparison.md").read_text(encoding="utf-8")
    return (
        "# Downstream\n\n"
        f"Written by `python experiments/downstream.py`. {made_with(results)}.\n\n"
        "Encoders of docs/results/vicreg-tiny-imagenet.md (a ResNet of 0.6 M parameters, 2.6 epochs of "
        "Tiny-ImageNet-100 on CPUs), frozen; heads and protocols as in the docstrings of `evaluation/downstream/`, at "
        "small sizes: figures are for comparing the columns, not with published ones.\n\n"
    ) + table.partition("\n\n")[2]


if __name__ == "__main__":
    main()
