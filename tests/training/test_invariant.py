"""Who sees the path: the invariant loss on v1 and u, the task on v1 and v2, of all samples or a share."""

import dataclasses
import json

import numpy as np
import pytest
import torch

from equicoherence.coherence import CoherenceConfig
from equicoherence.data import open_images
from equicoherence.methods import METHODS
from equicoherence.paths import Views
from equicoherence.training import EncoderConfig, PretrainConfig, ViewsConfig, build_learner, build_views, pretrain
from equicoherence.training.batch import check_batch
from equicoherence.training.config_file import from_dict
from equicoherence.training.learner import drop_masked
from tests.small import METHOD_CONFIGS, picture_folder, small_config

VIT = EncoderConfig(
    "vit_tiny_patch16_224", {"img_size": 32, "patch_size": 8, "embed_dim": 24, "depth": 2, "num_heads": 2}
)
RESNET = EncoderConfig("resnet18", {"layers": [1, 1, 1, 1], "channels": [8, 16, 16, 16], "output_stride": 8})
CONFIGS = {
    method.__name__: config
    for config in METHOD_CONFIGS
    if not (method := METHODS[type(config)]).told and not method.symmetries  # both replace the task
}
HEADS = [name for name, config in CONFIGS.items() if METHODS[type(config)].splits_head]
BATCH = 6


def _config(name, *, invariant="base", encoder=VIT, **task) -> PretrainConfig:
    method = METHODS[type(CONFIGS[name])]
    views = ViewsConfig(
        size=32,
        source=32,
        invariant=invariant,
        crops=4 if method.crops else 0,
        crop_size=16,
        crop_rotations=method.rotated_crops,
        mask_probability=0.6 if method.masks else 0.0,
        mask_ratio=(0.3, 0.6),
    )
    coherence = CoherenceConfig(**{"d_equi": 4, "decoder": "conv", **task})
    return PretrainConfig(method=CONFIGS[name], encoder=encoder, d=16, coherence=coherence, views=views)


def _build(config):
    torch.manual_seed(0)
    learner = build_learner(config)
    images = torch.rand(BATCH, 3, 32, 32, generator=torch.Generator().manual_seed(1))
    return learner, build_views(config, learner.encoder)(images, torch.Generator().manual_seed(2))


def _on_the_base(views: Views) -> Views:
    """Return views whose second is u, as the plain method has them."""
    assert views.base is not None
    return Views(*views.invariant, views.targets[:, :0], (), views.theta[:, :0], views.crops, views.masks)


def _losses(learner, views):
    torch.manual_seed(7)
    return learner(views)


@pytest.mark.parametrize(
    ("name", "split"), [*((name, "linear") for name in CONFIGS), *((name, "head") for name in HEADS)]
)
def test_the_invariant_losses_and_the_teacher_are_those_of_the_plain_method_on_v1_and_u(name, split):
    learner, views = _build(_config(name, split=split, share=0.5))
    found = _losses(learner, views)
    learner, views = _build(_config(name, split=split, share=0.5))
    task, learner.task = learner.task, None
    expected = _losses(learner, _on_the_base(views))
    assert {*found.losses} - {"reconstruction"} == {*expected.losses}
    for term, value in expected.losses.items():
        assert torch.allclose(found.losses[term], value, rtol=1e-5, atol=1e-6), term
    assert torch.allclose(found.pooled["invariant"], expected.pooled["invariant"], atol=1e-5)
    assert len(found.pooled["equivariant"]) == 2 * len(views.targets) == BATCH
    assert task is not None


@pytest.mark.parametrize("name", [name for name, config in CONFIGS.items() if not METHODS[type(config)].paired])
def test_with_others_the_method_sees_the_samples_without_the_task_and_the_task_those_with_it(name):
    """Views of each are those of base; no image is encoded more than in the plain method."""
    learner, views = _build(_config(name, invariant="others", share=0.3))
    _, whole = _build(_config(name, share=0.3))
    count = 2
    assert torch.equal(views.base, whole.base[count:])
    for own, same in ((views.v1, whole.v1), (views.v2, whole.v2), (views.targets, whole.targets)):
        assert torch.equal(own, same)
    assert views.crops is None or torch.equal(views.crops, whole.crops[:, count:])
    encoded = []
    learner.encoder.register_forward_hook(lambda m, inputs, out: encoded.append(inputs[0]))
    found = _losses(learner, views)
    assert torch.equal(encoded[0], torch.cat([views.v1[count:], views.base, views.v1[:count], views.v2]))

    learner, _ = _build(_config(name, invariant="others", share=0.3))
    task, learner.task = learner.task, None
    alone = Views(*views.invariant, views.targets[:, :0], (), views.theta[count:, :0], views.crops, views.masks)
    expected = _losses(learner, alone)
    for term, value in expected.losses.items():
        assert torch.allclose(found.losses[term], value, rtol=1e-5, atol=1e-6), term
    _, z_equi = learner.split(learner.encoder(torch.cat([views.v1[:count], views.v2])))
    assert torch.allclose(found.losses["reconstruction"], task(*z_equi.chunk(2), views).loss, rtol=1e-5)


