"""Rendered procedural objects with known class and pose: the data set that needs no download."""

from equicoherence.data.objects.categories import CATEGORIES, build
from equicoherence.data.objects.mesh import ColouredMesh, Parts
from equicoherence.data.objects.render import VIEW_NAMES, View, draw_view, render
from equicoherence.data.objects.source import ObjectsSource

__all__ = ["CATEGORIES", "VIEW_NAMES", "ColouredMesh", "ObjectsSource", "Parts", "View", "build", "draw_view", "render"]
