"""What one process writes to is its own: the next is told whose it is, and a dead one blocks nobody."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from equicoherence import files
from equicoherence.cli import main
from equicoherence.errors import RefusedExisting, RefusedValue
from equicoherence.files import alone, alone_at
from tests.small import picture_folder

pytest.importorskip("fcntl")
HOLD = f"""
import sys, time
from pathlib import Path
sys.path.insert(0, {str(Path(files.__file__).parent)!r})
from files import alone  # alone, without the package, which takes seconds to load
with alone(Path(sys.argv[1]), "pretrains into"):
    print("held", flush=True)
    time.sleep(600)
"""


def hold(folder: Path) -> subprocess.Popen[str]:
    """Start a process that keeps a folder."""
    process = subprocess.Popen([sys.executable, "-c", HOLD, str(folder)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    return process


def test_the_second_is_told_who_has_it_and_a_killed_owner_blocks_nobody(tmp_path: Path) -> None:
    folder = tmp_path / "runs" / "run"
    owner = hold(folder)
    year = time.strftime("%Y")
    with pytest.raises(FileExistsError) as refused, alone(folder, "evaluates into"):
        pass
    said = f"another process pretrains into {folder}: wait for it, or give another --out (it is process {owner.pid} on "
    assert str(refused.value).startswith(f"{said}{socket.gethostname()}, since {year}-")
    owner.send_signal(signal.SIGKILL)
    owner.wait()
    assert owner.stdout is not None
    owner.stdout.close()
    assert (folder / ".lock").is_file()  # what the killed one left
    with alone(folder, "evaluates into"):
        (folder / "scores.json").touch()
    assert [path.name for path in folder.iterdir()] == ["scores.json"]


def test_a_folder_to_which_nothing_was_written_is_as_before(tmp_path: Path) -> None:
    with alone(tmp_path / "a" / "b", "renders into"):
        assert (tmp_path / "a" / "b").is_dir()
    assert not list(tmp_path.iterdir())
    (tmp_path / "a").mkdir()
    with pytest.raises(KeyboardInterrupt), alone(tmp_path / "a" / "b", "renders into"):
        raise KeyboardInterrupt
    assert [path.name for path in tmp_path.rglob("*")] == ["a"]


@pytest.mark.parametrize("name", ["file", "file/run", "file/a/run"])
def test_a_file_in_the_way_is_named(name: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    said = f"^{tmp_path / 'file'} is a file; give another --out$"
    with pytest.raises(RefusedExisting, match=said), alone(tmp_path / name, "pretrains into"):
        pass
    with pytest.raises(RefusedExisting, match=said), alone_at(tmp_path / "file" / "f.npz", "embeds into"):
        pass
    assert [path.read_text() for path in tmp_path.iterdir()] == ["mine"]


def test_a_folder_that_cannot_be_written_to_is_wrong_use() -> None:
    folder = Path("/sys/kernel/here")  # not even by who may write everywhere
    if not folder.parent.is_dir():
        pytest.skip("needs Linux")
    said = rf"^{folder} cannot be written \([^)]+\); give another --out$"
    with pytest.raises(RefusedValue, match=said), alone(folder, "pretrains into"):
        pass


def test_a_name_that_is_being_written_is_kept_too(tmp_path: Path) -> None:
    path = tmp_path / "new" / "features.npz"
    taken = pytest.raises(FileExistsError, match=r"embeds into .*features\.npz: wait")
    with alone_at(path, "embeds into"), taken, alone_at(path, "embeds into"):
        pass
    assert not list(path.parent.iterdir())


def test_of_many_that_ask_at_once_one_has_it_and_all_have_it_in_turn(tmp_path: Path) -> None:
    folder, tally = tmp_path / "folder", tmp_path / "tally"
    tally.write_text("0")

    def count() -> None:
        while True:
            try:
                with alone(folder, "counts in"):
                    seen = int(tally.read_text())
                    time.sleep(0.005)
                    tally.write_text(str(seen + 1))
                    return
            except FileExistsError:
                time.sleep(0.001)

    counting = [threading.Thread(target=count) for _ in range(12)]
    for thread in counting:
        thread.start()
    for thread in counting:
        thread.join()
    assert tally.read_text() == "12"


@pytest.mark.parametrize(
    "command", ["pretrain", "adapt", "compare", "quickstart", "report", "embed", "export", "render"]
)
def test_no_command_writes_where_another_process_does(
    command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], run: Path
) -> None:
    out = tmp_path / "out"
    few = ["--views", "2", "--size", "16", "--objects", "1"]
    data = run.parent / "data"
    arguments = {
        "pretrain": ["simclr-tiny", "--data", str(data), "--optim.batch-size", "8", "--out", str(out)],
        "adapt": [str(run), "--data", str(data), "--optim.batch-size", "8", "--out", str(out)],
        "compare": ["simclr-tiny", "--data", str(data), "--max-steps", "1", "--out", str(out)],
        "quickstart": ["--out", str(out)],
        "report": [str(run), "--out", str(out)],
        "embed": [str(run), "--data", str(data), "--out", str(out := tmp_path / "out.npz")],
        "export": [str(run), "--to", "timm", "--out", str(tmp_path / "out")],
        "render": ["--meshes", "procedural", *few, "--out", str(tmp_path / "out")],
    }
    place = out if command == "embed" else tmp_path / "out"
    keep = alone_at if command in ("report", "embed", "export") else alone
    with keep(place, "works in"):
        assert main([command, *arguments[command]]) == 2
    said = capsys.readouterr().err
    assert f"another process works in {place}: wait for it, or give another --out (it is process {os.getpid()}" in said
    assert "Traceback" not in said
    assert not place.exists()


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from equicoherence.training import OptimConfig, pretrain
    from tests.small import small_config

    folder = tmp_path_factory.mktemp("runs")
    data = picture_folder(folder / "data", 16)
    return pretrain(small_config(data, max_steps=1, optim=OptimConfig(batch_size=8)), folder / "run")
