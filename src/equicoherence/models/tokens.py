"""Find the tokens in the output of a timm model's ``forward_features``; ambiguous outputs are refused."""

from __future__ import annotations

import math
from typing import Any

from torch import Tensor, nn

from equicoherence.models.features import Features


class NoTokensError(ValueError):
    """An encoder's output is neither tokens nor a map."""


def has_class_token(model: nn.Module) -> bool:
    """Return whether a timm model has a class token."""
    return getattr(model, "cls_token", None) is not None


def prefix_tokens(model: nn.Module) -> int:
    """Return how many tokens, class token and registers, stand before the patch tokens."""
    known = getattr(model, "num_prefix_tokens", None)
    if known is not None:
        return int(known)
    return model.cls_token.shape[1] if has_class_token(model) else 0  # type: ignore[index,union-attr]


def late_norm(model: nn.Module) -> nn.Module | None:
    """Return the norm that a timm model keeps for after its pooling, in place of one of its tokens; None without."""
    norm = getattr(model, "fc_norm", None)
    before = getattr(model, "norm", None)
    is_late = isinstance(norm, nn.Module) and not isinstance(norm, nn.Identity) and isinstance(before, nn.Identity)
    return norm if is_late else None


def check_output(name: str, output: Any) -> None:
    """Raise ValueError, with its shape, for what is neither a map nor class and patch tokens."""
    if isinstance(output, Tensor) and output.ndim in (3, 4):
        return
    parts = output if isinstance(output, list | tuple) else [output]
    shapes = ", ".join(str(tuple(part.shape)) if isinstance(part, Tensor) else type(part).__name__ for part in parts)
    what = f"{len(parts)} outputs of shapes {shapes}" if isinstance(output, list | tuple) else f"features of {shapes}"
    raise NoTokensError(
        f"{name} gives {what}, but one set of tokens (B, N, C) or one map (B, C, h, w) is needed: choose "
        "another encoder"
    )


def raw_tokens(model: nn.Module, output: Tensor) -> tuple[Tensor | None, Tensor]:
    """Return the class token (B, C), None without one, and the patch tokens (B, N, C) of an output, as they are."""
    if output.ndim == 4:
        return None, output.flatten(1, 2) if _channels_last(model) else output.flatten(2).transpose(1, 2)
    return (output[:, 0] if has_class_token(model) else None), output[:, prefix_tokens(model) :]


def read_tokens(model: nn.Module, name: str, output: Any, size: tuple[int, int]) -> Features:
    """Return the features of an output for images of ``size`` (h, w). Raises `NoTokensError` for what is no grid."""
    check_output(name, output)
    grid = grid_of(model, name, tuple(output.shape), size)
    cls, patches = raw_tokens(model, output)
    norm = late_norm(model)
    if norm is not None and output.ndim == 3:
        cls, patches = None if cls is None else norm(cls), norm(patches)
    return Features(cls, patches, grid)


def grid_of(model: nn.Module, name: str, shape: tuple[int, ...], size: tuple[int, int]) -> tuple[int, int]:
    """Return the rows and columns of the patch tokens in an output of ``shape`` for images of ``size`` (h, w).

    Raises `NoTokensError` where the tokens do not stand in rows and columns with the sides of the image.
    """
    if len(shape) == 4:
        return (shape[1], shape[2]) if _channels_last(model) else (shape[2], shape[3])
    patches = shape[1] - prefix_tokens(model)
    embed: Any = getattr(model, "patch_embed", None)
    if hasattr(embed, "dynamic_feat_size"):
        height, width = embed.dynamic_feat_size(size)
        if height * width == patches:
            return height, width
    height = round(math.sqrt(max(0, patches) * size[0] / size[1]))
    width = patches // max(1, height)
    # rounded up or down to whole tokens, the sides keep the image's aspect
    if height * width == patches > 0 and abs(height * size[1] - width * size[0]) < max(size):
        return height, width
    raise NoTokensError(
        f"{name} gives features of shape {shape} for images of {size[0]} x {size[1]} pixels, whose {max(0, patches)} "
        "patch tokens are no grid of the image: choose another encoder"
        + ("" if size[0] == size[1] else ", or square images")
    )


def _channels_last(model: nn.Module) -> bool:
    return getattr(model, "output_fmt", "NCHW") == "NHWC"
