"""Measure a whole training step by turns in one process: this package, with and without the task, and its peers.

    python benchmarks/step.py --threads 2                                                            # CPU, tiny
    python benchmarks/step.py --model vit_small_patch16_224 --model-args --size 224 --source 256 --batch 256 \
        --dtype bf16 --crops 8 --crop-size 96 --head 2048 256 8192 --workers 8 16 --threads 16       # a GPU

A step is everything between two batches: loading and decoding, views, forward, losses, backward, optimiser, teacher.
All read the same JPEGs (``--data``: a folder with ``train`` and ``val``; default: rendered objects written to a
temporary folder) and train the same timm model on views of the same sizes with fused AdamW. The peers are lightly and
stable-pretraining, where they are installed, each at the best of its numbers of workers; what is theirs and how it is
called stands in `step_peers.py` and `step_stable.py`, what is ours in `step_ours.py`. Ours is measured twice: keeping
decoded images in memory, its default where they fit, and decoding every image every time, as the peers do.

Repeats are interleaved and ratios are taken within a repeat, so that other load on the machine strikes all alike; the
medians over repeats are reported. In each repeat an arm opens its loader anew, takes a few steps that do not count,
and closes it after the last. The cost of the task is the time of a step with it over that of a step on the same views
without reconstruction (no states: the path still moves view 2), and over that of the plain method; images are kept.

On a GPU, memory is the most that torch held for the arm (parameters, optimiser and all), and MFU is the FLOP of
matrix products, convolutions and attention in one step, forward, teacher and backward, counted by torch's
FlopCounterMode, per second and over the dense peak of the device for the data type (H200, bf16: 989 TFLOP/s). Where
the time of our own step goes is clocked last: eager, one run, waiting for the device between stages.
"""

from __future__ import annotations

import argparse
import ast
import os
import statistics
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import closing
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from about import machine, write_results
from step_ours import Ours, configuration
from step_setting import GLOBAL_AREA, Arm, Setting, measured, write_objects
from step_stable import StablePretraining, installed

from equicoherence.coherence import CoherenceConfig

PEAK = {"H200": {"bf16": 989e12, "fp32": 67e12}, "H100": {"bf16": 989e12, "fp32": 67e12}}  # FLOP/s, dense, no TF32
KEPT, DECODING = "ours, images kept", "ours, decoding every time"
STATES_0 = "ours, same views, no states"
DECODERS = ("conv", "render")
Row = dict[str, Any]


def main() -> None:
    """Parse, measure, write."""
    arguments = parse()
    if arguments.device == "cpu":
        os.environ["CUDA_VISIBLE_DEVICES"] = ""  # before anything asks for a GPU
    elif not torch.cuda.is_available():
        raise SystemExit("--device cuda, but torch finds no GPU; use --device cpu")
    torch.set_num_threads(arguments.threads)
    stable_pretraining = (arguments.peers and installed()) or "not measured"
    print(f"stable-pretraining: {stable_pretraining}")
    with tempfile.TemporaryDirectory() as temporary:
        data = arguments.data or write_objects(
            Path(temporary, "images"), arguments.source, max(512, 2 * arguments.batch)
        )
        setting = Setting(
            arguments.model,
            dict(arguments.model_args),
            arguments.size,
            arguments.source,
            arguments.crops,
            arguments.crop_size,
            arguments.batch,
            arguments.dtype,
            tuple(arguments.head),
            arguments.projector,
            arguments.threads,
            arguments.compile,
            data,
        )
        about = machine(["timm", "lightly", "torchvision", "pillow", "equicoherence"])
        about["bfloat16 in the processor"] = units()
        choices = {k: v for k, v in vars(arguments).items() if k not in ("out", "data")}
        images = "photographs or other images given by --data" if arguments.data else "rendered objects"
        about |= {"images": images, "stable-pretraining": stable_pretraining, **choices, "seed": 0}
        name = f"step-{arguments.device}-{arguments.model}-{arguments.dtype}"
        rows = []
        for method in arguments.methods:
            rows.append(measure(method, setting, arguments, Path(temporary, method)))
            print(markdown([rows[-1]]), flush=True)  # and on disk: the next may run out of time
            write_results(arguments.out, name, "A whole training step", about, rows, markdown(rows))


def units() -> str:
    """Return what the processor has for bfloat16, as the system names it: matrix tiles, dot products, or nothing."""
    flags = Path("/proc/cpuinfo").read_text().split() if Path("/proc/cpuinfo").is_file() else []
    return ", ".join(flag for flag in ("amx_bf16", "avx512_bf16") if flag in flags) or "nothing: it is emulated"


