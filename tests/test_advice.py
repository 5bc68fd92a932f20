"""What a message advises is typed as it stands, and works."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from equicoherence.cli import main
from equicoherence.data import open_images
from equicoherence.training.config_file import save_config
from equicoherence.training.metrics import Metrics
from tests.small import picture_folder, small_config

Say = Callable[..., str]


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return picture_folder(tmp_path / "the data", 20)


@pytest.fixture
def file(data: Path, tmp_path: Path) -> Path:
    """A configuration of six steps, with a checkpoint after each two."""
    save_config(small_config(data), tmp_path / "small.yaml")
    return tmp_path / "small.yaml"


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "a run"  # with a space, which has to be quoted


@pytest.fixture
def said(capsys: pytest.CaptureFixture[str]) -> Say:
    """Run a command, and return what it says on standard error."""

    def run(*arguments: object, status: int) -> str:
        capsys.readouterr()
        assert main([str(argument) for argument in arguments]) == status, capsys.readouterr().err
        return capsys.readouterr().err

    return run


def advised(text: str) -> list[str]:
    """Return the arguments of the command in a message, which ends at the line's end or at a comma."""
    found = re.search(r"equicoherence (pretrain --resume .*?)(,|\)|$)", text, re.MULTILINE)
    assert found is not None, text
    return shlex.split(found[1])


def options(text: str) -> list[str]:
    """Return the options that a message says to give."""
    found = re.search(r"give ((?:--[\w.-]+(?: [^-,\s]\S*)? ?)+)", text)
    assert found is not None, text
    return shlex.split(found[1].replace(",", ""))


