"""Encoders, heads and decoders."""

from equicoherence.models.decoders import ConvDecoder, CrossAttentionDecoder, Decoder, RenderDecoder, SumDecoder
from equicoherence.models.encoder import Encoder
from equicoherence.models.features import Features
from equicoherence.models.heads import ClassPatchHead, PrototypeHead, projector
from equicoherence.models.split import SplitHead

__all__ = [
    "ClassPatchHead",
    "ConvDecoder",
    "CrossAttentionDecoder",
    "Decoder",
    "Encoder",
    "Features",
    "PrototypeHead",
    "RenderDecoder",
    "SplitHead",
    "SumDecoder",
    "projector",
]
