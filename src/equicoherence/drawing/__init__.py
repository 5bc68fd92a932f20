"""Pictures of coloured meshes, and what is exactly where in them: compiled, on one thread, without a file."""

from equicoherence.drawing.camera import Camera
from equicoherence.drawing.painter import Drawing, Painter
from equicoherence.drawing.scene import Backdrop, ColouredMesh, Lighting, Scene, light_axes

__all__ = ["Backdrop", "Camera", "ColouredMesh", "Drawing", "Lighting", "Painter", "Scene", "light_axes"]
