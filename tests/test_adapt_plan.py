"""What `adapt` says before it trains: its plan, once nothing can refuse it, and what cannot be scored."""

from __future__ import annotations

from pathlib import Path

import pytest
import timm
from safetensors.torch import save_file

from equicoherence.cli import main
from tests.small import picture_folder
from tests.test_advice import stop_after

PLAN = "scored before and after on"
BLIND = "whether the encoder still recognises classes will not be known; to know it, give labelled images with --check"
SMALL = ("--views.size", "32", "--optim.batch-size", "16", "--images", "10", "--limit", "20", "--max-steps", "2")
SMALL += ("--log-every", "1", "--watch", "none")


@pytest.fixture
def model(tmp_path: Path) -> str:
    """Return a weights file with its architecture."""
    save_file(timm.create_model("test_resnet").state_dict(), tmp_path / "weights.safetensors")
    return f"{tmp_path / 'weights.safetensors'}@test_resnet"


@pytest.mark.parametrize(
    ("options", "quoted"),
    [
        (("--encoder.train", "last:9"), "encoder.train is last:9"),
        (("--coherence.layers", "1,9"), "layer 9 does not exist"),
    ],
)
def test_the_plan_of_what_is_refused_is_not_printed(
    options: tuple[str, ...],
    quoted: str,
    folder: Path,
    model: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    out = tmp_path / "run"
    assert main(["adapt", model, "--data", str(folder), "--out", str(out), *SMALL, *options]) == 2
    said = capsys.readouterr().err
    assert quoted in said
    assert PLAN not in said
    assert not out.exists()


def test_that_classes_cannot_be_scored_is_said_before_training(
    model: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    data = picture_folder(tmp_path / "data", per_class=48)
    for images, blind in ((data / "disc", True), (data, False)):
        stop_after(1, monkeypatch)
        assert main(["adapt", model, "--data", str(images), "--out", str(tmp_path / f"run-{blind}"), *SMALL]) == 130
        said = capsys.readouterr().err
        assert PLAN in said
        assert (BLIND in said) is blind
