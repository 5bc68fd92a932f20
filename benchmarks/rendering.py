"""Measure `equicoherence render`: images a second with all outputs, by one worker and by all cores, the same bytes.

    python benchmarks/rendering.py --meshes FOLDER [--objects 2] [--views 12] [--size 128] [--repeats 3]

Each repeat renders the same objects (so many of each category) anew with one worker, then with all, into a folder that
is removed again: image, latent, depth, normals, mask, box and camera of each view, and two states between one pair.
3DIEBench itself took about 500 hours of V100 for 2.6 million images: 1.4 a second and GPU.
"""

from __future__ import annotations

import argparse
import hashlib
import resource
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

from about import machine, write_results

from equicoherence.data.loader import usable_cores
from equicoherence.rendering import render


def main() -> None:
    """Parse, measure, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--meshes", required=True, help="what `equicoherence render --meshes` takes")
    for name, value in (("objects", 2), ("views", 12), ("size", 128), ("repeats", 3)):
        parser.add_argument(f"--{name}", type=int, default=value)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results")
    given = parser.parse_args()
    workers = sorted({1, usable_cores()})
    measure(given, 1)  # compiles, and fills the disk's cache
    found: dict[int, list[dict[str, Any]]] = {count: [] for count in workers}
    for _ in range(given.repeats):
        for count in workers:
            found[count].append(measure(given, count))
    digests = {one["digest"] for each in found.values() for one in each}
    if len(digests) != 1:
        raise RuntimeError(f"the same set was rendered in {len(digests)} ways")
    rows = [
        {
            "workers": count,
            "images": each[0]["images"],
            "images a second": statistics.median(one["images"] / one["seconds"] for one in each),
            "CPU ms an image": statistics.median(1000 * one["cpu"] / one["images"] for one in each),
            "digest": each[0]["digest"][:16],
        }
        for count, each in found.items()
    ]
    about = {**machine(["numba"]), "seed": 0, **{k: v for k, v in vars(given).items() if k not in ("out", "meshes")}}
    write_results(given.out, "rendering", "Rendering", about, rows, markdown(rows))
    print(markdown(rows))


def measure(given: argparse.Namespace, workers: int) -> dict[str, Any]:
    """Render a set; return its seconds, those of the processor, its images, and a digest of all its files."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "set"
        start, before = time.perf_counter(), cpu()
        render(given.meshes, out, views=given.views, size=given.size, paths=1, objects=given.objects, workers=workers)
        seconds, used = time.perf_counter() - start, cpu() - before
        files = sorted(path for path in out.rglob("*") if path.is_file() and path.name != "render.yaml")
        digest = hashlib.blake2b()
        for path in files:
            digest.update(str(path.relative_to(out)).encode() + path.read_bytes())
        images = sum(path.suffix == ".jpg" for path in files)
    return {"seconds": seconds, "cpu": used, "images": images, "digest": digest.hexdigest()}


def cpu() -> float:
    """Return the seconds that this process has used of its processors."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def markdown(rows: list[dict[str, Any]]) -> str:
    """Return the table."""
    heads = list(rows[0])
    lines = [heads, ["---"] * len(heads)]
    lines += [[f"{value:.1f}" if isinstance(value, float) else str(value) for value in row.values()] for row in rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"


if __name__ == "__main__":
    main()
