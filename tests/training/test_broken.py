"""A run whose numbers break: what is left of it, and how it goes on."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Callable
from html import escape
from pathlib import Path

import pytest
import torch

from equicoherence.cli import main
from equicoherence.evaluation import load_model
from equicoherence.model_card import model_card
from equicoherence.reporting.runs import read_run
from equicoherence.reporting.training import training_section
from equicoherence.training import NotFinite, load_config, load_run, pretrain
from equicoherence.training.callbacks import Callback, Moment
from equicoherence.training.checkpoint import checkpoint_of, checkpoints
from equicoherence.training.optim import OptimConfig
from tests.small import head_config, small_config
from tests.test_advice import advised

Said = Callable[..., str]


class Break(Callback):
    """Set the weights of the head to a value after a step."""

    def __init__(self, step: int, value: float) -> None:
        self.step, self.value = step, value

    def on_step(self, moment: Moment) -> None:
        """Break them."""
        if moment.step == self.step:
            with torch.no_grad():
                for parameter in moment.learner.head.parameters():
                    parameter.fill_(self.value)


@pytest.fixture
def said(capsys: pytest.CaptureFixture[str]) -> Said:
    """Run a command, and return what it says on standard error."""

    def run(*arguments: object, status: int) -> str:
        capsys.readouterr()
        assert main([str(argument) for argument in arguments]) == status, capsys.readouterr().err
        return capsys.readouterr().err

    return run


def changes_of(run: Path) -> dict[object, object]:
    return {line["step"]: line["changed"] for line in lines_of(run) if "changed" in line}


def lines_of(run: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]


@pytest.mark.parametrize(
    ("step", "value", "newest", "advice"),
    [
        (5, math.nan, 4, "; its newest checkpoint is of step 4. `evaluate`, `embed` and `export` take "),
        (4, math.nan, 2, "; its newest checkpoint is of step 2. `evaluate`, `embed` and `export` take "),
        (4, 1e38, 4, "; its newest checkpoint is of step 4, right before. Move {} away to go on from step 2, or"),
        (2, 1e38, 2, "; its newest checkpoint is of step 2, right before. Move {} away to begin again, or"),
        (1, math.nan, 0, ", before the first checkpoint. Begin again, in the same --out or in another"),
    ],
    ids=["between checkpoints", "at a checkpoint", "by its checkpoint", "by its first checkpoint", "before the first"],
)
def test_no_checkpoint_is_deleted_and_the_newest_is_named(
    step: int, value: float, newest: int, advice: str, folder: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    with pytest.raises(NotFinite) as raised:
        pretrain(small_config(folder, log_every=1), run, callbacks=[Break(step, value)])
    text = str(raised.value)
    assert "not finite" in text or " is nan at step " in text or " is inf at step " in text
    assert str(lines_of(run)[-1]["stopped"]) in text
    assert advice.format(checkpoint_of(run, newest)) in text
    assert checkpoints(run) == [checkpoint_of(run, each) for each in range(newest, 0, -2)]
    assert "--optim.clip 1" not in text  # which it has
    if not newest:
        pretrain(small_config(folder, max_steps=1), run)  # which the folder does not block
        return
    saved = torch.load(checkpoints(run)[0], weights_only=True)["learner"]
    assert all(torch.equal(saved[name], tensor) for name, tensor in load_run(run)[1].state_dict().items())


def test_runs_that_break_again_and_again_lose_no_checkpoint_and_the_older_says_with_which_rate_it_goes_on(
    folder: Path, tmp_path: Path, said: Said
) -> None:
    run = tmp_path / "run"
    with pytest.raises(NotFinite):
        pretrain(small_config(folder, log_every=1), run, callbacks=[Break(5, math.nan)])
    for rate in (1e-3, 1e-4):
        config = load_config(run / "config.yaml")
        again = dataclasses.replace(config, optim=dataclasses.replace(config.optim, lr=rate))
        with pytest.raises(NotFinite):
            pretrain(again, run, callbacks=[Break(5, math.nan)], resume=True)
    assert changes_of(run) == {4: "from step 4 on optim.lr: 0.01 -> 0.0001"}
    assert checkpoints(run) == [checkpoint_of(run, 4), checkpoint_of(run, 2)]
    checkpoints(run)[0].rename(tmp_path / "away.pt")
    said("pretrain", "--resume", "--out", run, status=0)
    assert changes_of(run) == {2: "from step 2 on optim.lr: 0.01 -> 0.0001"}
    assert not any("stopped" in line for line in lines_of(run))


class Halt(Callback):
    """Leave a run before its first step."""

    def on_start(self, moment: Moment) -> None:
        """Leave it."""
        raise KeyboardInterrupt


def test_a_mistyped_rate_may_be_corrected_until_the_next_checkpoint(folder: Path, tmp_path: Path, said: Said) -> None:
    config, run = small_config(folder, log_every=1), tmp_path / "run"
    with pytest.raises(NotFinite):
        pretrain(config, run, callbacks=[Break(5, math.nan)])
    mistyped = dataclasses.replace(config, optim=dataclasses.replace(config.optim, lr=1.0))
    with pytest.raises(KeyboardInterrupt):
        pretrain(mistyped, run, callbacks=[Halt()], resume=True)
    (run / "metrics.jsonl").write_text((run / "metrics.jsonl").read_text() + json.dumps({"step": 5}) + "\n")
    said("pretrain", "--resume", "--out", run, "--optim.lr", 0.001, "--max-steps", 6, status=2)  # which is another
    said("pretrain", "--resume", "--out", run, "--optim.lr", 0.001, status=0)
    assert changes_of(run) == {4: "from step 4 on optim.lr: 0.01 -> 0.001"}
    (run / "samples.npz").unlink()
    assert "cannot be resumed: optim.lr" in said("pretrain", "--resume", "--out", run, "--optim.lr", 0.1, status=2)


def test_gradients_that_overflow_fp16_are_noted_at_their_step(folder: Path, tmp_path: Path) -> None:
    run, few = tmp_path / "run", {"log_every": 20, "checkpoint_every": 20, "max_steps": 20, "precision": "fp16"}
    config = small_config(folder, **few, optim=OptimConfig(epochs=20, batch_size=16, lr=1e-2))
    with pytest.raises(NotFinite, match=r"overflow fp16 at step 20, .*, before the first checkpoint") as raised:
        pretrain(config, run, callbacks=[Break(1, math.nan)])
    assert [line["step"] for line in lines_of(run)] == [20]
    assert str(raised.value).endswith("with a lower --optim.lr or --optim.clip 1 or --precision fp32")


def test_it_goes_on_with_a_lower_rate_by_the_command_that_is_advised_and_says_so(
    folder: Path, tmp_path: Path, said: Said
) -> None:
    config, run = head_config(folder, tmp_path / "w.safetensors", log_every=1), tmp_path / "run"
    with pytest.raises(NotFinite) as raised:
        pretrain(config, run, callbacks=[Break(3, math.nan)])
    assert load_model(run).represent(torch.rand(2, 3, 32, 32))[0]["z_equi"].isfinite().all()
    said("export", run, "--to", "torch", "--out", tmp_path / "e.pt", status=0)
    text = said("pretrain", "--resume", "--out", run, "--optim.lr", 0.1, "--optim.lr-scaling", "sqrt", status=2)
    assert "started with another configuration, so it cannot be resumed: optim.lr_scaling" in text
    text = said(*advised(str(raised.value)), status=0)
    assert "goes on with optim.lr: 0.01 -> 0.001" in text
    assert load_config(run / "config.yaml").optim.lr == 1e-3
    changed = "from step 2 on optim.lr: 0.01 -> 0.001"
    assert changes_of(run) == {2: changed}
    assert not any("stopped" in line for line in lines_of(run))
    assert lines_of(run)[-1]["step"] == 6
    assert escape(changed) in str(training_section({"small": [read_run(run)]}))
    card = model_card(
        run, load_config(run / "config.yaml"), "hf-hub:someone/small", parameters=1, widths={"backbone": 16}
    )
    assert f"Training went on {changed}." in card
    assert "cannot be resumed" in said("pretrain", "--resume", "--out", run, "--optim.lr", 0.1, status=2)


def test_the_rate_of_a_run_that_did_not_break_stays(folder: Path, tmp_path: Path, said: Said) -> None:
    run = pretrain(small_config(folder, max_steps=2), tmp_path / "run")
    (run / "samples.npz").unlink()
    assert "cannot be resumed: optim.lr" in said("pretrain", "--resume", "--out", run, "--optim.lr", 0.1, status=2)
