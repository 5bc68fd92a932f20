"""Any timm encoder behind one contract: images in [0, 1] -> class token, patch tokens, grid."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import timm
import torch
from torch import Tensor, nn

from equicoherence.models.lean_block import lean_last
from equicoherence.models.names import resolve
from equicoherence.models.unreached import unreached

Pool = Literal["mean", "cls"]
Channels = tuple[float, float, float]  # a number for red, green and blue
VISION_TRANSFORMERS = ("vision_transformer", "deit", "eva")  # timm's modules of those that mask and take any size
# a shared configuration must not make timm open files or fetch weights, nor set what `Encoder` itself sets
REFUSED_ARGS = {"model_name", "checkpoint_path", "cache_dir", "num_classes", "features_only"}


@dataclass(frozen=True)
class Features:
    """What an encoder says of a batch.

    cls: (B, C), or None for encoders without a class token. patches: (B, N, C), row by row. grid: (h, w), h * w = N.
    tapped: (B, M, C') patch tokens of the layer the encoder was asked to tap, with their grid; None without one.
    """

    cls: Tensor | None
    patches: Tensor
    grid: tuple[int, int]
    tapped: Tensor | None = None
    tapped_grid: tuple[int, int] | None = None

    def pooled(self, pool: Pool = "mean") -> Tensor:
        """Return (B, C): the mean of the patch tokens, or the class token."""
        if pool == "mean":
            return self.patches.mean(dim=1)
        if self.cls is None:
            raise ValueError("pool 'cls' needs an encoder with a class token; use pool 'mean'")
        return self.cls


class Encoder(nn.Module):
    """A timm model without its classifier; it normalises the images itself.

    name: any `timm.create_model` name, with a source (``local-dir:FOLDER``, ``hf-hub:NAME``) or without; args: further
    keyword arguments of it (``img_size``, ``patch_size``, ...), none that reads files or weights (ValueError).
    mean, std: by which images are normalised, those timm names for the model where None (`check_normalisation`).
    layer: 0-based index of a layer whose patch tokens are also returned (timm's ``forward_intermediates`` numbering).
    masked: whether patch tokens can be replaced by a learned ``mask_token`` (C,), which is no part of the timm model.
    any_size: whether images of any size are taken, which a vision transformer does by resampling its position
    embeddings. Masks need a vision transformer: ValueError for others.
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self,
        name: str,
        args: dict[str, Any] | None = None,
        *,
        pretrained: bool = False,
        mean: Channels | None = None,
        std: Channels | None = None,
        layer: int | None = None,
        masked: bool = False,
        any_size: bool = False,
    ) -> None:
        super().__init__()
        check_normalisation(mean, std)
        architecture, saved = resolve(name)
        refused = sorted(key for key in map(str, args or {}) if key in REFUSED_ARGS or key.startswith("pretrained"))
        if refused:
            raise ValueError(f"encoder args may not hold {', '.join(refused)}: they shape the model and load nothing")
        transformer = timm.models.is_model_in_modules(architecture, VISION_TRANSFORMERS)
        if masked and not transformer:
            raise ValueError(f"{name} cannot mask patch tokens: masks need a vision transformer (vit_*, deit*, eva*)")
        self.name, self.architecture = name, architecture
        self.args = {key: value for key, value in saved.items() if key not in REFUSED_ARGS} | (args or {})
        if any_size and transformer:
            self.args["dynamic_img_size"] = True
        self.model = timm.create_model(name, pretrained=pretrained, num_classes=0, **self.args)
        self.model.to(memory_format=torch.channels_last)  # convolutions run fastest so, on CPUs and GPUs alike
        self.width: int = self.model.num_features  # type: ignore[assignment]
        self.prefix: int = getattr(self.model, "num_prefix_tokens", 0)
        self.has_cls = getattr(self.model, "cls_token", None) is not None
        self._last = [lean_last(self.model)]  # in a list: a module of its own it is not
        self.pool: Pool = "cls" if getattr(self.model, "global_pool", "") == "token" and self.has_cls else "mean"
        # models that pool before their last norm keep it in fc_norm; here it is applied to the tokens instead
        norm = getattr(self.model, "fc_norm", None)
        self._late_norm = isinstance(norm, nn.Module) and not isinstance(norm, nn.Identity)
        config = self.model.pretrained_cfg
        side = self.args.get("img_size", config["input_size"][1:])  # type: ignore[index]
        for idle in unreached(self.model, (side, side) if isinstance(side, int) else tuple(side)):
            self.model.get_parameter(idle).requires_grad_(False)  # DDP would wait for its gradient
        for key, given in (("mean", mean), ("std", std)):
            values = config[key] if given is None else given  # type: ignore[index]
            self.register_buffer(key, torch.tensor(values).view(1, 3, 1, 1), persistent=False)
        self.mask_token = nn.Parameter(torch.randn(self.width) * 0.02) if masked else None
        self._masks: Tensor | None = None
        if masked:
            self.model.patch_embed.register_forward_hook(self._mask)  # type: ignore[union-attr]
        self.layer = layer
        if layer is not None and not 0 <= layer < len(self.model.feature_info):  # type: ignore[arg-type]
            raise ValueError(f"layer {layer} does not exist in {name}: it has {len(self.model.feature_info)} (from 0)")  # type: ignore[arg-type]

    @property
    def layer_width(self) -> int:
        """Channels of the tapped layer, or of the output where none is tapped."""
        return self.width if self.layer is None else self.model.feature_info[self.layer]["num_chs"]  # type: ignore[index]

    def forward(self, images: Tensor, masks: Tensor | None = None, *, class_only: bool = False) -> Features:
        """Encode images (B, 3, H, W) in [0, 1]; the patch tokens where ``masks`` (B, N) is True are the mask token.

        class_only: only the class token is read, so patches is left empty, (B, 0, C), and a vision
        transformer's last layers see the class token alone.
        """
        if masks is not None and self.mask_token is None:
            raise ValueError("masks need an encoder built with masked=True")
        size = (images.shape[2], images.shape[3])
        x = ((images - self.mean) / self.std).contiguous(memory_format=torch.channels_last)
        self._masks = masks
        try:
            if class_only:
                return self._class_features(x)
            if self.layer is None:
                return self._features(self.model.forward_features(x), size)  # type: ignore[operator]
            final, (tapped,) = self.model.forward_intermediates(x, indices=[self.layer], norm=True, output_fmt="NCHW")  # type: ignore[operator]
            return dataclasses.replace(
                self._features(final, size),
                tapped=tapped.flatten(2).transpose(1, 2),
                tapped_grid=(tapped.shape[2], tapped.shape[3]),
            )
        finally:  # the next images must not be masked by these
            self._masks = None

    def _class_features(self, x: Tensor) -> Features:
        if not self.has_cls:
            raise ValueError(f"{self.name} has no class token, so class_only must be False")
        (last,) = self._last
        if last is not None:
            last.first_only = True
        try:
            output: Tensor = self.model.forward_features(x)  # type: ignore[operator]
        finally:
            if last is not None:
                last.first_only = False
        if self._late_norm:
            output = self.model.fc_norm(output)  # type: ignore[operator]
        return Features(output[:, 0], output[:, :0], (0, 0))

    def _mask(self, module: nn.Module, inputs: tuple[Tensor], tokens: Tensor) -> Tensor:
        """Replace masked patch embeddings, (B, N, C) or (B, h, w, C), before their positions are added."""
        if self._masks is None or self.mask_token is None:
            return tokens
        masks = self._masks.view(*tokens.shape[:-1], 1)
        return torch.where(masks, self.mask_token.to(tokens.dtype), tokens)

    def _features(self, output: Tensor, size: tuple[int, int]) -> Features:
        if output.ndim == 4:
            if getattr(self.model, "output_fmt", "NCHW") == "NHWC":
                output = output.permute(0, 3, 1, 2)
            return Features(None, output.flatten(2).transpose(1, 2), (output.shape[2], output.shape[3]))
        if output.ndim != 3:
            raise ValueError(f"{self.name} gives features of shape {tuple(output.shape)}; (B, N, C) or a map is needed")
        if self._late_norm:
            output = self.model.fc_norm(output)  # type: ignore[operator]
        patches = output[:, self.prefix :]
        grid = self._grid(patches.shape[1], size)
        return Features(output[:, 0] if self.has_cls else None, patches, grid)

    def _grid(self, patches: int, size: tuple[int, int]) -> tuple[int, int]:
        embed = getattr(self.model, "patch_embed", None)
        if embed is not None and hasattr(embed, "dynamic_feat_size"):
            height, width = embed.dynamic_feat_size(size)  # type: ignore[operator]
            if height * width == patches:
                return height, width
        side = round(patches**0.5)
        if side * side != patches:
            raise ValueError(f"{self.name}: {patches} patch tokens are no square grid; give square images")
        return (side, side)


def check_normalisation(mean: Sequence[float] | None, std: Sequence[float] | None) -> None:
    """Raise ValueError for a mean or std that is not of three finite channels, and for a std that is not positive."""
    for name, values in (("mean", mean), ("std", std)):
        if values is not None and not (len(values) == 3 and all(map(math.isfinite, values))):
            raise ValueError(f"{name} must hold a number for each of the 3 channels, got {values}")
    if std is not None and min(std) <= 0:
        raise ValueError(f"std must be above 0 in all channels, got {std}")
