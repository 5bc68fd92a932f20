"""Measure what it saves to compute slow layers otherwise on a CPU: steps of tiny recipes.

    python benchmarks/on_cpu.py [--only dilated group-norm attention] [--repeats 9]

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
from unittest.mock import patch

import torch
from about import machine, write_results
from task_cost import PHASES, steps_of
from torch.nn.attention import SDPBackend, sdpa_kernel

from equicoherence.keep_memory import keep_freed_memory
from equicoherence.models.dilated_conv import use_matrix_products
from equicoherence.models.group_norm import put_channels_first
from equicoherence.recipes import recipe
from equicoherence.training import PretrainConfig, loop
from equicoherence.training.config import Precision

Step = Callable[[], list[float]]


def changing(change: Callable[[torch.nn.Module], None]) -> Callable[[PretrainConfig], tuple[Step, Step]]:
    """Return what makes two steps of a configuration: as torch computes it, and of a learner that is changed."""
    return lambda config: (steps_of(config, lambda learner: None), steps_of(config, change))


def attending(config: PretrainConfig) -> tuple[Step, Step]:
    """Return two steps of a configuration: with torch's math kernel for attention, and as `pretrain` takes them."""
    step = steps_of(config)

    def by_math_kernel() -> list[float]:
        with patch.object(loop, "plain_attention", lambda: sdpa_kernel(SDPBackend.MATH)):
            return step()

    return by_math_kernel, step


class Layers(NamedTuple):
    """A kind of layer: the title of its results, what is compared, where, and what makes the two steps."""

    title: str
    torchs: str
    ours: str
    recipes: tuple[str, ...]
    precisions: tuple[Precision, ...]
    steps: Callable[[PretrainConfig], tuple[Step, Step]]
    sizes: tuple[int, ...] = ()  # also of SimCLR with a ViT-S/16, without the task, for images of these sizes


LAYERS = {
    "dilated": Layers(
        "Dilated convolutions of small maps",
        *("nn.Conv2d", "DilatedConv"),
        ("vicreg-tiny", "simclr-tiny"),
        ("bf16", "fp32"),
        changing(use_matrix_products),
    ),
    "group-norm": Layers(
        "Group norms of small maps",
        *("channels last", "channels first"),
        ("ibot-tiny", "dinov2-tiny"),
        ("bf16",),
        changing(put_channels_first),
    ),
    "attention": Layers(
        "Attention to few tokens in half precision",
        *("math kernel", "plain products"),
        ("ibot-tiny", "dinov2-tiny"),
        ("bf16",),
        attending,
        (112, 224),
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
    for key in given.only:
        layers = LAYERS[key]
        about = machine(["timm", "equicoherence"]) | {"threads": 1, "repeats": given.repeats}
        rows = [
            measure(name, dataclasses.replace(config, precision=precision), layers.steps, given.repeats)
            for name, config in configurations(layers).items()
            for precision in layers.precisions
        ]
        write_results(given.out, key, layers.title, about, rows, markdown(rows, layers.torchs, layers.ours))


def configurations(layers: Layers) -> dict[str, PretrainConfig]:
    """Return what is trained to measure a kind of layer, by its name."""
    found = {}
    for name in layers.recipes:
        found |= {f"{name}, plain": recipe(name).plain(), f"{name}, with the task": recipe(name)}
    for size in layers.sizes:
        base = recipe("simclr-tiny").plain()
        encoder = dataclasses.replace(base.encoder, name="vit_small_patch16_224", args={"img_size": size})
        views = dataclasses.replace(base.views, size=size, source=size)
        optim = dataclasses.replace(base.optim, batch_size=8)
        found[f"SimCLR, ViT-S/16, {size} px"] = dataclasses.replace(base, encoder=encoder, views=views, optim=optim)
    return found


def measure(
    name: str, config: PretrainConfig, steps: Callable[[PretrainConfig], tuple[Step, Step]], repeats: int
) -> dict[str, Any]:
    """Return the row of one configuration: the two steps that ``steps`` makes of it, by turns."""
    torchs, ours = steps(config)
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
