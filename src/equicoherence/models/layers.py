"""The layers of a timm model: blocks of a vision transformer, stages of a convolutional network; one pass for all."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import Any

from torch import Tensor, nn

from equicoherence.models.features import Features
from equicoherence.models.tokens import has_class_token, late_norm


def layer_widths(model: nn.Module, name: str) -> list[int]:
    """Return the channels of each layer, the first one first, as timm's ``feature_info`` lists them.

    Raises ValueError for a model whose layers timm does not list.
    """
    info: Any = getattr(model, "feature_info", None)
    if not info or not hasattr(model, "forward_intermediates"):
        raise ValueError(f"{name} gives its last features alone: timm has no forward_intermediates for it")
    return [int(each["num_chs"]) for each in info]


def layer_number(model: nn.Module, name: str, layer: int) -> int:
    """Return the 0-based number of a layer; a negative one counts from the last. Raises ValueError where there is none.

    The sentence says how many there are.
    """
    count = len(layer_widths(model, name))
    if not -count <= layer < count:
        raise ValueError(
            f"layer {layer} does not exist in {name}, which has {count}: give 0 to {count - 1}, or -1 to -{count} "
            "counted from the last"
        )
    return layer % count


def gives_class_tokens(model: nn.Module) -> bool:
    """Return whether the layers of a timm model have class tokens, and timm gives them."""
    known = inspect.signature(model.forward_intermediates).parameters  # type: ignore[arg-type]
    return has_class_token(model) and "return_prefix_tokens" in known


def read_layers(
    model: nn.Module, name: str, x: Tensor, layers: Sequence[int], *, output: bool
) -> tuple[Tensor | None, list[Features]]:
    """Return the output of a timm model, and the tokens of some of its layers, from one pass.

    x: (B, 3, H, W), normalised. layers: 0-based and ascending. output: whether the model's own output is wanted, which
    is None if not; the layers behind the last wanted one are then left out.

    A vision transformer's last norm is applied to each, so that the last layer is the model's output; other models'
    maps are as they are. A layer's class token is None if it has none.
    """
    prefix = {"return_prefix_tokens": True} if gives_class_tokens(model) else {}
    given: dict[str, Any] = {
        "norm": True,
        "output_fmt": "NCHW",
        "intermediates_only": not output,
        "stop_early": not output,
        **prefix,
    }
    try:
        found: Any = model.forward_intermediates(x, list(layers), **given)  # type: ignore[operator]
    except AssertionError as error:
        raise ValueError(f"timm does not give the layers of {name} as tokens: {error}") from error
    last, parts = found if output else (None, found)
    norm = late_norm(model) if len(set(layer_widths(model, name))) == 1 else None
    read = []
    for part in parts:
        tokens, cls = (part[0], part[1][:, 0]) if isinstance(part, tuple) else (part, None)
        patches = tokens.flatten(2).transpose(1, 2)
        if norm is not None:
            patches, cls = norm(patches), None if cls is None else norm(cls)
        read.append(Features(cls, patches, (tokens.shape[2], tokens.shape[3])))
    return last, read