def parse() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--methods", nargs="+", default=list(GLOBAL_AREA), choices=list(GLOBAL_AREA))
    add("--device", default="cuda" if torch.cuda.is_available() else "cpu", choices=["cpu", "cuda"])
    add("--model", default="vit_tiny_patch16_224", help="a timm vision transformer")
    add("--model-args", nargs="*", type=argument, default=[("depth", 6), ("patch_size", 8)], help="name=value for timm")
    add("--size", type=int, default=64, help="pixels of a global view")
    add("--source", type=int, default=96, help="pixels of the images on disk, and of what ours keeps of an image")
    add("--crops", type=int, default=4, help="local crops of the multi-crop methods")
    add("--crop-size", type=int, default=32)
    add("--batch", type=int, default=64)
    add("--dtype", default="fp32", choices=["fp32", "bf16"], help="bf16: autocast")
    add("--head", nargs=3, type=int, default=[512, 64, 2048], help="hidden width, bottleneck, prototypes")
    add("--projector", type=int, default=2048, help="VICReg's width")
    add("--workers", nargs="+", type=int, default=[0, 1, 2], help="of the peers' loaders; each is at its best")
    add("--peers", action=argparse.BooleanOptionalAction, default=True, help="measure those that are installed")
    add("--task", action=argparse.BooleanOptionalAction, default=True, help="measure ours also with the task")
    add("--compile", action="store_true", help="compile the models of all")
    add("--steps", type=int, default=10, help="timed in each repeat")
    add("--warm", type=int, default=3, help="steps before those")
    add("--repeats", type=int, default=5)
    add("--threads", type=int, default=2, help="of torch, and of our loader")
    add("--data", type=Path, help="a folder of images with train and val")
    add("--out", type=Path, default=Path(__file__).parent / "results")
    return parser.parse_args()


def argument(text: str) -> tuple[str, Any]:
    """Read ``name=value``, the value a Python literal."""
    name, _, value = text.partition("=")
    return name, ast.literal_eval(value)


def measure(method: str, setting: Setting, arguments: argparse.Namespace, out: Path) -> Row:
    """Time all arms of one method by turns."""
    ours, stages = build_ours(method, setting, out, arguments.task)
    lightly = build_lightly(method, setting, arguments.workers) if arguments.peers and find_spec("lightly") else []
    stable = build_stable(method, setting, arguments.workers) if arguments.peers and installed() else []
    arms = [*ours, *lightly, *stable]
    times: dict[str, list[float]] = {arm.name: [] for arm in arms}
    for _ in range(arguments.repeats):
        for arm in arms:
            times[arm.name].append(seconds_per_step(arm.steps, arguments.warm, arguments.steps))
    best = fastest(lightly, times) if lightly else None
    peak = peak_flops(setting.dtype)
    row: Row = {"method": method, "seconds per step": times, "arms": {}, "task": {}}
    if best:
        row["lightly at its best"] = best
    for arm in arms:
        seconds = statistics.median(times[arm.name])
        row["arms"][arm.name] = {
            "milliseconds per step": seconds * 1e3,
            "images per second": setting.batch / seconds,
            "speed relative to lightly": ratio(times[best], times[arm.name]) if best else None,
            "GFLOP per step": arm.flop / 1e9,
            "peak memory, GiB": None if arm.memory is None else arm.memory / 2**30,
            "MFU": None if peak is None else arm.flop / seconds / peak,
        }
    if stable:
        best_stable = fastest(stable, times)
        relative = {name: ratio(times[best_stable], times[name]) for name in (KEPT, DECODING)}
        row |= {"stable-pretraining at its best": best_stable, "speed of ours relative to it": relative}
    for arm in ours:
        if arm.name not in (KEPT, DECODING, STATES_0):
            same, plain = times[STATES_0], times[KEPT]
            row["task"][arm.name] = {
                "over the same views without states": ratio(times[arm.name], same) - 1,
                "over the plain method": ratio(times[arm.name], plain) - 1,
            }
    row["stages of ours, seconds per step"] = {name: work(arguments.steps) for name, work in stages.items()}
    return row


