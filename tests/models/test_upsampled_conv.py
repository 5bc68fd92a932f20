"""A convolution of an enlarged image that never makes it."""

import pytest
import torch
import torch.nn.functional as F

from equicoherence.models.upsampled_conv import UpsampledConv


@pytest.mark.parametrize("factor", [1, 2, 3, 4])
@pytest.mark.parametrize("groups", [1, 2])
def test_it_is_the_convolution_of_the_enlarged_image_with_its_gradients(factor, groups):
    torch.manual_seed(0)
    conv = UpsampledConv(4, 6, factor, groups)
    x = torch.randn(2, 4, 5, 3, requires_grad=True)
    enlarged = F.interpolate(x, scale_factor=factor, mode="nearest")
    expected = F.conv2d(enlarged, conv.weight, conv.bias, padding=1, groups=groups)
    found = conv(x)
    assert torch.allclose(found, expected, atol=1e-5)
    of = [x, conv.weight, conv.bias]
    for a, b in zip(*(torch.autograd.grad(y.sin().sum(), of) for y in (expected, found))):
        assert torch.allclose(a, b, atol=1e-4)
