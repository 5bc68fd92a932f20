"""A frozen encoder that gives its layers too, pooled, all from one pass over an image."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from equicoherence.errors import RefusedValue
from equicoherence.evaluation.frozen_model import FrozenModel
from equicoherence.evaluation.layers import OUTPUT
from equicoherence.models import Encoder
from equicoherence.models.layers import gives_class_tokens, layer_number, layer_widths

NAMES = [field.name for field in dataclasses.fields(FrozenModel) if field.init and field.name != "predictor"]
CHUNK = 64  # images whose tokens of all layers are held at once
OWN = "backbone"  # what a model calls its output
MEAN, CLS = "mean of patch tokens", "class token"


@dataclass(frozen=True)
class LayerReading:
    """One representation. layer: its number, or `OUTPUT`. reads: `MEAN` or `CLS`. depth: in %, of the output 100."""

    layer: int | str
    reads: str
    depth: float

    @property
    def name(self) -> str:
        """What representations are called by."""
        return f"{self.title}, {self.reads}"

    @property
    def title(self) -> str:
        """The layer as tables call it."""
        return OUTPUT if self.layer == OUTPUT else f"layer {self.layer}"


@dataclass(frozen=True, eq=False)
class EveryLayer(FrozenModel):
    """A model that gives its layers pooled beside its own representations, and no tokens.

    most: how many layers at most, at equal distances, the last among them; None for all.
    also: numbers of layers that are given besides.
    """

    most: int | None = None
    also: tuple[int, ...] = ()

    def layers(self) -> list[int]:
        """Return the numbers of the layers that are given."""
        encoder = self.encoder
        count = len(layer_widths(encoder.model, encoder.name)) if encoder.ends_at is None else encoder.ends_at + 1
        some = min(self.most or count, count)
        return sorted({*self.also, *(-(-count * number // some) - 1 for number in range(1, some + 1))})

    def readings(self) -> list[LayerReading]:
        """Return all representations by depth, the mean of the patch tokens before the class token.

        The output is that of the class token where that stands for an image, else, a head of timm's too, of the mean.
        """
        layers = self.layers()
        kinds = (MEAN, CLS) if gives_class_tokens(self.encoder.model) else (MEAN,)
        depths = [100 * (number + 1) / (layers[-1] + 2) for number in layers]
        readings = [LayerReading(number, reads, depth) for number, depth in zip(layers, depths) for reads in kinds]
        return [*readings, LayerReading(OUTPUT, CLS if self.pool == "cls" else MEAN, 100.0)]

    def represent(self, images: Tensor) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """Return each layer of images (B, 3, S, S), pooled (B, C), by the names of `readings`; no tokens.

        What the model itself gives of them, but for the output, has its own names.
        """
        parts = [self._pooled(part) for part in images.split(CHUNK)]
        return {name: torch.cat([part[name] for part in parts]) for name in parts[0]}, {}

    def own(self, pooled: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return what the model itself gives, by its own names, of what `represent` does."""
        *layers, output = (reading.name for reading in self.readings())
        return {OWN if name == output else name: part for name, part in pooled.items() if name not in layers}

    def _pooled(self, images: Tensor) -> dict[str, Tensor]:
        output, layers = self.encoder.every_layer(images, self.layers())
        pooled = [part for layer in layers for part in (layer.patches.mean(dim=1), layer.cls) if part is not None]
        own = self.represent_features(output)[0]
        names = [reading.name for reading in self.readings()]
        return dict(zip(names, [*pooled, own.pop(OWN)], strict=True)) | own


def every_layer(model: FrozenModel, most: int | None = None, also: Sequence[int] = ()) -> EveryLayer:
    """Return a model of the same encoder that gives its layers too, or at most so many of them.

    also: numbers of layers that are given besides; negative ones count from the last.

    Raises ValueError for a model whose layers are unknown, and for a layer that it does not have or does not reach.
    """
    if not isinstance(model.encoder, Encoder):
        raise RefusedValue(f"{model.name} is a module whose layers are not known; leave the task layers out for it")
    layer_widths(model.encoder.model, model.encoder.name)
    numbers = tuple(layer_number(model.encoder.model, model.encoder.name, layer) for layer in also)
    if (end := model.encoder.ends_at) is not None and max(numbers, default=0) > end:
        raise RefusedValue(f"layer {max(numbers)} comes after layer {end}, which {model.name} ends at")
    fields: dict[str, Any] = {name: getattr(model, name) for name in NAMES}
    return EveryLayer(**fields, most=most, also=numbers)
