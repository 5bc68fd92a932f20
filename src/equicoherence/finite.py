"""Numbers that are not finite, NaN and infinities: never written, never scored."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor


class NotFinite(RuntimeError):
    """A number became NaN or infinite."""


def not_finite(tensors: Mapping[str, Tensor]) -> str | None:
    """Return the name of the first tensor that holds a value that is not finite, None if all are finite.

    Waits for the device once.
    """
    import torch  # here, since those who only read and write files need none

    named = [(name, tensor) for name, tensor in tensors.items() if tensor.is_floating_point()]
    if not named:
        return None
    device = named[0][1].device
    flags = torch.stack([tensor.detach().isfinite().all().to(device) for _, tensor in named]).cpu()
    return next((name for (name, _), flag in zip(named, flags.tolist()) if not flag), None)


def check_features(features: Mapping[str, Tensor], model: str) -> None:
    """Raise `NotFinite` where features, by name, of an encoder hold a value that is not finite.

    model: what the user called the encoder.
    """
    name = not_finite(features)
    if name is not None:
        raise NotFinite(
            f"the features {name!r} of {model} are not finite (NaN or infinite), so that nothing can be read from "
            "them: its weights are damaged, or its numbers too large; take an earlier checkpoint or other weights"
        )
