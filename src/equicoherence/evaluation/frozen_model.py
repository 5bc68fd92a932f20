"""The encoder under evaluation, whatever it was loaded from; at a layer of it, and with random weights."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from equicoherence.evaluation.own_predictor import OwnPredictor
from equicoherence.models import Encoder, Features
from equicoherence.models.features import Pool
from equicoherence.models.joined import joined
from equicoherence.training.build import build_whole
from equicoherence.training.config import PretrainConfig
from equicoherence.training.seeds import step_seed

T = TypeVar("T")


@dataclass(frozen=True, eq=False)
class FrozenModel:
    """An encoder under evaluation, and its description.

    name: as the user calls it.
    group: name of its scores; seeds of one recipe share it.
    size: pixels of its input.
    source: pixels at which its images are read.
    head: computes z_inv and z_equi of a run's features, as `SplitHead` does; None for other encoders.
    config: of a run.
    pool: how the backbone representation is pooled.
    predictor: of a run on poses whose method has one; else None.
    fresh: for a module in memory, makes a copy of the encoder with new random weights.
    has_random_control: whether `random_control` can draw weights of its architecture.
    """

    name: str
    group: str
    encoder: Encoder
    size: int
    source: int
    head: nn.Module | None = None
    config: PretrainConfig | None = None
    pool: Pool = "mean"
    predictor: OwnPredictor | None = None
    fresh: Callable[[], Any] | None = None
    has_random_control: bool = True
    memo: dict[str, tuple[object, Any]] = field(default_factory=dict, init=False, repr=False)

    def remember(self, key: tuple[Any, ...], make: Callable[[], T]) -> T:
        """Return what was made of this model for a key, made now where the last one was of another key.

        One value is kept for each first word of a key: tasks that read the same features take them once. Whoever scores
        several tasks clears ``memo`` where they are needed no more.
        """
        if self.memo.get(key[0], (None,))[0] != key:
            self.memo.pop(key[0], None)  # two would take twice the room
            self.memo[key[0]] = (key, make())
        return self.memo[key[0]][1]

    def to(self, device: torch.device) -> FrozenModel:
        """Move the weights to a device."""
        for module in self.modules():
            module.to(device)
        return self

    def modules(self) -> list[nn.Module]:
        """Return the parts that hold weights."""
        return [module for module in (self.encoder, self.head, self.predictor) if module is not None]

    @property
    def nbytes(self) -> int:
        """Bytes of the weights."""
        return sum(tensor.nbytes for module in self.modules() for tensor in module.state_dict().values())

    def represent(self, images: Tensor) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """Return each representation of images (B, C, S, S), pooled (B, C) and as patch tokens (B, N, C).

        ``backbone``; for a run also ``z_inv``, ``z_equi`` and, pooled, ``z``, their concatenation; for a plain run only
        ``z``. If the method reads the encoder's own features, there is neither z_inv nor ``z``. For a run that started
        from pretrained weights also, pooled, ``joined``: see `joined`.
        """
        return self.represent_features(self.encoder(images))

    def represent_features(self, features: Features) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """Return the representations of `represent` from the features of the images."""
        tokens = {"backbone": features.patches}
        if self.head is not None:
            z_inv, z_equi = self.head(features)
            named = {"z" if z_equi is None else "z_inv": z_inv, "z_equi": z_equi}
            tokens |= {name: part for name, part in named.items() if part is not None}
        pooled = {name: part.mean(dim=1) for name, part in tokens.items()}
        if "z_inv" in pooled:
            pooled["z"] = torch.cat([pooled["z_inv"], pooled["z_equi"]], dim=-1)
        if self.pool != "mean":
            pooled["backbone"] = features.pooled(self.pool)
        if "z_equi" in pooled and self.config is not None and self.config.encoder.weights:
            pooled["joined"] = joined(pooled["backbone"], pooled["z_equi"])
        return pooled, tokens


def at_layer(model: FrozenModel, layer: int) -> FrozenModel:
    """Return a model that gives the features of a layer instead of its output; its name says so.

    layer: a block of a vision transformer or a stage of a convolutional network, from 0; negative numbers count from
        the last. The image representation is the layer's class token if the model uses its own, else the mean of the
        patch tokens.

    The encoder is changed in place, and heads after it are removed. Raises ValueError if there is no such layer, or
    timm does not return it.
    """
    if not isinstance(model.encoder, Encoder):
        raise ValueError(
            f"layer is {layer}, but {model.name} is a module whose layers are not known: give a module that returns "
            "the features of that layer"
        )
    model.encoder.end_at(layer)
    with torch.no_grad():
        model.encoder(torch.zeros(1, model.encoder.channels, model.size, model.size, device=model.encoder.mean.device))
    said = f", layer {model.encoder.ends_at}"
    pool: Pool = "cls" if model.pool == "cls" and model.encoder.has_cls else "mean"
    names = {"name": f"{model.name}{said}", "group": f"{model.group}{said}"}
    return dataclasses.replace(model, **names, head=None, predictor=None, pool=pool)  # type: ignore[arg-type]


def random_control(model: FrozenModel, seed: int = 0) -> FrozenModel:
    """Return the same architecture with fresh random weights, the floor of every score; other ones for each seed."""
    with generators_kept():
        torch.manual_seed(step_seed(seed, 0, stream=2))  # not the weights that training with this seed begins with
        if model.fresh is not None:
            encoder = model.fresh()
        elif model.config is not None:
            encoder = build_whole(model.config).encoder
        else:
            mean, std = (tuple(part.flatten().tolist()) for part in (model.encoder.mean, model.encoder.std))
            encoder = Encoder(model.encoder.name, model.encoder.args, mean=mean, std=std)
    if model.encoder.ends_at is not None:
        encoder.end_at(model.encoder.ends_at)
    return dataclasses.replace(model, encoder=encoder.eval(), head=None, predictor=None)


def generators_kept() -> AbstractContextManager[None]:
    """Give torch's global generators back, at the end, the state in which the caller had them."""
    return torch.random.fork_rng(devices=range(torch.cuda.device_count()))
