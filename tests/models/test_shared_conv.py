"""Strided convolutions in bfloat16 on several threads: the same function, gradients without a barrier."""

import pytest
import timm
import torch
from torch import nn

from equicoherence.models.shared_conv import SharedConv, share_weight_gradients

SHAPES = {"stem": (3, 16, 7, 2, 3, False), "downsampling": (16, 32, 3, 2, 1, False), "patches": (3, 24, 8, 8, 0, True)}


def _passed(conv, images, dtype=torch.bfloat16):
    """Return the output, and the gradients of images and parameters."""
    conv.zero_grad()
    images.grad = None
    with torch.autocast("cpu", dtype, enabled=dtype is not torch.float32):
        found = conv(images)
    weights = torch.randn(found.shape, generator=torch.Generator().manual_seed(1))
    found.backward(weights.to(found.dtype))
    return [found.detach(), images.grad, *(parameter.grad for parameter in conv.parameters())]


@pytest.mark.parametrize("name", list(SHAPES))
def test_outputs_and_gradients_of_images_keep_their_bits_and_those_of_weights_lie_as_near_the_exact_ones(name):
    inputs, outputs, kernel, stride, padding, bias = SHAPES[name]
    torch.manual_seed(0)
    conv = nn.Conv2d(inputs, outputs, kernel, stride, padding, bias=bias)
    images = torch.randn(21, inputs, 32, 32).contiguous(memory_format=torch.channels_last).requires_grad_()
    exact, before = _passed(conv, images, torch.float32), _passed(conv, images)
    share_weight_gradients(conv)
    assert type(conv) is SharedConv
    after = _passed(conv, images)
    assert torch.equal(before[0], after[0])
    assert torch.equal(before[1], after[1])
    for right, plain, shared in zip(exact[2:], before[2:], after[2:]):
        assert (shared - right).abs().max() < 2 * (plain - right).abs().max()
    assert all(torch.equal(a, b) for a, b in zip(after, _passed(conv, images)))


def test_one_thread_and_full_precision_compute_what_the_plain_convolution_does():
    torch.manual_seed(0)
    conv = nn.Conv2d(3, 16, 3, 2, 1)
    images = torch.randn(21, 3, 32, 32, requires_grad=True)
    full = _passed(conv, images, torch.float32)
    torch.set_num_threads(1)
    try:
        single = _passed(conv, images)
        share_weight_gradients(conv)
        assert all(torch.equal(a, b) for a, b in zip(single, _passed(conv, images)))
    finally:
        torch.set_num_threads(2)
    assert all(torch.equal(a, b) for a, b in zip(full, _passed(conv, images, torch.float32)))


def test_a_model_keeps_its_names_and_weights_and_only_strided_convolutions_change():
    model = timm.create_model("resnet18", pretrained=False)
    before = model.state_dict()
    share_weight_gradients(model)
    after = model.state_dict()
    assert list(before) == list(after)
    assert all(torch.equal(before[name], after[name]) for name in before)
    shared = {name for name, module in model.named_modules() if isinstance(module, SharedConv)}
    assert shared == {"conv1", "layer2.0.conv1", "layer3.0.conv1", "layer4.0.conv1"}


def test_fewer_images_than_threads_are_no_harm():
    conv = nn.Conv2d(3, 4, 3, 2, 1)
    share_weight_gradients(conv)
    assert _passed(conv, torch.randn(1, 3, 8, 8, requires_grad=True))[2].isfinite().all()
