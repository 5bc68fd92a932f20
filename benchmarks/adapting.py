"""Measure the cost of adapting an encoder against plain fine-tuning and LightlyTrain: images per second, peak memory.

    python benchmarks/adapting.py [ARCHITECTURE...]

All read the same JPEGs from disk and decode them at each step, in one thread and in the process that trains, and take
the same timm model, size of images, batch and precision. Weights are random, which costs the same.

- The ways of `equicoherence adapt` are its recipe's, with ``--encoder.train``, and its whole training step.
- Plain fine-tuning is a loop over timm's model: torchvision's ImageFolder, random resized crop and flip, cross-entropy,
  AdamW. The commands of this package keep freed memory (`keep_memory`), which a loop can do as well: measured apart.
- LightlyTrain's methods run in its own loop (`adapting_peer.py`), where it is installed; their process keeps freed
  memory, too.

Each is a process of its own, and they take some steps by turns, so that other load on the machine strikes all alike;
medians are of ratios between steps of one turn, in the processor's time on a CPU, loading included, and in the clock's
on a GPU. Nothing is saved, or scored, between the steps. Memory is the most that a process held beyond what it held
after its imports. No FLOP are given: torch's counter takes the gradients of depthwise convolutions for those of full
ones. What a step does with one image is said in words.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import importlib
import multiprocessing
import os
import re
import resource
import statistics
import tempfile
import time
from collections.abc import Iterator
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

os.environ |= {"OMP_NUM_THREADS": "1", "LIGHTLY_TRAIN_EVENTS_DISABLED": "1"}  # before torch and LightlyTrain

import timm
import torch
import torch.nn.functional as F
from about import machine, write_results
from adapting_peer import WORK, installed, train_peer
from safetensors.torch import save_file
from step_ours import Ours
from step_setting import write_objects
from torch.utils.data import DataLoader
from torchvision.datasets import ImageFolder
from torchvision.transforms import v2

from equicoherence.adapting.start_config import start_config
from equicoherence.keep_memory import keep_freed_memory
from equicoherence.recipes import recipe
from equicoherence.training.views_config import reading_size

PLAIN, KEPT = "plain fine-tuning", "plain fine-tuning, freed memory kept"
SIZES = {"tf_efficientnet_lite0": 96, "vit_small_patch14_dinov2": 98}
PASSES = {  # what is done with one image: views, forward passes of the encoder, backward passes through it
    PLAIN: "1 view; 1 forward, 1 backward",
    KEPT: "1 view; 1 forward, 1 backward",
    "head": "2 views, 2 targets; 2 forward up to 3/4 of the depth",
    "last:1": "2 views, 2 targets; 2 forward, 1 of the frozen copy, 2 backward through the last layer",
    "lora:8": "2 views, 2 targets; 2 forward, 1 of the frozen copy, 2 backward",
    "all": "2 views, 2 targets; 2 forward, 1 of the frozen copy, 2 backward",
    **(WORK_OF_PEER := {f"LightlyTrain, {method}": work for method, work in WORK.items()}),
}
WARM = 2  # steps before those that are timed
FORKS = multiprocessing.get_context("forkserver")  # which imports once for all


def main() -> None:
    """Parse, measure, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("architectures", nargs="*", default=list(SIZES))
    add("--size", type=int, help="pixels of the images; 96 or 98 where not given")
    add("--batch-size", type=int, default=32)
    add("--precision", default="fp32", choices=["bf16", "fp32"])
    add("--repeats", type=int, default=7)
    add("--steps", type=int, default=1, help="of each way in each repeat")
    add("--ways", nargs="*", help="those to measure, beside plain fine-tuning; default: all")
    add("--out", type=Path, default=Path(__file__).parent / "results")
    given = parser.parse_args()
    about = machine(["timm", "equicoherence", "lightly-train", "torchvision", "pytorch-lightning"])
    about |= {"threads": 1, "images": "rendered objects, JPEGs on disk, decoded at each step", "weights": "random"}
    about |= {name: getattr(given, name) for name in ("batch_size", "precision", "repeats", "steps")}
    if not installed():
        about["LightlyTrain"] = "not measured: pip install lightly-train"
    for architecture in given.architectures:
        rows = measure(architecture, given)
        write_results(given.out, f"adapting-{architecture}", "What adapting costs", about, rows, markdown(rows))


def measure(architecture: str, given: argparse.Namespace) -> list[dict[str, Any]]:
    """Return a row for each way of training an encoder."""
    size, taken = given.size or SIZES[architecture], dict[str, list[float]]()
    with tempfile.TemporaryDirectory() as temporary, contextlib.ExitStack() as stack:
        folder, workers, answer = Path(temporary), dict[str, Worker](), dict[str, dict[str, Any]]()
        write_objects(folder, reading_size(size), 8 * given.batch_size)
        save_file(timm.create_model(architecture).state_dict(), folder / "weights.safetensors")
        for way in ways(architecture, given.ways):
            workers[way], taken[way] = Worker(architecture, way, given, folder), []
            stack.callback(workers[way].end)
            workers[way].answer()  # one after another: a start beside another would be slow
            print(f"{way} is ready", flush=True)
        for repeat in range(given.repeats):
            for way, worker in workers.items():
                answer[way] = worker.take(given.steps)
                taken[way].append(answer[way]["seconds"] / given.steps)
            print(f"repeat {repeat + 1}:", {way: round(seconds[-1], 3) for way, seconds in taken.items()}, flush=True)
    rows = []
    for way, seconds in taken.items():
        ratios = [other / one for one, other in zip(seconds, taken[PLAIN])]
        row = {"encoder": architecture, "trained": way, "images/s": given.batch_size / statistics.median(seconds)}
        row |= {"to plain": statistics.median(ratios), "least": min(ratios), "most": max(ratios)}
        rows.append(row | {"MiB": answer[way]["MiB"], "an image": PASSES[way], "seconds a step": seconds})
    return rows


