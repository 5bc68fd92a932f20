"""Data sets with known pose, depth and paths, rendered from meshes."""

from equicoherence.rendering.data_set import render
from equicoherence.rendering.workers import TooManyBadMeshes

__all__ = ["TooManyBadMeshes", "render"]
