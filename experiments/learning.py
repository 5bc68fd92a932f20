"""Does every ``tiny`` recipe learn? Train each on the rendered objects; its k-NN must beat the random encoder's.

    python experiments/learning.py [--out runs/learning] [--images 51200] [--margin 0.02] [--methods vicreg dino ...]

Writes docs/results/learning.md; run again, it continues where it stopped. Exit status 1, naming them, if the top-1 of a
recipe is not ``margin`` above that of the random encoder.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
from pathlib import Path

from pages import made_with, write_page

from equicoherence.comparing import compare
from equicoherence.evaluation.store import FILE, read_scores
from equicoherence.recipes import RECIPES, recipe
from equicoherence.reporting.summary import flat_rows

METHODS = [name.removesuffix("-tiny") for name in RECIPES if name.endswith("-tiny") and recipe(name).coherence]
PAGE = Path(__file__).parents[1] / "docs" / "results" / "learning.md"


def main() -> int:
    """Train, score, write the page and judge."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("runs/learning"))
    parser.add_argument("--images", type=int, default=51200, help="seen by each recipe")
    parser.add_argument("--margin", type=float, default=0.02)
    parser.add_argument("--methods", nargs="+", default=METHODS, choices=METHODS)
    given = parser.parse_args()
    rows, failed, scores = [], [], {}
    for method in given.methods:
        config = recipe(f"{method}-tiny")
        steps = max(1, given.images // config.optim.batch_size)
        config = dataclasses.replace(config, max_steps=steps, checkpoint_every=steps)
        run = compare({config.name: config}, given.out, tasks=("knn",))[config.name][0]
        scores = read_scores(run / FILE)
        own, floor = (top1(scores, control) for control in ("", "random"))
        last = json.loads((run / "metrics.jsonl").read_text(encoding="utf-8").splitlines()[-1])
        learns = own >= floor + given.margin
        failed += [] if learns else [method]
        rows.append(
            f"| {config.name} | {own:.3f} | {floor:.3f} | {'yes' if learns else '**no**'} "
            f"| {last['rank_invariant']:.1f} | {steps * config.optim.batch_size:,} |"
        )
    head = [
        "# Every tiny recipe learns",
        "",
        f"Written by `python experiments/learning.py`: {given.images:,} images of the rendered objects each, seed 0; "
        f"k-NN top-1 at the backbone must be {given.margin} above that of the same encoder with random weights. "
        f"{made_with(scores)}.",
        "",
        "| recipe | k-NN | random encoder | learns | effective rank | images seen |",
        "|---|---|---|---|---|---|",
    ]
    write_page("\n".join([*head, *rows]) + "\n", PAGE)
    print(PAGE, f"does not learn: {', '.join(failed)}" if failed else "all learn")
    return 1 if failed else 0


def top1(scores: dict, control: str) -> float:
    """Return the k-NN accuracy at the backbone."""
    wanted = {"task": "knn", "representation": "backbone", "control": control}
    return next(row["value"] for row in flat_rows(scores) if wanted.items() <= row.items())


if __name__ == "__main__":
    sys.exit(main())
