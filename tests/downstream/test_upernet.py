"""UPerNet and the levels it reads: their sizes, their gradients, and crops of image and mask together."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch

from equicoherence.downstream.levels import Levels, Rescale
from equicoherence.downstream.segmentation.joint_crop import joint_crop
from equicoherence.downstream.segmentation.upernet import UPerNet, tune
from equicoherence.downstream.tokens import resizable
from equicoherence.evaluation.task import no_bar
from equicoherence.models import Encoder
from equicoherence.sets import IGNORE

from .colour_regions import VIT, ColourRegions, small_model

FOUR = VIT | {"depth": 4}


def images(height: int, width: int) -> torch.Tensor:
    return torch.rand(2, 3, height, width, generator=torch.Generator().manual_seed(0))


def test_a_plain_transformer_gives_the_maps_of_each_quarter_of_its_blocks() -> None:
    encoder = resizable(Encoder("vit_tiny_patch16_224", VIT | {"depth": 8})).eval()
    levels = Levels(encoder, 32)
    assert levels.plain
    assert (levels.widths, levels.strides) == ((48,) * 4, (8,) * 4)
    blocks: list[torch.Tensor] = []
    for place in (1, 3, 5, 7):
        encoder.model.get_submodule(f"blocks.{place}").register_forward_hook(lambda *call: blocks.append(call[-1]))
    with torch.no_grad():
        maps = levels(images(32, 48))
    assert len(blocks) == 4
    for found, block in zip(maps, blocks):
        expected = encoder.model.get_submodule("norm")(block)[:, encoder.model.num_prefix_tokens :]
        assert torch.allclose(found, expected.transpose(1, 2).reshape(2, 48, 4, 6), atol=1e-6)
    assert torch.allclose(maps[-1].flatten(2).transpose(1, 2), encoder(images(32, 48)).patches, atol=1e-5)
    assert [tuple(each.shape) for each in Rescale(levels.widths)(maps)] == [
        (2, 48, 16, 24), (2, 48, 8, 12), (2, 48, 4, 6), (2, 48, 2, 3)
    ]  # fmt: skip


def test_a_hierarchical_network_gives_its_own_last_four_resolutions() -> None:
    encoder = Encoder("resnet10t").eval()
    levels = Levels(encoder, 64)
    assert not levels.plain
    assert (levels.widths, levels.strides) == ((64, 128, 256, 512), (4, 8, 16, 32))
    with torch.no_grad():
        maps = levels(images(64, 96))
        assert torch.allclose(maps[-1].flatten(2).transpose(1, 2), encoder(images(64, 96)).patches, atol=1e-5)
    assert [tuple(each.shape[2:]) for each in maps] == [(16, 24), (8, 12), (4, 6), (2, 3)]


def test_a_shallow_transformer_gives_as_many_levels_as_it_has_blocks() -> None:
    levels = Levels(resizable(Encoder("vit_tiny_patch16_224", VIT)), 32)
    assert levels.widths == (48, 48)
    assert levels.training, "as it was"
    assert [each.shape[2] for each in Rescale(levels.widths)(levels(images(32, 32)))] == [16, 8]


@pytest.mark.parametrize(("name", "args", "size"), [("vit_tiny_patch16_224", FOUR, 32), ("resnet10t", {}, 64)])
def test_every_weight_of_head_and_encoder_learns(name: str, args: dict[str, object], size: int) -> None:
    network = UPerNet(Levels(resizable(Encoder(name, args)), size), 5, 8)
    logits = network(images(size, size + 32))
    assert logits.shape == (2, 5, size // 2 if "vit" in name else size // 4, (size + 32) // (2 if "vit" in name else 4))
    logits.square().mean().backward()
    still = [key for key, weight in network.named_parameters() if weight.grad is None or not weight.grad.any()]
    # a bias before a normalisation cancels, and a residual branch of a fresh ResNet is scaled by 0
    assert all("attn.qkv.bias" in key or "levels.encoder.model.layer" in key for key in still), still
    assert network.eval()(images(size, size)).dtype == torch.float32


def test_fine_tuning_moves_a_copy_of_the_encoder() -> None:
    model = small_model()
    before = copy.deepcopy(model.encoder.state_dict())
    network, seen = tune(
        resizable(model.encoder), 32, ColourRegions(6, 0), [0, 2, 4], (32, 32),
        channels=8, steps=2, batch=2, lr=1e-2, seed=0, track=no_bar,
    )  # fmt: skip
    assert not network.training
    assert 1 <= seen <= 3
    tuned = network.levels.encoder.state_dict()
    assert not torch.equal(tuned["model.blocks.0.attn.qkv.weight"], before["model.blocks.0.attn.qkv.weight"])
    assert all(torch.equal(weight, before[key]) for key, weight in model.encoder.state_dict().items())


@pytest.mark.parametrize("seed", range(4))
def test_image_and_mask_are_cut_alike(seed: int) -> None:
    rows, columns = np.mgrid[0:90, 0:120]
    image = np.stack([2 * rows, 2 * columns, 0 * rows], axis=2).astype(np.uint8)
    draw = np.random.default_rng(seed).random(5).tolist()
    part, down = joint_crop(image, (2 * rows).astype(np.uint8), (45, 60), draw)
    _, across = joint_crop(image, (2 * columns).astype(np.uint8), (45, 60), draw)
    assert part.shape == (45, 60, 3)
    inner = np.s_[2:-2, 2:-2]  # the filter leans inwards at the edges
    assert np.abs(part[..., 0][inner].astype(int) - down[inner]).max() <= 3
    assert np.abs(part[..., 1][inner].astype(int) - across[inner]).max() <= 3
    assert (np.diff(across[0].astype(int)).mean() < 0) == (draw[4] >= 0.5), "mirrored"


def test_crops_are_of_a_quarter_of_the_image_to_all_of_it_and_keep_labels() -> None:
    rows, columns = np.mgrid[0:64, 0:64]
    image, mask = np.zeros((64, 64, 3), dtype=np.uint8), (rows * 4).astype(np.uint8)
    whole = joint_crop(image, mask, (64, 64), [1, 0.5, 0.3, 0.7, 0])[1]
    assert np.array_equal(whole, mask)
    quarter = joint_crop(image, mask, (32, 32), [0, 0.5, 1, 0, 0])[1]
    assert np.array_equal(quarter, mask[32:, :32])
    labels = np.where(columns < 30, IGNORE, 3).astype(np.uint8)
    generator = np.random.default_rng(0)
    for _ in range(20):
        assert set(np.unique(joint_crop(image, labels, (24, 40), generator.random(5).tolist())[1])) <= {3, IGNORE}