def stop_after(step: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Interrupt training as Ctrl-C does, once."""
    original, steps = Metrics.add, []

    def add(self: Metrics, *given: object) -> None:
        steps.append(1)
        if len(steps) == step:
            os.kill(os.getpid(), signal.SIGINT)
        original(self, *given)  # type: ignore[arg-type]

    monkeypatch.setattr(Metrics, "add", add)


def steps_of(run: Path) -> list[int]:
    return [json.loads(line)["step"] for line in (run / "metrics.jsonl").read_text().splitlines()]


def test_an_interrupted_run_goes_on_by_the_command_it_ends_with(
    file: Path, out: Path, said: Say, monkeypatch: pytest.MonkeyPatch
) -> None:
    stop_after(3, monkeypatch)
    text = said("pretrain", file, "--out", out, status=130)
    assert text.rstrip().endswith(f"saved; go on with: equicoherence pretrain --resume --out '{out}'")
    said(*advised(text), status=0)
    assert (out / "samples.npz").is_file()
    assert steps_of(out) == [2, 3, 4, 6]


def test_a_folder_in_use_is_gone_on_with_by_the_command_it_is_refused_with(file: Path, out: Path, said: Say) -> None:
    said("pretrain", file, "--out", out, "--max-steps", 2, status=0)
    text = said("pretrain", file, "--out", out, status=2)
    said(*advised(text), status=0)
    text = said("pretrain", file, "--out", out, "--resume", "--seed", 5, status=2)
    assert "seed: 0 -> 5; max_steps: 2 -> 0; to go on with its own" in text
    said(*advised(text), status=0)


def test_bad_images_are_gone_on_without_by_the_command_that_is_advised(
    file: Path, out: Path, data: Path, said: Say
) -> None:
    source = open_images(data, "train")
    for index in (3, 20):
        (data / source.name(index)).write_bytes(b"no picture")
    text = said("pretrain", file, "--out", out, status=1)
    assert "of 32 images cannot be decoded so far" in text
    assert "--bad-image-tolerance" in advised(text)
    said(*advised(text), status=0)
    assert len((out / "bad_images.txt").read_text().splitlines()) == 2
    assert yaml.safe_load((out / "config.yaml").read_text())["bad_image_tolerance"] > 0.05
    text = said("embed", out, "--data", data, "--out", out / "f.npz", "--bad-image-tolerance", 0, status=1)
    share = re.search(r"go on without them: (--bad-image-tolerance \S+)", text)
    assert share is not None
    said("embed", out, "--data", data, "--out", out / "f.npz", *share[1].split(), status=0)


def test_bad_images_that_come_later_are_gone_on_without_from_the_checkpoint(
    file: Path, out: Path, data: Path, said: Say, monkeypatch: pytest.MonkeyPatch
) -> None:
    stop_after(2, monkeypatch)
    said("pretrain", file, "--out", out, status=130)
    for name in ("disc/003.png", "disc/005.png", "square/001.png"):
        (data / name).write_bytes(b"no picture")
    text = said("pretrain", "--resume", "--out", out, status=1)
    text = said(*advised(text), status=0)
    assert "goes on with bad_image_tolerance: 0.01 -> " in text
    assert steps_of(out) == [2, 4, 6]


def test_where_no_image_is_good_no_tolerance_is_advised(file: Path, out: Path, data: Path, said: Say) -> None:
    for path in data.rglob("*.png"):
        path.write_bytes(b"no picture")
    text = said("pretrain", file, "--out", out, "--bad-image-tolerance", 1, status=1)
    assert "none of 32 images can be decoded" in text
    assert "Repair them, or give other images with --data." in text
    good = picture_folder(data.parent / "good", 20)
    said("pretrain", file, "--out", out, "--data", good, status=0)  # what failed blocks nothing


@pytest.mark.parametrize(
    "wrong",
    [
        ["--optim.batch-size", "4800"],
        ["--optim.batch-size", "1"],
        ["--optim.batch-size", "3", "--optim.accumulation", "3"],
        ["--optim.batch-size", "400", "--optim.accumulation", "100"],
        ["--views.crops", "2"],
        ["--views.mask-probability", "0.5"],
        ["--coherence.split", "head"],
        ["--optim.patch-embed-lr", "0.2"],
        ["--optim.freeze-last-layer", "1"],
        ["--views.crop-rotations", "--views.crops", "4"],
    ],
)
def test_the_option_that_a_refusal_names_is_the_way_out(wrong: list[str], file: Path, out: Path, said: Say) -> None:
    command = ["pretrain", file, "--out", out, "--max-steps", 1, *wrong]
    text = said(*command, status=2)
    assert not out.exists()
    for _ in range(3):  # one refusal may hide another
        command += options(text)
        if main([str(part) for part in command]) == 0:
            break
        text = said(*command, status=2)
    assert (out / "samples.npz").is_file()


def test_a_task_without_a_path_is_left_out_as_is_advised(file: Path, out: Path, said: Say) -> None:
    wrong = ["pretrain", file, "--out", out, "--max-steps", 1, "--views.path", "none"]
    assert "choose a path (--views.path se2), or --no-coherence" in said(*wrong, status=2)
    said(*wrong, "--no-coherence", status=0)
    values = yaml.safe_load(file.read_text())
    file.write_text(yaml.safe_dump(values | {"views": values["views"] | {"path": "none"}}))
    assert "or --no-coherence" in said("pretrain", file, status=2)
    said("pretrain", file, "--no-coherence", "--max-steps", 1, "--out", out.parent / "plain", status=0)


def test_moved_images_are_given_with_data_and_others_are_refused(
    file: Path, out: Path, data: Path, said: Say, monkeypatch: pytest.MonkeyPatch
) -> None:
    stop_after(2, monkeypatch)
    shutil.copytree(data, data.parent / "whole" / "val")
    data = shutil.copytree(data, data.parent / "whole" / "train").parent
    said("pretrain", file, "--out", out, "--data", data, status=130)
    moved = data.rename(data.parent / "moved")
    assert "nothing at" in said("pretrain", "--resume", "--out", out, status=2)
    other = shutil.copytree(moved, data.parent / "other")
    (other / "train" / "disc" / "003.png").rename(other / "train" / "disc" / "zoo.png")
    text = said("pretrain", "--resume", "--out", out, "--data", other, status=2)
    assert "the names of its images, or their order, are others" in text
    assert "--data says where they are now" in text
    assert f"data: {str(data)!r} -> {str(moved)!r}" in said(
        "pretrain", "--resume", "--out", out, "--data", moved, status=0
    )
    assert steps_of(out) == [2, 4, 6]
    monkeypatch.chdir(moved.parent)
    assert "data" not in said("pretrain", "--resume", "--out", out, "--data", "./moved", status=0)


def test_settings_that_change_no_result_may_be_others(
    file: Path, out: Path, said: Say, monkeypatch: pytest.MonkeyPatch
) -> None:
    said("pretrain", file, "--out", out.parent / "whole", status=0)
    stop_after(2, monkeypatch)
    said("pretrain", file, "--out", out, status=130)
    free = ["--threads", 2, "--cache", 0, "--log-every", 1, "--checkpoint-every", 1, "--track", "tensorboard"]
    text = said("pretrain", "--resume", "--out", out, *free, "--bad-image-tolerance", 0.5, status=0)
    for name in ("threads", "cache", "log_every", "checkpoint_every", "track", "bad_image_tolerance"):
        assert f"{name}: " in text
    assert steps_of(out) == [2, 3, 4, 5, 6]
    assert yaml.safe_load((out / "config.yaml").read_text())["log_every"] == 1


def test_a_broken_loss_leaves_a_folder_in_which_the_remedy_begins_anew(file: Path, out: Path, said: Say) -> None:
    text = said("pretrain", file, "--out", out, "--optim.lr", 1e30, "--log-every", 1, "--checkpoint-every", 9, status=1)
    assert "at step" in text
    broken, stopped = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()][-2:]
    assert stopped["stopped"] in text
    assert (
        ", before the first checkpoint. Begin again, in the same --out or in another, with a lower --optim.lr" in text
    )
    assert None in broken.values()
    said("pretrain", file, "--out", out, "--optim.lr", 1e-3, status=0)
    assert steps_of(out) == [2, 4, 6]
    assert "stopped" not in (out / "metrics.jsonl").read_text()


def test_export_says_at_once_what_overwrite_cannot_do(file: Path, out: Path, said: Say) -> None:
    said("pretrain", file, "--out", out, "--max-steps", 1, status=0)
    (out / "e.pt").mkdir()
    assert "e.pt is a folder; give another --out" in said(
        "export", out, "--to", "torch", "--out", out / "e.pt", status=2
    )
    said("export", out, "--to", "torch", status=0)
    assert "or --overwrite" in said("export", out, "--to", "torch", status=2)
    said("export", out, "--to", "torch", "--overwrite", status=0)
    assert "leave --teacher out" in said("export", out, "--to", "torch", "--overwrite", "--teacher", status=2)


def test_a_data_set_of_one_image_is_refused_before_a_folder_is_made(file: Path, out: Path, said: Say) -> None:
    two = picture_folder(out.parent / "two", 2)
    (two / "disc" / "001.png").unlink()
    (two / "square" / "000.png").unlink()
    text = said("pretrain", file, "--out", out, "--data", two, status=2)
    assert "holds 2 images: 1 held out (a fifth by a hash of their names), 1 left to train on, but SimCLR" in text
    one = picture_folder(out.parent / "one", 1)
    (one / "square" / "000.png").unlink()
    (out.parent / "split" / "val").mkdir(parents=True)
    shutil.copytree(one, out.parent / "split" / "train")
    shutil.copytree(one, out.parent / "split" / "val", dirs_exist_ok=True)
    text = said("pretrain", file, "--out", out, "--data", out.parent / "split", status=2)
    assert "gives 1 image to train on, but SimCLR on 1 process needs at least 2; give more images with --data" in text
    assert not out.exists()
