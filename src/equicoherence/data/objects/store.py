"""Keep a set of rendered objects in the cache folder: made once, checked whenever it is read."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import json
import time
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from equicoherence import drawing
from equicoherence.data.cache import cache_folder, taking_turns
from equicoherence.data.objects.draw import ObjectsPlan, draw_all
from equicoherence.data.objects.view import VIEW_NAMES
from equicoherence.files import write_aside

_HERE = Path(__file__).parent
_KEEPING = (_HERE / "__init__.py", _HERE / "source.py", _HERE / "store.py")  # these change no pixel


class _Damaged(Exception):
    pass


def load_or_make(plan: ObjectsPlan) -> tuple[np.ndarray, np.ndarray]:
    """Read the images and poses of a plan from the cache, or render and store them.

    If several processes need it at the same time, one renders and the others wait. A damaged file is rendered again.

    Returns:
        images: (N, S, S, 3) uint8.
        poses: (N, P) float32.
    """
    path = store_path(plan)
    with contextlib.suppress(FileNotFoundError, _Damaged):
        return _read(path, plan)
    console = Console(stderr=True, highlight=False, soft_wrap=True)
    with taking_turns(
        path.with_suffix(".lock"), lambda: console.print("another process renders the objects: waiting for it")
    ):
        try:
            return _read(path, plan)  # another process made it while this one waited
        except FileNotFoundError:
            pass
        except _Damaged as error:
            console.print(f"{path} is damaged ({error}): rendering it again", markup=False)
        images, poses = _make_with_progress(plan, console)
        _write(path, images, poses)
        console.print(f"kept in {path}", markup=False)
    return images, poses


def store_path(plan: ObjectsPlan) -> Path:
    """Return the cache file of a plan; its name changes with the plan and with the code that draws."""
    key = hashlib.blake2b(json.dumps(dataclasses.asdict(plan), sort_keys=True).encode(), digest_size=8)
    for module in [*sorted(_HERE.glob("*.py")), *sorted(Path(drawing.__file__).parent.glob("*.py"))]:
        if module not in _KEEPING:
            key.update(module.read_bytes())
    return cache_folder() / f"objects-{key.hexdigest()}.safetensors"


def _make_with_progress(plan: ObjectsPlan, console: Console) -> tuple[np.ndarray, np.ndarray]:
    total = len(plan.jobs) * plan.views
    started = time.monotonic()
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task("rendering objects, once", total=total)
        made = draw_all(plan, advance=lambda images: bar.advance(task, images))
    seconds = time.monotonic() - started
    console.print(f"rendered {total} images of objects in {seconds:.1f} s ({total / seconds:.0f} a second)")
    return made


def _read(path: Path, plan: ObjectsPlan) -> tuple[np.ndarray, np.ndarray]:
    if not path.exists():
        raise FileNotFoundError(path)
    try:
        with safe_open(path, framework="numpy") as file:
            images, poses = file.get_tensor("images"), file.get_tensor("poses")
            checksum = (file.metadata() or {}).get("checksum")
    except (SafetensorError, OSError, ValueError) as error:
        raise _Damaged(str(error)) from error
    count = len(plan.jobs) * plan.views
    if images.shape != (count, plan.size, plan.size, 3) or poses.shape != (count, len(VIEW_NAMES)):
        raise _Damaged(f"its arrays have shapes {images.shape} and {poses.shape}")
    if checksum != _checksum(images, poses):
        raise _Damaged("its checksum is wrong")
    return images, poses


def _write(path: Path, images: np.ndarray, poses: np.ndarray) -> None:
    # not save_file: it makes files that other users of a shared cache cannot read
    write_aside(path, save({"images": images, "poses": poses}, metadata={"checksum": _checksum(images, poses)}))


def _checksum(images: np.ndarray, poses: np.ndarray) -> str:
    digest = hashlib.blake2b(np.ascontiguousarray(images).data, digest_size=16)
    digest.update(np.ascontiguousarray(poses).data)
    return digest.hexdigest()
