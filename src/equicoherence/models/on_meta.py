"""A timm model run without a number being computed: the shape of its output, and what its output depends on."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from equicoherence.models.normalisation import RGB
from equicoherence.models.tokens import check_output, late_norm

HEADS = ("head", "pool", "classifier", "logits")  # in the names of what may come after the tokens, or be among them


def without_weights(build: Callable[[], nn.Module]) -> nn.Module:
    """Return a model whose weights take no memory; torch's global generator stays as it was."""
    with torch.random.fork_rng(devices=[]), torch.device("meta"):
        return build()


def own_size(model: nn.Module, args: dict[str, Any]) -> tuple[int, int]:
    """Return the size (h, w) of images that a model, built with ``args``, is made for."""
    side = args.get("img_size", model.pretrained_cfg["input_size"][1:])  # type: ignore[index]
    return (side, side) if isinstance(side, int) else tuple(side)


def input_channels(model: nn.Module) -> int:
    """Return how many channels the images have that a model takes: what `create` noted, else 3."""
    return getattr(model, "input_channels", RGB)


@torch.no_grad()
def output_shape(model: nn.Module, size: tuple[int, int], name: str) -> tuple[int, ...]:
    """Return the shape of ``forward_features`` of two images of ``size`` (h, w).

    Raises ValueError for an output that is no tokens, and whatever the model raises for images of this size.
    """
    if any(isinstance(module, nn.RNNBase) for module in model.modules()):  # one step after the other takes minutes
        output = _with_numbers(model, size)
    else:
        output = _on_meta(_Read(model, head=False), size, _tensors(model))[0]
    check_output(name, output)
    return tuple(output.shape)


def unreached(model: nn.Module, size: tuple[int, int], *, head: bool) -> set[str]:
    """Return the names of parameters that the features of images of ``size`` (h, w) do not depend on.

    head: whether what timm's own head makes of the tokens is read too. Without it, what is named ``head`` is reached in
    no model. Other parts with such a name (``conv_head`` of EfficientNet is reached, of MobileNetV3 it is not) are
    found by a gradient.
    """
    names = [name for name, _ in model.named_parameters()]
    doubtful = {name for name in names if any(word in name.split(".")[0] for word in HEADS)}
    of_head = {name for name in doubtful if name.startswith("head.")}
    if not doubtful - (set() if head else of_head):
        return of_head
    tensors = _tensors(model)
    parameters = [tensors[f"model.{name}"].requires_grad_() for name in names]
    with torch.enable_grad():
        read = _on_meta(_Read(model, head), size, tensors)
        total = torch.stack([part.sum() for part in read]).sum()
        gradients = torch.autograd.grad(total, parameters, allow_unused=True)
    return {name for name, gradient in zip(names, gradients) if gradient is None}


@contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """Put all parts of a model in eval mode for a while."""
    modes = {module: module.training for module in model.modules()}
    model.eval()
    try:
        yield
    finally:
        for module, training in modes.items():
            module.training = training


def first_reached(model: nn.Module, size: tuple[int, int], count: int) -> dict[str, int]:
    """Return the first of a model's ``count`` layers that depends on a parameter, by its name, for images of ``size``.

    Parameters that no layer depends on are left out. Raises what the model does where it does not give its layers.
    """
    tensors = _tensors(model)
    left = {name: tensors[f"model.{name}"].requires_grad_() for name, _ in model.named_parameters()}
    first: dict[str, int] = {}
    with torch.enable_grad():
        for number, layer in enumerate(_on_meta(_ReadLayers(model, count), size, tensors)):
            gradients = torch.autograd.grad(layer.sum(), [*left.values()], allow_unused=True, retain_graph=True)
            found = [name for name, gradient in zip(left, gradients) if gradient is not None]
            first |= dict.fromkeys(found, number)
            left = {name: tensor for name, tensor in left.items() if name not in first}  # whose paths alone are gone
            if not left:
                break
    return first


def with_kept_biases(model: nn.Module) -> list[Any]:
    """Return the parts that keep their attention biases from one forward in eval mode to the next, as LeViT's do."""
    return [module for module in model.modules() if hasattr(module, "attention_bias_cache")]


def forget_biases(parts: list[Any]) -> None:
    """Drop such biases: they would stay what they were when weights are loaded, or follow as a teacher's do."""
    for part in parts:
        part.attention_bias_cache = {}


class _Read(nn.Module):
    """What is read of a model: its tokens, normed, and where ``head`` what its head makes of them."""

    def __init__(self, model: nn.Module, head: bool) -> None:
        super().__init__()
        self.model, self.head = model, head

    def forward(self, images: Tensor) -> list[Any]:
        output = self.model.forward_features(images)  # type: ignore[operator]
        norm = late_norm(self.model)
        tokens = output if norm is None else norm(output)
        return [tokens, self.model.forward_head(output, pre_logits=True)] if self.head else [tokens]  # type: ignore[operator]


class _ReadLayers(nn.Module):
    """The maps of all layers of a model, each before the model's own last norm."""

    def __init__(self, model: nn.Module, count: int) -> None:
        super().__init__()
        self.model, self.count = model, count

    def forward(self, images: Tensor) -> list[Any]:
        layers = list(range(self.count))
        return self.model.forward_intermediates(images, layers, norm=False, intermediates_only=True)  # type: ignore[operator]


def _with_numbers(model: nn.Module, size: tuple[int, int]) -> Any:
    if next(model.parameters()).is_meta:
        model.to_empty(device="cpu")
    images = torch.zeros(2, input_channels(model), *size, device=next(model.parameters()).device)
    with evaluating(model):
        return model.forward_features(images)  # type: ignore[operator]


def _tensors(model: nn.Module) -> dict[str, Tensor]:
    named = {**dict(model.named_parameters()), **dict(model.named_buffers())}
    return {f"model.{name}": torch.empty_like(tensor, device="meta") for name, tensor in named.items()}


def _on_meta(read: _Read | _ReadLayers, size: tuple[int, int], tensors: dict[str, Tensor]) -> list[Any]:
    images = torch.empty(2, input_channels(read.model), *size, device="meta")
    with evaluating(read.model):
        try:
            return torch.func.functional_call(read, tensors, (images,))
        finally:
            forget_biases(with_kept_biases(read.model))
