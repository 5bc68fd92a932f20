"""Anchor holds an encoder to its frozen copy: on upright views, with the norms' own statistics, and nothing else."""

import dataclasses
import re
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from equicoherence.coherence import CoherenceConfig
from equicoherence.exporting import export
from equicoherence.methods.anchor import Anchor, AnchorConfig, cosine_distance
from equicoherence.recipes.from_file import config_of_file
from equicoherence.training import EncoderConfig, ViewsConfig, build_learner, build_views, load_run, pretrain
from equicoherence.training.start import started
from tests.encoded import encoded, mixed, rows_of
from tests.small import ENCODER, picture_folder, small_config, with_weights

VIT = EncoderConfig(
    "vit_tiny_patch16_224", {"img_size": 32, "patch_size": 8, "embed_dim": 24, "depth": 2, "num_heads": 2}
)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return picture_folder(tmp_path_factory.mktemp("pictures") / "data", 10)


def _config(data, tmp_path, encoder=ENCODER, method=AnchorConfig(), **changes):  # noqa: B008
    config = small_config(data, method=method, encoder=with_weights(encoder, tmp_path / "w.safetensors"), **changes)
    return dataclasses.replace(config, optim=dataclasses.replace(config.optim, batch_size=4))


def _built(config, batch=4):
    config, start = started(config)
    learner = build_learner(config, start=start)
    images = torch.rand(batch, 3, 32, 32, generator=torch.Generator().manual_seed(1))
    return learner, build_views(config, learner.encoder)(images, torch.Generator().manual_seed(2))


@pytest.mark.parametrize("half", [False, True])
@pytest.mark.parametrize("views", [1, 2])
def test_the_losses_are_the_mean_of_one_minus_the_cosine_over_images_and_tokens(views, half):
    student, whole = encoded(seed=0), encoded(seed=1)
    teacher = dataclasses.replace(whole, summary=whole.summary[:views], tokens=whole.tokens[:views])
    with mixed(half):
        losses = Anchor(8, AnchorConfig(weight=2.0, tokens=0.5))(student, teacher)
    summary, tokens = [], []
    for view in range(views):
        for image in range(12):
            a, b = student.summary[view, image], teacher.summary[view, image]
            summary.append(1 - a @ b / (a.norm() * b.norm()))
            for token in range(3):
                a, b = student.tokens[view, image, token], teacher.tokens[view, image, token]
                tokens.append(1 - a @ b / (a.norm() * b.norm()))
    assert losses["anchor"] == pytest.approx(2 * float(sum(summary) / len(summary)), rel=1e-5)
    assert losses["anchor_tokens"] == pytest.approx(0.5 * float(sum(tokens) / len(tokens)), rel=1e-5)


def test_the_distance_is_none_from_itself_in_any_scale_and_two_from_its_opposite():
    x = torch.randn(5, 7, generator=torch.Generator().manual_seed(0))
    assert abs(cosine_distance(3 * x, x)) < 1e-6
    assert cosine_distance(-x, x) == pytest.approx(2)


def test_negative_weights_are_refused():
    with pytest.raises(ValueError, match=r"method\.tokens must be 0 or more, got -1"):
        AnchorConfig(tokens=-1)


@pytest.mark.parametrize(
    ("changes", "transformed", "pulled"),
    [
        ({}, False, ("v1",)),
        ({}, True, ("v1", "v2")),
        ({"views": {"invariant": "base"}}, False, ("v1", "base")),
        ({"coherence": None, "views": {"path": "none"}}, False, ("v1", "v2")),
        ({"views": {"path": "between"}}, False, ("v1",)),
    ],
)
def test_the_frozen_copy_sees_the_views_that_no_path_has_transformed_and_no_other(
    changes, transformed, pulled, data, tmp_path
):
    config = _config(data, tmp_path, method=AnchorConfig(transformed=transformed))
    views = dataclasses.replace(config.views, **changes.get("views", {}))
    coherence = changes.get("coherence", config.coherence)
    learner, views = _built(dataclasses.replace(config, views=views, coherence=coherence))
    learner.eval()  # else images of a batch would reach each other through its statistics
    present = [name for name in ("v1", "v2", "base") if getattr(views, name) is not None]
    for name in present:
        getattr(views, name).requires_grad_()
    seen = []
    learner.teacher[0].register_forward_hook(lambda module, inputs, out: seen.append(inputs[0]))
    losses = learner(views).losses
    (losses["anchor"] + losses["anchor_tokens"]).backward()
    assert torch.equal(seen[0], torch.cat([getattr(views, name) for name in pulled]))
    assert {name for name in present if getattr(views, name).grad.abs().sum() > 0} == set(pulled)


