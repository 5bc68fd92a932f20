"""Which parts of an encoder are trained, and which are frozen."""

from __future__ import annotations

from typing import Literal

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from equicoherence.models.encoder import Encoder
from equicoherence.models.trained_layers import count_layers, parameter_layers
from equicoherence.models.trained_lora import add_lora

BatchNorm = Literal["train", "frozen"]
HEAD = "head"
NUMBERED = ("last", "lora", "lora-all")


def read_train(text: str) -> tuple[str, int]:
    """Parse the argument of `train_parts`: its word, and its number (0 if none). Raises ValueError for other text."""
    word, _, number = text.partition(":")
    if text in ("all", HEAD):
        return word, 0
    if word in NUMBERED and number.isascii() and number.isdecimal() and int(number):
        return word, int(number)
    raise ValueError(
        f"encoder.train is {text!r}: give all, head, last:N (its last N layers), lora:RANK or lora-all:RANK, with a "
        "number from 1"
    )


def train_parts(encoder: Encoder, train: str, batch_norm: BatchNorm = "train") -> None:
    """Choose which parts of an encoder are trained, in place; the rest has no gradient, and stays in eval mode in
    training.

    train: all; head, nothing of the encoder, only a head on its tokens; last:N, the last N layers (`models.layers`) and
        what follows them; lora:RANK, low-rank updates of the linear layers of attention; lora-all:RANK, also of those
        of MLPs.
    batch_norm: whether the statistics of trained BatchNorm layers are updated or frozen.

    Raises ValueError for parts that the encoder does not have.
    """
    word, number = read_train(train)
    names = [name for name, _ in encoder.model.named_modules()]  # LoRA's own are gone when it is merged
    try:
        if word == HEAD:
            encoder.requires_grad_(False)
        elif word == "last":
            _train_last(encoder, number)
        elif word != "all":
            add_lora(encoder, number, mlp=word == "lora-all")
    except ValueError as error:
        raise ValueError(f"encoder.train is {train}, but {error}") from error
    parts = [(name, encoder.model.get_submodule(name)) for name in names]
    encoder.frozen = tuple(
        name
        for name, part in parts
        if (batch_norm == "frozen" and isinstance(part, _BatchNorm)) or (word != "all" and _is_frozen(part))
    )
    encoder.train(encoder.training)


def trained_parameters(module: nn.Module) -> int:
    """Return the number of trained parameters."""
    return sum(parameter.numel() for parameter in module.parameters() if parameter.requires_grad)


def moving_statistics(encoder: Encoder) -> bool:
    """Return whether the encoder has BatchNorm layers whose statistics are updated in training."""
    frozen = {id(part) for name in encoder.frozen for part in encoder.model.get_submodule(name).modules()}
    return any(isinstance(part, _BatchNorm) and id(part) not in frozen for part in encoder.model.modules())


def _train_last(encoder: Encoder, number: int) -> None:
    count = count_layers(encoder)
    if number > count:
        raise ValueError(f"{encoder.name} has {count} layers: give last:1 to last:{count}")
    for name, layer in parameter_layers(encoder).items():
        if layer < count - number:
            encoder.model.get_parameter(name).requires_grad_(False)
    if encoder.mask_token is not None:  # its gradient would go through all layers
        encoder.mask_token.requires_grad_(False)


def _is_frozen(part: nn.Module) -> bool:
    parameters = [*part.parameters()]
    return bool(parameters) and not any(parameter.requires_grad for parameter in parameters)
