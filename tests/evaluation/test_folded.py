"""Batch norms folded into convolutions: the same features, from fewer modules, of every encoder that has them."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from equicoherence.evaluation import folded as module
from equicoherence.evaluation.folded import folded
from equicoherence.evaluation.frozen_model import FrozenModel
from equicoherence.evaluation.layers.every_layer import every_layer
from equicoherence.evaluation.model import load_model
from equicoherence.evaluation.reader import TOGETHER, reader, represent


def with_statistics(name: str) -> FrozenModel:
    """Return a model whose batch norms have seen images, which those of random weights have not."""
    model = load_model(name, random_weights=True, size=32)
    generator = torch.Generator().manual_seed(1)
    for part in model.encoder.modules():
        if isinstance(part, nn.BatchNorm2d):
            for values, low in ((part.running_mean, -0.5), (part.running_var, 0.5), (part.weight, 0.5), (part.bias, 0)):
                assert values is not None
                values.data.copy_(low + torch.rand(len(values), generator=generator))
    return model


def norms(model: FrozenModel) -> int:
    return sum(isinstance(part, nn.BatchNorm2d) for part in model.encoder.modules())


@torch.no_grad()
@pytest.mark.parametrize("name", ["timm:resnet18", "timm:tf_efficientnet_lite0"])
def test_a_folded_encoder_gives_the_same_features_and_layers_without_batch_norms(name: str) -> None:
    model, images = with_statistics(name), torch.rand(3, 3, 32, 32)
    before = {key: value.clone() for key, value in model.encoder.state_dict().items()}
    made = folded(model)
    assert norms(made) == 0 < norms(model)
    for own, other in ((model, made), (every_layer(model), every_layer(made))):
        for (key, expected), value in zip(own.represent(images)[0].items(), other.represent(images)[0].values()):
            torch.testing.assert_close(value, expected, rtol=1e-4, atol=2e-5 * float(expected.abs().max()), msg=key)
    assert all(torch.equal(before[key], value) for key, value in model.encoder.state_dict().items())


@torch.no_grad()
def test_what_cannot_be_folded_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    transformer = load_model("timm:vit_tiny_patch16_224", random_weights=True, size=32)
    assert folded(transformer) is transformer
    model = with_statistics("timm:resnet18")
    twice = model.encoder.model.layer1[0]  # type: ignore[index]
    twice.conv2, twice.bn2 = twice.conv1, nn.BatchNorm2d(64).eval()  # one convolution before two norms
    made = folded(model)
    assert norms(made) == 2
    images = torch.rand(2, 3, 32, 32)
    torch.testing.assert_close(model.encoder(images).patches, made.encoder(images).patches, rtol=1e-4, atol=1e-4)
    monkeypatch.setattr(module, "LARGEST", -1.0)  # features are others than they were
    assert folded(model) is model


@torch.no_grad()
@pytest.mark.usefixtures("in_float32")
def test_many_images_are_read_as_one_batch_is() -> None:
    model, images = with_statistics("timm:resnet18"), torch.rand(TOGETHER + 3, 3, 32, 32)
    assert reader(model) is reader(model)
    pooled, tokens = represent(reader(model), images)
    for found, expected in zip((pooled, tokens), model.represent(images)):
        assert list(found) == list(expected)
        torch.testing.assert_close(found["backbone"], expected["backbone"], rtol=1e-4, atol=1e-4)
