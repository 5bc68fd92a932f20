"""Several worker processes at once: their lines on one screen, the first failure stops all, and so does Ctrl-C."""

from __future__ import annotations

import json
import os
import queue
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.progress import Progress, TextColumn

from equicoherence.errors import RefusedValue
from equicoherence.training.interrupt import Interrupted, StopFlag

STEP = re.compile(r"step \d+/\d+")
TAIL = 5  # last lines of a process that ended without a word


class WorkerFailed(RuntimeError):
    """A worker process failed, or was ended; the message is its own."""


@dataclass(frozen=True)
class Worker:
    """A process. command: its arguments. job: a line that it reads from its standard input.

    It is given one more argument, the file in which `serve`, which is what it should call, says why it failed.
    """

    name: str
    command: Sequence[str]
    job: str


def side_by_side(workers: Sequence[Worker], at_once: int) -> None:
    """Run all workers, ``at_once`` at a time, until the last has ended.

    Raises ValueError for a worker that refused its job, `WorkerFailed` for one that failed or died, and `Interrupted`
    on Ctrl-C or SIGTERM; the others first get SIGTERM, and have the time to stop.
    """
    waiting, running = deque(workers), dict[str, _Running]()
    with tempfile.TemporaryDirectory() as folder, StopFlag() as stop, _Screen([w.name for w in workers]) as screen:
        try:
            while waiting or running:
                while waiting and len(running) < at_once:
                    worker = waiting.popleft()
                    running[worker.name] = _Running(worker, Path(folder, str(len(waiting))), screen.lines)
                screen.show_for(0.1)
                if stop.requested:
                    raise Interrupted("stopped; what is done is kept: the same command goes on")
                for name in [name for name, process in running.items() if process.has_ended()]:
                    running.pop(name).check()
                    screen.done(name)
        finally:
            _end(list(running.values()))
            screen.show_for(0)


def _end(running: Sequence[_Running]) -> None:
    """Tell processes to stop, and wait until they have saved; kill them where that is interrupted, too."""
    try:
        for one in running:
            one.process.terminate()
        for one in running:
            one.close()
    except KeyboardInterrupt:
        for one in running:
            one.process.kill()
        raise


class _Running:
    """A worker's process, and the thread that reads its lines into a queue of (name, line)."""

    def __init__(self, worker: Worker, verdict: Path, lines: queue.SimpleQueue[tuple[str, str]]) -> None:
        self.name, self.verdict = worker.name, verdict
        self.tail: deque[str] = deque(maxlen=TAIL)
        self.process = subprocess.Popen(
            [*worker.command, str(verdict)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            start_new_session=True,  # Ctrl-C reaches this process alone, which passes it on once
        )
        assert self.process.stdin is not None
        with suppress(BrokenPipeError):  # it has ended already
            self.process.stdin.write(worker.job + "\n")
            self.process.stdin.flush()
        self._reader = threading.Thread(target=self._read, args=(lines,), daemon=True)
        self._reader.start()

    def _read(self, lines: queue.SimpleQueue[tuple[str, str]]) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            if line.strip():
                self.tail.append(line.rstrip())
                lines.put((self.name, line.rstrip()))

    def has_ended(self) -> bool:
        """Return whether the process has ended and all its lines are read."""
        return self.process.poll() is not None and not self._reader.is_alive()

    def close(self) -> None:
        """Wait until the process has ended; let go of its pipes."""
        self.process.wait()
        self._reader.join()
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        with suppress(BrokenPipeError):
            self.process.stdin.close()
        self.process.stdout.close()

    def check(self) -> None:
        """Raise what went wrong in an ended process."""
        self.close()
        status = self.process.returncode
        if status == 0:
            return
        told = json.loads(self.verdict.read_text()) if self.verdict.is_file() else None
        if told:
            raise RefusedValue(told["text"]) if told["refused"] else WorkerFailed(f"{self.name}: {told['text']}")
        how = f"with status {status}"
        if status < 0:
            killed = " (killed: the machine may have run out of memory, of which --jobs 1 needs less)"
            how = f"by signal {-status}" + (killed if status == -signal.SIGKILL else "")
        last = "\n".join(["", *self.tail]) if self.tail else ""
        raise WorkerFailed(f"{self.name} was ended {how}{'; its last lines:' if last else ''}{last}")


class _Screen:
    """One row for each worker on a terminal, with other lines above; lines, each with its worker's name, elsewhere."""

    def __init__(self, names: Sequence[str]) -> None:
        self.lines: queue.SimpleQueue[tuple[str, str]] = queue.SimpleQueue()
        self.console = Console(stderr=True)
        columns = (TextColumn("[bold]{task.description}"), TextColumn("{task.fields[text]}", markup=False))
        self.rows = Progress(*columns, console=self.console, disable=not self.console.is_terminal)
        self.tasks = {name: self.rows.add_task(name, text="waits") for name in names}

    def __enter__(self) -> _Screen:
        self.rows.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.rows.stop()

    def show_for(self, seconds: float) -> None:
        """Show the lines that are there, and those that come within some time."""
        end = time.monotonic() + seconds
        while True:
            try:
                name, line = self.lines.get(timeout=max(0.0, end - time.monotonic()))
            except queue.Empty:
                return
            self.rows.update(self.tasks[name], text=line)
            if not (self.console.is_terminal and STEP.search(line)):
                self.console.print(f"{name}: {line}", markup=False, highlight=False, soft_wrap=True)

    def done(self, name: str) -> None:
        """Say that a worker is done."""
        self.lines.put((name, "done"))


def serve(work: Callable[[Mapping[str, object]], None], was_refused: Callable[[Exception], bool]) -> int:
    """Do the job that a worker's process was started for, and return its exit status.

    work: given the job, read from standard input as JSON. was_refused: whether an error says that the job cannot be,
    and nothing of it was begun. The process ends itself (SIGTERM) when the one that started it has ended.
    """
    job = json.loads(sys.stdin.readline())
    threading.Thread(target=_end_with_parent, daemon=True).start()
    try:
        work(job)
    except (Interrupted, KeyboardInterrupt):
        return 130
    except Exception as error:
        refused = was_refused(error)
        Path(sys.argv[-1]).write_text(json.dumps({"refused": refused, "text": str(error) or repr(error)}))
        if not isinstance(error, RuntimeError | OSError | ImportError | ValueError):
            raise  # a bug: where it is helps who mends it
        return 2 if refused else 1
    return 0


def _end_with_parent() -> None:
    while os.read(0, 4096):
        pass
    os.kill(os.getpid(), signal.SIGTERM)
