"""What an encoder could have said of a batch, and what every method must do with it."""

import dataclasses

import torch
from torch.utils._python_dispatch import TorchDispatchMode

from equicoherence.methods import Encoded, Method
from equicoherence.paths.masks import Masks


def encoded(views: int = 2, batch: int = 12, width: int = 8, seed: int = 0) -> Encoded:
    """Return Gaussian tokens of ``views`` views, three each, their mean as the summary, z_equi of 6 and theta of 3.

    Of an early layer there are four tokens of 5, and all images are shown in symmetries of the square.
    """
    generator = torch.Generator().manual_seed(seed)
    tokens = torch.randn(views, batch, 3, width, generator=generator)
    equivariant, theta = torch.randn(views, batch, 6, generator=generator), torch.randn(batch, 3, generator=generator)
    layer = torch.randn(views, batch, 4, 5, generator=generator)
    symmetries = torch.randint(8, (views, batch), generator=generator)
    summary = tokens.mean(dim=2)
    return Encoded(summary, tokens, equivariant=equivariant, theta=theta, layer=layer, symmetries=symmetries)


def with_masks(views: Encoded, share: float = 0.5) -> Encoded:
    """Return the same with ``share`` of the tokens masked, some views not at all: the same ones every time."""
    tokens = torch.rand(views.tokens.shape[:3], generator=torch.Generator().manual_seed(9)) < share
    masks = Masks.of(tokens)
    return dataclasses.replace(views, masked=masks.indices, masks=masks.tokens, weights=masks.weights)


def rows_of(views: Encoded, rows: slice) -> Encoded:
    """Return what was said of some images of the batch."""
    part = Encoded(
        views.summary[:, rows],
        views.tokens[:, rows],
        equivariant=views.equivariant[:, rows],
        theta=views.theta[rows],
        layer=views.layer[:, rows],
        symmetries=views.symmetries[:, rows],
    )
    if views.masks is None:
        return part
    masks = Masks.of(views.masks[:, rows])
    return dataclasses.replace(part, masked=masks.indices, masks=masks.tokens, weights=masks.weights)


def mixed(enabled: bool) -> torch.autocast:
    """Return the context in which training with or without bfloat16 calls a method."""
    return torch.autocast("cpu", torch.bfloat16, enabled=enabled)


def assert_trains(method: Method, *views: Encoded | None) -> None:
    """Assert that losses are finite scalars and that every parameter has a gradient, but for a teacher's."""
    losses = method.train()(*views)
    assert all(loss.shape == () and loss.isfinite() for loss in losses.values())
    torch.stack(list(losses.values())).sum().backward()
    for name, parameter in method.named_parameters():
        assert parameter.requires_grad != name.startswith("teacher.")
        assert (parameter.grad is not None and parameter.grad.abs().max() > 0) == parameter.requires_grad, name


class NoWaiting(TorchDispatchMode):
    """Refuse what makes the host wait for a GPU: to read a value, or to count what is True."""

    WAITS = ("aten._local_scalar_dense", "aten.nonzero", "aten.masked_select", "aten.equal", "aten.unique")

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        counts = str(func).startswith("aten.index.") and any(i is not None and i.dtype == torch.bool for i in args[1])
        if counts or str(func).startswith(self.WAITS):
            raise AssertionError(f"{func} waits for the device")
        return func(*args, **(kwargs or {}))
