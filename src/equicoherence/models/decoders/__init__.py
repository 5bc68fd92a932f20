"""Decoders of the auxiliary task: from the equivariant tokens of two views to T states of the path.

Inputs: ``z1``, ``z2`` (B, N, d_equi), the token grid (h, w), both views (B, C, S, S), normalised, and the positions of
the states on the path (B, T). Output: (B, T, C, S, S). A new decoder is a file here, which registers its name with
`named`; nothing else is edited.
"""

from importlib import import_module
from pkgutil import iter_modules

from equicoherence.models.decoders.decoder import DECODERS, Decoder, Decoding

for _module in iter_modules(__path__):  # each notes its decoders in DECODERS
    import_module(f"{__name__}.{_module.name}")

__all__ = ["DECODERS", "Decoder", "Decoding"]