@pytest.mark.parametrize("name", ["VICReg", "DINOv2"])
def test_no_gradient_of_the_invariant_loss_reaches_view_two_nor_of_the_task_u(name):
    learner, views = _build(_config(name, decoder="cross-attention"))
    for of_task in (False, True):
        for view in ("v1", "v2", "base"):
            getattr(views, view).requires_grad_().grad = None
        losses = _losses(learner, views).losses
        task = losses.pop("reconstruction")
        (task if of_task else torch.stack(list(losses.values())).sum()).backward()
        assert views.v1.grad.abs().sum() > 0
        seen, unseen = (views.v2, views.base) if of_task else (views.base, views.v2)
        assert seen.grad.abs().sum() > 0
        assert unseen.grad is None or unseen.grad.abs().sum() == 0


@pytest.mark.parametrize("encoder", [VIT, RESNET])
def test_the_three_student_views_are_encoded_in_one_pass_and_the_teacher_sees_two(encoder):
    learner, views = _build(_config("BYOL", encoder=encoder, share=0.5))
    seen = {"student": [], "teacher": []}
    for name, module in (("student", learner.encoder), ("teacher", learner.teacher[0])):
        module.register_forward_hook(lambda m, inputs, out, name=name: seen[name].append(inputs[0]))
    learner(views)
    assert [len(images) for images in seen["student"]] == [2 * BATCH + BATCH // 2]
    assert torch.equal(seen["student"][0], torch.cat([views.v1, views.base, views.v2]))
    assert torch.equal(seen["teacher"][0], torch.cat([views.v1, views.base]))


@pytest.mark.parametrize("invariant", ["base", "path"])
@pytest.mark.parametrize("name", ["VICReg", "IBOT"])
def test_the_task_on_a_share_is_the_task_on_these_samples_alone(name, invariant):
    """Encoders without batch statistics, so that samples do not depend on each other."""
    learner, views = _build(_config(name, invariant=invariant, decoder="render", share=0.5))
    found = _losses(learner, views).losses["reconstruction"]
    count = BATCH // 2
    v1, v2 = views.v1[:count], views.v2[:count]
    masks = None
    if views.masks is not None:
        of_two = views.masks.tokens[:, :count].clone()
        if invariant == "base":
            of_two[1] = False  # v2 is no view of the method
        masks = of_two.flatten(0, 1)
    features = learner.encoder(torch.cat([v1, v2]), masks)
    z_equi = learner.head.z_equi(features)
    if masks is not None:
        z_equi = drop_masked(z_equi, masks)
    whole, all_views = _build(_config(name, invariant=invariant, decoder="render"))
    alone = Views(v1, v2, all_views.targets[:count], views.positions, views.theta[:count])
    assert torch.allclose(found, whole.task(*z_equi.chunk(2), alone).loss, rtol=1e-5)


@pytest.mark.parametrize("encoder", [VIT, RESNET])
@pytest.mark.parametrize("name", ["VICReg", "BYOL", "DINOv2", "ESSL"])
def test_all_that_is_trained_gets_a_gradient(name, encoder):
    if METHODS[type(CONFIGS[name])].masks and encoder is RESNET:
        pytest.skip("masks need a vision transformer")
    learner, views = _build(_config(name, encoder=encoder, decoder="render+conv", share=0.3))
    torch.stack(list(learner(views).losses.values())).sum().backward()
    for path, parameter in learner.named_parameters():
        assert (parameter.grad is not None) == parameter.requires_grad, path


@pytest.mark.parametrize("share", [1.0, 0.5])
def test_the_oracle_is_told_theta_of_its_samples(share):
    learner, views = _build(_config("VICReg", decoder="oracle", share=share))
    count = len(views.v2)
    found = _losses(learner, views).losses["reconstruction"]
    z_equi = learner.head.z_equi(learner.encoder(torch.cat([views.v1[:count], views.v2])))
    first = dataclasses.replace(views, theta=views.theta[:count])
    assert torch.allclose(found, learner.task(*z_equi.chunk(2), first).loss, rtol=1e-5)


def test_the_oracle_beside_a_decoder_is_told_theta_and_adds_its_loss():
    learner, views = _build(_config("VICReg", decoder="render+oracle", share=0.5))
    count = len(views.v2)
    found = _losses(learner, views).losses["reconstruction"]
    tokens = learner.head.z_equi(learner.encoder(torch.cat([views.v1[:count], views.v2]))).chunk(2)
    alone = learner.task.tasks["oracle"](*tokens, dataclasses.replace(views, theta=views.theta[:count])).loss
    render = learner.task.tasks["render"](*tokens, views).loss
    assert alone > 0
    assert torch.allclose(found, alone + render, rtol=1e-5)


def test_the_forward_is_one_graph_for_the_compiler_with_the_same_losses():
    learner, views = _build(_config("VICReg", decoder="render+conv", targets="intermediate,final", share=0.5))
    learner.eval()
    expected = learner(views).losses
    compiled = torch.compile(learner, backend="eager", fullgraph=True)(views).losses
    torch.compiler.reset()
    assert expected.keys() == compiled.keys()
    assert all(torch.allclose(expected[k], compiled[k], atol=1e-6) for k in expected)


def test_a_run_shows_all_of_its_samples_and_notes_the_loss_of_each_decoder(tmp_path):
    config = small_config(picture_folder(tmp_path / "data", 10), max_steps=2, log_every=1)
    task = CoherenceConfig(d_equi=8, decoder="render+cross-attention", share=0.3, weight=0.5)
    config = dataclasses.replace(config, coherence=task, views=dataclasses.replace(config.views, invariant="base"))
    run = pretrain(config, tmp_path / "run")
    for line in map(json.loads, (run / "metrics.jsonl").read_text().splitlines()):
        parts = line["reconstruction_render"] + line["reconstruction_cross-attention"]
        assert line["reconstruction"] == pytest.approx(parts, rel=1e-4)
        assert line["loss"] == pytest.approx(line["contrastive"] + line["reconstruction"], rel=1e-4)
    with np.load(run / "samples.npz", allow_pickle=False) as samples:
        assert samples["decoded"].shape == samples["targets"].shape == (8, 3, 32, 32, 3)
        assert samples["v1"].shape == samples["v2"].shape == samples["base"].shape == (8, 32, 32, 3)
        assert np.array_equal(samples["targets"][:, 2], samples["v2"])
        assert not np.array_equal(samples["base"], samples["v2"])


@pytest.mark.parametrize(
    ("values", "quoted"),
    [
        ({"method": {"kind": "SIE"}, "coherence": None}, "but SIE receives the path between the views that it reads"),
        ({"coherence": {"states": 0}}, r"without states \(coherence.states 0\) nothing reads view 2"),
        ({"views": {"path": "poses"}}, "both views are renders"),
        ({"views": {"invariant": "u"}}, r"views\.invariant cannot be 'u'; one of base, path, others is expected"),
        (
            {"method": {"kind": "STL"}, "coherence": {"share": 0.5}, "views": {"invariant": "others"}},
            "views.invariant is others, but STL reads pairs of samples, which the task would part",
        ),
        ({"views": {"invariant": "others"}}, "with coherence.share 1 all samples have the task"),
        ({"coherence": {"share": 0.0}}, r"coherence\.share must lie in \(0, 1\], got 0"),
        ({"coherence": {"share": 1.01}}, r"coherence\.share must lie in \(0, 1\], got 1\.01"),
    ],
)
def test_what_makes_no_sense_is_refused(values, quoted):
    with pytest.raises(ValueError, match=quoted):
        from_dict({"coherence": {}, **values, "views": {"invariant": "base", **values.get("views", {})}})


def test_a_share_that_leaves_too_few_for_others_is_refused_before_anything_is_written(tmp_path):
    config = small_config(picture_folder(tmp_path / "data", 10), max_steps=1)
    views = dataclasses.replace(config.views, invariant="others")
    task = CoherenceConfig(d_equi=8, decoder="conv", share=0.6)
    optim = dataclasses.replace(config.optim, batch_size=6)
    config = dataclasses.replace(config, coherence=task, views=views, optim=optim)
    images = open_images(config.data)
    assert check_batch(config, images, 1) == 3
    none_left = dataclasses.replace(config, coherence=dataclasses.replace(task, share=0.999))
    with pytest.raises(ValueError, match=r"share 0\.999 of optim\.batch_size 6 in 1 parts .* leaves 0 of 6 images"):
        pretrain(none_left, tmp_path / "run")
    assert not (tmp_path / "run").exists()
    for share, accumulation, left in ((0.7, 1, "1 of 6"), (0.5, 2, "1 of 3")):
        task = dataclasses.replace(task, share=share)
        optim = dataclasses.replace(optim, accumulation=accumulation)
        with pytest.raises(ValueError, match=rf"share {share} of optim\.batch_size 6 in .* leaves {left} images"):
            check_batch(dataclasses.replace(config, coherence=task, optim=optim), images, 1)


def test_without_the_task_nothing_sees_the_path_of_base():
    config = _config("VICReg")
    assert config.views.path == "se2"
    _, views = _build(dataclasses.replace(config, coherence=None))
    _, plain = _build(config.plain())
    assert views.base is None
    assert torch.equal(views.v1, plain.v1)
    assert torch.equal(views.v2, plain.v2)


def test_without_a_path_base_and_path_are_the_same():
    config = _config("VICReg").plain()
    assert (config.views.invariant, config.views.path) == ("base", "none")
    _, views = _build(config)
    assert views.base is None
