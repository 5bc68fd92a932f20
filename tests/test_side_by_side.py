"""Worker processes at once: what one refuses, fails or dies of is said, all stop with the first, none is left."""

import json
import os
import signal
import sys
import threading
import time

import pytest

from equicoherence.side_by_side import Worker, WorkerFailed, side_by_side
from equicoherence.training import Interrupted

LONG = """
import os, signal, sys, time
from pathlib import Path
here = Path(sys.stdin.readline().strip())
def stop(*_):
    (here / f"{os.getpid()}.saved").touch()
    sys.exit(130)
signal.signal(signal.SIGTERM, stop)
(here / f"{os.getpid()}.started").touch()
print("step 1/9", flush=True)
time.sleep(60)
"""
SERVED = """
import sys
from equicoherence.side_by_side import serve
def work(job):
    raise {"refused": ValueError, "failed": OSError}[job["what"]]("no such thing")
sys.exit(serve(work, lambda error: isinstance(error, ValueError)))
"""


def _worker(name, script, job=""):
    return Worker(name, [sys.executable, "-c", script], job)


def _pids(folder, suffix):
    return {int(path.stem) for path in folder.glob(f"*.{suffix}")}


def _is_alive(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_all_are_run_so_many_at_once_and_their_lines_have_their_names(tmp_path, capfd):
    script = """
import sys, time
from pathlib import Path
here = Path(sys.stdin.readline().strip())
mark = here / sys.argv[1].rsplit("/")[-1]
mark.touch()
time.sleep(0.3)
print(len(list(here.iterdir())), "at work")
mark.unlink()
"""
    side_by_side([_worker(name, script, str(tmp_path)) for name in "abcde"], 2)
    said = capfd.readouterr().err.splitlines()
    assert {line.split(":")[0] for line in said} == set("abcde")
    assert sum(line.endswith("done") for line in said) == 5
    assert {line.split()[1] for line in said if line.endswith("at work")} <= {"1", "2"}


def test_one_that_dies_ends_the_others_which_save_first(tmp_path):
    dies = f"""
import os, time
from pathlib import Path
while not list(Path({str(tmp_path)!r}).glob("*.started")):
    time.sleep(0.05)
print("almost there", flush=True)
os.kill(os.getpid(), 9)
"""
    workers = [_worker("long", LONG, str(tmp_path)), _worker("dies", dies), _worker("later", LONG, str(tmp_path))]
    with pytest.raises(WorkerFailed, match=r"(?s)dies was ended by signal 9.*--jobs 1 needs less.*almost there"):
        side_by_side(workers, 2)
    started = _pids(tmp_path, "started")
    assert len(started) == 1  # the third was not begun
    assert started == _pids(tmp_path, "saved")
    assert not any(map(_is_alive, started))


def test_ctrl_c_stops_all_and_waits_until_they_have_saved(tmp_path):
    def interrupt():
        deadline = time.monotonic() + 30
        while len(_pids(tmp_path, "started")) < 2 and time.monotonic() < deadline:
            time.sleep(0.05)
        os.kill(os.getpid(), signal.SIGINT)

    thread = threading.Thread(target=interrupt)
    thread.start()
    with pytest.raises(Interrupted, match="the same command goes on"):
        side_by_side([_worker(name, LONG, str(tmp_path)) for name in "ab"], 2)
    thread.join()
    started = _pids(tmp_path, "started")
    assert len(started) == 2
    assert started == _pids(tmp_path, "saved")
    assert not any(map(_is_alive, started))


@pytest.mark.parametrize(("what", "error"), [("refused", ValueError), ("failed", WorkerFailed)])
def test_what_a_job_was_refused_for_and_what_it_failed_of_are_told_apart(what, error):
    with pytest.raises(error, match="no such thing"):
        side_by_side([_worker("one", SERVED, json.dumps({"what": what}))], 1)
