"""Encoders, heads and decoders.

Each name is loaded when it is first used: settings need no timm, which takes seconds to load.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from equicoherence.when_used import when_used

if TYPE_CHECKING:
    from equicoherence.models.decoders import DECODERS, Decoder, Decoding
    from equicoherence.models.encoder import Encoder
    from equicoherence.models.features import Features
    from equicoherence.models.heads import ClassPatchHead, PrototypeHead, projector
    from equicoherence.models.split import SplitHead

_MODULES = {
    "models.decoders": ("DECODERS", "Decoder", "Decoding"),
    "models.encoder": ("Encoder",),
    "models.features": ("Features",),
    "models.heads": ("ClassPatchHead", "PrototypeHead", "projector"),
    "models.split": ("SplitHead",),
}
__getattr__, __dir__ = when_used(__name__, _MODULES)

__all__ = [
    "DECODERS",
    "ClassPatchHead",
    "Decoder",
    "Decoding",
    "Encoder",
    "Features",
    "PrototypeHead",
    "SplitHead",
    "projector",
]
