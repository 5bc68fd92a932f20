"""Measure training on shared cores: alone, next to a busy loop, and two trainings at once.

    python benchmarks/contended.py

Each variant has two processes that hold a training of their own and wait; they are told by turns to train for some
seconds, so that other load on the machine strikes all variants alike. The medians over repeats are reported.

- as torch has it: threads spin while they wait, oneDNN's gradients of weights keep their threads in step by spinning;
- waiting asleep: OMP_WAIT_POLICY=passive alone, which is not enough;
- as it is: `quiet_threads`, and `SharedConv`, whose threads do not wait for each other;
- as it is, one thread: what `compare` gives each of two arms on two cores.

CPU time over steps tells spinning from work: what is more than with one thread was spent waiting. What all other
programs took meanwhile is reported, in cores; with ``--others 0.2`` a measurement beside more than that is taken again.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from equicoherence.quiet import CHOICES

SPINNING = {"GOMP_SPINCOUNT": "300000"}  # libgomp's own number where nothing is said
VARIANTS: dict[str, tuple[dict[str, str], bool, int]] = {  # environment, whether convolutions are shared, threads
    "as torch has it": (SPINNING, False, 0),
    "waiting asleep": ({"OMP_WAIT_POLICY": "passive"}, False, 0),
    "as it is": ({}, True, 0),
    "as it is, one thread": ({}, True, 1),
}
STATES = ("alone", "beside a busy loop", "two at once")
BASE = "as torch has it"
Taken = dict[str, float]


def main() -> None:
    """Parse, measure, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--recipe", default="simclr-tiny", help="a tiny recipe")
    add("--coherence", action="store_true", help="with the task; the plain method where not given")
    add("--threads", type=int, default=2)
    add("--seconds", type=float, default=8.0, help="of each training in each repeat")
    add("--repeats", type=int, default=5)
    add("--others", type=float, default=float("inf"), help="cores that other programs may take meanwhile")
    add("--out", type=Path, default=Path(__file__).parent / "results")
    add("--worker", nargs=2, metavar=("VARIANT", "FOLDER"), help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.worker:
        train_when_told(given, *given.worker)
        return
    taken = measure(given)
    from about import machine, write_results

    about = machine(["timm", "equicoherence"])
    about |= {k: v for k, v in vars(given).items() if k not in ("out", "worker")} | {"seed": 0}
    rows = summarise(taken)
    write_results(given.out, "contended", "Training on cores that others use", about, rows, markdown(rows))


def measure(given: argparse.Namespace) -> dict[tuple[str, str], list[list[Taken]]]:
    """Return what the trainings of each state and variant did, one list for each repeat."""
    taken: dict[tuple[str, str], list[list[Taken]]] = {(s, v): [] for s in STATES for v in VARIANTS}
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        pairs = {}
        for number, variant in enumerate(VARIANTS):
            pairs[variant] = [Training(variant, Path(folder, f"{number}{place}")) for place in "ab"]
            for training in pairs[variant]:
                stack.callback(training.end)
                training.ready()
        for repeat in range(given.repeats):
            for state in STATES:
                for variant, pair in pairs.items():
                    trainings = pair if state == "two at once" else pair[:1]
                    found = together(trainings, state, given.seconds, given.others)
                    while found[0]["cores of others"] > given.others:
                        found = together(trainings, state, given.seconds, given.others)
                    taken[state, variant].append(found)
                    rates = ", ".join(f"{one['images per second']:.0f}" for one in found)
                    print(f"repeat {repeat + 1}, {state}, {variant}: {rates} images/s", flush=True)
    return taken


def together(trainings: list[Training], state: str, seconds: float, others: float) -> list[Taken]:
    """Let trainings run at once when other programs take no more than ``others`` cores; return what each did, and the
    cores that other programs took meanwhile."""
    while cores_in_use() > others:
        time.sleep(2)
    start, busy, loops = time.perf_counter(), busy_seconds(), ended_children()
    loop = None
    if state == "beside a busy loop":
        loop = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    try:
        for training in trainings:
            training.start(seconds)
        found = [training.taken() for training in trainings]
    finally:
        if loop:
            loop.kill()
            loop.wait()
    own = sum(one.pop("CPU seconds") for one in found) + ended_children() - loops
    others = max(0.0, busy_seconds() - busy - own) / (time.perf_counter() - start)
    return [{**one, "cores of others": others} for one in found]


def cores_in_use() -> float:
    """Return the cores that are in use, over a second."""
    start, busy = time.perf_counter(), busy_seconds()
    time.sleep(1)
    return (busy_seconds() - busy) / (time.perf_counter() - start)


def busy_seconds() -> float:
    """Return the CPU seconds of all programs since the machine started."""
    user, nice, system, _, _, interrupts, soft, *_ = Path("/proc/stat").read_text().splitlines()[0].split()[1:]
    return sum(map(int, (user, nice, system, interrupts, soft))) / os.sysconf("SC_CLK_TCK")


def ended_children() -> float:
    """Return the CPU seconds of this process's children that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


class Training:
    """A process that trains for some seconds whenever it is told to."""

    def __init__(self, variant: str, folder: Path) -> None:
        environment = {name: value for name, value in os.environ.items() if name not in CHOICES}
        self.process = subprocess.Popen(
            [sys.executable, __file__, *sys.argv[1:], "--worker", variant, str(folder)],
            env={**environment, **VARIANTS[variant][0]},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def ready(self) -> None:
        """Wait until it is built."""
        self.taken()

    def start(self, seconds: float) -> None:
        """Let it train."""
        assert self.process.stdin is not None
        self.process.stdin.write(f"{seconds}\n")
        self.process.stdin.flush()

    def taken(self) -> Taken:
        """Wait until it has trained, and return what it did."""
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            raise SystemExit(f"a training ended early, with status {self.process.wait()}")
        return json.loads(line)

    def end(self) -> None:
        """End the process."""
        self.process.kill()
        self.process.wait()


def train_when_told(given: argparse.Namespace, variant: str, folder: str) -> None:
    """Be one training: take steps for as many seconds as each line of standard input says, then print what was done."""
    from step_ours import take_step

    import equicoherence.models.on_cpu as on_cpu
    import equicoherence.training.setup as setting_up
    from equicoherence.recipes import recipe

    _, shared, threads = VARIANTS[variant]
    if not shared:
        on_cpu.share_weight_gradients = lambda model: None
    config = recipe(given.recipe) if given.coherence else recipe(given.recipe).plain()
    optim = dataclasses.replace(config.optim, epochs=10_000)
    config = dataclasses.replace(config, threads=threads or given.threads, optim=optim)
    run = setting_up.set_up(config, Path(folder), resume=False, held=ExitStack())
    batches = iter(run.batches())
    for _ in range(2):
        take_step(run, *next(batches))
    print(json.dumps({}), flush=True)
    for line in sys.stdin:
        start, before, steps = time.perf_counter(), resource.getrusage(resource.RUSAGE_SELF), 0
        while time.perf_counter() - start < float(line):
            take_step(run, *next(batches))
            steps += 1
        seconds, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_SELF)
        spent = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        taken = {
            "images per second": steps * config.optim.batch_size / seconds,
            "CPU seconds": spent,
            "CPU milliseconds per step": spent / steps * 1e3,
            "context switches per step, voluntary": (after.ru_nvcsw - before.ru_nvcsw) / steps,
            "context switches per step, forced": (after.ru_nivcsw - before.ru_nivcsw) / steps,
        }
        print(json.dumps(taken), flush=True)


def summarise(taken: dict[tuple[str, str], list[list[Taken]]]) -> list[dict[str, Any]]:
    """Return a row for each state and variant: medians over repeats, of two trainings their mean."""
    rows = []
    for (state, variant), repeats in taken.items():
        means = [{k: statistics.mean(one[k] for one in found) for k in found[0]} for found in repeats]
        medians = {k: statistics.median(mean[k] for mean in means) for k in means[0]}
        alone = taken[STATES[0], BASE]
        shares = [
            mean["images per second"] / first[0]["images per second"] for mean, first in zip(means, alone, strict=True)
        ]
        rows.append({"state": state, "variant": variant, **medians, "share": statistics.median(shares), "all": repeats})
    return rows


def markdown(rows: list[dict[str, Any]]) -> str:
    """Return the rows as a table."""
    lines = [
        "Images per second are each training's; shares are of the speed alone as torch has it, in the same repeat.",
        "",
        "| state | variant | images per second | share | CPU ms a step | context switches a step | cores of others |",
        "|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        switches = [row[f"context switches per step, {kind}"] for kind in ("voluntary", "forced")]
        lines.append(
            f"| {row['state']} | {row['variant']} | {row['images per second']:.0f} | {row['share']:.0%} | "
            f"{row['CPU milliseconds per step']:.0f} | {switches[0]:.0f} + {switches[1]:.0f} forced | "
            f"{row['cores of others']:.2f} |"
        )
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
