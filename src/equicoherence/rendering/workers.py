"""Many objects on many threads: the kernels, zlib and JPEG run without the interpreter lock."""

from __future__ import annotations

import shutil
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from equicoherence.data.source import TOLERANCES
from equicoherence.drawing import Painter
from equicoherence.rendering.mesh_file import BadMesh
from equicoherence.rendering.meshes import Entry
from equicoherence.rendering.plan import RenderPlan
from equicoherence.rendering.write import write_object


class TooManyBadMeshes(RuntimeError):
    """List the meshes that cannot be drawn (``bad``: category/name -> reason) when they exceed the tolerated share."""

    def __init__(self, bad: dict[str, str], total: int, tolerance: float) -> None:
        lines, share = [f"  {name}: {reason}" for name, reason in sorted(bad.items())], len(bad) / total
        listed = "\n".join(lines[:20] + [f"  ... and {len(lines) - 20} more"] * (len(lines) > 20))
        enough = next((step for step in TOLERANCES if step >= 2 * share), 1)
        allowed = f"more than bad_mesh_tolerance = {tolerance:g} ({tolerance:.3%}) allows"
        super().__init__(
            f"none of {total} meshes can be drawn:\n{listed}\nGive other --meshes."
            if len(bad) == total
            else f"{len(bad)} of {total} meshes cannot be drawn so far ({share:.3%}), {allowed}:\n{listed}\n"
            f"To go on without them, give --bad-mesh-tolerance {enough:g}; where you repair or remove them, "
            "another --out."
        )
        self.bad = dict(bad)


class _Stopped(Exception):
    pass


def render_objects(
    entries: Sequence[Entry], out: Path, plan: RenderPlan, workers: int, total: int, tolerance: float, console: Console
) -> dict[str, str]:
    """Render objects into ``out``; return those with a bad mesh, path -> reason.

    Stops between two images when anything is raised, Ctrl-C among them, and leaves no object half written. A bar on a
    terminal; plain lines, about twenty, elsewhere.

    Raises:
        TooManyBadMeshes: more than the tolerated share of ``total`` meshes are bad, or all.
    """
    images = plan.views + plan.paths * plan.states
    partial, bad, stop, started = out / ".partial", {}, threading.Event(), time.monotonic()
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("rendering", total=len(entries) * images)

        def drawn() -> None:
            bar.advance(task)
            if stop.is_set():
                raise _Stopped

        work, pool = _worker(out, partial, plan, drawn), ThreadPoolExecutor(workers)
        waiting = {pool.submit(work, entry): entry for entry in entries}
        try:
            for done, future in enumerate(as_completed(waiting), start=1):
                if reason := future.result():
                    bad[waiting[future].path] = reason
                    bar.advance(task, images)
                    if len(bad) > tolerance * total or len(bad) == total:
                        raise TooManyBadMeshes(bad, total, tolerance)
                if not console.is_terminal and done * 20 // len(entries) > (done - 1) * 20 // len(entries):
                    console.print(f"{out}: {done}/{len(entries)} objects", markup=False)
        finally:
            stop.set()
            pool.shutdown(cancel_futures=True)
            shutil.rmtree(partial, ignore_errors=True)
    if entries:
        seconds, count = time.monotonic() - started, (len(entries) - len(bad)) * images
        rate = f"{count / seconds:.0f} a second on {workers} threads"
        console.print(f"rendered {count} images in {seconds:.1f} s, {rate}")
    return bad


def _worker(out: Path, partial: Path, plan: RenderPlan, drawn: Callable[[], None]) -> Callable[[Entry], str | None]:
    """Return a function that renders one object, and returns why its mesh is bad where it is."""
    own = threading.local()

    def work(entry: Entry) -> str | None:
        if not hasattr(own, "painter"):
            own.painter = Painter(plan.size)
        try:
            mesh = entry.load()
        except BadMesh as error:
            return str(error)
        aside = partial / str(threading.get_ident())
        write_object(out / entry.path, aside, entry.path, mesh, plan, own.painter, drawn)
        return None

    return work
