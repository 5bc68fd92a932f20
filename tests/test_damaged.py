"""Damaged files are named in one sentence, with what to do; none of their code runs, and no traceback is shown."""

from __future__ import annotations

import io
import json
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import timm
import torch
from safetensors.torch import load_file, save_file

from equicoherence.cli import main
from equicoherence.training import load_run, pretrain
from tests.small import picture_folder, small_config

Said = Callable[..., str]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs")
    run = pretrain(small_config(picture_folder(folder / "data")), folder / "run")
    assert main(["export", str(run), "--to", "timm"]) == 0
    return run


@pytest.fixture
def run(whole: Path, tmp_path: Path) -> Path:
    return shutil.copytree(whole, tmp_path / "run")


@pytest.fixture
def data(whole: Path) -> Path:
    return whole.parent / "data"


@pytest.fixture
def said(capsys: pytest.CaptureFixture[str]) -> Said:
    """Run a command that fails, and return the one line it says."""

    def fails(*arguments: object) -> str:
        capsys.readouterr()
        assert main([str(argument) for argument in arguments]) in (1, 2)
        text = capsys.readouterr().err
        assert "Traceback" not in text
        assert "weights_only" not in text
        assert len(text.splitlines()) == 1, text
        return text

    return fails


class Runs:
    """What would write a file if it were unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[object, ...]]:
        return Path.touch, (self.path,)


def saved(value: object) -> bytes:
    buffer = io.BytesIO()
    torch.save(value, buffer)
    return buffer.getvalue()


DAMAGE: dict[str, Callable[[bytes, Path], bytes]] = {
    "empty": lambda data, _: b"",
    "cut off": lambda data, _: data[: len(data) // 2],
    "binary": lambda data, _: bytes(range(256)) * 4,
    "a text": lambda data, _: b"no such thing\n",
    "zeros": lambda data, _: bytes(len(data)),
    "a list": lambda data, _: saved([1, 2]),
    "a number": lambda data, _: saved(3),
    "another mapping": lambda data, _: saved({"step": "two", "learner": []}),
    "code": lambda data, folder: pickle.dumps({"step": Runs(folder / "run by a file")}, protocol=2),
}


@pytest.mark.parametrize("kind", DAMAGE)
@pytest.mark.parametrize("name", ["model.safetensors", "heads.safetensors"])
def test_damaged_weights_are_named_and_written_anew_by_the_command_that_is_said(
    name: str, kind: str, run: Path, said: Said
) -> None:
    before = {key: tensor.clone() for key, tensor in load_file(run / name).items()}  # else the file itself is seen
    (run / name).write_bytes(DAMAGE[kind]((run / name).read_bytes(), run))
    text = said("export", run, "--to", "torch")
    assert f"{run / name} is damaged (" in text
    assert f"): written anew by equicoherence pretrain --resume --out {run}" in text
    assert main(["pretrain", "--resume", "--out", str(run)]) == 0
    assert all(torch.equal(before[key], tensor) for key, tensor in load_file(run / name).items())
    assert not (run / "run by a file").exists()


@pytest.mark.parametrize("kind", DAMAGE)
def test_a_damaged_newest_checkpoint_is_passed_over_for_the_one_before_and_a_line_says_so(
    kind: str, run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    newest = run / "checkpoints" / "step-00000006.pt"
    newest.write_bytes(DAMAGE[kind](newest.read_bytes(), run))
    before = load_run(run)[1].state_dict()
    for name in ("model.safetensors", "heads.safetensors", "samples.npz"):
        (run / name).unlink()
    assert main(["pretrain", "--resume", "--out", str(run)]) == 0
    text = capsys.readouterr().err
    assert f"{newest} is damaged (" in text
    assert "): step-00000004.pt is taken instead" in text
    assert "weights_only" not in text
    assert all(torch.equal(before[name], tensor) for name, tensor in load_run(run)[1].state_dict().items())
    assert not (run / "run by a file").exists()


@pytest.mark.parametrize("kind", DAMAGE)
def test_where_no_checkpoint_is_whole_the_newest_is_named(kind: str, run: Path, said: Said) -> None:
    for path in (run / "checkpoints").iterdir():
        path.write_bytes(DAMAGE[kind](path.read_bytes(), run))
    text = said("pretrain", "--resume", "--out", run)
    assert f"{run / 'checkpoints' / 'step-00000006.pt'} is damaged (" in text
    assert f"remove {run / 'checkpoints'} to begin it again from step 0" in text
    shutil.rmtree(run / "checkpoints")
    assert main(["pretrain", "--resume", "--out", str(run)]) == 0


TEXTS: dict[str, bytes] = {
    "empty": b"",
    "cut off": b"method: {kind: VICReg, invar",
    "binary": bytes(range(256)),
    "a list": b"- 1\n- 2\n",
    "a number": b"3\n",
    "a list for a mapping": b"method: [VICReg]\n",
    "a number for a mapping": b"optim: 3\n",
    "a text for a number": b"seed: many\n",
    "an unknown field": b"sed: 3\n",
    "a field that is no text": b"3: 3\n",
    "a value out of range": b"log_every: 0\n",
    "not a number": b"optim: {lr: .nan}\n",
}


@pytest.mark.parametrize("kind", TEXTS)
@pytest.mark.parametrize("command", ["resume", "a file", "export", "embed"])
def test_a_damaged_configuration_is_named(command: str, kind: str, run: Path, data: Path, said: Said) -> None:
    file = run / "config.yaml"
    file.write_bytes(TEXTS[kind])
    arguments = {
        "resume": ["pretrain", "--resume", "--out", run],
        "a file": ["pretrain", file, "--out", run / "new"],
        "export": ["export", run, "--to", "torch"],
        "embed": ["embed", run, "--data", data, "--out", run / "f.npz"],
    }
    assert str(file) in said(*arguments[command])


LINES: dict[str, bytes] = {
    "binary": bytes(range(256)) * 2,
    "a list": b"[1]\n[2]\n",
    "a number": b"3\n",
    "a line between": b'{"step": 1}\nno JSON\n{"step": 2}\n',
    "no step": b'{"loss": 1}\n{"step": 2}\n',
    "a step that is none": b'{"step": "one"}\n',
    "NaN": b'{"step": 1, "loss": NaN}\n',
}


@pytest.mark.parametrize("kind", LINES)
def test_damaged_metrics_are_named_and_the_report_shows_the_rest(kind: str, run: Path, said: Said) -> None:
    file = run / "metrics.jsonl"
    file.write_bytes(LINES[kind])
    text = said("pretrain", "--resume", "--out", run)
    assert f"{file} is damaged (line 1: " in text or f"{file} is damaged (line 2: " in text
    assert main(["report", str(run)]) == 0
    file.rename(run / "metrics damaged")  # as the message says
    assert main(["pretrain", "--resume", "--out", str(run)]) == 0


@pytest.mark.parametrize("kind", ["empty", "cut off", "binary", "a text", "a list"])
def test_damaged_samples_are_named_on_the_page(kind: str, run: Path) -> None:
    (run / "samples.npz").write_bytes(DAMAGE[kind]((run / "samples.npz").read_bytes(), run))
    assert main(["report", str(run)]) == 0
    assert "samples.npz is damaged (it is no whole .npz archive)" in (run / "report.html").read_text()
    np.save(run / "one.npy", np.zeros(3))
    (run / "one.npy").rename(run / "samples.npz")
    assert main(["report", str(run)]) == 0
    assert "samples.npz is damaged" in (run / "report.html").read_text()


@pytest.mark.parametrize(
    "content",
    [b"", b"\xff\x00", b"[1]", b'{"architecture": 3}', b"{}", b'{"architecture": "resnet18", "model_args": 3}'],
)
def test_a_damaged_export_is_named(content: bytes, run: Path, data: Path, said: Said) -> None:
    (run / "encoder" / "config.json").write_bytes(content)
    args = ["--encoder.name", f"local-dir:{run / 'encoder'}", "--data", data, "--out", run / "new"]
    text = said("pretrain", "simclr-tiny", *args)
    assert f"{run / 'encoder' / 'config.json'} is damaged (" in text
    assert main(["export", str(run), "--to", "timm", "--overwrite"]) == 0  # as the message says


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_not_finite_are_damaged(value: float, run: Path, data: Path, said: Said) -> None:
    tensors = load_file(run / "model.safetensors")
    tensors["conv1.weight"][0] = value
    save_file(tensors, run / "model.safetensors")
    for command in (
        ["export", run, "--to", "timm", "--overwrite"],
        ["embed", run, "--data", data, "--out", run / "f.npz"],
    ):
        text = said(*command)
        assert "model.safetensors is damaged (its tensor conv1.weight holds values that are not finite)" in text
    checkpoint = run / "checkpoints" / "step-00000006.pt"
    state = torch.load(checkpoint, weights_only=True)
    state["learner"]["encoder.model.conv1.weight"][0] = value
    torch.save(state, checkpoint)
    assert main(["pretrain", "--resume", "--out", str(run)]) == 0  # from the one before
    load_run(run)


def test_weights_of_another_run_are_named(run: Path, said: Said, whole: Path, tmp_path: Path) -> None:
    text = (run / "config.yaml").read_text()
    (run / "config.yaml").write_text(text.replace("\nd: 16", "\nd: 24"))
    assert "do not fit its config.yaml" in said("export", run, "--to", "torch")
    assert "do not fit its config.yaml" in said("pretrain", "--resume", "--out", run)


def test_bad_images_of_any_bytes_stop_no_run(run: Path) -> None:
    (run / "bad_images.txt").write_bytes(b"\xff\xfe.png\tno image\n")
    assert main(["pretrain", "--resume", "--out", str(run)]) == 0


def test_features_that_are_not_finite_are_no_features(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model = timm.create_model("test_vit", num_classes=0)
    weights = model.state_dict()
    weights["norm.weight"][:] = float("nan")
    save_file(weights, tmp_path / "w.safetensors")
    data = picture_folder(tmp_path / "d", 2)
    command = ["embed", str(tmp_path / "w.safetensors"), "--arch", "test_vit", "--data", str(data)]
    assert main([*command, "--out", str(tmp_path / "f.npz")]) == 1
    assert "the features 'backbone' of" in capsys.readouterr().err
    assert not (tmp_path / "f.npz").exists()


def test_every_line_of_metrics_is_strict_json(run: Path) -> None:
    def refuse(name: str) -> None:
        raise AssertionError(name)

    lines = [json.loads(line, parse_constant=refuse) for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == [2, 4, 6]
