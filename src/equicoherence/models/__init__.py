"""Encoders, heads and decoders."""

from equicoherence.models.decoders import DECODERS, Decoder, Decoding
from equicoherence.models.encoder import Encoder
from equicoherence.models.features import Features
from equicoherence.models.heads import ClassPatchHead, PrototypeHead, projector
from equicoherence.models.split import SplitHead

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
