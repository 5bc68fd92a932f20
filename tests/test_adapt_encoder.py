"""`adapt` that trains the encoder itself, up to the table and to what plain timm loads of it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import timm
import torch
from safetensors.torch import load_file

from equicoherence.cli import main
from equicoherence.evaluation import load_model
from equicoherence.evaluation.fingerprint import fingerprint
from equicoherence.evaluation.store import FILE, read_scores
from equicoherence.json_file import read_json_lines
from equicoherence.reporting.adaptation.adaptation import read_adaptation
from equicoherence.reporting.adaptation.page import PAGE, TABLE
from equicoherence.training import EncoderConfig, load_run, pretrain
from equicoherence.training.checkpoint import checkpoint_of, load_checkpoint
from tests.small import small_config

VIT = {"img_size": 32, "patch_size": 8, "embed_dim": 16, "depth": 2, "num_heads": 2}
MEANS = {"class_token": False, "global_pool": "avg", "fc_norm": False}
FEW = ("--optim.batch-size", "16", "--log-every", "1", "--images", "10", "--limit", "20", "--threads", "1")
Adapt = Callable[..., Path]
"""Run `adapt` with further options; return its run directory."""


@pytest.fixture(scope="module")
def model(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return an encoder that exists: a run of one step."""
    encoder = EncoderConfig("vit_tiny_patch16_224", VIT | MEANS)
    return pretrain(small_config(folder, encoder=encoder, max_steps=1), tmp_path_factory.mktemp("model") / "vit")


@pytest.fixture
def adapt(model: Path, folder: Path, tmp_path: Path) -> Adapt:
    def run(*options: str) -> Path:
        out = tmp_path / "run"
        assert main(["adapt", str(model), "--data", str(folder), "--out", str(out), *FEW, *options]) == 0
        return out

    return run


@pytest.mark.parametrize(
    ("train", "moved"),
    [("last:1", ("blocks.1.", "norm.")), ("lora:2", ("blocks.0.attn.", "blocks.1.attn."))],
)
def test_the_table_is_of_the_trained_encoder_and_plain_timm_loads_it_with_equal_features(
    train: str,
    moved: tuple[str, ...],
    adapt: Adapt,
    model: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    run = adapt("--encoder.train", train, "--max-steps", "2", "--watch", "none")
    printed, table = capsys.readouterr().out, (run / TABLE).read_text()
    found = read_adaptation(run)
    assert [row.title for row in found.rows[-2:]] == ["k-NN, data", "linear, data"]
    assert {row.output for row in found.rows} == {"backbone"}, "the encoder is what is adapted"
    assert all(f"| {row.title} |" in table and row.original is not None for row in found.rows)
    assert any(row.change for row in found.rows)
    assert all("2 steps, 32 images seen" in text and "It was stopped" not in text for text in (printed, table))

    before, after = (load_file(each / "model.safetensors") for each in (model, run))
    assert before.keys() == after.keys(), "a plain model of timm, LoRA merged"
    changed = {name for name in after if not torch.equal(before[name], after[name])}
    assert changed
    assert all(name.startswith(moved) for name in changed)
    trained = sum(before[name].numel() for name in before if name.startswith(moved))
    assert found.facts.trained == (trained if train == "last:1" else 2 * 2 * ((16 + 48) + (16 + 16)))

    assert main(["export", str(run), "--to", "timm", "--out", str(tmp_path / "exported")]) == 0
    ours = load_model(run)
    plain = timm.create_model(f"local-dir:{tmp_path / 'exported'}", pretrained=True).eval()
    images = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(1))
    normalised = (images - ours.encoder.mean) / ours.encoder.std  # type: ignore[operator]
    with torch.no_grad():
        features = ours.represent(images)[0]["backbone"]
        assert torch.allclose(plain(normalised), features, atol=1e-5)
        assert not torch.allclose(load_model(model).represent(images)[0]["backbone"], features, atol=1e-5)


def test_a_run_that_loses_more_than_keep_allows_is_stopped_and_its_good_state_is_scored(
    adapt: Adapt, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ["--encoder.train", "all", "--max-steps", "8", "--watch", "none", "--keep", "0.01"]
    run = adapt(*options, "--watch-every", "1", "--optim.lr", "0.1", "--optim.warmup", "1")
    printed = capsys.readouterr().out
    (ended,) = (line for line in read_json_lines(run / "metrics.jsonl", "") if "stopped" in line)
    good = ended["ends_with"]
    assert 0 < good < ended["step"] < 8
    assert f"so the run ends with its state after step {good}" in ended["stopped"]
    for text in (printed, (run / TABLE).read_text(), (run / PAGE).read_text()):
        assert f"It was stopped: {ended['stopped']}." in text
    state, learner = load_checkpoint(checkpoint_of(run, good))["learner"], load_run(run)[1]
    assert all(torch.equal(state[name], tensor) for name, tensor in learner.state_dict().items())
    scores = read_scores(run / "adapt" / "adapted" / FILE)
    assert scores["weights"] == fingerprint(load_model(run))
    assert {part["task"] for part in scores["parts"].values()} == {"transformation", "knn", "linear"}
