"""Measure what the suite takes beside the encoder's own forward passes, and where its time goes.

    python benchmarks/suite.py MODEL --data DIR [--size 96] [--train 3000] [--test 1000] [--precision float32]

MODEL is as `equicoherence evaluate` takes it (FILE@ARCH for a weights file). With fewer images than the suite's 3,000 +
1,000 all its tasks, and the noise beside them, get as many times fewer. Every image that the suite encoded is counted,
and the bare forward is what the encoder, as it was loaded, takes for as many of random pixels, in the precision of the
suite (bfloat16 where the processor has it; --precision float32 for both), in batches of the size that suits it best: a
part of them before the suite, and a part after it, in the same process. Seconds are the
processor's, of one thread, so that other load on the machine does not count; the clock's stand beside them. Images are
decoded by threads of their own, whose seconds count as theirs alone. Random weights are not scored.
"""

from __future__ import annotations

import argparse
import functools
import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack, nullcontext
from pathlib import Path
from typing import Any
from unittest.mock import patch

import torch
from about import machine, write_results

from equicoherence.commands.evaluation_plan import fitting
from equicoherence.data import Loader, open_images
from equicoherence.evaluation import fit
from equicoherence.evaluation.classification import scoring as classification
from equicoherence.evaluation.frozen_model import FrozenModel
from equicoherence.evaluation.jobs import Job, plan_jobs
from equicoherence.evaluation.layers.every_layer import EveryLayer
from equicoherence.evaluation.model import load_model
from equicoherence.evaluation.registry import make_tasks
from equicoherence.evaluation.rot4 import scoring as rot4
from equicoherence.evaluation.scoring import Scoring, score_job
from equicoherence.evaluation.subject import subjects_of
from equicoherence.evaluation.suites import EQUIVARIANCE
from equicoherence.evaluation.task import no_bar
from equicoherence.evaluation.transformation import mirror, noise, pair_probes, pairs

BATCHES = (32, 256)
BARE = 512  # images of the bare forward, before the suite and after it
ENCODE, DECODE, REST = "encode", "decode", "rest"
TIMED: dict[str, list[tuple[Any, str]]] = {
    ENCODE: [(FrozenModel, "represent"), (EveryLayer, "represent")],
    "render": [(pairs, "draw_pair_image"), (classification, "render"), (noise, "noise_images")],
    "probes": [(pair_probes, "mlp_probes"), (rot4, "linear_logits")],
    "k-NN": [(classification, "knn_classes")],
    "intervals": [(mirror.Figures, "anew"), (classification, "share_interval"), (rot4, "resampled")],
    "gather": [(pairs, "_read")],
}


def main() -> None:
    """Parse, measure, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("--data", required=True)
    for name, value in (("size", None), ("train", 3000), ("test", 1000)):
        parser.add_argument(f"--{name}", type=int, default=value)
    parser.add_argument("--precision", choices=("auto", "float32"), default="auto", help="in which encoders are read")
    parser.add_argument("--name", help="of the results; the architecture where not given")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results")
    given = parser.parse_args()
    torch.set_num_threads(1)
    about = machine(["timm", "numba", "equicoherence"]) | {"threads": 1, "train": given.train, "test": given.test}
    (subject,) = subjects_of([given.model], None, False, given.size)
    model = load_model(subject.model, **subject.options)
    about |= {"encoder": model.encoder.name, "size": model.size, "data": Path(given.data).name}
    jobs = fitting(model, plan_jobs(tasks(given.train, given.test, given.data), given.data, None))
    share = given.train / 3000
    fewer = patch.multiple(noise, TRAIN=max(2, round(share * noise.TRAIN)), TEST=max(2, round(share * noise.TEST)))
    with encoders_in(given.precision), fewer:
        about["precision"] = fit.precision_of(torch.device("cpu"))
        rows = measure(model, jobs)
    text = markdown(rows)
    name = f"suite-{given.name or model.encoder.name}-{about['precision']}"
    write_results(given.out, name, "The suite beside bare forward passes", about, rows, text)
    print(text)


def encoders_in(precision: str) -> AbstractContextManager[object]:
    """Return a context in which frozen encoders compute in float32, or, if it is auto, as they do by themselves."""
    return patch.object(fit, "has_bfloat16", lambda device: False) if precision == "float32" else nullcontext()


def tasks(train: int, test: int, data: str) -> list[Any]:
    """Return the suite's tasks with so many images for the probes, and the others in proportion."""
    splits = [len(open_images(data, split)) for split in ("train", "val")]
    settings = {name: dict(own) for name, own in EQUIVARIANCE.settings.items()}
    share = train / 3000
    for task in make_tasks(list(settings), settings=settings):
        for name, value in vars(task).items():
            if name in ("train", "test"):
                settings[task.name][name] = train if name == "train" else test
            elif name == "limit":
                settings[task.name][name] = max(2, round(share * sum(min(value, count) for count in splits) / 2))
    return make_tasks(list(settings), settings=settings)


