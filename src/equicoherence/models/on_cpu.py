"""Layers that a CPU trains slowly as torch or timm compute them: the same functions, computed otherwise."""

from __future__ import annotations

from torch import nn

from equicoherence.models.dilated_conv import use_matrix_products
from equicoherence.models.group_norm import put_channels_first
from equicoherence.models.shared_conv import share_weight_gradients


def fast_on_cpu(model: nn.Module) -> None:
    """Make a model that is trained on a CPU faster; its parameters and names, and its results up to rounding, are kept.

    Strided convolutions, dilated convolutions of small maps, and in half precision group norms of small maps are
    computed in another way. A model that will be compiled should be left as it is.
    """
    share_weight_gradients(model)
    use_matrix_products(model)
    put_channels_first(model)
