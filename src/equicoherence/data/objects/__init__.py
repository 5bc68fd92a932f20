"""Rendered procedural objects with known class and pose: the data set that needs no download."""

from equicoherence.data.objects.categories import CATEGORIES, build
from equicoherence.data.objects.mesh import MeshBuilder
from equicoherence.data.objects.source import ObjectsSource
from equicoherence.data.objects.view import VIEW_NAMES, View, draw_view, scene_of

__all__ = ["CATEGORIES", "VIEW_NAMES", "ObjectsSource", "MeshBuilder", "View", "build", "draw_view", "scene_of"]