def measure(model: FrozenModel, jobs: list[Job]) -> list[dict[str, Any]]:
    """Return a row for each part of the suite, and one for all: seconds, images, shares, the bare forward."""
    model.to(torch.device("cpu"))
    clock = Clock()
    before = bare(model)
    rows = []
    with clock.running():
        for job in jobs:
            clock.reset()
            start, since = time.process_time(), time.perf_counter()
            score_job(model, job, "", job.settings(), None, Scoring(False, track=no_bar))
            seconds, wall = time.process_time() - start, time.perf_counter() - since
            shares = {**clock.seconds, DECODE: clock.decoding, REST: seconds - clock.decoding - clock.timed}
            rows.append({"part": job.name, "seconds": seconds, "wall": wall, "images": clock.images, **shares})
            print(rows[-1], flush=True)
    after = bare(model)
    numbers = [name for name in rows[0] if name != "part"]
    rows.append({"part": "all", **{name: sum(row[name] for row in rows) for name in numbers}})
    each = {batch: (before[batch] + after[batch]) / 2 for batch in BATCHES}
    for row in rows:
        row |= {f"bare, batches of {batch}": row["images"] * seconds for batch, seconds in each.items()}
        row["bare"] = row["images"] * min(each.values())
        row["times bare"] = row["seconds"] / row["bare"] if row["bare"] else None
    return rows


@torch.no_grad()
def bare(model: FrozenModel) -> dict[int, float]:
    """Return the processor's seconds that a forward pass takes an image, by the size of the batches."""
    images = torch.rand(BARE, 3, model.size, model.size)
    found = {}
    for batch in BATCHES:
        parts = images.split(batch)
        with fit.reading(images.device):
            model.encoder(parts[0])
            start = time.process_time()
            for part in parts:
                model.encoder(part)
        found[batch] = (time.process_time() - start) / BARE
    return found


class Clock:
    """Seconds of the processor in what is `TIMED`, without what it calls that is timed too, and images encoded.

    decoding: seconds of the threads that decode, which are in none of the others.
    """

    def __init__(self) -> None:
        self._inner: list[float] = []
        self._lock = threading.Lock()
        self.reset()

    def reset(self) -> None:
        """Begin anew."""
        self.seconds = dict.fromkeys(TIMED, 0.0)
        self.images, self.decoding = 0, 0.0

    @property
    def timed(self) -> float:
        """Seconds in all that is `TIMED`."""
        return sum(self.seconds.values())

    def running(self) -> ExitStack:
        """Return a context in which time is taken."""
        stack = ExitStack()
        stack.enter_context(patch.object(Loader, "_decode", self._decoded(Loader._decode)))
        for kind, places in TIMED.items():
            for owner, name in places:
                stack.enter_context(patch.object(owner, name, self._timed(getattr(owner, name), kind)))
        return stack

    def _now(self) -> float:
        return time.process_time() - self.decoding

    def _decoded(self, function: Callable[..., None]) -> Callable[..., None]:
        @functools.wraps(function)
        def decoded(*given: Any) -> None:
            start = time.thread_time()
            function(*given)
            with self._lock:
                self.decoding += time.thread_time() - start

        return decoded

    def _timed(self, function: Callable[..., Any], kind: str) -> Callable[..., Any]:
        @functools.wraps(function)
        def timed(*given: Any, **named: Any) -> Any:
            self._inner.append(0.0)
            start = self._now()
            found = function(*given, **named)
            seconds = self._now() - start
            self.seconds[kind] += seconds - self._inner.pop()
            if self._inner:
                self._inner[-1] += seconds
            if kind == ENCODE:
                self.images += len(given[1])
            return found

        return timed


def markdown(rows: list[dict[str, Any]]) -> str:
    """Return the rows as a table."""
    kinds = [*TIMED, DECODE, REST]
    lines = [
        f"| part | CPU s | clock s | images | bare forward, CPU s | times that | {' | '.join(kinds)} |",
        "|---" * (6 + len(kinds)) + "|",
    ]
    for row in rows:
        shares = [f"{row[kind] / row['seconds']:.0%}" for kind in kinds]
        times = "-" if row["times bare"] is None else f"{row['times bare']:.2f}"
        numbers = f"{row['seconds']:.1f} | {row['wall']:.1f} | {row['images']} | {row['bare']:.1f} | {times}"
        lines.append(f"| {row['part']} | {numbers} | {' | '.join(shares)} |")
    whole = rows[-1]
    others = ", ".join(
        f"of {batch} {1000 * whole[f'bare, batches of {batch}'] / whole['images']:.2f}" for batch in BATCHES
    )
    return "\n".join(lines) + f"\n\nBare forward, ms an image in batches {others}; the faster one counts.\n"


if __name__ == "__main__":
    main()
