"""Measure two versions of the package against each other on views and states of paths, by turns.

    python benchmarks/path_versions.py BEFORE AFTER [--sizes 96:64 256:224] [--batch 128 32] [--repeats 15]

BEFORE and AFTER are folders that hold the package (``src`` of two worktrees). Each version has a process of its own,
which waits while the other works. The work is `path_peers.ours`: four outputs per source, with bytes through the
compiled renderer and with floats through torch's. Ratios are taken within a repeat, which takes both versions in
turn (in reversed order every other time) and medians over repeats reported, of the seconds of processor time: other
load on the machine moves them less than those of the clock, which are reported beside them. A path that a version
does not know is left out.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

KINDS = ("bytes", "floats")
PATHS = ("se2", "perspective")
Times = dict[tuple[str, str, str], list[tuple[float, float]]]


def main() -> None:
    """Parse, measure, write; or work for the process that measures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("before", type=Path)
    parser.add_argument("after", type=Path)
    parser.add_argument("--sizes", nargs="+", default=["96:64", "256:224"], help="source:output, in pixels")
    parser.add_argument("--batch", nargs="+", type=int, default=[128, 32], help="one for each of the sizes")
    parser.add_argument("--repeats", type=int, default=15)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results")
    arguments = parser.parse_args()
    versions = {"before": Version(arguments.before), "after": Version(arguments.after)}
    rows = []
    for sizes, batch in zip(arguments.sizes, arguments.batch, strict=True):
        source, size = (int(number) for number in sizes.split(":"))
        setting = {"source": source, "size": size, "batch": batch, "threads": arguments.threads}
        rows.append(summary(setting, measure(versions, setting, arguments.repeats), arguments.repeats))
        print(markdown(rows[-1:]), flush=True)
    for version in versions.values():
        version.close()
    from about import machine, write_results

    about = {**machine([]), "threads": arguments.threads, "seed": 0}
    write_results(arguments.out, "path-versions", "Two versions of the paths", about, rows, markdown(rows))


class Version:
    """A process that works with the package in ``folder``; it answers a line of JSON with a line of JSON."""

    def __init__(self, folder: Path) -> None:
        if not (folder / "equicoherence").is_dir():
            raise ValueError(f"{folder} holds no package equicoherence; give the src of a worktree")
        self.process = subprocess.Popen(
            [sys.executable, __file__, "--work"],
            env={**os.environ, "PYTHONPATH": str(folder.resolve())},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def ask(self, **question: Any) -> Any:
        """Return the answer, None where this version cannot do it."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps(question) + "\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    def close(self) -> None:
        """Let the process end."""
        self.process.communicate("")


def measure(versions: dict[str, Version], setting: dict[str, int], repeats: int) -> Times:
    """Return (processor, clock) microseconds per source image of each version, kind of images and path."""
    times: Times = {}
    for repeat in range(repeats):
        order = list(versions)[:: -1 if repeat % 2 else 1]
        for path in PATHS:
            for kind in KINDS:
                for name in order:
                    answer = versions[name].ask(kind=kind, path=path, **setting)
                    if answer is not None:
                        times.setdefault((name, kind, path), []).append(tuple(answer))
    return times


def summary(setting: dict[str, int], times: Times, repeats: int) -> dict[str, Any]:
    """Return medians, and ratios to the same kind of images under se2 before."""
    found = []
    for (name, kind, path), values in times.items():
        first = times["before", kind, "se2"]
        ratios = [[mine / theirs for mine, theirs in zip(*pair)] for pair in zip(values, first)]
        spread = statistics.quantiles([cpu for cpu, _ in ratios], n=4) if len(ratios) > 1 else [ratios[0][0]] * 3
        found.append(
            {
                "version": name,
                "images": kind,
                "path": path,
                "processor microseconds": statistics.median(cpu for cpu, _ in values),
                "relative to se2 before": spread[1],
                "quartiles": [spread[0], spread[2]],
                "relative by the clock": statistics.median(clock for _, clock in ratios),
            }
        )
    return {**setting, "repeats": repeats, "found": found}


def markdown(rows: list[dict[str, Any]]) -> str:
    """Return the results as tables."""
    lines = []
    for row in rows:
        lines += [f"## {row['source']} -> {row['size']} pixels, batch {row['batch']}, {row['repeats']} repeats", ""]
        lines += ["| version | images | path | processor us per source image | relative to se2 before | quartiles |"]
        lines[-1] += " relative by the clock |"
        lines.append("|---|---|---|---|---|---|---|")
        for entry in row["found"]:
            low, high = entry["quartiles"]
            lines.append(
                f"| {entry['version']} | {entry['images']} | {entry['path']} | {entry['processor microseconds']:.0f} | "
                f"{entry['relative to se2 before']:.3f} | {low:.3f} to {high:.3f} | "
                f"{entry['relative by the clock']:.3f} |"
            )
        lines.append("")
    return "\n".join(lines)


def work() -> None:
    """Answer questions from standard input until there are none."""
    import torch
    from path_peers import ours
    from paths import photograph_like

    workers: dict[tuple[Any, ...], Any] = {}
    for line in sys.stdin:
        question = json.loads(line)
        source, size, batch, kind, path = (question[k] for k in ("source", "size", "batch", "kind", "path"))
        torch.set_num_threads(question["threads"])
        images = photograph_like(batch, source)
        images = images if kind == "bytes" else images.float() / 255
        try:
            worker = workers.setdefault((size, path), None) or ours(size, path)
        except ValueError:
            print("null", flush=True)
            continue
        workers[size, path] = worker
        with torch.no_grad():
            worker(images)  # untimed: the turn before left its own memory behind
            spent, start = time.process_time(), time.perf_counter()
            worker(images)
            answer = (time.process_time() - spent, time.perf_counter() - start)
        print(json.dumps([seconds / batch * 1e6 for seconds in answer]), flush=True)


if __name__ == "__main__":
    work() if sys.argv[1:] == ["--work"] else main()
