"""Measure the cost of adapting an encoder against plain fine-tuning: images per second, and peak memory.

    python benchmarks/adapting.py [ARCHITECTURE...]

Fine-tuning is a plain loop over timm's model: torchvision's random resized crop and flip, cross-entropy, AdamW. The
ways of adapting are those of `equicoherence adapt`: one crop of each image and its transformed copy, and the decoder.
Weights are random, which costs the same. All take a step each by turns in one process, so that other load on the
machine strikes all alike; medians are of ratios between steps of one turn, in the processor's time on a CPU, of one
thread, and in the clock's on a GPU. Memory is the most that a process of its own held beyond what it held before.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import re
import resource
import statistics
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import timm
import torch
import torch.nn.functional as F
from about import machine, write_results
from task_cost import clock_of, images_of, steps_of
from torchvision.transforms import v2

from equicoherence.recipes import recipe
from equicoherence.training import PretrainConfig

PLAIN = "plain fine-tuning"
SIZES = {"tf_efficientnet_lite0": 96, "vit_small_patch14_dinov2": 98}
TRAINED = {"head": "conv", "last:1": "linear", "all": "linear", "lora:8": "linear"}


def main() -> None:
    """Parse, measure, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("architectures", nargs="*", default=list(SIZES))
    add("--size", type=int, help="pixels of the images; 96 or 98 where not given")
    add("--batch-size", type=int, default=32)
    add("--precision", default="fp32", choices=["bf16", "fp32"])
    add("--repeats", type=int, default=7)
    add("--memory-of", help=argparse.SUPPRESS)
    add("--out", type=Path, default=Path(__file__).parent / "results")
    given = parser.parse_args()
    torch.set_num_threads(1)
    if given.memory_of:
        print(json.dumps(memory(given.architectures[0], given.memory_of, given)))
        return
    about = machine(["timm", "equicoherence"]) | {"threads": 1, "precision": given.precision, "repeats": given.repeats}
    about |= {"batch": given.batch_size}
    rows = [row for architecture in given.architectures for row in measure(architecture, given)]
    write_results(given.out, "adapting", "What adapting costs", about, rows, markdown(rows))


def measure(architecture: str, given: argparse.Namespace) -> list[dict[str, Any]]:
    """Return a row for each way of training an encoder."""
    steps = {way: step_of(architecture, way, given) for way in ways(architecture)}
    taken: dict[str, list[float]] = {way: [] for way in steps}
    for repeat in range(given.repeats + 2):
        for way, step in steps.items():
            seconds = sum(step())
            if repeat > 1:
                taken[way].append(seconds)
    rows = []
    for way, seconds in taken.items():
        ratio = statistics.median(other / one for one, other in zip(seconds, taken[PLAIN]))
        command = [sys.executable, __file__, architecture, "--memory-of", way, "--precision", given.precision]
        command += ["--batch-size", str(given.batch_size)] + (["--size", str(given.size)] if given.size else [])
        held = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
        row = {"encoder": architecture, "trained": way, "images/s": given.batch_size / statistics.median(seconds)}
        rows.append(row | {"to plain": ratio, "MiB": held})
        print({k: round(v, 3) if isinstance(v, float) else v for k, v in rows[-1].items()}, flush=True)
    return rows


def ways(architecture: str) -> list[str]:
    """Return the ways of training; LoRA needs attention."""
    return [PLAIN, *(way for way in TRAINED if architecture.startswith("vit") or not way.startswith("lora"))]


def step_of(architecture: str, way: str, given: argparse.Namespace) -> Callable[[], list[float]]:
    """Return what takes one step."""
    size = given.size or SIZES[architecture]
    if way == PLAIN:
        return plain_steps(architecture, size, given)
    return steps_of(adapted(architecture, way, size, given))


def adapted(architecture: str, way: str, size: int, given: argparse.Namespace) -> PretrainConfig:
    """Return the configuration of a way of adapting."""
    start = recipe("adapt-tiny")
    args: dict[str, Any] = {"img_size": size} if architecture.startswith("vit") else {}
    encoder = dataclasses.replace(start.encoder, name=architecture, args=args, train=way)
    assert start.coherence is not None
    depth = 12 if args else len(timm.create_model(architecture, features_only=True).feature_info)  # type: ignore[arg-type]
    layers = tuple(depth * part // 4 for part in (2, 1, 3)) if way == "head" else ()
    task = dataclasses.replace(start.coherence, split=TRAINED[way], layers=layers)
    views = dataclasses.replace(start.views, size=size, source=size + 14)
    optim = dataclasses.replace(start.optim, batch_size=given.batch_size)
    changes = {"encoder": encoder, "coherence": task, "views": views, "optim": optim, "precision": given.precision}
    return dataclasses.replace(start, **changes)


def plain_steps(architecture: str, size: int, given: argparse.Namespace) -> Callable[[], list[float]]:
    """Return what takes one step of a plain loop over timm's model."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    args: dict[str, Any] = {"img_size": size} if architecture.startswith("vit") else {}
    model = timm.create_model(architecture, num_classes=100, **args).to(device).train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4, fused=True)
    crop = v2.Compose([v2.RandomResizedCrop(size, antialias=True), v2.RandomHorizontalFlip()])
    images, clock = images_of(given.batch_size, size + 14, device), clock_of(device)
    labels = torch.arange(given.batch_size, device=device) % 100

    def step() -> list[float]:
        start = clock()
        views = torch.stack([crop(image) for image in images]).float() / 127.5 - 1
        with torch.autocast(device.type, torch.bfloat16, enabled=given.precision == "bf16"):
            loss = F.cross_entropy(model(views).float(), labels)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        return [clock() - start]

    return step


def memory(architecture: str, way: str, given: argparse.Namespace) -> int:
    """Return how many MiB three steps held at most, with weights, gradients and the optimiser's state."""
    before = peak()
    step = step_of(architecture, way, given)
    for _ in range(3):
        step()
    return peak() - before


def peak() -> int:
    """Return the most MiB that the process, on a GPU its tensors, have held."""
    if torch.cuda.is_available():
        return torch.cuda.max_memory_allocated() >> 20
    status = Path("/proc/self/status")
    if status.is_file():  # what getrusage says begins, for a child, with what its parent held
        return int(re.search(r"VmHWM:\s+(\d+)", status.read_text())[1]) >> 10  # type: ignore[index]
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10


def markdown(rows: list[dict[str, Any]]) -> str:
    """Return a table of the rows."""
    lines = ["| encoder | trained | images/s | to plain | MiB |", "|---|---|---|---|---|"]
    for row in rows:
        cells = f"{row['images/s']:.1f} | {row['to plain']:.2f} | {row['MiB']}"
        lines.append(f"| {row['encoder']} | {row['trained']} | {cells} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
