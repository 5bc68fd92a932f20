"""The learner: what is encoded how often, what the teacher sees, and what the task gets."""

import dataclasses

import pytest
import torch

from equicoherence.coherence import CoherenceConfig
from equicoherence.methods import METHODS
from equicoherence.methods.anchor import AnchorConfig
from equicoherence.methods.augself import AugSelfConfig
from equicoherence.methods.byol import BYOLConfig
from equicoherence.methods.dino import DINOConfig
from equicoherence.methods.essl import ESSLConfig
from equicoherence.methods.ibot import IBOTConfig
from equicoherence.methods.sie import SIEConfig
from equicoherence.methods.vicreg import VICRegConfig
from equicoherence.training import EncoderConfig, PretrainConfig, ViewsConfig, build_learner, build_views
from equicoherence.training.learner import drop_masked
from tests.distil import Distil, DistilConfig

VIT = {"img_size": 32, "patch_size": 8, "embed_dim": 24, "depth": 2, "num_heads": 2}
RESNET = EncoderConfig("resnet18", {"layers": [1, 1, 1, 1], "channels": [8, 16, 16, 16], "output_stride": 8})
VIEWS = ViewsConfig(size=32, source=32, crops=3, crop_size=16, mask_probability=0.5, mask_ratio=(0.2, 0.6))
HEAD = {"hidden": 8, "bottleneck": 4, "prototypes": 10}
PLAIN_VIEWS = ViewsConfig(size=32, source=32)
ROTATED = ViewsConfig(size=32, source=32, crops=4, crop_size=16, crop_rotations=True)


@pytest.fixture(autouse=True)
def _known(monkeypatch):
    monkeypatch.setitem(METHODS, DistilConfig, Distil)


def _config(method=DistilConfig(), *, split="linear", views=None, encoder=None, **changes):  # noqa: B008
    told = METHODS[type(method)].told
    return PretrainConfig(
        method=method,
        encoder=encoder or EncoderConfig("vit_tiny_patch16_224", VIT),
        d=16,
        coherence=None if told else CoherenceConfig(d_equi=4, decoder="conv", split=split),
        views=views or (VIEWS if isinstance(method, DistilConfig) else PLAIN_VIEWS),
        **changes,
    )


def _build(config, batch=4):
    torch.manual_seed(0)
    learner = build_learner(config)
    generator = torch.Generator().manual_seed(1)
    images = torch.rand(batch, 3, 32, 32, generator=generator)
    return learner, build_views(config, learner.encoder)(images, generator)


CASES = {
    "VICReg": lambda: _config(VICRegConfig(width=8)),
    "BYOL": lambda: _config(BYOLConfig(width=8, output=6)),
    "BYOL, ResNet": lambda: _config(BYOLConfig(width=8, output=6), encoder=RESNET),
    "masks and crops": lambda: _config(),
    "split in the head": lambda: _config(split="head"),
    "no task": lambda: _config().plain(),
    "SIE": lambda: _config(SIEConfig(d_equi=4, width=8)),
    "AugSelf": lambda: _config(AugSelfConfig(width=8, output=6, hidden=8)),
    "Anchor": lambda: _config(AnchorConfig(), views=PLAIN_VIEWS),
    "E-SSL": lambda: _config(ESSLConfig(width=8, output=6, hidden=8), views=ROTATED),
}


@pytest.mark.parametrize("name", list(CASES))
def test_all_that_is_trained_gets_a_gradient_and_the_teacher_none(name):
    """Or data-parallel training would wait for it."""
    learner, views = _build(CASES[name]())
    torch.stack(list(learner(views).losses.values())).sum().backward()
    for path, parameter in learner.named_parameters():
        assert (parameter.grad is not None) == parameter.requires_grad, path
        assert parameter.requires_grad != ("teacher" in path), path


@pytest.mark.parametrize("name", ["BYOL, ResNet", "split in the head", "SIE"])
def test_the_forward_is_one_graph_for_the_compiler_with_the_same_losses(name):
    learner, views = _build(CASES[name]())
    learner.eval()
    expected = learner(views).losses
    compiled = torch.compile(learner, backend="eager", fullgraph=True)(views).losses
    torch.compiler.reset()
    assert expected.keys() == compiled.keys()
    assert all(torch.allclose(expected[k], compiled[k], atol=1e-6) for k in expected)


def test_each_resolution_is_encoded_once_by_the_student_and_the_global_one_by_the_teacher():
    learner, views = _build(_config())
    seen = []
    for name, encoder in (("student", learner.encoder), ("teacher", learner.teacher[0])):
        encoder.register_forward_hook(lambda m, inputs, out, name=name: seen.append((name, *inputs[0].shape)))
    learner(views)
    assert sorted(seen) == [("student", 8, 3, 32, 32), ("student", 12, 3, 16, 16), ("teacher", 8, 3, 32, 32)]


