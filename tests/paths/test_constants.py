"""Constants go to a device once: a GPU would wait for each copy from the host."""

from __future__ import annotations

import pytest
import torch

from equicoherence.paths import SE2, Blur, ColorJitter, Compose, PathViews, Perspective, Scale, augmentation
from equicoherence.paths.constants import constant
from equicoherence.paths.masks import Masking
from tests.host import FromTheHost, no_waiting

from .pictures import textured


def views(border: str = "content", masking: Masking | None = None, tilted: bool = False) -> PathViews:
    path = Compose(SE2(), Perspective() if tilted else Scale(), ColorJitter(), Blur())
    crop = augmentation((0.1, 0.3))
    return PathViews(
        augmentation(),
        augmentation(solarize=0.3),
        path,
        size=16,
        border=border,  # type: ignore[arg-type]
        crops=2,
        crop_size=8,
        crop=crop,
        masking=masking,
    )


def test_what_is_counted_is_what_would_be_a_copy() -> None:
    x = torch.rand(2, 3)
    with FromTheHost() as made:
        torch.tensor([1.0, 2.0])
        x[:, [1, 0]]
        x.index_select(1, constant((1, 0), x.device, torch.long)) + torch.eye(3)[:2, :2]
    assert made.count == 3  # the constant's one


@pytest.mark.parametrize("tilted", [False, True])
@pytest.mark.parametrize("border", ["content", "reflection", "zeros"])
def test_a_second_step_sends_no_constant(border: str, tilted: bool) -> None:
    make, generator = views(border, tilted=tilted), torch.Generator().manual_seed(0)
    images = textured(6, 40)  # float images go the way of an accelerator
    make(images, generator)
    with FromTheHost() as made:
        make(images, generator)
    assert made.count == 0


def test_a_constant_made_in_inference_mode_can_be_trained_with() -> None:
    with torch.inference_mode():
        weights = constant((0.125, 0.875), torch.device("cpu"))
    x = torch.rand(2, requires_grad=True)
    (x * weights).sum().backward()
    assert x.grad is not None
    assert torch.equal(x.grad, weights)
    assert constant((0.125, 0.875), torch.device("cpu")) is weights


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("tilted", [False, True])
@pytest.mark.parametrize("border", ["content", "reflection", "zeros"])
def test_a_gpu_never_waits_for_views(border: str, tilted: bool) -> None:
    make, generator = views(border, Masking((4, 4)), tilted), torch.Generator("cuda").manual_seed(0)
    images = (textured(6, 40) * 255).byte().cuda()
    make(images, generator)
    with no_waiting():
        make(images, generator)
