"""Measure what it saves to compute slow layers otherwise on a CPU: steps of tiny recipes.

    python benchmarks/on_cpu.py [--only dilated group-norm] [--repeats 9]

A training step as torch computes it and one with our layers are taken by turns, in one process and on one thread, so
that other load on the machine strikes both alike. Times are the processor's, medians over repeats; the speed-up is the
median of the ratios between the steps of one turn. Each kind of layer has results of its own.
"""

from __future__ import annotations

import argparse
import dataclasses
import statistics
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import torch
from about import machine, write_results
from task_cost import PHASES, steps_of

from equicoherence.keep_memory import keep_freed_memory
from equicoherence.models.dilated_conv import use_matrix_products
from equicoherence.models.group_norm import put_channels_first
from equicoherence.recipes import recipe
from equicoherence.training import PretrainConfig
from equicoherence.training.config import Precision

Change = Callable[[torch.nn.Module], None]


class Layers(NamedTuple):
    """A kind of layer: the title of its results, what is compared, where, and what changes a learner."""

    title: str
    torchs: str
    ours: str
    recipes: tuple[str, ...]
    precisions: tuple[Precision, ...]
    change: Change


LAYERS = {
    "dilated": Layers(
        "Dilated convolutions of small maps",
        *("nn.Conv2d", "DilatedConv"),
        ("vicreg-tiny", "simclr-tiny"),
        ("bf16", "fp32"),
        use_matrix_products,
    ),
    "group-norm": Layers(
        "Group norms of small maps",
        *("channels last", "channels first"),
        ("ibot-tiny", "dinov2-tiny"),
        ("bf16",),
        put_channels_first,
    ),
}


def main() -> None:
    """Parse, measure, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", default=[*LAYERS], choices=[*LAYERS], help="layers; all by default")
    parser.add_argument("--repeats", type=int, default=9)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results")
    given = parser.parse_args()
    torch.set_num_threads(1)
    keep_freed_memory()
    for name in given.only:
        layers = LAYERS[name]
        about = machine(["timm", "equicoherence"]) | {"threads": 1, "repeats": given.repeats}
        rows = [
            measure(f"{of}, {arm}", dataclasses.replace(config, precision=precision), layers.change, given.repeats)
            for of in layers.recipes
            for precision in layers.precisions
            for arm, config in (("plain", recipe(of).plain()), ("with the task", recipe(of)))
        ]
        write_results(given.out, name, layers.title, about, rows, markdown(rows, layers.torchs, layers.ours))


def measure(name: str, config: PretrainConfig, change: Change, repeats: int) -> dict[str, Any]:
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