def ways(architecture: str, asked: list[str] | None) -> list[str]:
    """Return the ways of training; LoRA needs attention."""
    known = [way for way in PASSES if architecture.startswith("vit") or not way.startswith("lora")]
    known = [way for way in known if installed() or way not in WORK_OF_PEER]
    return [way for way in known if asked is None or way == PLAIN or way in asked]


class Worker:
    """A process that trains in one way, and takes steps when it is told to."""

    def __init__(self, architecture: str, way: str, given: argparse.Namespace, folder: Path) -> None:
        self.way, self.log = way, folder / f"{way}.log"
        self.pipe, other = FORKS.Pipe()
        self.process = FORKS.Process(target=work, args=(architecture, way, given, folder, self.log, other), daemon=True)
        self.process.start()
        other.close()

    def take(self, steps: int) -> dict[str, Any]:
        """Let it take steps, and return what it says of them."""
        self.pipe.send(steps)
        return self.answer()

    def answer(self) -> dict[str, Any]:
        """Wait for what it says: once after its first steps, then each time that it is told to take some."""
        try:
            return self.pipe.recv()
        except EOFError:
            raise SystemExit(f"{self.way} ended early:\n{self.log.read_text()[-3000:]}") from None

    def end(self) -> None:
        """End the process."""
        self.process.kill()
        self.process.join()


class Turns:
    """A worker's side: it says when the steps that it was told to take are done, and waits to be told again."""

    def __init__(self, pipe: Connection) -> None:
        self._pipe, self._left, self._before = pipe, WARM, held()
        self._start = self._now()

    def step_taken(self) -> None:
        """Note a step."""
        self._left -= 1
        if self._left == 0:
            self._pipe.send({"seconds": self._now() - self._start, "MiB": held() - self._before})
            self._left = self._pipe.recv()
            self._start = self._now()

    def _now(self) -> float:
        if not torch.cuda.is_available():
            return time.process_time()
        torch.cuda.synchronize()
        return time.perf_counter()


def work(architecture: str, way: str, given: argparse.Namespace, folder: Path, log: Path, pipe: Connection) -> None:
    """Train in one way for as long as the process lives."""
    with log.open("w") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    torch.set_num_threads(1)
    size, method = given.size or SIZES[architecture], way.removeprefix("LightlyTrain, ")
    if way != PLAIN:
        keep_freed_memory()
    if way in WORK_OF_PEER:
        importlib.import_module("lightly_train")
        train_peer(method, architecture, size, given, folder, Turns(pipe))
        return
    turns = Turns(pipe)
    make = plain_steps if way in (PLAIN, KEPT) else adapting_steps
    for _ in make(architecture, way, size, given, folder):
        turns.step_taken()


def adapting_steps(architecture: str, way: str, size: int, given: argparse.Namespace, folder: Path) -> Iterator[None]:
    """Take a step of a way of adapting at each `next`."""
    chosen = recipe("adapt-tiny")
    chosen = dataclasses.replace(chosen, encoder=dataclasses.replace(chosen.encoder, train=way))
    config, _ = start_config(chosen, f"{folder / 'weights.safetensors'}@{architecture}", size=size)
    optim = dataclasses.replace(config.optim, batch_size=given.batch_size, epochs=10_000)
    changes = {"optim": optim, "precision": given.precision, "data": str(folder), "threads": 1, "max_steps": 0}
    return Ours(dataclasses.replace(config, **changes), folder / way).steps(keep=False)


def plain_steps(architecture: str, way: str, size: int, given: argparse.Namespace, folder: Path) -> Iterator[None]:
    """Take a step of a plain loop over timm's model at each `next`."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    model = timm.create_model(architecture, num_classes=100, **timm_args(architecture, size)).to(device).train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4, fused=True)
    crop = v2.Compose([v2.PILToTensor(), v2.RandomResizedCrop(size, antialias=True), v2.RandomHorizontalFlip()])
    images = ImageFolder(folder / "train", crop)
    while True:
        for views, labels in DataLoader(images, given.batch_size, shuffle=True, drop_last=True):
            views = views.to(device).float() / 127.5 - 1
            with torch.autocast(device.type, torch.bfloat16, enabled=given.precision == "bf16"):
                loss = F.cross_entropy(model(views).float(), labels.to(device))
            loss.backward()
            optimizer.step()
            optimizer.zero_grad()
            yield


def timm_args(architecture: str, size: int) -> dict[str, Any]:
    """Return the arguments for images of a size."""
    return {"img_size": size, "dynamic_img_size": True} if architecture.startswith("vit") else {}


def held() -> int:
    """Return the most MiB that the process, on a GPU its tensors, have held."""
    if torch.cuda.is_available():
        return torch.cuda.max_memory_allocated() >> 20
    status = Path("/proc/self/status")
    if status.is_file():  # what getrusage says begins, for a child, with what its parent held
        return int(re.search(r"VmHWM:\s+(\d+)", status.read_text())[1]) >> 10  # type: ignore[index]
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10


def markdown(rows: list[dict[str, Any]]) -> str:
    """Return a table of the rows."""
    lines = ["| encoder | trained | images/s | speed to plain (least, most) | MiB | for one image |"]
    lines += ["|" + "---|" * 6]
    for row in rows:
        ratio = f"{row['to plain']:.2f} ({row['least']:.2f}, {row['most']:.2f})"
        cells = f"{row['images/s']:.1f} | {ratio} | {row['MiB']} | {row['an image']}"
        lines.append(f"| {row['encoder']} | {row['trained']} | {cells} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
