"""Measure what it saves to compute the dilated convolutions of small maps by matrix products: steps of tiny recipes.

    python benchmarks/dilated.py [RECIPE...]

A training step with torch's nn.Conv2d and one with `DilatedConv` are taken by turns, in one process and on one thread,
so that other load on the machine strikes both alike. Times are the processor's, medians over repeats; the speed-up is
the median of the ratios between the steps of one turn.
"""

from __future__ import annotations

import argparse
import dataclasses
import statistics
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from about import machine, write_results
from task_cost import PHASES, steps_of

from equicoherence.keep_memory import keep_freed_memory
from equicoherence.models.dilated_conv import use_matrix_products
from equicoherence.recipes import recipe
from equicoherence.training import PretrainConfig

PRECISIONS = ("bf16", "fp32")


def main() -> None:
    """Parse, measure, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recipes", nargs="*", default=["vicreg-tiny", "simclr-tiny"])
    parser.add_argument("--repeats", type=int, default=9)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results")
    given = parser.parse_args()
    torch.set_num_threads(1)
    keep_freed_memory()
    about = machine(["timm", "equicoherence"]) | {"threads": 1, "repeats": given.repeats}
    rows = [
        measure(f"{name}, {arm}", dataclasses.replace(config, precision=precision), use_matrix_products, given.repeats)
        for name in given.recipes
        for precision in PRECISIONS
        for arm, config in (("plain", recipe(name).plain()), ("with the task", recipe(name)))
    ]
    table = markdown(rows, "nn.Conv2d", "DilatedConv")
    write_results(given.out, "dilated", "Dilated convolutions of small maps", about, rows, table)


def measure(
    name: str, config: PretrainConfig, change: Callable[[torch.nn.Module], None], repeats: int
) -> dict[str, Any]:
    """Return the row of one configuration: steps of its learner, and of one that ``change`` has changed."""
    torchs, ours = steps_of(config, lambda learner: None), steps_of(config, change)
    taken = [(torchs(), ours()) for _ in range(repeats + 2)][2:]
    row: dict[str, Any] = {"step": name, "precision": config.precision}
    for label, each in zip(("torch", "ours"), zip(*taken)):
        row |= {f"{label} ms": 1000 * statistics.median(map(sum, each))}
        row |= {f"{label} {phase} ms": 1000 * statistics.median(p) for phase, p in zip(PHASES, zip(*each))}
    ratios = [sum(one) / sum(other) for one, other in taken]
    row |= {"speed-up": statistics.median(ratios), "least": min(ratios), "most": max(ratios)}
    print(row, flush=True)
    return row


def markdown(rows: list[dict[str, Any]], torchs: str, ours: str) -> str:
    """Return the rows as a table. torchs, ours: what is compared."""
    lines = [
        f"| step | precision | {torchs}, ms | {ours}, ms | speed-up | from | to |",
        "|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        speeds = " | ".join(f"{row[key]:.2f}" for key in ("speed-up", "least", "most"))
        lines.append(
            f"| {row['step']} | {row['precision']} | {row['torch ms']:.0f} | {row['ours ms']:.0f} | {speeds} |"
        )
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
