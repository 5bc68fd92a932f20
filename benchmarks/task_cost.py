"""Measure what the task costs: steps of a recipe, plain and with the task, on a share of the batch or all of it.

    python benchmarks/task_cost.py [RECIPE...]

All arms of a recipe live in one process and take a step each by turns, so that other load on the machine strikes all
alike; they are named DECODER (WIDTH), VIEWS.INVARIANT, SHARE. The medians over repeats are of the processor's time on a
CPU, of one thread, and of the clock's on a GPU; those over the plain method are of ratios between the steps of one
turn, with the least and the most of these. A step is views, forward, backward and the optimiser's; images are kept
decoded. Freed memory is kept, as by the commands.
"""

from __future__ import annotations

import argparse
import dataclasses
import itertools
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from about import machine, write_results

from equicoherence.keep_memory import keep_freed_memory
from equicoherence.models.on_cpu import fast_on_cpu
from equicoherence.recipes import recipe
from equicoherence.training import PretrainConfig, build_learner, build_views
from equicoherence.training.loop import arithmetic
from equicoherence.training.optim import build_optimizer

PHASES = ("views", "forward", "backward", "update")
DECODERS: dict[str, dict[str, Any]] = {
    "render": {"decoder": "render", "targets": "own"},
    "render+cross-attention": {"decoder": "render+cross-attention", "targets": "own"},
    "render+cross-attention, one order": {"decoder": "render+cross-attention", "targets": "own,either"},
    "geodesic": {"decoder": "geodesic", "targets": "own"},
    "geodesic, one random state": {"decoder": "geodesic", "targets": "own", "states": 1, "spacing": "random"},
}
BETWEEN = ("geodesic", "geodesic, one random state")  # on the path between the views, where `invariant` means nothing


def main() -> None:
    """Parse, measure, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("recipes", nargs="*", default=["vicreg-tiny", "ibot-tiny", "dinov2-tiny"])
    add("--decoders", nargs="*", default=list(DECODERS))
    add("--shares", nargs="*", type=float, default=[1.0, 0.5, 0.25])
    add("--widths", nargs="*", type=int, default=[256])
    add("--only", nargs="*", help="arms by name, beside the plain method; all by default")
    add("--precision", default="bf16", choices=["bf16", "fp32"])
    add("--batch", type=int, help="images a step; by default the recipe's, which may be for a GPU")
    add("--repeats", type=int, default=9)
    add("--name", default="task-cost", help="of the page, before the date")
    add("--out", type=Path, default=Path(__file__).parent / "results")
    given = parser.parse_args()
    torch.set_num_threads(1)
    keep_freed_memory()
    about = machine(["timm", "equicoherence"]) | {"threads": 1, "precision": given.precision, "repeats": given.repeats}
    if given.batch is not None:
        about["images a step"] = given.batch
    rows = [row for name in given.recipes for row in measure(name, given)]
    write_results(given.out, given.name, "What the task costs", about, rows, markdown(rows))


def measure(name: str, given: argparse.Namespace) -> list[dict[str, Any]]:
    """Return a row for each arm of a recipe."""
    start = dataclasses.replace(recipe(name), precision=given.precision)
    if given.batch is not None:
        start = dataclasses.replace(start, optim=dataclasses.replace(start.optim, batch_size=given.batch))
    assert start.coherence is not None
    configs = {"plain": start.plain()}
    for label in given.decoders:
        for width, invariant, share in itertools.product(given.widths, ("path", "base", "others"), given.shares):
            named = f"{label} ({width}), {invariant}, {share:g}"
            if (label in BETWEEN and invariant != "path") or (invariant == "others" and share == 1):
                continue
            if given.only is not None and named not in given.only:
                continue
            path = "between" if label in BETWEEN else start.views.path
            views = dataclasses.replace(start.views, invariant=invariant, path=path)
            task = dataclasses.replace(start.coherence, **DECODERS[label], width=width, share=share)
            configs[named] = dataclasses.replace(start, coherence=task, views=views)
    steps = {label: steps_of(config) for label, config in configs.items()}
    taken: dict[str, list[list[float]]] = {label: [] for label in steps}
    for repeat in range(given.repeats + 2):
        for label, step in steps.items():
            phases = step()
            if repeat > 1:
                taken[label].append(phases)
    plain = statistics.median(sum(phases) for phases in taken["plain"])
    rows = []
    for label, repeats in taken.items():
        medians = [statistics.median(values) for values in zip(*repeats)]
        ratios = [sum(one) / sum(other) for one, other in zip(repeats, taken["plain"])]
        row: dict[str, Any] = {"recipe": name, "arm": label, "ms": 1000 * statistics.median(map(sum, repeats))}
        row |= {phase: 1000 * value for phase, value in zip(PHASES, medians)}
        row |= {"over plain": statistics.median(ratios) - 1, "plain ms": 1000 * plain}
        row |= {"least": min(ratios) - 1, "most": max(ratios) - 1}
        rows.append(row)
        print({k: round(v, 3) if isinstance(v, float) else v for k, v in row.items()}, flush=True)
    return rows


def steps_of(
    config: PretrainConfig, prepare: Callable[[torch.nn.Module], None] = fast_on_cpu
) -> Callable[[], list[float]]:
    """Return what takes one step of a run and says the seconds of its phases.

    prepare: applied to the learner before training; by default what `pretrain` does on a CPU.
    """
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    torch.manual_seed(0)
    learner = build_learner(config, pretrained=False).to(device)
    prepare(learner)
    views, optimizer = build_views(config, learner.encoder), build_optimizer(learner, config.optim)
    images, clock = images_of(config.optim.batch_size, config.views.source, device), clock_of(device)
    generator = torch.Generator(device).manual_seed(0)

    def step() -> list[float]:
        times = [clock()]
        made = views(images, generator)
        times.append(clock())
        with arithmetic(config.precision, device.type):
            losses = learner(made).losses
        times.append(clock())
        torch.stack(list(losses.values())).sum().backward()
        times.append(clock())
        optimizer.step()
        optimizer.zero_grad()
        learner.update(0, 1000)
        times.append(clock())
        return [after - before for before, after in itertools.pairwise(times)]

    return step


def images_of(count: int, size: int, device: torch.device) -> torch.Tensor:
    """Return uint8 images of a size, smooth enough to be photographs."""
    images = torch.nn.functional.interpolate(torch.rand(count, 3, 8, 8), (size, size))
    return (images * 255).byte().to(device)


def clock_of(device: torch.device) -> Callable[[], float]:
    """Return a clock in seconds: the processor's time on a CPU; on a GPU the time at which its work is done."""

    def clock() -> float:
        if device.type == "cpu":
            return time.process_time()
        torch.cuda.synchronize()
        return time.perf_counter()

    return clock


def markdown(rows: list[dict[str, Any]]) -> str:
    """Return a table of the rows."""
    head = ["recipe", "arm", "ms a step", *PHASES, "over plain (least, most)"]
    lines = [f"| {' | '.join(head)} |", "|" + "---|" * len(head)]
    for row in rows:
        numbers = [f"{row[key]:.0f}" for key in ("ms", *PHASES)]
        over = f"{row['over plain']:+.1%} ({row['least']:+.1%}, {row['most']:+.1%})"
        lines.append(f"| {row['recipe']} | {row['arm']} | {' | '.join(numbers)} | {over} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
