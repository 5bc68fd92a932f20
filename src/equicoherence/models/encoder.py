"""Any timm encoder with one interface: images in [0, 1] -> class token, patch tokens, grid."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any, Literal, Self

import timm
import torch
import torch.nn.functional as F
from timm.layers import HybridEmbed
from torch import Tensor, nn

from equicoherence.models.create import checked_args, create
from equicoherence.models.features import Features, Pool
from equicoherence.models.hub import hub_or_cache
from equicoherence.models.image_sizes import check_size
from equicoherence.models.layers import gives_class_tokens, layer_number, layer_widths, read_layers
from equicoherence.models.lean_block import lean_last
from equicoherence.models.names import folder_of, resolve, split_file
from equicoherence.models.normalisation import RGB, Channels, check_normalisation, for_channels
from equicoherence.models.on_meta import forget_biases, own_size, unreached, with_kept_biases
from equicoherence.models.prefixes import LOCAL, SOURCES
from equicoherence.models.shared_files import has_heads
from equicoherence.models.timm_head import own_pool
from equicoherence.models.tokens import grid_of, has_class_token, late_norm, prefix_tokens, read_tokens
from equicoherence.models.weights import load_weights
from equicoherence.notice import say

# timm's modules of those that mask and take any size. A hybrid has convolutions before its patches.
VISION_TRANSFORMERS = ("vision_transformer", "vision_transformer_hybrid", "deit", "eva")
Read = Literal["all", "tokens"]


class Encoder(nn.Module):
    """A timm model without its classifier; it normalises images itself.

    name: any `timm.create_model` name, with or without a source (``local-dir:FOLDER``, ``hf-hub:NAME``).
    args: further keyword arguments for it (``img_size``, ``patch_size``, ``in_chans``, ...); arguments that read files
        or weights are a ValueError.
    mean, std: normalisation of images; by default timm's for the model (`check_normalisation`, `for_channels`).
    layers: 0-based numbers of layers whose patch tokens are also returned, in this order; negative numbers count from
        the last.
    masked: whether patch tokens can be replaced by a learned ``mask_token`` (C,), which is not part of the timm model.
        It needs a vision transformer: ValueError for others.
    any_size: whether images of any size are accepted; a vision transformer then resamples its position embeddings.
    read: what will be trained. "all": also timm's own head on the tokens, whose output is then the image
        representation. "tokens": only the tokens; the head is removed, and the image representation is their mean, or a
        norm of it.

    The attribute ``pool`` says how the image representation is computed, ``ends_at`` which layer replaces the output
    (see `end_at`), and ``frozen`` which parts of the model stay in eval mode in training, because they are not trained.

    Raises ValueError for a model whose output is not a grid of tokens, with its shape.
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
        layers: Sequence[int] = (),
        masked: bool = False,
        any_size: bool = False,
        read: Read = "all",
    ) -> None:
        super().__init__()
        architecture, saved = resolve(name)
        transformer = timm.models.is_model_in_modules(architecture, VISION_TRANSFORMERS)
        if masked and not transformer:
            raise ValueError(f"{name} cannot mask patch tokens: masks need a vision transformer (vit_*, deit*, eva*)")
        args = checked_args(saved, args) | ({"dynamic_img_size": True} if any_size and transformer else {})
        self.name, self.architecture, self.read = name, architecture, read
        channels = args.get("in_chans", RGB)
        check_normalisation(mean, std, channels)
        self.model, self.args, headless = create(name, args, pretrained=pretrained, headless=read == "tokens")
        self.model.to(memory_format=torch.channels_last)  # convolutions run fastest so, on CPUs and GPUs alike
        self.width: int = self.model.num_features  # type: ignore[assignment]
        self.has_cls = has_class_token(self.model)
        self._last = [lean_last(self.model)]  # in a list: a module of its own it is not
        config = self.model.pretrained_cfg
        self.own_size = own_size(self.model, self.args)
        self._biased = with_kept_biases(self.model)
        shape = check_size(self.model, self.own_size, name)
        self._sizes = {self.own_size}
        self.timm_pool: Pool
        self.timm_pool, timm_width = own_pool(self.model, shape)
        self.pool: Pool = self.timm_pool if read == "all" or headless else "mean"
        self.pooled_width = timm_width if self.pool == "head" else self.width
        for idle in unreached(self.model, self.own_size, head=read == "all" and self.pool == "head"):
            self.model.get_parameter(idle).requires_grad_(False)  # DDP would wait for its gradient
        for key, given in (("mean", mean), ("std", std)):
            values = for_channels(config[key], channels) if given is None else given  # type: ignore[index]
            self.register_buffer(key, torch.tensor(values).view(1, channels, 1, 1), persistent=False)
        self.mask_token = nn.Parameter(torch.randn(self.width) * 0.02) if masked else None
        self._masks: Tensor | None = None
        if masked:
            self.model.patch_embed.register_forward_hook(self._mask)  # type: ignore[union-attr]
        self.layers = tuple(layer_number(self.model, name, layer) for layer in layers)
        self.ends_at: int | None = None
        self.frozen: tuple[str, ...] = ()

    @classmethod
    def from_pretrained(cls, model: str | Path, *, size: int | None = None) -> Self:
        """Return a pretrained encoder, in evaluation mode.

        model: ``timm:NAME``, ``hf-hub:OWNER/NAME``, a folder that `equicoherence export` wrote, or a weights file and
            its timm architecture, ``FILE@ARCH``. `load_model` accepts more, such as runs, and gives z_inv, z_equi
            and z of a model that has heads for them; here a line says that there are some.
        size: pixels of its images, for a model that is built for one size; by default its own.

        No code in a file is executed. Raises ValueError or FileNotFoundError, with one sentence, for a model that does
        not exist, cannot be read or does not fit.
        """
        file, arch = split_file(str(model))
        if arch is not None:
            encoder = cls(arch, sized(arch, size))
            load_weights(encoder.model, Path(file))
            return encoder.eval()
        name = f"{LOCAL}{model}" if Path(model).is_dir() else str(model).removeprefix("timm:")
        if name == str(model) and not name.startswith(SOURCES):
            raise ValueError(
                f"model {name!r} is neither timm:NAME, nor hf-hub:OWNER/NAME, nor an exported folder, nor FILE@ARCH; "
                "load_model takes more"
            )
        folder = folder_of(name)
        if folder is not None and has_heads(folder):
            say(f"{model} has heads (z_inv, z_equi or z): load_model gives these, and this encoder its features alone")
        with nullcontext() if name.startswith(SOURCES) else hub_or_cache():
            return cls(name, sized(name, size), pretrained=True).eval()

    @property
    def channels(self) -> int:
        """Channels of its images."""
        return self.mean.shape[1]

    def train(self, mode: bool = True) -> Self:
        """Set the mode of all parts except the frozen ones."""
        super().train(mode)
        self.eval_frozen()
        return self

    def eval_frozen(self) -> None:
        """Set the frozen parts to eval mode."""
        for name in self.frozen:
            self.model.get_submodule(name).eval()

    def checkpoint(self) -> None:
        """From now on, store only the inputs of layers for the backward pass, which recomputes the rest.

        Raises ValueError if timm does not support it.
        """
        try:
            self.model.set_grad_checkpointing(True)  # type: ignore[operator]
        except (AttributeError, AssertionError) as error:
            raise ValueError(f"timm has no gradient checkpointing for {self.name}") from error
        self._last = [None]  # a block that once does less cannot be computed again

    def end_at(self, layer: int) -> None:
        """From now on, return the tokens of a layer instead of the output; later layers are not computed.

        layer: 0-based, as ``layer``; negative numbers count from the last. The image representation is the class token
            if it was and the layer has one, else the mean of the patch tokens. Raises ValueError if there is no such
            layer.
        """
        self.ends_at = layer_number(self.model, self.name, layer)
        self.width = self.pooled_width = layer_widths(self.model, self.name)[self.ends_at]
        self.has_cls = gives_class_tokens(self.model)
        self.pool = "cls" if self.pool == "cls" and self.has_cls else "mean"

    def every_layer(self, images: Tensor, layers: Sequence[int] | None = None) -> tuple[Features, list[Features]]:
        """Return the features of images (B, C, H, W) in [0, 1], and those of each layer, in order.

        All come from one forward pass. The features of the images have the tokens of ``layers``, as those of `forward`.
        Layers after `ends_at` are not included.

        layers: numbers of the layers to return, ascending, including the last one; None for all.
        """
        count = len(layer_widths(self.model, self.name)) if self.ends_at is None else self.ends_at + 1
        wanted = range(count) if layers is None else layers
        x, size = self._normalised(images)
        if self.ends_at is not None:
            found = read_layers(self.model, self.name, x, wanted, output=False)[1]
            return found[-1], found
        numbers = sorted({*wanted, *self.layers})
        output, found = read_layers(self.model, self.name, x, numbers, output=True)
        assert output is not None
        read = dict(zip(numbers, found))
        return self._tapping(self._features(output, size), read), [read[layer] for layer in wanted]

    @property
    def tapped_widths(self) -> list[int]:
        """Channels of each layer in ``layers``."""
        return [layer_widths(self.model, self.name)[layer] for layer in self.layers]

    @property
    def tapped_reductions(self) -> list[int]:
        """Width of a token in pixels of the image, for each layer in ``layers``."""
        return [int(self.model.feature_info[layer]["reduction"]) for layer in self.layers]  # type: ignore[index]

    def check_size(self, *size: int) -> None:
        """Raise ValueError if images of ``size``, one number or (h, w), do not fit the model without remainder."""
        height, width = size if len(size) == 2 else (size[0], size[0])
        if (height, width) not in self._sizes:
            check_size(self.model, (height, width), self.name)
            self._sizes.add((height, width))

    def forward(
        self, images: Tensor, masks: Tensor | None = None, *, class_only: bool = False, layers_only: bool = False
    ) -> Features:
        """Encode images (B, C, H, W) in [0, 1]; patch tokens where ``masks`` (B, N) is True are the mask token.

        Of a hybrid, the pixels of masked patches are blank, too, since its convolutions overlap.

        class_only: compute only the class token; patches are empty, (B, 0, C), and the last layers of a vision
            transformer process only the class token.
        layers_only: compute no layer after the last one in ``layers``, whose tokens are returned as the output.

        Raises ValueError for a size that does not fit.
        """
        if masks is not None and self.mask_token is None:
            raise ValueError("masks need an encoder built with masked=True")
        x, size = self._normalised(images)
        if masks is not None:
            x = self._blanked(x, masks)
        self._masks = masks
        try:
            if self.ends_at is not None:
                return read_layers(self.model, self.name, x, [self.ends_at], output=False)[1][0]
            if class_only:
                return self._class_features(x)
            if not self.layers:
                return self._features(self.model.forward_features(x), size)  # type: ignore[operator]
            numbers = sorted(set(self.layers))
            output, found = read_layers(self.model, self.name, x, numbers, output=not layers_only)
            features = found[-1] if output is None else self._features(output, size)
            return self._tapping(features, dict(zip(numbers, found)))
        finally:  # the next images must not be masked by these
            self._masks = None

    def _normalised(self, images: Tensor) -> tuple[Tensor, tuple[int, int]]:
        """Return images as the model takes them, and their size (h, w), which is checked."""
        size = (images.shape[2], images.shape[3])
        if not torch.compiler.is_compiling():
            self.check_size(*size)
            forget_biases(self._biased)
        return ((images - self.mean) / self.std).contiguous(memory_format=torch.channels_last), size

    def _tapping(self, features: Features, read: Mapping[int, Features]) -> Features:
        """Return features with the tokens of each layer in ``layers``. read: layers by their numbers."""
        tapped = [read[layer] for layer in self.layers]
        grids = tuple(layer.grid for layer in tapped)
        return dataclasses.replace(features, tapped=tuple(layer.patches for layer in tapped), tapped_grids=grids)

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
        norm = late_norm(self.model)
        output = output if norm is None else norm(output)
        return Features(output[:, 0], output[:, :0], (0, 0))

    def _blanked(self, x: Tensor, masks: Tensor) -> Tensor:
        """Return normalised images whose masked patches are 0, where convolutions would carry them into others."""
        if not isinstance(self.model.patch_embed, HybridEmbed):
            return x
        size = (x.shape[2], x.shape[3])
        tokens = masks.shape[1] + prefix_tokens(self.model)
        of_patches = masks.view(len(x), 1, *grid_of(self.model, self.name, (len(x), tokens, self.width), size))
        return x.masked_fill(F.interpolate(of_patches.float(), size).bool(), 0)

    def _mask(self, module: nn.Module, inputs: tuple[Tensor], tokens: Tensor) -> Tensor:
        """Replace masked patch embeddings, (B, N, C) or (B, h, w, C), before their positions are added."""
        if self._masks is None or self.mask_token is None:
            return tokens
        masks = self._masks.view(*tokens.shape[:-1], 1)
        return torch.where(masks, self.mask_token.to(tokens.dtype), tokens)

    def _features(self, output: Tensor, size: tuple[int, int]) -> Features:
        features = read_tokens(self.model, self.name, output, size)
        if self.pool != "head":
            return features
        return dataclasses.replace(features, head=self.model.forward_head(output, pre_logits=True))  # type: ignore[operator]


def sized(name: str, size: int | None) -> dict[str, int]:
    """Return the arguments that build a timm model for images of a size; none if its own is wanted."""
    if size is None:
        return {}
    architecture, _ = resolve(name)
    known = timm.get_pretrained_cfg(architecture)
    fixed = known is not None and known.fixed_input_size
    return {"img_size": size} if fixed or timm.models.is_model_in_modules(architecture, VISION_TRANSFORMERS) else {}
