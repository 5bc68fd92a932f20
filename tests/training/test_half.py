"""Training in half precision. fp16: the loss is scaled, steps that overflow are left out, and a resumed run keeps the
scale. bf16: on a CPU, slow group norms are left out."""

import dataclasses
import json

import pytest
import torch
from timm.layers import GroupNormAct

from equicoherence.methods.vicreg import VICRegConfig
from equicoherence.models.group_norm import ChannelsFirstNormAct
from equicoherence.training import EncoderConfig, load_run, pretrain
from equicoherence.training.callbacks import Callback
from equicoherence.training.checkpoint import checkpoints, load_checkpoint
from equicoherence.training.learner import Learner
from tests.small import picture_folder, small_config

# fp16 is emulated on a CPU, so that the smallest of encoders takes long enough
ENCODER = EncoderConfig(
    "resnet18", {"layers": [1, 1, 1, 1], "channels": [4, 4, 8, 8], "output_stride": 8, "stem_width": 4}
)


@pytest.fixture
def config(tmp_path):
    base = small_config(picture_folder(tmp_path / "data", per_class=8), encoder=ENCODER, precision="fp16", max_steps=4)
    optim = dataclasses.replace(base.optim, batch_size=4)
    return dataclasses.replace(base, optim=optim, checkpoint_every=1, log_every=1)


def test_a_resumed_run_ends_with_the_same_bits_and_the_same_scale(config, tmp_path):
    config = dataclasses.replace(config, coherence=None)
    whole, run = (pretrain(config, tmp_path / name) for name in ("whole", "run"))
    checkpoints(run)[0].unlink()  # as if it had been stopped after step 3
    held = load_checkpoint(checkpoints(run)[0])
    assert held["step"] == 3
    assert held["precision"] == "fp16"
    pretrain(config, run, resume=True)
    states = [load_checkpoint(checkpoints(each)[0]) for each in (whole, run)]
    assert states[0]["scaler"] == states[1]["scaler"]
    assert states[0]["scaler"]["scale"] > 1
    assert all(torch.equal(states[0]["learner"][name], tensor) for name, tensor in states[1]["learner"].items())


def test_a_step_whose_gradients_overflow_is_left_out_and_the_scale_halves(config, tmp_path):
    plain = dataclasses.replace(config, coherence=None, method=VICRegConfig(width=16, invariance=3e5, variance=3e5))
    run = pretrain(dataclasses.replace(plain, max_steps=2), tmp_path / "run")
    after = [load_checkpoint(path) for path in reversed(checkpoints(run))]
    scales = [state["scaler"]["scale"] for state in after]
    assert scales == [2.0**15, 2.0**14]  # from 2 ** 16
    weights = [
        {k: v for k, v in state["learner"].items() if "running_" not in k and "num_" not in k} for state in after
    ]
    assert all(torch.equal(weights[0][name], tensor) for name, tensor in weights[1].items())
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert [line["gradient_norm"] for line in lines] == [0, 0]


def test_the_losses_are_those_of_full_precision_and_the_weights_stay_in_it(config, tmp_path):
    first = []
    for precision in ("fp16", "fp32"):
        run = pretrain(dataclasses.replace(config, precision=precision, max_steps=1), tmp_path / precision)
        first.append(json.loads((run / "metrics.jsonl").read_text().splitlines()[0]))
        assert all(tensor.dtype == torch.float32 for tensor in load_run(run)[1].encoder.parameters())
    for name in ("loss", "contrastive", "reconstruction"):
        assert first[0][name] == pytest.approx(first[1][name], rel=0.03)


def test_fsdp2_and_fp16_are_not_combined(config):
    with pytest.raises(ValueError, match=r"precision fp16 needs the whole gradient .* --precision bf16"):
        dataclasses.replace(config, sharding="fsdp2")


@pytest.mark.parametrize("device", ["cuda", "mps"])
def test_a_device_that_is_not_there_is_refused_at_once(device, config, tmp_path):
    there = torch.cuda.is_available() if device == "cuda" else torch.backends.mps.is_available()
    if there:
        pytest.skip(f"{device} is there")
    with pytest.raises(ValueError, match=f"device is {device}, but torch .* finds none here"):
        pretrain(dataclasses.replace(config, device=device), tmp_path / "run")
    assert not (tmp_path / "run").exists()


class _Seen(Callback):
    """Remembers the class of the encoder's group norm."""

    def on_start(self, moment):
        self.norm = type(moment.learner.encoder.model.patch_embed.backbone.norm)


@pytest.mark.parametrize("compiled", [False, True])
def test_a_cpu_trains_hybrids_without_slow_group_norms_unless_compiled(compiled, tmp_path, monkeypatch):
    monkeypatch.setattr(Learner, "compile", lambda self: None)
    args = {"img_size": 32, "patch_size": 2, "embed_dim": 24, "depth": 2, "num_heads": 2}
    encoder = EncoderConfig("vit_tiny_r_s16_p8_224", args)
    config = small_config(picture_folder(tmp_path / "data", per_class=12), encoder=encoder, precision="bf16")
    seen = _Seen()
    pretrain(dataclasses.replace(config, compile=compiled, max_steps=1), tmp_path / "run", callbacks=[seen])
    assert seen.norm is (GroupNormAct if compiled else ChannelsFirstNormAct)
