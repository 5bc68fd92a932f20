"""Measure two versions of the package against each other on views and states of paths, by turns.

    python benchmarks/path_versions.py BEFORE AFTER [--sizes 96:64 256:224] [--batch 128 32] [--repeats 15]

BEFORE and AFTER are folders that hold the package (``src`` of two worktrees). Each version has a process of its own,
which waits while the other works. The work is `path_peers.ours`: four outputs per source, with bytes through the
compiled renderer and with floats through torch's. What is compared (``PAIRS``) takes turns, in reversed order every
other time; ratios are taken within a repeat and medians over repeats reported, of the seconds of processor time:
other load on the machine moves them less than those of the clock, which are reported beside them.
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
PAIRS = ((("before", "se2"), ("after", "se2")), (("after", "se2"), ("after", "perspective")))
Times = list[tuple[float, float]]  # processor and clock, microseconds per source image, of each repeat


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
        found = [
            compared(first, second, kind, *measure(versions, (first, second), kind, setting, arguments.repeats))
            for first, second in PAIRS
            for kind in KINDS
        ]
        rows.append({**setting, "repeats": arguments.repeats, "found": found})
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
        """Return the answer."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps(question) + "\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    def close(self) -> None:
        """Let the process end."""
        self.process.communicate("")


def measure(
    versions: dict[str, Version], pair: tuple[Any, Any], kind: str, setting: dict[str, int], repeats: int
) -> list[Times]:
    """Return the times of both of a pair of (version, path)."""
    times: list[Times] = [[], []]
    for repeat in range(repeats):
        for i in (0, 1) if repeat % 2 else (1, 0):
            version, path = pair[i]
            times[i].append(tuple(versions[version].ask(kind=kind, path=path, **setting)))
    return times


def compared(first: tuple[str, str], second: tuple[str, str], kind: str, a: Times, b: Times) -> dict[str, Any]:
    """Return the medians of both, and of the ratios of the second to the first."""
    ratios = [[mine / theirs for mine, theirs in zip(*turn)] for turn in zip(b, a)]
    low, middle, high = statistics.quantiles([processor for processor, _ in ratios], n=4)
    return {
        "first": " ".join(first),
        "second": " ".join(second),
        "images": kind,
        "processor microseconds": [statistics.median(processor for processor, _ in times) for times in (a, b)],
        "ratio": middle,
        "quartiles": [low, high],
        "ratio by the clock": statistics.median(clock for _, clock in ratios),
    }


def markdown(rows: list[dict[str, Any]]) -> str:
    """Return the results as tables."""
    lines = []
    for row in rows:
        lines += [f"## {row['source']} -> {row['size']} pixels, batch {row['batch']}, {row['repeats']} repeats", ""]
        lines.append("| second : first | images | processor us per source image | ratio | quartiles | by the clock |")
        lines.append("|---|---|---|---|---|---|")
        for entry in row["found"]:
            first, second = entry["processor microseconds"]
            low, high = entry["quartiles"]
            lines.append(
                f"| {entry['second']} : {entry['first']} | {entry['images']} | {second:.0f} : {first:.0f} | "
                f"{entry['ratio']:.3f} | {low:.3f} to {high:.3f} | {entry['ratio by the clock']:.3f} |"
            )
        lines.append("")
    return "\n".join(lines)


def work() -> None:
    """Answer questions from standard input until there are none."""
    import torch
    from path_peers import ours, photograph_like

    workers: dict[tuple[Any, ...], Any] = {}
    for line in sys.stdin:
        question = json.loads(line)
        source, size, batch, kind, path = (question[k] for k in ("source", "size", "batch", "kind", "path"))
        torch.set_num_threads(question["threads"])
        images = photograph_like(batch, source)
        images = images if kind == "bytes" else images.float() / 255
        if (size, path) not in workers:
            workers[size, path] = ours(size, path)
        worker = workers[size, path]
        with torch.no_grad():
            worker(images)  # untimed: the turn before left its own memory behind
            spent, start = time.process_time(), time.perf_counter()
            worker(images)
            answer = (time.process_time() - spent, time.perf_counter() - start)
        print(json.dumps([seconds / batch * 1e6 for seconds in answer]), flush=True)


if __name__ == "__main__":
    work() if sys.argv[1:] == ["--work"] else main()
