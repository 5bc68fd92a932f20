"""What timm's own head computes from the tokens: their mean, the class token, or more; and how to remove it.

A head is tried on random tokens, so that no list of architectures is needed.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from equicoherence.models.features import Pool
from equicoherence.models.on_meta import evaluating, output_shape, own_size, without_weights
from equicoherence.models.tokens import NoTokensError, prefix_tokens, raw_tokens

# arguments that make timm pool by the mean, as far as an architecture has them
BY_MEAN: tuple[dict[str, Any], ...] = ({}, {"global_pool": "avg", "fc_norm": False}, {"global_pool": "avg"})


def own_pool(model: nn.Module, shape: tuple[int, ...]) -> tuple[Pool, int]:
    """Return how timm's head pools an output of ``shape`` (B, ...), and its channels.

    Raises ValueError for a head that does not give one vector of an image.
    """
    output, head = _tried(model, shape)
    if not isinstance(head, Tensor) or head.ndim != 2:
        raise ValueError(f"{type(model).__name__}'s head gives no vector of an image: choose another encoder")
    cls, patches = raw_tokens(model, output)
    for pool, expected in (("mean", patches.mean(dim=1)), ("cls", cls)):
        if expected is not None and expected.shape == head.shape and torch.allclose(head, expected, atol=1e-4):
            return pool, head.shape[1]  # type: ignore[return-value]
    return "head", head.shape[1]


def arguments_without_head(build: Callable[[dict[str, Any]], nn.Module], args: dict[str, Any]) -> dict[str, Any] | None:
    """Return arguments with which timm pools patch tokens by weights of tokens alone; None if it cannot.

    What is pooled is then their mean, or a norm of it, whose weights are those of a fresh norm where none is trained:
    no attention, no further layer, no class token. build: makes the model from ``args`` and further ones.
    """
    model = without_weights(lambda: build({}))
    try:
        shape = output_shape(model, own_size(model, args), type(model).__name__)
    except NoTokensError:  # refused with its name, later
        return None
    for more in BY_MEAN:
        if more:
            try:
                model = without_weights(lambda more=more: build(more))
            except (TypeError, ValueError, AssertionError, RuntimeError):  # the architecture has no such argument
                continue
        if _reads_patches_by_norms(model, shape):
            return more
    return None


def _reads_patches_by_norms(model: nn.Module, shape: tuple[int, ...]) -> bool:
    model.to_empty(device="cpu")
    parameters = [*model.parameters()]
    with torch.no_grad():
        for tensor in (each for each in [*parameters, *model.buffers()] if each.ndim <= 1 and each.is_floating_point()):
            tensor.fill_(1.0)
    with torch.enable_grad():
        output, head = _tried(model, shape, track=True)
        reached = torch.autograd.grad(head.sum(), parameters, allow_unused=True) if head.requires_grad else ()
    if any(gradient is not None and gradient.ndim > 1 for gradient in reached):
        return False
    if output.ndim == 3 and (prefix := prefix_tokens(model)):
        changed = output.detach().clone()
        changed[:, :prefix] += 1
        return torch.equal(head.detach(), _head(model, changed))
    return True


def _tried(model: nn.Module, shape: tuple[int, ...], track: bool = False) -> tuple[Tensor, Any]:
    """Return random tokens of two images, and what the head makes of them, in eval mode."""
    output = torch.randn(2, *shape[1:], generator=torch.Generator().manual_seed(0))
    with torch.set_grad_enabled(track):
        return output, _head(model, output)


def _head(model: nn.Module, output: Tensor) -> Any:
    with evaluating(model):
        return model.forward_head(output, pre_logits=True)  # type: ignore[operator]
