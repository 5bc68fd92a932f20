"""LoRA (Hu et al., 2022) on the linear layers of an encoder's blocks, and its way back into their weights."""

from __future__ import annotations

import importlib.util
from typing import Any

from torch import nn

from equicoherence.models.encoder import Encoder
from equicoherence.models.trained_layers import count_layers, parameter_layers

ATTENTION, MLP = "attn", "mlp"  # in timm's names of parts of a block
ADVICE = "give encoder.train last:N or all"


def add_lora(encoder: Encoder, rank: int, *, mlp: bool) -> None:
    """Put LoRA on the linear layers of attention, in place: W becomes ``W + B A``, and A and B alone are trained.

    rank: rows of A, and columns of B.
    mlp: also on the linear layers of MLPs.

    A is drawn from torch's global generator, and B is 0, so that the encoder is at first what it was. Raises ValueError
    for an encoder without such layers, or one that does not call them; and without peft, for which no work has begun.
    """
    if importlib.util.find_spec("peft") is None:
        raise ValueError(f"LoRA needs peft: pip install 'equicoherence[adapt]', or {ADVICE}")
    places, count = parameter_layers(encoder), count_layers(encoder)
    linear = [
        name
        for name, module in encoder.model.named_modules()
        if isinstance(module, nn.Linear) and 0 <= places[f"{name}.weight"] < count
    ]
    kinds = (ATTENTION, MLP) if mlp else (ATTENTION,)
    chosen = [name for name in linear if any(kind in word for word in name.split(".") for kind in kinds)]
    if not chosen:
        what = "attention or MLPs" if mlp else "attention"
        raise ValueError(
            f"LoRA is put on linear layers of {what}, and the layers of {encoder.name} have none; {ADVICE}"
        )
    from peft import LoraConfig, inject_adapter_in_model  # it loads for seconds

    encoder.model.requires_grad_(False)
    model: Any = inject_adapter_in_model(LoraConfig(r=rank, lora_alpha=rank, target_modules=chosen), encoder.model)
    del model.peft_config
    places = parameter_layers(encoder)
    idle = [name for name, p in model.named_parameters() if p.requires_grad and places[name] == count]
    if idle:
        raise ValueError(
            f"LoRA would do nothing in {encoder.name}, which reads the weights of {idle[0].partition('.lora_')[0]} "
            f"without calling it; {ADVICE}"
        )


def merge_lora(module: nn.Module) -> None:
    """Add all LoRA within a module to the weights that it is on, in place, and leave it out."""
    for name, layer in [(name, part) for name, part in module.named_modules() if hasattr(part, "lora_A")]:
        layer.merge()  # type: ignore[operator]
        module.set_submodule(name, layer.get_base_layer())  # type: ignore[operator]
