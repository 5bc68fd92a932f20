"""Measure the share of a training's time that scores of held-out images take (``--watch``), and ``--keep``.

    python benchmarks/watching.py [RECIPE...] --data DIR [--model FILE@ARCH] [--train head all]

A recipe adapt-* needs MODEL, and is measured once for each ``--train``; ``--keep`` is measured too where it trains the
encoder. Each turn takes some training steps, loading included, and then one evaluation as the run would do it. The
share is that of one evaluation after ``watch_every`` steps, from the times of one turn: medians over turns, with the
least and the most. What is done once, before the first step, is given in seconds: reading and rendering the images, the
first evaluation, and its features where the encoder is frozen. All times are the processor's, of one thread, so that
other programs on the machine count little; they still share its caches and its memory.
"""

from __future__ import annotations

import argparse
import dataclasses
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import torch
from about import machine, write_results
from step_ours import take_step

from equicoherence.adapting.start_config import start_config
from equicoherence.keep_memory import keep_freed_memory
from equicoherence.models.train_setting import HEAD
from equicoherence.recipes import recipe
from equicoherence.training.config import PretrainConfig
from equicoherence.training.keep import measure
from equicoherence.training.parts import Parts
from equicoherence.training.setup import held_out_of, set_up, watch_of

ADAPT = "adapt-"  # begins the names of recipes that start from MODEL
LOSS = 0.9  # that ``--keep`` allows here: no run is stopped
WARM = 2  # steps before those that are timed


def main() -> None:
    """Parse, measure, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("recipes", nargs="*", default=["vicreg-tiny", "dino-tiny"])
    add("--data", required=True, help="images with classes, some of them held out")
    add("--model", help="what recipes adapt-* start from, such as FILE@ARCH")
    add("--train", nargs="*", default=[HEAD, "all"], help="what recipes adapt-* train")
    add("--watch", default="knn,rotation")
    add("--repeats", type=int, default=7, help="turns that are timed")
    add("--steps", type=int, default=2, help="training steps of a turn")
    add("--out", type=Path, default=Path(__file__).parent / "results")
    given = parser.parse_args()
    if given.model is None and any(name.startswith(ADAPT) for name in given.recipes):
        parser.error("--model is missing: what the recipes adapt-* start from")
    torch.set_num_threads(1)
    keep_freed_memory()
    about = machine(["timm", "equicoherence"]) | {"threads": 1, "images": Path(given.data).name, "watch": given.watch}
    about |= {name: getattr(given, name) for name in ("repeats", "steps")}
    about["clock"] = "the processor's time of the process; other programs ran, see the load average"
    rows = [row for config, name in configurations(given) for row in measured(config, name, given)]
    write_results(given.out, "watching", "What scores during training cost", about, rows, markdown(rows))


def configurations(given: argparse.Namespace) -> Iterator[tuple[PretrainConfig, str]]:
    """Yield the run of each recipe, as its command makes it, and what the page calls it."""
    for name in given.recipes:
        config = dataclasses.replace(recipe(name), data=given.data, threads=1, max_steps=0, watch="none")
        if not name.startswith(ADAPT):
            yield config, name
            continue
        for train in given.train:
            adapted = dataclasses.replace(config, encoder=dataclasses.replace(config.encoder, train=train))
            begun, start = start_config(adapted, given.model)
            yield begun, f"{name}, {start.encoder.name}, --encoder.train {train}"


def measured(config: PretrainConfig, name: str, given: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """Yield a row for ``--watch``, and one for ``--keep`` where a run that starts from MODEL can have it."""
    with tempfile.TemporaryDirectory() as folder, ExitStack() as held:
        run = set_up(config, Path(folder) / "run", resume=False, held=held)
        watch = dataclasses.replace(config, watch=given.watch)

        def watching() -> tuple[Parts, int]:
            made = held_out_of(watch, run.learner, None, run.precision)
            assert made is not None
            return dataclasses.replace(run, held_out=made), len(made.labels)

        def keeping() -> tuple[Parts, int]:
            keep = dataclasses.replace(config, keep=LOSS)
            made = watch_of(keep, run.learner, run.loader, run.precision)
            return dataclasses.replace(run, config=keep, watch=made), len(made.images)

        arms = {f"--watch {given.watch}": watching}
        if name.startswith(ADAPT) and config.encoder.train != HEAD:
            arms["--keep"] = keeping
        yield from turns(run, name, arms, given)


def turns(
    run: Parts, name: str, arms: dict[str, Callable[[], tuple[Parts, int]]], given: argparse.Namespace
) -> Iterator[dict[str, Any]]:
    """Take turns of training steps and of one evaluation of each arm; yield the row of each arm.

    arms: name -> what makes the run with this evaluation, and says how many images it reads.
    """
    steps, every = training_steps(run), run.config.watch_every
    for _ in range(WARM):
        next(steps)
    made, once = {}, {}
    for arm, make in arms.items():
        begin = time.process_time()
        made[arm] = make()
        measure(made[arm][0], 0)
        once[arm] = time.process_time() - begin
    of_step, of_arm = list[float](), {arm: list[float]() for arm in arms}
    for number in range(given.repeats):
        begin = time.process_time()
        for _ in range(given.steps):
            next(steps)
        of_step.append((time.process_time() - begin) / given.steps)
        for arm, seconds in of_arm.items():
            begin = time.process_time()
            measure(made[arm][0], number + 1)
            seconds.append(time.process_time() - begin)
    steps.close()  # type: ignore[attr-defined]
    for arm, seconds in of_arm.items():
        shares = [one / (every * step + one) for one, step in zip(seconds, of_step)]
        row = {"recipe": name, "measured": arm, "batch": run.config.optim.batch_size, "images": made[arm][1]}
        row |= {
            "precision": run.precision,
            "s a step": statistics.median(of_step),
            "s an evaluation": statistics.median(seconds),
        }
        row |= {"s at the start": once[arm], "every": every, "share": statistics.median(shares)}
        row |= {"least": min(shares), "most": max(shares), "steps": of_step, "evaluations": seconds}
        print({k: round(v, 4) if isinstance(v, float) else v for k, v in row.items()}, flush=True)
        yield row


def training_steps(run: Parts) -> Iterator[None]:
    """Take a training step at each `next`, its batch read before."""
    for step, batch in run.batches():
        take_step(run, step, batch)
        yield


def markdown(rows: list[dict[str, Any]]) -> str:
    """Return a table of the rows."""
    head = ["recipe", "measured", "precision", "batch", "images", "s a step", "s an evaluation"]
    head += ["share of the time (least, most)", "s once, at the start"]
    lines = [f"| {' | '.join(head)} |", "|" + "---|" * len(head)]
    for row in rows:
        share = f"{row['share']:.2%} ({row['least']:.2%}, {row['most']:.2%}), every {row['every']} steps"
        times = [f"{row[key]:.2f}" for key in ("s a step", "s an evaluation")]
        cells = [*(row[key] for key in ("recipe", "measured", "precision", "batch", "images")), *times, share]
        lines.append(f"| {' | '.join(map(str, cells))} | {row['s at the start']:.1f} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
