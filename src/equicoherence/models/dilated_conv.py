"""A dilated convolution of a map that is hardly wider than its kernel's steps, as one matrix product."""

from __future__ import annotations

import torch
from torch import Tensor, nn

KERNEL, MOST = 3, 2  # the product pays up to 2 x 2 places a phase: then every tap of every place meets another place


class DilatedConv(nn.Conv2d):
    """A dilated 3 x 3 nn.Conv2d, with the same parameters and names; on a CPU, its training step on small maps is ours.

    With dilation d, a map is d x d separate maps (phases), each of every d-th place, and the convolution of each is not
    dilated. Where a phase has at most 2 x 2 places, as a map of 4 x 4 with dilation 2 or 4, a phase is one row of a
    matrix product. There oneDNN's gradient of the weights has no fast kernel: a ResNet's step on images of 32 px takes
    1.3 to 1.4 times as long with it (benchmarks/on_cpu.py).
    """

    def _conv_forward(self, input: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        trained = torch.is_grad_enabled() and weight.requires_grad  # the gradient of the input alone is fast
        if trained and input.device.type == "cpu" and input.ndim == 4 and not torch.compiler.is_compiling():
            dilation = self.dilation[0]
            height, width = input.shape[2:]  # a compiled program would be fixed to these
            if height % dilation == width % dilation == 0 and max(height, width) <= MOST * dilation:
                return by_phases(input, weight, bias, dilation)
        return super()._conv_forward(input, weight, bias)


def by_phases(images: Tensor, weight: Tensor, bias: Tensor | None, dilation: int) -> Tensor:
    """Return the 3 x 3 convolution of images (B, C, h, w) with dilation and padding ``dilation``, a divisor of both."""
    outputs, channels = weight.shape[:2]
    batch, _, height, width = images.shape
    down, across = height // dilation, width // dilation
    places = down * across
    rows = images.permute(0, 2, 3, 1).reshape(batch, down, dilation, across, dilation, channels)
    rows = rows.permute(0, 2, 4, 1, 3, 5).reshape(batch * dilation * dilation, places * channels)
    of_taps = weight.permute(2, 3, 1, 0).reshape(KERNEL * KERNEL, channels, outputs)
    blocks = of_taps.index_select(0, taps(down, across)).view(places, places, channels, outputs)
    found = rows @ blocks.transpose(1, 2).reshape(places * channels, places * outputs)
    found = found.reshape(batch, dilation, dilation, down, across, outputs).permute(0, 3, 1, 4, 2, 5)
    found = found.reshape(batch, height, width, outputs).permute(0, 3, 1, 2)
    if not any(each.is_contiguous(memory_format=torch.channels_last) for each in (images, weight)):
        found = found.contiguous()  # the layout that torch's own has
    return found if bias is None else found + bias.to(found.dtype)[:, None, None]


def taps(down: int, across: int) -> Tensor:
    """Return which of the 9 taps leads from each place of a map, at most 2 x 2, to each other one, row by row."""
    y, x = (part.flatten() for part in torch.meshgrid(torch.arange(down), torch.arange(across), indexing="ij"))
    return ((y[:, None] - y + 1) * KERNEL + x[:, None] - x + 1).flatten()


def use_matrix_products(model: nn.Module) -> None:
    """Make the dilated 3 x 3 convolutions of a model `DilatedConv` where they stand: they change their class alone."""
    for module in model.modules():
        if type(module) is nn.Conv2d and _fits(module):
            module.__class__ = DilatedConv


def _fits(module: nn.Conv2d) -> bool:
    step = module.dilation[0]
    return (
        step > 1
        and module.kernel_size == (KERNEL, KERNEL)
        and module.dilation == module.padding == (step, step)
        and module.stride == (1, 1)
        and module.groups == 1
        and module.padding_mode == "zeros"
    )
