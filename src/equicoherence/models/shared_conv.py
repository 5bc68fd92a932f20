"""A convolution whose weight gradient is shared among a CPU's threads by pieces of the batch."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

from equicoherence.paths.threads import for_each

OF_INPUT, OF_WEIGHT = [True, False, False], [False, True, False]


class SharedConv(nn.Conv2d):
    """A strided nn.Conv2d, with the same parameters and names; in bfloat16 on several threads, its backward is ours.

    There, oneDNN's gradient of the weights keeps its threads in step by spinning, hundreds of times a call. On a core
    that another program uses, each time lasts until that program's turn is over: two trainings on two cores were ten
    times slower than one after the other. A thread with some images to itself waits for nobody.
    """

    def _conv_forward(self, input: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        if not (input.device.type == "cpu" and torch.is_autocast_enabled("cpu") and torch.is_grad_enabled()):
            return super()._conv_forward(input, weight, bias)
        kind = torch.get_autocast_dtype("cpu")
        if kind is not torch.bfloat16 or not weight.requires_grad or torch.get_num_threads() == 1:
            return super()._conv_forward(input, weight, bias)
        bias = None if bias is None else bias.to(kind)
        how = (self.stride, self.padding, self.dilation, self.groups)
        return _Convolve.apply(input.to(kind), weight.to(kind), bias, *how)


class _Convolve(torch.autograd.Function):
    @staticmethod
    def forward(  # type: ignore[override]
        ctx: Any, images: Tensor, weight: Tensor, bias: Tensor | None, *how: Any
    ) -> Tensor:
        ctx.save_for_backward(images, weight)
        ctx.how = how
        return F.conv2d(images, weight, bias, *how)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:  # type: ignore[override]
        images, weight = ctx.saved_tensors
        stride, padding, dilation, groups = ctx.how

        def gradients(rows: slice, wanted: list[bool]) -> Any:
            how = (None, stride, padding, dilation, False, [0, 0], groups, wanted)
            return torch.ops.aten.convolution_backward(gradient[rows], images[rows], weight, *how)

        pieces = min(torch.get_num_threads(), len(images))
        edges = [len(images) * piece // pieces for piece in range(pieces + 1)]
        shares = torch.empty(pieces, *weight.shape, dtype=torch.float32)  # bfloat16 is too coarse to sum in

        def work(piece: int) -> None:
            shares[piece] = gradients(slice(edges[piece], edges[piece + 1]), OF_WEIGHT)[1]

        for_each(work, range(pieces))
        of_images = gradients(slice(None), OF_INPUT)[0] if ctx.needs_input_grad[0] else None
        of_bias = gradient.sum((0, 2, 3)) if ctx.needs_input_grad[2] else None
        return of_images, shares.sum(0).to(weight.dtype), of_bias, None, None, None, None


def share_weight_gradients(model: nn.Module) -> None:
    """Make the strided plain convolutions of a model `SharedConv` where they stand: they change their class alone."""
    for module in model.modules():
        if type(module) is nn.Conv2d and max(module.stride) > 1 and _is_plain(module):
            module.__class__ = SharedConv


def _is_plain(module: nn.Conv2d) -> bool:
    return max(module.kernel_size) > 1 and module.padding_mode == "zeros" and not isinstance(module.padding, str)
