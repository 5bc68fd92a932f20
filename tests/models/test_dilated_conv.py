"""Dilated convolutions of small maps as one matrix product: the same function, the same gradients."""

import copy

import pytest
import timm
import torch
from torch import nn

from equicoherence.models.dilated_conv import DilatedConv, use_matrix_products

# height, width, dilation: one place a phase, two in one direction, two in both
SMALL = [(2, 2, 2), (4, 4, 4), (4, 2, 2), (4, 4, 2), (8, 8, 4), (3, 6, 3)]


def _passed(conv, images):
    """Return the output, and the gradients of images and parameters."""
    conv.zero_grad()
    images.grad = None
    found = conv(images)
    found.backward(torch.randn(found.shape, generator=torch.Generator().manual_seed(1)).to(found.dtype))
    return [found.detach(), images.grad, *(parameter.grad for parameter in conv.parameters())]


def _conv(step, bias=False):
    torch.manual_seed(0)
    return nn.Conv2d(5, 7, 3, padding=step, dilation=step, bias=bias).double()


def _images(height, width):
    return torch.randn(3, 5, height, width, dtype=torch.float64).requires_grad_()


def _is_by_torch(conv, images):
    return type(conv(images).grad_fn).__name__ == "ConvolutionBackward0"


@pytest.mark.parametrize(("height", "width", "step"), SMALL)
@pytest.mark.parametrize("bias", [False, True])
def test_output_and_gradients_are_those_of_the_convolution(height, width, step, bias):
    conv, images = _conv(step, bias), _images(height, width)
    before = _passed(conv, images)
    use_matrix_products(conv)
    assert type(conv) is DilatedConv
    assert not _is_by_torch(conv, images)
    after = _passed(conv, images)
    for expected, found in zip(before, after, strict=True):
        torch.testing.assert_close(found, expected, atol=1e-12, rtol=1e-12)


@pytest.mark.parametrize(("height", "width", "step"), [(8, 8, 2), (5, 4, 2), (1, 4, 4)])
def test_other_maps_are_left_to_torch(height, width, step):
    conv, images = _conv(step), _images(height, width)
    use_matrix_products(conv)
    assert _is_by_torch(conv, images)


OTHER = [
    {"padding": 1},
    {"padding": 2, "stride": 2},
    {"padding": 2, "groups": 2},
    {"padding": 2, "padding_mode": "circular"},
]


@pytest.mark.parametrize("other", OTHER, ids=str)
def test_other_convolutions_are_left_as_they_are(other):
    conv = nn.Conv2d(4, 4, 3, dilation=2, **other)
    use_matrix_products(conv)
    assert type(conv) is nn.Conv2d
    undilated = nn.Conv2d(4, 4, 3, padding=1)
    use_matrix_products(undilated)
    assert type(undilated) is nn.Conv2d


def test_without_a_gradient_of_the_weights_it_is_left_to_torch():
    conv, images = _conv(2), _images(4, 4)
    plain = copy.deepcopy(conv)
    use_matrix_products(conv)
    assert not _is_by_torch(conv, images)
    conv.requires_grad_(False)
    assert _is_by_torch(conv, images)
    conv.requires_grad_(True)
    with torch.no_grad():
        assert torch.equal(conv(images), plain(images))


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_the_output_has_the_layout_that_torchs_own_has(layout):
    conv, images = _conv(2), _images(4, 4).to(memory_format=layout)
    expected = conv(images)
    use_matrix_products(conv)
    found = conv(images)
    assert found.stride() == expected.stride()
    assert found.is_contiguous(memory_format=layout)


def test_an_exported_program_takes_maps_of_other_sizes():
    conv, images = _conv(2), _images(4, 4)
    use_matrix_products(conv)
    side = torch.export.Dim("side", min=3, max=64)
    program = torch.export.export(conv, (images,), dynamic_shapes=({2: side},)).module()
    other = _images(7, 4)
    torch.testing.assert_close(program(other), conv(other))


def test_in_bfloat16_gradients_lie_as_near_the_exact_ones_and_the_layout_stays():
    torch.manual_seed(0)
    conv = nn.Conv2d(32, 32, 3, padding=2, dilation=2, bias=False)
    images = torch.randn(64, 32, 4, 4).contiguous(memory_format=torch.channels_last).requires_grad_()
    exact = _passed(conv, images)
    with torch.autocast("cpu", torch.bfloat16):
        before = _passed(conv, images)
        use_matrix_products(conv)
        after = _passed(conv, images)
    assert after[0].dtype is torch.bfloat16
    assert after[0].is_contiguous(memory_format=torch.channels_last)
    for right, plain, ours in zip(exact, before, after, strict=True):
        assert (ours - right).abs().max() < 2 * (plain - right).abs().max()


def test_a_model_keeps_its_names_and_weights_and_only_dilated_convolutions_change():
    model = timm.create_model("resnet18", pretrained=False, output_stride=8)
    before = model.state_dict()
    use_matrix_products(model)
    after = model.state_dict()
    assert before.keys() == after.keys()
    assert all(torch.equal(before[name], after[name]) for name in before)
    changed = {name for name, module in model.named_modules() if type(module) is DilatedConv}
    assert changed == {
        name for name, module in model.named_modules() if isinstance(module, nn.Conv2d) and module.dilation[0] > 1
    }
    assert changed
