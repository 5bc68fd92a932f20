"""Draw a whole set on all cores.

The renderer holds Python's lock, so the cores are used by processes. They are started afresh rather than forked (a
fork of a threaded torch process may hang) and run a module of their own rather than the caller's script (which a
spawned ``multiprocessing`` child would run again, guarded or not).
"""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import ExitStack
from pathlib import Path
from typing import IO

import numpy as np

from equicoherence.data.objects.draw import Plan, draw_object
from equicoherence.data.objects.render import VIEW_NAMES

_WORTH_A_PROCESS = 150  # images that one core renders in about the time that a process takes to start
# The packages above the worker are registered empty: their own __init__ would load torch into every process.
_CHILD = """
import importlib.machinery, importlib.util, json, sys
for name, folder in json.loads(sys.argv[1]).items():
    spec = importlib.machinery.ModuleSpec(name, None, is_package=True)
    spec.submodule_search_locations = [folder]
    sys.modules[name] = importlib.util.module_from_spec(spec)
from equicoherence.data.objects.worker import main
main(sys.argv[2])
"""


def make_images(
    plan: Plan, workers: int | None = None, advance: Callable[[int], object] = lambda images: None
) -> tuple[np.ndarray, np.ndarray]:
    """Draw all objects of a plan; the result does not depend on the number of workers.

    Args:
        plan: What to draw.
        workers: Processes to use; by default one per core, fewer where the set is small. One means this process.
        advance: Called, from any thread, with the number of images that were just finished.

    Returns:
        images: (N, S, S, 3) uint8, by category, object, view.
        poses: (N, P) float32, the columns named by ``VIEW_NAMES``.

    Raises:
        RuntimeError: a rendering process failed; the message holds what it said.
    """
    count = len(plan.jobs)
    images = np.empty((count, plan.views, plan.size, plan.size, 3), dtype=np.uint8)
    poses = np.empty((count, plan.views, len(VIEW_NAMES)), dtype=np.float32)
    if workers is None:
        workers = max(1, min(_cores(), count * plan.views // _WORTH_A_PROCESS))
    if workers == 1:
        for row, (label, number) in enumerate(plan.jobs):
            images[row], poses[row] = draw_object(plan, label, number)
            advance(plan.views)
    else:
        _make_in_processes(plan, workers, images, poses, advance)
    return images.reshape(-1, *images.shape[2:]), poses.reshape(-1, poses.shape[2])


def _make_in_processes(
    plan: Plan, workers: int, images: np.ndarray, poses: np.ndarray, advance: Callable[[int], object]
) -> None:
    with ExitStack() as stack:
        said = [stack.enter_context(tempfile.TemporaryFile()) for _ in range(workers)]
        children = [stack.enter_context(_start(plan, start, workers, file)) for start, file in enumerate(said)]
        pool = stack.enter_context(ThreadPoolExecutor(workers))
        for child in children:
            stack.callback(child.kill)  # runs first, also on Ctrl-C; a child that is done is left alone

        def collect(start: int) -> None:
            for row in range(start, len(images), workers):
                _receive(images[row], children[start], said[start])
                _receive(poses[row], children[start], said[start])
                advance(plan.views)

        for done in as_completed([pool.submit(collect, start) for start in range(workers)]):
            done.result()


def _start(plan: Plan, start: int, stride: int, said: IO[bytes]) -> subprocess.Popen[bytes]:
    here = Path(__file__).resolve().parent
    names = __name__.split(".")[:-1]
    packages = {
        ".".join(names[: depth + 1]): str(here.parents[len(names) - 2 - depth]) for depth in range(len(names) - 1)
    }
    packages[".".join(names)] = str(here)
    order = {"plan": dataclasses.asdict(plan), "start": start, "stride": stride}
    one_thread = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
    search = {"PYTHONPATH": os.pathsep.join(entry for entry in sys.path if entry)}
    return subprocess.Popen(
        [sys.executable, "-P", "-c", _CHILD, json.dumps(packages), json.dumps(order)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=said,
        env=os.environ | one_thread | search,
    )


def _receive(target: np.ndarray, child: subprocess.Popen[bytes], said: IO[bytes]) -> None:
    assert child.stdout is not None
    data = child.stdout.read(target.nbytes)
    if len(data) < target.nbytes:
        status = child.wait()
        said.seek(0)
        message = said.read().decode(errors="replace").strip()[-2000:] or "it said nothing"
        raise RuntimeError(f"a process that renders objects ended with status {status}: {message}")
    target[...] = np.frombuffer(data, dtype=target.dtype).reshape(target.shape)


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
