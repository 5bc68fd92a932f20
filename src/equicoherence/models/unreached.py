"""Parameters of a timm model that its features do not depend on."""

from __future__ import annotations

import torch
from torch import Tensor, nn

HEADS = ("head", "pool", "classifier", "logits")  # in the names of what may come after the features, or be among them


def unreached(model: nn.Module, size: tuple[int, int]) -> set[str]:
    """Return the names of parameters that ``model.forward_features`` of images of ``size`` (h, w) never reaches.

    What is named ``head`` is not, in any model. Other parts with such a name (``conv_head`` of EfficientNet is reached,
    of MobileNetV3 it is not) are told by where a gradient goes, without a number being computed.
    """
    names = [name for name, _ in model.named_parameters()]
    of_head = {name for name in names if name.startswith("head.")}
    if not any(word in name.split(".")[0] for name in set(names) - of_head for word in HEADS):
        return of_head
    tensors = {f"model.{name}": torch.empty_like(t, device="meta") for name, t in _state(model).items()}
    parameters = [tensors[f"model.{name}"].requires_grad_() for name in names]
    image = torch.empty(1, 3, *size, device="meta")
    training = model.training
    model.eval()  # so that nothing is dropped
    with torch.enable_grad():
        output = torch.func.functional_call(_Features(model), tensors, (image,))
        gradients = torch.autograd.grad(output.sum(), parameters, allow_unused=True)
    model.train(training)
    return of_head | {name for name, gradient in zip(names, gradients) if gradient is None}


class _Features(nn.Module):
    """A model whose forward is ``forward_features``, and its last norm where that has been left to the head."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, x: Tensor) -> Tensor:
        output: Tensor = self.model.forward_features(x)  # type: ignore[operator]
        norm = getattr(self.model, "fc_norm", None)
        return output if norm is None else norm(output)


def _state(model: nn.Module) -> dict[str, Tensor]:
    return {**dict(model.named_parameters()), **dict(model.named_buffers())}
