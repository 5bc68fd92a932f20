"""Group norms on a CPU: the same function, of channels that come first, where torch's other kernel is slow."""

import pytest
import torch
from timm.layers import GroupNorm, GroupNormAct
from torch import Tensor, nn

from equicoherence.models.group_norm import SWAPS, ChannelsFirstNorm, put_channels_first


def _maps(side: int, kind: torch.dtype) -> Tensor:
    maps = torch.randn(3, 8, side, side, generator=torch.Generator().manual_seed(0))
    return maps.to(kind, memory_format=torch.channels_last)


@pytest.mark.parametrize(
    ("side", "kind", "copied"),
    [(4, torch.bfloat16, True), (24, torch.bfloat16, True), (25, torch.bfloat16, False), (4, torch.float32, False)],
)
def test_small_maps_in_half_precision_are_copied(side, kind, copied, monkeypatch):
    seen = []
    norm = nn.GroupNorm(2, 8).to(kind)
    put_channels_first(norm)
    forward = nn.GroupNorm.forward
    monkeypatch.setattr(nn.GroupNorm, "forward", lambda self, x: (seen.append(x.is_contiguous()), forward(self, x))[1])
    found = norm(_maps(side, kind))
    assert seen == [copied]
    assert found.is_contiguous(memory_format=torch.channels_last)


def test_channels_that_come_first_stay_there():
    norm = nn.GroupNorm(2, 8).bfloat16()
    put_channels_first(norm)
    maps = _maps(4, torch.bfloat16).contiguous()
    assert norm(maps).stride() == maps.stride()


def test_large_groups_and_tokens_are_left_as_they_are():
    norm = nn.GroupNorm(1, 9)
    put_channels_first(norm)
    assert type(norm) is nn.GroupNorm
    tokens = nn.GroupNorm(2, 8).bfloat16()
    put_channels_first(tokens)
    assert type(tokens) is ChannelsFirstNorm
    assert tokens(torch.randn(3, 8, 5).bfloat16()).shape == (3, 8, 5)


@pytest.mark.parametrize(
    "build",
    [
        nn.GroupNorm,
        lambda groups, channels: GroupNorm(channels, groups),
        lambda groups, channels: GroupNormAct(channels, groups),
    ],
)
def test_output_and_gradients_are_those_of_the_norm(build):
    norm, maps = build(2, 8), _maps(5, torch.bfloat16).requires_grad_()
    results = []
    for _ in range(2):
        norm.zero_grad()
        maps.grad = None
        with torch.autocast("cpu", torch.bfloat16):
            found = norm(maps)
        found.float().square().sum().backward()
        results.append([found.detach(), maps.grad, norm.weight.grad, norm.bias.grad])
        put_channels_first(norm)
        assert type(norm) in SWAPS.values()
    for torchs, ours in zip(*results, strict=True):
        torch.testing.assert_close(ours, torchs, atol=0.02, rtol=0.02)