def test_the_frozen_copy_keeps_its_bits_and_the_statistics_of_its_norms(data, tmp_path):
    learner, views = _built(_config(data, tmp_path))
    learner.train()
    before = {name: tensor.clone() for name, tensor in learner.teacher.state_dict().items()}
    wanted = learner.encoder.eval()(views.v1)
    learner.train()
    assert not any(module.training for module in learner.teacher.modules())
    assert all(module.training for module in learner.encoder.modules())
    found = learner.teacher[0](views.v1)
    assert torch.equal(found.patches, wanted.patches)
    optimizer = torch.optim.SGD([p for p in learner.parameters() if p.requires_grad], lr=0.1)
    for step in range(2):
        torch.stack(list(learner(views).losses.values())).sum().backward()
        optimizer.step()
        learner.update(step, 2)
    after = learner.teacher.state_dict()
    assert all(torch.equal(after[name], tensor) for name, tensor in before.items())
    assert not torch.equal(learner.encoder.state_dict()["model.conv1.weight"], after["0.model.conv1.weight"])


def test_held_alone_an_encoder_without_batch_statistics_starts_at_no_distance(data, tmp_path):
    learner, views = _built(_config(data, tmp_path, VIT, coherence=None))
    losses = learner(views).losses
    assert set(losses) == {"anchor", "anchor_tokens"}
    assert all(abs(loss) < 1e-6 for loss in losses.values())


@pytest.mark.parametrize("decoder", ["render+cross-attention", "oracle", None])
def test_a_run_with_any_decoder_ends_as_a_plain_timm_model_without_a_second_encoder(decoder, data, tmp_path):
    coherence = decoder and CoherenceConfig(d_equi=8, decoder=decoder)
    config = _config(data, tmp_path, VIT, coherence=coherence, max_steps=1)
    run = pretrain(config, tmp_path / "run")
    assert not [name for name in load_file(run / "heads.safetensors") if name.startswith("teacher.")]
    checkpoint = torch.load(run / "checkpoints" / "step-00000001.pt", weights_only=True)["learner"]
    given = load_file(tmp_path / "w.safetensors")
    assert all(torch.equal(checkpoint[f"teacher.0.model.{name}"], tensor) for name, tensor in given.items())
    finished = load_run(run)[1]
    assert finished.teacher is None
    for name in ("heads.safetensors", "model.safetensors"):
        (run / name).unlink()
    unfinished = load_run(run)[1].state_dict()  # of its checkpoint
    assert unfinished.keys() == finished.state_dict().keys()
    assert all(torch.equal(tensor, unfinished[name]) for name, tensor in finished.state_dict().items())
    with pytest.raises(ValueError, match="has no teacher: Anchor"):
        export(run, "torch", teacher=True)


def test_an_encoder_that_knows_nothing_is_refused_before_a_folder_is_made(data, tmp_path):
    config = small_config(data, method=AnchorConfig())
    with pytest.raises(ValueError, match=r"Anchor holds .* resnet18 starts from random weights; .*--encoder\.weights"):
        pretrain(config, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_summaries_of_other_widths_than_the_tokens_are_held_too(data, tmp_path):
    encoder = EncoderConfig("lcnet_035")
    learner, views = _built(_config(data, tmp_path, encoder, views=ViewsConfig(size=32, source=32)))
    assert learner.encoder.pooled_width != learner.encoder.width
    losses = learner(views).losses
    torch.stack(list(losses.values())).sum().backward()
    assert all(p.grad is not None for p in learner.parameters() if p.requires_grad)


def test_the_file_on_the_page_holds_an_encoder(tmp_path):
    page = (Path(__file__).resolve().parents[2] / "docs" / "adapting.md").read_text(encoding="utf-8")
    (text,) = re.findall(r"```yaml\n(.*?)```", page, flags=re.DOTALL)
    (tmp_path / "lite0.yaml").write_text(text)
    config = config_of_file(tmp_path / "lite0.yaml")
    assert config.method == AnchorConfig()
    assert (config.keep, config.encoder.batch_norm, config.views.invariant) == (0.01, "frozen", "path")


def test_views_of_one_image_alone_do_not_need_others():
    student = encoded(batch=1)
    assert Anchor(8, AnchorConfig())(student, rows_of(student, slice(0, 1)))["anchor"].isfinite()