def build_ours(
    method: str, setting: Setting, out: Path, with_task: bool
) -> tuple[list[Arm], dict[str, Callable[[int], dict[str, float]]]]:
    """Build our arms: the plain method with both loaders, then with the task; and the clocks of them."""
    tasks: dict[str, CoherenceConfig | None] = {KEPT: None}
    if with_task and method != "dino":
        tasks[STATES_0] = CoherenceConfig(states=0)
        tasks |= {f"ours, task, {decoder} decoder": CoherenceConfig(decoder=decoder) for decoder in DECODERS}
    if with_task and method in ("ibot", "dinov2"):  # as published, a quarter of the head's outputs are equivariant
        split = CoherenceConfig(d_equi=setting.head[2] // 4, split="head")
        tasks["ours, task, conv decoder, head split"] = split
    arms, stages = [], {}
    for number, (name, task) in enumerate(tasks.items()):
        made: list[Ours] = []

        def build(number: int = number, task: CoherenceConfig | None = task, made: list[Ours] = made) -> Any:
            made.append(Ours(configuration(method, setting, task), out / str(number)))
            return partial(made[0].steps, keep=True)

        arms.append(Arm(name, *measured(build)))
        stages[name] = made[0].stages
        if task is None:
            arms.append(Arm(DECODING, partial(made[0].steps, keep=False), arms[0].flop, arms[0].memory))
    return arms, stages


def build_lightly(method: str, setting: Setting, workers: list[int]) -> list[Arm]:
    """Build lightly's arms: one model, and a loader for each number of workers."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from step_peers import Lightly
    made: list[Lightly] = []

    def build() -> Callable[[], Iterator[None]]:
        made.append(Lightly(method, setting))
        return partial(made[0].steps, workers=0)

    _, flop, memory = measured(build)
    return [Arm(f"lightly, {count} workers", partial(made[0].steps, workers=count), flop, memory) for count in workers]


def build_stable(method: str, setting: Setting, workers: list[int]) -> list[Arm]:
    """Build stable-pretraining's arms: for views from the loader and on the device, each number of workers."""
    arms = []
    for on_device in (False, True):
        made: list[StablePretraining] = []

        def build(on_device: bool = on_device, made: list[StablePretraining] = made) -> Callable[[], Iterator[None]]:
            made.append(StablePretraining(method, setting, on_device))
            return partial(made[0].steps, workers=0)

        _, flop, memory = measured(build)
        name = StablePretraining.name(method, setting, on_device)
        arms += [
            Arm(f"{name}, {count} workers", partial(made[0].steps, workers=count), flop, memory) for count in workers
        ]
    return arms


def fastest(arms: list[Arm], times: dict[str, list[float]]) -> str:
    """Return the name of the arm of the least median time."""
    return min((arm.name for arm in arms), key=lambda name: statistics.median(times[name]))


def seconds_per_step(steps: Callable[[], Iterator[None]], warm: int, count: int) -> float:
    """Open the arm's loader, take ``warm`` steps, time ``count``, close."""
    with closing(steps()) as taken:  # type: ignore[type-var]
        for _ in range(warm):
            next(taken)
        synchronize()
        start = time.perf_counter()
        for _ in range(count):
            next(taken)
        synchronize()
        return (time.perf_counter() - start) / count


def synchronize() -> None:
    """Wait for the device."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def ratio(above: list[float], below: list[float]) -> float:
    """Return the median of the ratios within repeats."""
    return statistics.median(a / b for a, b in zip(above, below, strict=True))


def peak_flops(dtype: str) -> float | None:
    """Return the dense peak of the device, FLOP/s, None where it is not known."""
    name = torch.cuda.get_device_name() if torch.cuda.is_available() else ""
    return next((peaks[dtype] for part, peaks in PEAK.items() if part in name), None)


def markdown(rows: list[Row]) -> str:
    """Return the results as tables."""
    lines = []
    for row in rows:
        lines += [f"## {row['method']}", ""]
        if "lightly at its best" in row:
            lines += [f"lightly at its best: {row['lightly at its best']}.", ""]
        if "stable-pretraining at its best" in row:
            speeds = ", ".join(
                f"{value:.2f} ({name.removeprefix('ours, ')})"
                for name, value in row["speed of ours relative to it"].items()
            )
            best = row["stable-pretraining at its best"]
            lines += [f"stable-pretraining at its best: {best}. Speed of ours relative to it: {speeds}.", ""]
        columns = [key for key, value in next(iter(row["arms"].values())).items() if value is not None]
        lines += [f"| | {' | '.join(columns)} |", "|---" * (len(columns) + 1) + "|"]
        for name, values in row["arms"].items():
            lines.append(f"| {name} | {' | '.join(shown(key, values[key]) for key in columns)} |")
        if row["task"]:
            columns = list(next(iter(row["task"].values())))
            lines += ["", f"| cost of the task | {' | '.join(columns)} |", "|---" * (len(columns) + 1) + "|"]
            for name, values in row["task"].items():
                lines.append(f"| {name} | {' | '.join(f'{values[key]:+.1%}' for key in columns)} |")
        clocks = row["stages of ours, seconds per step"]
        names = dict.fromkeys(stage for clock in clocks.values() for stage, spent in clock.items() if spent > 5e-5)
        lines += ["", f"| stage, milliseconds (share) | {' | '.join(clocks)} |", "|---" * (len(clocks) + 1) + "|"]
        for stage in names:
            cells = [
                f"{clock[stage] * 1e3:.1f} ({clock[stage] / sum(clock.values()):.0%})" if stage in clock else ""
                for clock in clocks.values()
            ]
            lines.append(f"| {stage} | {' | '.join(cells)} |")
        lines.append("")
    return "\n".join(lines)


def shown(column: str, value: float) -> str:
    """Return a number as the tables show it."""
    return f"{value:.1%}" if column == "MFU" else f"{value:.2f}" if value < 100 else f"{value:.0f}"


if __name__ == "__main__":
    main()
