"""Which sizes of images a timm model takes whole: others are refused, none is cut unsaid."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from timm.layers import HybridEmbed
from torch import Tensor, nn

from equicoherence.errors import one_line
from equicoherence.models.on_meta import evaluating, forget_biases, input_channels, output_shape, with_kept_biases
from equicoherence.models.tokens import NoTokensError, grid_of


def check_size(model: nn.Module, size: tuple[int, int], name: str) -> tuple[int, ...]:
    """Raise ValueError where images of ``size`` (h, w) do not fit the model; return the shape of its output.

    They do not where the model itself refuses them, where its output is no grid of tokens, and where pixels at the
    border are left over by patches that do not tile the image: the model would see a crop.
    """
    steps: list[tuple[int, bool]] = []
    with _noting_patches(model, size, steps):
        try:
            shape = output_shape(model, size, name)
        except (torch.OutOfMemoryError, NoTokensError):
            raise
        except (AssertionError, RuntimeError, ValueError, IndexError, TypeError, ZeroDivisionError) as error:
            raise ValueError(
                f"{name} does not take images of {written(size)} pixels{_own(model)}: {one_line(error).rstrip('.')}"
            ) from error
    grid_of(model, name, shape, size)
    if step := _lost(model, size, steps):
        raise ValueError(
            f"{name} does not take images of {written(size)} pixels: its patches of {step} x {step} would leave pixels "
            f"at the border unseen (multiples of {step} fit, such as {_near(size, step)})"
        )
    return shape


def _lost(model: nn.Module, size: tuple[int, int], steps: list[tuple[int, bool]]) -> int:
    """Return the pixels of a patch if some are left over at the border, else 0. steps: those noted."""
    if not any(left_over for _, left_over in steps):
        return 0
    # before the patches of a hybrid, group norms would spread the NaN of a border over all of them
    if isinstance(getattr(model, "patch_embed", None), HybridEmbed) or _border_is_lost(model, size):
        return max(step for step, _ in steps)
    return 0


def written(size: tuple[int, int]) -> str:
    """Return (h, w) as text."""
    return f"{size[0]} x {size[1]}"


def _near(size: tuple[int, int], step: int) -> str:
    low = min(size) // step * step
    return f"{low} or {low + step}" if low else str(step)


def _own(model: nn.Module) -> str:
    embed = getattr(model, "patch_embed", None)
    own = None if getattr(model, "dynamic_img_size", False) else getattr(embed, "img_size", None)
    return f", as it is built for {written(tuple(own))}" if isinstance(own, tuple) and len(own) == 2 else ""


@contextmanager
def _noting_patches(model: nn.Module, size: tuple[int, int], steps: list[tuple[int, bool]]) -> Iterator[None]:
    """Note of each convolution that cuts its input into patches how many pixels of the image one takes, and whether
    some are left over."""

    def note(module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        stride: int = module.stride[0]  # type: ignore[index,assignment]
        sides = inputs[0].shape[-2:]
        steps.append((stride * max(1, size[0] // sides[0]), any(side % stride for side in sides)))

    tiling = [each for each in model.modules() if isinstance(each, nn.Conv2d) and _tiles(each)]
    handles = [each.register_forward_pre_hook(note) for each in tiling]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _tiles(conv: nn.Conv2d) -> bool:
    return conv.kernel_size == conv.stride and conv.stride[0] > 1 and conv.padding in ((0, 0), "valid")


@torch.no_grad()
def _border_is_lost(model: nn.Module, size: tuple[int, int]) -> bool:
    """Return whether the last row or column of an image has no effect on the output, tested with NaN."""
    like = next(model.parameters())
    images = torch.zeros(2, input_channels(model), *size, device=like.device, dtype=like.dtype)
    images[0, :, -1], images[1, :, :, -1] = torch.nan, torch.nan
    with evaluating(model):
        output: Tensor = model.forward_features(images)  # type: ignore[operator]
        forget_biases(with_kept_biases(model))
    return not bool(output.isnan().flatten(1).any(dim=1).all())
