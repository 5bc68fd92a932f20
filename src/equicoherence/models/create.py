"""A timm model from a name and arguments, without classifier, and without its head where nothing trains that."""

from __future__ import annotations

from typing import Any

import timm
from torch import nn

from equicoherence.errors import one_line
from equicoherence.models.names import folder_of
from equicoherence.models.normalisation import RGB
from equicoherence.models.prefixes import LOCAL
from equicoherence.models.timm_head import arguments_without_head

# a shared configuration must not make timm open files or fetch weights, nor set what `Encoder` itself sets
REFUSED_ARGS = {"model_name", "checkpoint_path", "cache_dir", "num_classes", "features_only"}
WRONG = (TypeError, ValueError, AssertionError, RuntimeError, AttributeError, KeyError, IndexError, ZeroDivisionError)


def checked_args(saved: dict[str, Any], args: dict[str, Any] | None) -> dict[str, Any]:
    """Return the arguments that a name keeps, under those given. Raises ValueError for one that reads files."""
    refused = sorted(key for key in map(str, args or {}) if key in REFUSED_ARGS or key.startswith("pretrained"))
    if refused:
        raise ValueError(f"encoder args may not hold {', '.join(refused)}: they shape the model and load nothing")
    return {key: value for key, value in saved.items() if key not in REFUSED_ARGS} | (args or {})


def create(
    name: str, args: dict[str, Any], *, pretrained: bool, headless: bool
) -> tuple[nn.Module, dict[str, Any], bool]:
    """Return a timm model, the arguments that build it, and whether its head has been left out, as ``headless`` asks.

    Raises ValueError for arguments that do not fit the model, and what timm raises for weights that cannot be had.
    """

    folder = folder_of(name)
    place = name if folder is None else f"{LOCAL}{folder}"  # timm itself would fetch, and read, other files, too

    def build(more: dict[str, Any], published: bool = False) -> nn.Module:
        model = timm.create_model(place, pretrained=published, num_classes=0, **args | more)
        model.input_channels = args.get("in_chans", RGB)
        return model

    try:
        more = arguments_without_head(build, args) if headless else None
        if not pretrained or not more:
            return build(more or {}, pretrained), args | (more or {}), more is not None
        whole, model = build({}, True), build(more)
        weights = whole.state_dict()
        if not model.state_dict().keys() <= weights.keys():
            return whole, args, False
        model.load_state_dict({key: weights[key] for key in model.state_dict()})
        return model, args | more, True
    except WRONG as error:
        if pretrained and isinstance(error, RuntimeError):
            raise
        raise ValueError(f"timm cannot build {name} with the arguments {args}: {one_line(error)}") from error
