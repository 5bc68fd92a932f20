"""What SER and STL are given in training: tokens of a layer that turn with the image, and images in pairs."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from equicoherence.evaluation import load_model
from equicoherence.methods import Encoded
from equicoherence.methods.ser import SERConfig
from equicoherence.methods.stl import STLConfig
from equicoherence.paths.symmetries import undo_symmetries
from equicoherence.training import (
    AugmentationConfig,
    EncoderConfig,
    PretrainConfig,
    ViewsConfig,
    build_learner,
    build_views,
    pretrain,
)
from tests.small import ENCODER, picture_folder, small_config

VIT = EncoderConfig(
    "vit_tiny_patch16_224",
    {"img_size": 32, "patch_size": 8, "embed_dim": 24, "depth": 3, "num_heads": 2, "class_token": False}
    | {"global_pool": "avg", "fc_norm": False},
)
COLORLESS = AugmentationConfig(area=(0.4, 1.0), jitter_probability=0.0, grayscale=0.0, blur=0.0)
SER = SERConfig(width=12, output=6, layer=1, hidden=8, share=1.0)
STL = STLConfig(width=12, output=6, hidden=8, transformation=5)


def _config(method, encoder=ENCODER) -> PretrainConfig:
    views = ViewsConfig(size=32, source=32, first=COLORLESS, second=COLORLESS)
    return PretrainConfig(method=method, encoder=encoder, d=16, coherence=None, views=views)


def _given(config: PretrainConfig, batch: int = 6, prepare=None) -> tuple[Encoded, Encoded | None]:
    """Return what the method is called with, on views of random images."""
    torch.manual_seed(0)
    learner, generator = build_learner(config), torch.Generator().manual_seed(1)
    if prepare is not None:
        prepare(learner)
    given: list = []
    learner.method.register_forward_pre_hook(lambda module, inputs: given.extend(inputs))
    views = build_views(config, learner.encoder)(torch.rand(batch, 3, 32, 32, generator=generator), generator)
    learner(views)
    return given[0], given[1]


def _blind_to_places(learner) -> None:
    """Let the tokens of a transformer be told apart by the mean of their pixels alone: then it turns with the image."""
    for encoder in (learner.encoder, learner.teacher[0]):
        weight = encoder.model.patch_embed.proj.weight.data
        weight.copy_(weight.mean(dim=(2, 3), keepdim=True).expand_as(weight))
        encoder.model.pos_embed.data.zero_()


def test_a_layer_that_turns_with_the_image_has_the_same_tokens_in_both_views_once_symmetries_are_undone():
    student, teacher = _given(_config(SER, VIT), prepare=_blind_to_places)
    assert student.layer is not None
    assert student.symmetries is not None
    assert student.layer.shape == (2, 6, 16, 24)
    assert len(student.symmetries.unique()) > 3
    first, second = (undo_symmetries(*view) for view in zip(student.layer, student.symmetries))
    assert torch.allclose(first, second, atol=1e-4)
    assert (first[:, 0] - first[:, 5]).abs().max() > 1e-2
    assert teacher is not None
    assert teacher.layer is not None
    assert torch.equal(teacher.layer, student.layer)
    assert student.layer.requires_grad
    assert not teacher.layer.requires_grad


def test_another_layer_has_tokens_of_its_own_grid_and_channels():
    for layer, shape in ((0, (2, 6, 256, 64)), (1, (2, 6, 64, 8)), (2, (2, 6, 16, 16))):
        student, _ = _given(_config(dataclasses.replace(SER, layer=layer)))
        assert student.layer is not None
        assert student.layer.shape == shape
    with pytest.raises(ValueError, match="layer 7 does not exist in resnet18"):
        build_learner(_config(dataclasses.replace(SER, layer=7)))


def test_methods_that_read_no_layer_get_none():
    student, teacher = _given(_config(STL))
    assert student.layer is None
    assert student.symmetries is None
    assert teacher is None


def test_of_equal_neighbours_stl_gets_equal_summaries():
    config = _config(STL)
    torch.manual_seed(0)
    learner, generator = build_learner(config).eval(), torch.Generator().manual_seed(1)
    images = torch.rand(3, 3, 32, 32, generator=generator).repeat_interleave(2, dim=0)
    given: list = []
    learner.method.register_forward_pre_hook(lambda module, inputs: given.extend(inputs))
    learner(build_views(config, learner.encoder)(images, generator))
    summary = given[0].summary
    assert torch.allclose(summary[:, ::2], summary[:, 1::2], atol=1e-5)
    assert (summary[:, 0] - summary[:, 2]).abs().max() > 1e-3


@pytest.mark.parametrize("method", [SER, STL])
def test_a_run_is_evaluated(method, tmp_path):
    data = picture_folder(tmp_path / "data", 10)
    config = dataclasses.replace(small_config(data, max_steps=1), method=method, coherence=None)
    run = pretrain(config, tmp_path / "run")
    pooled, _ = load_model(run).represent(torch.rand(2, 3, 32, 32))
    assert pooled["backbone"].shape == (2, 16)
    assert all(part.isfinite().all() for part in pooled.values())