def test_the_teacher_sees_the_global_views_unmasked_and_the_student_masked():
    learner, views = _build(_config())
    given = []
    learner.method.register_forward_pre_hook(lambda m, inputs: given.extend(inputs))
    learner(views)
    student, teacher, crops = given
    plain = learner.encoder(torch.cat([views.v1, views.v2]))
    assert torch.allclose(teacher.tokens.flatten(0, 1), plain.patches, atol=1e-5)  # as yet the student's own weights
    assert torch.allclose(teacher.summary.flatten(0, 1), plain.cls, atol=1e-5)
    assert torch.equal(student.masks, views.masks.tokens)
    assert torch.equal(student.masks.flatten().nonzero()[:, 0], student.masked)
    touched = student.masks.any(dim=-1)
    same = (student.summary - teacher.summary).abs().amax(dim=-1) < 1e-5
    assert touched.any()
    assert torch.equal(same, ~touched)
    assert crops.summary.shape == (3, 4, 24)


def test_methods_that_read_z_get_the_mean_of_the_invariant_tokens():
    learner, views = _build(CASES["BYOL"]())
    given = {}
    learner.method.register_forward_pre_hook(lambda m, inputs: given.update(student=inputs[0], teacher=inputs[1]))
    learner(views)
    z_inv, z_equi = learner.split(learner.encoder(torch.cat([views.v1, views.v2])))
    assert z_equi.shape == (8, 16, 4)
    for encoded in given.values():
        assert encoded.tokens is None  # BYOL reads no patch tokens
        assert torch.allclose(encoded.summary.flatten(0, 1), z_inv.mean(dim=1), atol=1e-5)


def test_only_the_class_token_is_computed_where_the_method_and_the_task_read_no_other():
    for method, task, expected in (
        (DINOConfig(**HEAD), True, {"global": 16, "local": 0, "teacher": 0}),
        (DINOConfig(**HEAD), False, {"global": 0, "local": 0, "teacher": 0}),
        (IBOTConfig(**HEAD), False, {"global": 16, "local": 0, "teacher": 16}),
    ):
        config = _config(method=method, views=ViewsConfig(size=32, source=32, crops=3, crop_size=16))
        learner, views = _build(config if task else dataclasses.replace(config, coherence=None))
        patches = {}

        def note(module, inputs, output, patches=patches, learner=learner):
            name = "local" if inputs[0].shape[-1] == 16 else "global" if module is learner.encoder else "teacher"
            patches[name] = output.patches.shape[1]

        for encoder in (learner.encoder, learner.teacher[0]):
            encoder.register_forward_hook(note)
        learner(views)
        assert patches == expected


def test_update_moves_the_teacher_by_the_methods_momentum():
    learner, _ = _build(CASES["BYOL"]())
    weight, own = learner.head.invariant.weight, learner.teacher[1].weight
    before = own.clone()
    weight.data += 1
    learner.update(0, 10)
    assert torch.allclose(own, before + 0.004, atol=1e-6)
    learner.update(10, 10)
    assert torch.allclose(own, before + 0.004, atol=1e-6)


def test_the_teacher_stays_without_dropout_in_whatever_mode():
    encoder = EncoderConfig("vit_tiny_patch16_224", VIT | {"drop_path_rate": 0.5, "proj_drop_rate": 0.5})
    learner, views = _build(_config(encoder=encoder))
    for _ in range(2):
        a, b = (learner.teacher[0](views.v1).cls for _ in range(2))
        assert torch.equal(a, b)
        learner.train()


def test_the_task_gets_unmasked_tokens_whose_mean_is_kept():
    tokens = torch.randn(5, 16, 3)
    masks = torch.rand(5, 16) < torch.linspace(0, 1, 5)[:, None]
    dropped = drop_masked(tokens, masks)
    assert dropped[masks].eq(0).all()
    for sample, mask, found in zip(tokens, masks, dropped):
        expected = sample[~mask].mean(dim=0) if (~mask).any() else torch.zeros(3)
        assert torch.allclose(found.mean(dim=0), expected, atol=1e-5)
    assert torch.equal(drop_masked(tokens, torch.zeros_like(masks)), tokens)


def test_masked_tokens_do_not_reach_the_decoder():
    learner, views = _build(_config())
    given = []
    learner.task.register_forward_pre_hook(lambda m, inputs: given.extend(inputs[:2]))
    learner(views)
    for z, mask in zip(given, views.masks.tokens):
        assert z[mask].eq(0).all()
        assert z[~mask].ne(0).any()


def test_a_split_in_the_methods_own_head_has_no_linear_map():
    learner, views = _build(_config(split="head"))
    assert not list(learner.head.parameters())
    features = learner.encoder(torch.cat([views.v1, views.v2]))
    z_inv, z_equi = learner.split(features)
    assert z_inv is None
    assert torch.allclose(z_equi, learner.method.last_layer(learner.method.head(features.patches))[..., 6:], atol=1e-5)


@pytest.mark.parametrize(
    ("changes", "quoted"),
    [
        ({"views": dataclasses.replace(PLAIN_VIEWS, crops=2)}, r"views.crops is 2, but BYOL"),
        ({"views": dataclasses.replace(PLAIN_VIEWS, mask_probability=0.5)}, r"mask_probability is 0\.5, but BYOL"),
        ({"split": "head"}, "split is head, but BYOL"),
    ],
)
def test_what_a_method_would_not_use_is_refused(changes, quoted):
    with pytest.raises(ValueError, match=quoted):
        _config(BYOLConfig(), **changes)
