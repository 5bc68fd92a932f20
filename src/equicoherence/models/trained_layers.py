"""Which layer of an encoder each of its parameters belongs to."""

from __future__ import annotations

from typing import Any

from equicoherence.models.encoder import Encoder
from equicoherence.models.layers import layer_widths
from equicoherence.models.on_meta import first_reached

BEFORE = -1  # embeddings and positions, or a stem


def count_layers(encoder: Encoder) -> int:
    """Return the number of layers. Raises ValueError for a model whose layers timm does not tell."""
    return len(layer_widths(encoder.model, encoder.name))


def parameter_layers(encoder: Encoder) -> dict[str, int]:
    """Return the 0-based layer of each parameter of an encoder's timm model, by name.

    Layers are those of `models.layers`: blocks of a vision transformer, stages of a convolutional network. A parameter
    belongs to the first layer that depends on it; to `BEFORE` where it stands outside the first layer and before it, as
    embeddings and stems do; to the number of layers where none depends on it, as on a last norm. A stem that is a layer
    of its own, as in ResNet, is the first layer.

    Raises ValueError for a model whose layers timm does not tell.
    """
    model, count = encoder.model, count_layers(encoder)
    try:
        reached = first_reached(model, encoder.own_size, count)
    except AssertionError as error:
        raise ValueError(f"timm does not give the layers of {encoder.name}: {error}") from error
    info: Any = model.feature_info
    first = f"{info[0].get('module', '')}."
    own_weights = any(name.startswith(first) and p.ndim > 1 for name, p in model.named_parameters())

    def layer(name: str) -> int:
        found = reached.get(name, count)
        return BEFORE if found == 0 and own_weights and not name.startswith(first) else found

    return {name: layer(name) for name, _ in model.named_parameters()}
