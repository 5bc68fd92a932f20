"""`adapt` that ends before it is done: what lies in its folder blocks nothing, and it goes on."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import timm
import torch
from safetensors.torch import save_file

from equicoherence.adapting import adaptation
from equicoherence.adapting.asked import Asked
from equicoherence.adapting.plan import plan_adaptation
from equicoherence.cli import main
from equicoherence.evaluation.fingerprint import build_digest, fingerprint
from equicoherence.reporting.adaptation.page import PAGE, TABLE
from equicoherence.training import load_config, load_run, pretrain, setup
from equicoherence.training.checkpoint import checkpoint_of, load_checkpoint
from equicoherence.training.run import heads_and_encoder
from tests.test_advice import stop_after
from tests.training.test_broken import Break

Adapt = Callable[..., str]
"""Run `adapt` with further options; return what it says on standard error."""


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    """Return a file of weights of a small encoder's architecture."""
    save_file(timm.create_model("test_resnet").state_dict(), tmp_path / "weights.safetensors")
    return tmp_path / "weights.safetensors"


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "run"


@pytest.fixture
def adapt(weights: Path, out: Path, folder: Path, capsys: pytest.CaptureFixture[str]) -> Adapt:
    def run(*options: str, status: int) -> str:
        few = ["--optim.batch-size", "16", "--max-steps", "3", "--log-every", "1", "--images", "10", "--limit", "20"]
        begin = [f"{weights}@test_resnet", "--data", str(folder), "--views.size", "32", "--watch", "none", *few]
        command = ["adapt", *([] if "--resume" in options else begin), "--out", str(out), *options]
        capsys.readouterr()
        assert main(command) == status, capsys.readouterr().err
        return capsys.readouterr().err

    return run


@pytest.fixture
def hears_ctrl_c() -> Iterator[None]:
    """Let Ctrl-C interrupt, also where a shell started the tests in the background, which ignores it."""
    earlier = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, earlier)


def break_after(step: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the weights of the head be finite after a step, but so large that no later loss is."""

    def breaking(*given: object, callbacks: list[object], **named: object) -> Path:
        return pretrain(*given, callbacks=[*callbacks, Break(step, 1e38)], **named)  # type: ignore[arg-type]

    monkeypatch.setattr(adaptation, "pretrain", breaking)


def test_a_loss_that_breaks_before_a_checkpoint_does_not_block_the_next_start(
    adapt: Adapt, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = adapt("--optim.lr", "1e30", "--optim.clip", "0", status=1)
    assert "before the first checkpoint. Begin again, in the same --out or in another" in said
    assert not list((out / "checkpoints").glob("*"))
    stop_after(1, monkeypatch)
    assert "saved; go on with: equicoherence adapt --resume" in adapt(status=130)


def test_a_loss_that_breaks_ends_with_the_last_good_checkpoint_which_is_scored_and_the_page_says_so(
    adapt: Adapt, out: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    break_after(2, monkeypatch)
    said = adapt("--checkpoint-every", "1", status=0)
    ended = "at step 3; so the run ends with its state after step 1; to train further, begin again in another --out"
    assert f"{ended} with a lower --optim.lr\n" in said
    assert checkpoint_of(out, 2).is_file(), "which is finite, and passed over"
    good, learner = load_checkpoint(checkpoint_of(out, 1))["learner"], load_run(out)[1]
    good, found = heads_and_encoder(good, learner), learner.state_dict()
    assert good.keys() == found.keys()
    assert all(torch.equal(good[name], tensor) for name, tensor in found.items())
    for page in (PAGE, TABLE):
        assert "It was stopped: " in (out / page).read_text()
        assert ended in (out / page).read_text()
    capsys.readouterr()
    assert main(["adapt", "--resume", "--out", str(out)]) == 0, "and it is shown again"
    assert ended in capsys.readouterr().out


def test_a_loss_that_breaks_right_after_the_first_checkpoint_ends_with_status_1(
    adapt: Adapt, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    break_after(1, monkeypatch)
    assert "its newest checkpoint is of step 1, right before" in adapt("--checkpoint-every", "1", status=1)
    assert not (out / PAGE).exists()


@pytest.mark.usefixtures("hears_ctrl_c")
def test_ctrl_c_before_the_first_step_leaves_nothing_to_resume(
    adapt: Adapt, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    build = setup.build_learner

    def interrupted(*given: object, **named: object) -> object:
        os.kill(os.getpid(), signal.SIGINT)
        return build(*given, **named)  # type: ignore[arg-type]

    with monkeypatch.context() as patch:
        patch.setattr(setup, "build_learner", interrupted)
        assert "interrupted" in adapt(status=130)
    assert not out.exists()
    said = adapt("--resume", status=2)
    assert "run holds no adaptation to resume (no adapt.yaml); to begin one, leave --resume out" in said
    stop_after(1, monkeypatch)
    adapt(status=130)  # the next start is not blocked
    assert (out / "adapt.yaml").is_file()


def test_a_head_goes_on_without_the_file_of_its_encoder_which_it_holds_itself(
    adapt: Adapt, weights: Path, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stop_after(1, monkeypatch)
    adapt(status=130)
    config, asked = load_config(out / "config.yaml"), Asked.of_run(out)
    before = plan_adaptation(config, asked, out)
    weights.unlink()
    random = torch.random.get_rng_state()
    after = plan_adaptation(config, asked, out)
    assert torch.equal(random, torch.random.get_rng_state())
    assert after.config == before.config
    for digest in (fingerprint, build_digest):  # which scores that are there are taken by
        assert digest(after.original) == digest(before.original)
    images = torch.rand(2, 3, 32, 32)
    with torch.no_grad():
        features = [plan.original.represent(images)[0]["backbone"] for plan in (before, after)]
    assert torch.equal(*features)


def test_where_the_encoder_was_trained_its_file_is_asked_for(
    adapt: Adapt, weights: Path, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stop_after(1, monkeypatch)
    adapt("--encoder.train", "last:1", status=130)
    moved = weights.rename(weights.with_name("moved.safetensors"))
    said = adapt("--resume", status=2)
    assert "there is no file" in said
    assert "say where it is now: equicoherence adapt --resume --out" in said
    stop_after(1, monkeypatch)
    said = adapt("--resume", "--encoder.weights", f"{moved}@test_resnet", status=130)
    assert "stopped at step 2 of 3, saved" in said


def test_without_a_checkpoint_the_file_is_asked_for(adapt: Adapt, weights: Path, out: Path) -> None:
    adapt("--optim.lr", "1e30", "--optim.clip", "0", status=1)
    weights.unlink()
    assert "there is no file" in adapt("--resume", status=2)
