"""Measure how fast views and states of paths are made: this package, torchvision and kornia, in one process by turns.

    python benchmarks/paths.py [--sizes 96:64 256:224] [--batch 256 64] [--repeats 5] [--out benchmarks/results]

The work that is measured is in `path_peers.py`. Repeats are interleaved, each turn is one untimed and three timed
calls, and ratios are taken within a repeat, so that other load on the machine strikes all alike; the medians over
repeats are reported. The floor is `grid_sample` alone for the four outputs. torchvision works on a part of the batch
(``--part``): it takes image by image anyway.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
import torch.nn.functional as F
from about import machine, write_results
from path_peers import Worker, ours, photograph_like, with_kornia, with_torchvision
from torch import Tensor

from equicoherence.paths import kernel, pyramid, renderer

CALLS = 3  # timed in each turn, as training calls one after another
STAGES = {
    "packing the sources": (pyramid.Pyramid, "packed"),
    "mean colors": (kernel, "box_means"),
    "drawing": (kernel, "draw"),
    "all chunks": (renderer, "_render_compiled"),
}


def main() -> None:
    """Parse, measure, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", nargs="+", default=["96:64", "256:224"], help="source:output, in pixels")
    parser.add_argument("--batch", nargs="+", type=int, default=[256, 64], help="one for each of the sizes")
    parser.add_argument("--part", type=int, default=32, help="images of the batch that torchvision gets")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    torch.manual_seed(0)
    rows = []
    for sizes, batch in zip(arguments.sizes, arguments.batch, strict=True):
        source, size = (int(number) for number in sizes.split(":"))
        rows.append(measure(source, size, batch, min(arguments.part, batch), arguments.repeats))
        print(markdown([rows[-1]]), flush=True)
    about = {**machine(["torchvision", "kornia"]), "threads": arguments.threads, "seed": 0}
    write_results(arguments.out, "paths", "Making views and states of paths", about, rows, markdown(rows))


@torch.no_grad()
def measure(source: int, size: int, batch: int, part: int, repeats: int) -> dict[str, object]:
    """Time all workers on one pair of sizes; microseconds per source image, and ratios to ours."""
    images = photograph_like(batch, source)
    workers: dict[str, tuple[Worker, Tensor]] = {
        "ours": (ours(size), images),
        "ours, perspective in place of turn and shift": (ours(size, "perspective"), images),
        "kornia": (with_kornia(size), images),
        "torchvision": (with_torchvision(size), images[:part]),
        "torchvision, one thread": (single(with_torchvision(size)), images[:part]),
        "floor": (floor(size, batch), images),
    }
    for work, given in workers.values():
        work(given)
    times: dict[str, list[float]] = {name: [] for name in workers}
    for _ in range(repeats):
        for name, (work, given) in workers.items():
            work(given)  # untimed: the turn before left its own memory and threads behind
            start = time.perf_counter()
            for _ in range(CALLS):
                work(given)
            times[name].append((time.perf_counter() - start) / CALLS / len(given) * 1e6)
    cores = torch.get_num_threads()
    times["torchvision, a process for each core, at best"] = [t / cores for t in times.pop("torchvision, one thread")]
    ratios = {
        name: statistics.median(other / mine for other, mine in zip(values, times["ours"]))
        for name, values in times.items()
    }
    return {
        "source": source,
        "size": size,
        "batch": batch,
        "repeats": repeats,
        "microseconds per source image": {name: statistics.median(values) for name, values in times.items()},
        "source images per second": {name: 1e6 / statistics.median(values) for name, values in times.items()},
        "time relative to ours": ratios,
        "least bytes moved per source image": 3 * source**2 + 4 * 3 * size**2 * 4,
        "stages of ours, one thread, microseconds per source image": stages(size, images),
    }


def floor(size: int, batch: int) -> Worker:
    """Return grid_sample alone: four smooth grids on float images that are there already."""
    centres = (torch.arange(size) * 2 + 1) / size - 1
    grid = torch.stack(torch.meshgrid(centres, centres, indexing="xy"), dim=-1) @ torch.tensor(
        [[0.6, 0.2], [-0.2, 0.6]]
    )
    grids = grid.expand(batch, -1, -1, -1).contiguous()
    pixels: list[Tensor] = []

    def work(images: Tensor) -> list[Tensor]:
        if not pixels:
            pixels.append(images.float())
        return [F.grid_sample(pixels[0], grids, align_corners=False) for _ in range(4)]

    return work


def single(work: Worker) -> Worker:
    """Run ``work`` on one thread, as the worker processes of a DataLoader do."""

    def alone(images: Tensor) -> list[Tensor]:
        threads = torch.get_num_threads()
        torch.set_num_threads(1)
        try:
            return work(images)
        finally:
            torch.set_num_threads(threads)

    return alone


def stages(size: int, images: Tensor, repeats: int = 3) -> dict[str, float]:
    """Time the parts of ours on one thread, where their times add up."""
    spent: dict[str, float] = {}
    with clocked(spent):
        work = single(ours(size))
        work(images)
        spent.clear()
        start = time.perf_counter()
        for _ in range(repeats):
            work(images)
        whole = time.perf_counter() - start
    chunked = spent.pop("all chunks")
    spent["everything else in chunks"] = chunked - sum(spent.values())
    spent["sampling numbers and planning"] = whole - chunked
    spent["whole"] = whole
    return {name: seconds / repeats / len(images) * 1e6 for name, seconds in spent.items()}


@contextmanager
def clocked(spent: dict[str, float]) -> Iterator[None]:
    """Replace the functions of ``STAGES`` by ones that note their time."""
    originals = {name: getattr(owner, attribute) for name, (owner, attribute) in STAGES.items()}

    def clock(name: str, function: Callable[..., object]) -> Callable[..., object]:
        def timed(*given: object, **named: object) -> object:
            start = time.perf_counter()
            try:
                return function(*given, **named)
            finally:
                spent[name] = spent.get(name, 0.0) + time.perf_counter() - start

        return timed

    try:
        for name, (owner, attribute) in STAGES.items():
            setattr(owner, attribute, clock(name, originals[name]))
        yield
    finally:
        for name, (owner, attribute) in STAGES.items():
            setattr(owner, attribute, originals[name])


def markdown(rows: list[dict[str, object]]) -> str:
    """Return the results as tables."""
    lines = []
    for row in rows:
        lines += [f"## {row['source']} -> {row['size']} pixels, batch {row['batch']}, {row['repeats']} repeats", ""]
        lines += [
            "| | microseconds per source image | source images / s | time relative to ours |",
            "|---|---|---|---|",
        ]
        times, rates, ratios = (
            row[key] for key in ("microseconds per source image", "source images per second", "time relative to ours")
        )
        for name in times:  # type: ignore[attr-defined]
            lines.append(f"| {name} | {times[name]:.0f} | {rates[name]:.0f} | {ratios[name]:.2f} |")  # type: ignore[index]
        lines += ["", f"Least memory traffic: {row['least bytes moved per source image']} bytes per source image.", ""]
        lines += ["| stage of ours, on one thread | microseconds per source image |", "|---|---|"]
        stage = row["stages of ours, one thread, microseconds per source image"]
        lines += [f"| {name} | {value:.1f} |" for name, value in stage.items()]  # type: ignore[attr-defined]
        lines.append("")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
