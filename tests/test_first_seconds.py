"""The first seconds of a command: a mistake that its arguments show is said before torch is loaded."""

from __future__ import annotations

import io
import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

from equicoherence.cli import main
from equicoherence.notice import say, say_if_slow
from tests.small import picture_folder

RUN = """
import json, os, sys
os.environ.update(HF_HUB_OFFLINE="1", HF_HOME="empty", TORCH_HOME="empty")  # the Hub is asked last
from equicoherence.cli import main
for arguments in json.loads(sys.argv[1]):
    print(main(arguments), *({"torch", "timm"} & set(sys.modules)), file=sys.stderr)
"""
MISTAKES = {
    ("adapt", "wieghts.pth@resnet18", "--data", "pictures"): "there is no file 'wieghts.pth' of weights for resnet18; "
    "is it 'weights.pth'?",
    ("adapt", "weights.pth@resnet18"): "adapt needs images: give them with --data DIR",
    ("adapt", "weights.pth@resnet18", "--data", "picture"): "nothing at 'picture' (is it 'pictures' that you mean?)",
    ("adapt", "weights.pth@resnet18", "--data", "pictures", "--check", "no/such"): "nothing at 'no/such'",
    ("adapt", "weights.pth@resnet18", "--data", "pictures", "--images", "3"): "images must be a whole number, at least",
    ("adapt", "weights.pth@resnet18", "--data", "pictures", "--out", "run"): "run holds a run; go on with it",
    ("adapt", "weights.pth@resnet18", "--data", "pictures"): "runs/adapt-tiny-resnet18 holds a run; go on with it",
    ("adapt", "weights.pth@resnet18", "--data", "pictures", "--out", "weights.pth"): "weights.pth is a file, and a run",
    ("adapt", "weights.pth@resnet18", "--data", "pictures", "--recipe", "adapt-tinny"): "is it 'adapt-tiny'?",
    (
        "adapt",
        "w.safetensors",
        "--data",
        "pictures",
    ): "MODEL w.safetensors is a weights file, which does not say what it is of: write w.safetensors@ARCH",
    (
        "adapt",
        "weights.pth@resnet18",
        "--data",
        "pictures",
        "--encoder.train",
        "first:2",
    ): "encoder.train is 'first:2': give all, head, last:N",
    ("pretrain", "vicreg-tiny", "--data", "pictures", "--encoder.train=lora:0"): "encoder.train is 'lora:0': give all",
    ("evaluate", "./runn", "--data", "pictures"): "is it 'run'?",
    ("evaluate", "run", "--data", "picture"): "is it 'pictures' that you mean?",
    ("evaluate", "run", "--data", "pictures", "--tasks", "layers", "--images", "9"): "--images: an option of "
    "transformation, which is not among the tasks layers; leave it out, or give --settings layers.SETTING=VALUE",
    ("evaluate", "timm:resnet50", "--data", "pictures", "--tasks", "knnn"): "is it 'knn'?",
    ("evaluate", "timm:resnet50", "--tasks", "depth"): "depth: give the folder of the data sets with --sets",
    ("evaluate",): "evaluate needs a MODEL: a run directory, timm:NAME, hf-hub:OWNER/NAME, baseline:NAME, a weights "
    "file (FILE@ARCH), or the folder of a timm model",
    ("evaluate", "resnte50", "--data", "pictures"): "error: model 'resnte50': is it timm:resnet50? MODEL is",
    ("evaluate", "resnet-50", "--data", "pictures"): "error: model 'resnet-50': is it timm:resnet50? MODEL is",
    (
        "pretrain",
        "vicreg-tiny",
        "--encoder.weights",
        "timm:resnte50",
    ): "timm has no model 'resnte50'; near it: ",
    ("weights",): "error: no weights are published yet: name the folder or address of a release with --from",
    ("weights", "vicreg", "--out", "w"): "error: no weights are published yet: name the folder or address of a release",
    ("weights", "--form", "w"): "option '--form' is unknown; is it '--from'?",
    ("recipes", "vicreg-tyni"): "recipe 'vicreg-tyni' is unknown; is it 'vicreg-tiny'?",
    ("adapt", "timm:resnet18"): "adapt needs images: give them with --data DIR",
    ("embed", "timm:resnet18", "--data", "picture", "--out", "f.npz"): "is it 'pictures' that you mean?",
    ("export", "runn", "--to", "timm"): "runn is not a run directory: it has no config.yaml; is it 'run'?",
    ("pretrain", "--recipe", "vicreg-tyni", "--data", "pictures"): "error: the recipe is the first argument, not "
    "--recipe: write `equicoherence pretrain vicreg-tiny`",
    ("export", "pictures"): "pictures is not a run directory: it has no config.yaml",
    ("adapt", "--resume", "--out", "run"): "run holds no adaptation to resume (no adapt.yaml)",
    ("report", "runn"): "there is no folder 'runn'",
    ("embed", "run", "--data", "picture", "--out", "features.npz"): "is it 'pictures' that you mean?",
    ("embed", "run", "--data", "pictures", "--out", "features.csv"): "features.csv must end in .parquet or .npz",
    ("compare", "vicreg-tiny", "--data", "picture"): "is it 'pictures' that you mean?",
    ("pretrain", "vicreg-tiny", "--data", "picture"): "is it 'pictures' that you mean?",
    ("pretrain", "vicreg-tiny", "--data", "pictures", "--out", "run"): "run holds a run; go on with it",
}


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with images, a file that stands for weights, and two that stand for runs."""
    picture_folder(tmp_path / "pictures", 2)
    for weights in ("weights.pth", "w.safetensors"):
        (tmp_path / weights).touch()
    for run in ("run", "runs/adapt-tiny-resnet18"):
        (tmp_path / run).mkdir(parents=True)
        for file in ("model.safetensors", "config.yaml"):
            (tmp_path / run / file).touch()
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_what_arguments_show_is_refused_without_torch(place: Path) -> None:
    command = [sys.executable, "-c", RUN, json.dumps([*MISTAKES])]
    said = subprocess.run(command, capture_output=True, text=True, cwd=place, check=True).stderr.splitlines()
    assert len(said) == 2 * len(MISTAKES)
    for sentence, status, arguments in zip(said[::2], said[1::2], MISTAKES):
        assert MISTAKES[arguments] in sentence, (arguments, sentence)
        assert status == "2", (arguments, status)


def test_a_name_of_timm_without_its_beginning_is_told(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for command in ("adapt", "evaluate"):
        assert main([command, "resnet18", "--data", "pictures"]) == 2
        assert "error: model 'resnet18': is it timm:resnet18? " in capsys.readouterr().err


def test_a_line_is_written_in_one_piece_so_that_those_of_two_threads_do_not_mix(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pieces = []

    class Stream(io.StringIO):
        def write(self, text: str) -> int:
            pieces.append(text)
            return len(text)

    monkeypatch.setattr(sys, "stderr", Stream())
    say("scoring knn")
    assert list(filter(None, pieces)) == ["scoring knn\n"]


def test_work_that_takes_long_says_so_once(capsys: pytest.CaptureFixture[str]) -> None:
    with say_if_slow("scoring knn", seconds=60):
        pass
    assert not capsys.readouterr().err
    with say_if_slow("scoring knn", seconds=0.01):
        time.sleep(0.2)
    assert capsys.readouterr().err == "scoring knn\n"
