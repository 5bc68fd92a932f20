"""A run whose numbers break: what is left of it, and how it goes on."""

from __future__ import annotations

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


def lines_of(run: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]


@pytest.mark.parametrize(
    ("step", "value", "good"),
    [(5, math.nan, 4), (4, math.nan, 2), (4, 1e38, 2), (2, 1e38, 0)],
    ids=["between checkpoints", "at a checkpoint", "a checkpoint of no use", "the first checkpoint is of no use"],
)
def test_the_newest_checkpoint_of_use_is_kept_and_named(
    step: int, value: float, good: int, folder: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    with pytest.raises(NotFinite) as raised:
        pretrain(small_config(folder, log_every=1), run, callbacks=[Break(step, value)])
    text = str(raised.value)
    assert "not finite" in text or " is nan at step " in text or " is inf at step " in text
    assert str(lines_of(run)[-1]["stopped"]) in text
    if not good:
        assert "before any checkpoint of use, so nothing was gained. Begin again, in the same --out" in text
        assert not checkpoints(run)
        pretrain(small_config(folder, max_steps=1), run)  # which the folder does not block
        return
    assert f"its last checkpoint before is of step {good}. `evaluate`, `embed` and `export` take {run} as it" in text
    assert checkpoints(run)[0] == checkpoint_of(run, good)
    saved = torch.load(checkpoints(run)[0], weights_only=True)["learner"]
    assert all(torch.equal(saved[name], tensor) for name, tensor in load_run(run)[1].state_dict().items())


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
    assert [line["step"] for line in lines_of(run) if line.get("changed") == changed] == [2]
    assert not any("stopped" in line for line in lines_of(run))
    assert lines_of(run)[-1]["step"] == 6
    assert escape(changed) in str(training_section({"small": [read_run(run)]}))
    card = model_card(run, load_config(run / "config.yaml"), "someone/small", parameters=1, widths={"backbone": 16})
    assert f"Training went on {changed}." in card
    assert "cannot be resumed" in said("pretrain", "--resume", "--out", run, "--optim.lr", 0.1, status=2)


def test_the_rate_of_a_run_that_did_not_break_stays(folder: Path, tmp_path: Path, said: Said) -> None:
    run = pretrain(small_config(folder, max_steps=2), tmp_path / "run")
    (run / "samples.npz").unlink()
    assert "cannot be resumed: optim.lr" in said("pretrain", "--resume", "--out", run, "--optim.lr", 0.1, status=2)
