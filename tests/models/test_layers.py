"""The layers of timm models: as hooks on their modules see them, and an encoder that ends at one."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from equicoherence.models import Encoder
from equicoherence.models.layers import layer_number, layer_widths

VIT: dict[str, Any] = {"img_size": 32, "depth": 3}


def hooked(encoder: Encoder, images: Tensor, modules: list[nn.Module]) -> list[Tensor]:
    """Return what modules of an encoder give for images, one after the other."""
    found: list[Tensor] = []
    encoder.check_size(*images.shape[2:])  # which tries a size without weights
    hooks = [module.register_forward_hook(lambda module, given, output: found.append(output)) for module in modules]
    encoder(images)
    for hook in hooks:
        hook.remove()
    return found


@torch.no_grad()
@pytest.mark.parametrize(
    "more", [{}, {"global_pool": "avg"}, {"global_pool": "avg", "class_token": False}, {"reg_tokens": 2}]
)
def test_the_layers_of_a_vision_transformer_are_its_blocks_under_its_last_norm(more: dict[str, Any]) -> None:
    torch.manual_seed(0)
    encoder, images = Encoder("vit_tiny_patch16_224", VIT | more).eval(), torch.rand(2, 3, 32, 32)
    output, layers = encoder.every_layer(images)
    model: Any = encoder.model
    norm = model.fc_norm if "global_pool" in more else model.norm
    first = model.num_prefix_tokens
    blocks = hooked(encoder, images, list(model.blocks))
    assert len(layers) == len(blocks) == len(layer_widths(model, "vit")) == 3
    for layer, block in zip(layers, blocks):
        assert torch.equal(layer.patches, norm(block)[:, first:])
        assert layer.grid == (2, 2)
        if "class_token" in more:
            assert layer.cls is None
        else:
            assert torch.equal(layer.cls, norm(block)[:, 0])  # type: ignore[arg-type]
    assert torch.equal(layers[-1].patches, encoder(images).patches)
    assert torch.equal(output.patches, encoder(images).patches)


@torch.no_grad()
def test_the_layers_of_a_convolutional_network_are_its_stages() -> None:
    torch.manual_seed(0)
    encoder, images = Encoder("resnet10t").eval(), torch.rand(2, 3, 64, 64)
    model: Any = encoder.model
    maps = hooked(encoder, images, [model.act1, model.layer1, model.layer2, model.layer3, model.layer4])
    output, layers = encoder.every_layer(images)
    assert [layer.patches.shape[2] for layer in layers] == layer_widths(model, "resnet") == [64, 64, 128, 256, 512]
    for layer, seen in zip(layers, maps, strict=True):
        assert torch.equal(layer.patches, seen.flatten(2).transpose(1, 2))
        assert layer.grid == tuple(seen.shape[2:])
        assert layer.cls is None
    assert torch.equal(output.patches, layers[-1].patches)


@torch.no_grad()
@pytest.mark.parametrize(
    ("name", "args", "size"),
    [("vit_tiny_patch16_224", VIT, 32), ("resnet10t", {}, 64), ("test_efficientnet", {}, 64)],
)
def test_an_encoder_that_ends_at_a_layer_gives_that_layer_and_runs_nothing_behind_it(
    name: str, args: dict[str, Any], size: int
) -> None:
    torch.manual_seed(0)
    encoder, images = Encoder(name, args).eval(), torch.rand(2, 3, size, size)
    wanted = encoder.every_layer(images)[1]
    encoder.end_at(-2)
    assert encoder.ends_at == len(wanted) - 2
    found = encoder(images)
    assert torch.equal(found.patches, wanted[-2].patches)
    assert found.patches.shape[2] == encoder.width == encoder.pooled_width
    assert encoder.has_cls == (found.cls is not None) == name.startswith("vit")
    assert encoder.pool == ("cls" if encoder.has_cls else "mean")
    last = [*encoder.model.blocks][-1] if hasattr(encoder.model, "blocks") else encoder.model.layer4  # type: ignore[misc]
    assert hooked(encoder, images, [last]) == []  # type: ignore[list-item]
    output, layers = encoder.every_layer(images)
    assert len(layers) == len(wanted) - 1
    assert torch.equal(output.patches, wanted[-2].patches)


@torch.no_grad()
def test_an_output_beside_its_layers_has_the_layers_that_the_encoder_reads() -> None:
    torch.manual_seed(0)
    encoder, images = Encoder("resnet10t", layers=(2, 1)).eval(), torch.rand(2, 3, 64, 64)
    expected = encoder(images)
    for asked in (None, (3, 4)):
        output, layers = encoder.every_layer(images, asked)
        assert len(layers) == (5 if asked is None else 2)
        assert output.tapped_grids == expected.tapped_grids
        for found, wanted in zip((output.patches, *output.tapped), (expected.patches, *expected.tapped), strict=True):
            assert torch.equal(found, wanted)


def test_layers_that_there_are_not_are_refused_in_one_sentence() -> None:
    model = Encoder("vit_tiny_patch16_224", VIT).model
    assert [layer_number(model, "vit", layer) for layer in (0, 2, -1, -3)] == [0, 2, 2, 0]
    for layer in (3, -4):
        with pytest.raises(
            ValueError, match=rf"layer {layer} does not exist in vit, which has 3: give 0 to 2, or -1 to"
        ):
            layer_number(model, "vit", layer)
    with pytest.raises(ValueError, match="net gives its last features alone"):
        layer_widths(nn.Linear(1, 1), "net")
    encoder = Encoder("hiera_tiny_224", {"img_size": 64, "stages": (1, 1, 1, 1)}).eval()
    with pytest.raises(ValueError, match="timm does not give the layers of hiera_tiny_224 as tokens: normalization"):
        encoder.every_layer(torch.zeros(1, 3, 64, 64))
