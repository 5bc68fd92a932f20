"""A file is whole or not there, whatever interrupts its writing and whoever else writes it."""

from __future__ import annotations

import errno
import io
import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from equicoherence import files
from equicoherence.files import alone, replacing, write_aside
from equicoherence.tensor_files import write_torch


@pytest.fixture(params=[0o022, 0o027, 0o077])
def umask(request: pytest.FixtureRequest) -> Iterator[int]:
    """Set a umask for the test."""
    before = os.umask(request.param)
    yield request.param
    os.umask(before)


def test_bytes_and_text_are_written_as_they_are_in_place_of_what_was_there(tmp_path: Path) -> None:
    for data in (b"\x00\r\n\xff", "of an object: \N{GREEK SMALL LETTER THETA}\r\n"):
        write_aside(tmp_path / "file", data)
        assert (tmp_path / "file").read_bytes() == (data if isinstance(data, bytes) else data.encode())
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_an_interrupted_file_is_the_old_one_and_nothing_is_left(tmp_path: Path) -> None:
    write_aside(tmp_path / "file", "old")

    def interrupted() -> None:
        with replacing(tmp_path / "file") as aside:
            aside.write_text("half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    with pytest.raises(UnicodeEncodeError):
        write_aside(tmp_path / "file", "half a pair: \ud800")
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("file", "old")]


def test_a_file_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="nowhere"):
        write_aside(tmp_path / "nowhere" / "file", "text")
    with pytest.raises(FileNotFoundError, match="file"), replacing(tmp_path / "file"):
        pass  # nothing is written


def test_what_is_half_written_is_hidden_and_known_by_its_ending(tmp_path: Path) -> None:
    with replacing(tmp_path / "file.txt") as aside:
        assert (aside.parent, aside.name[0], aside.suffix) == (tmp_path, ".", ".tmp")
        aside.touch()


def test_writers_of_one_file_never_mix(tmp_path: Path) -> None:
    path, texts = tmp_path / "file", {letter * 100_000 for letter in "abcd"}
    path.write_text("a" * 100_000)

    def write(text: str) -> None:
        for _ in range(10):
            write_aside(path, text)

    writers = [threading.Thread(target=write, args=(text,)) for text in texts]
    for writer in writers:
        writer.start()
    while any(writer.is_alive() for writer in writers):
        assert path.read_text() in texts
    assert path.read_text() in texts
    assert [found.name for found in tmp_path.iterdir()] == ["file"]


def test_a_file_has_the_mode_that_the_umask_says_whoever_writes_it(tmp_path: Path, umask: int) -> None:
    write_aside(tmp_path / "text", "text")
    with replacing(tmp_path / "model.safetensors") as aside:
        save_file({"weight": torch.zeros(2)}, aside)  # makes files that only their owner can read
    for name in ("text", "model.safetensors"):
        assert (tmp_path / name).stat().st_mode & 0o777 == 0o666 & ~umask
    assert len(list(tmp_path.iterdir())) == 2


def test_where_a_system_has_no_locks_a_folder_is_given_back_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "fcntl", None)  # as on Windows
    for _ in range(2):
        with files.alone(tmp_path / "out", "writes"):
            (tmp_path / "out" / "made").touch()
        assert [path.name for path in (tmp_path / "out").iterdir()] == ["made"]


def test_a_disk_that_is_full_is_said_with_the_file_that_was_to_be_written(tmp_path: Path) -> None:
    class Full(io.BytesIO):
        def write(self, content: object) -> int:
            raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(OSError, match=r"No space left on device: .*step-1.pt"):
        write_torch({"weights": torch.ones(1000)}, Full(), tmp_path / "step-1.pt")


def test_a_folder_in_which_no_file_can_be_made_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def gone(path: Path, *_: object) -> int:
        raise FileNotFoundError(errno.ENOENT, "No such file or directory", str(path))

    monkeypatch.setattr(os, "open", gone)
    with (
        pytest.raises(ValueError, match=r"cannot be written .No such file or directory.; give another --out"),
        alone(tmp_path / "run", "tests"),
    ):
        pass
