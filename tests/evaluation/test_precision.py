"""Scores say in which precision the encoder computed: frozen or fine-tuned."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from equicoherence.downstream.segmentation.task import Segmentation
from equicoherence.evaluation import evaluate
from equicoherence.evaluation.fit import precision_of, reading, tuning
from equicoherence.evaluation.task import no_bar

FROZEN = Segmentation(pixels=32, steps=1, batch=2)
TUNED = Segmentation(encoder="fine-tuned", pixels=32, tuned_steps=1, tuned_batch=2)


@pytest.mark.parametrize("has_bfloat16", [True, False])
def test_the_name_of_a_precision_is_that_of_what_is_computed(
    has_bfloat16: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("equicoherence.evaluation.fit.has_bfloat16", lambda device: has_bfloat16)
    device, numbers = torch.device("cpu"), torch.ones(2, 2)
    for context, tuned in ((reading, False), (tuning, True)):
        with context(device):
            computed = numbers @ numbers
        assert str(computed.dtype) == f"torch.{precision_of(device, tuned=tuned)}"


def test_a_fine_tuned_encoder_computes_in_float32_beside_a_frozen_one_in_bfloat16(
    run: Path, camvid: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("equicoherence.evaluation.fit.has_bfloat16", lambda device: device.type == "cpu")
    scores = evaluate(run, sets=camvid, out=tmp_path, tasks=[FROZEN, TUNED], controls=False, device="cpu", track=no_bar)
    assert [part["machine"]["precision"] for part in scores["parts"].values()] == ["bfloat16", "float32"]
    assert scores["machine"]["precision"] == "bfloat16 / float32"
