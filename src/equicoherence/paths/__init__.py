"""Transformation paths: parameters -> numbers -> pixels.

Conventions:

* Coordinates are normalised: the centre of an image is (0, 0), its edges are at -1 and 1 (``align_corners=False``:
  pixel centres are half a pixel inside). x points right, y points **down**.
* A geometric matrix is 3x3, homogeneous, and maps **output** coordinates to **input** coordinates: it gives the
  position where each output pixel is read. ``first`` and then ``second`` is the product ``first @ second``. With
  perspective, the third row gives the depth of an output pixel, by which the other two are divided.
* A positive angle rotates the content counter-clockwise as seen; a positive shift moves the content right / down;
  a scale above 1 makes the content larger.
* Colors are RGB in [0, 1]. A color map acts on a pixel ``x`` and on the mean color ``m`` of the base image as
  ``x -> C x + D m`` (``D`` is for contrast, whose pivot is the mean); products of such maps are such maps.
* A blur is one isotropic Gaussian with its standard deviation in **output pixels**; variances add.
* The order inside one render is: geometry, color, clamp to [0, 1], blur, solarize.
* Parameters ``theta`` are tensors (B, P), zero is the identity, and a path is the ray from zero to ``theta``.
"""

from equicoherence.paths.between import Between
from equicoherence.paths.presets import augmentation, named_path
from equicoherence.paths.pyramid import Pyramid
from equicoherence.paths.renderer import render
from equicoherence.paths.state import State
from equicoherence.paths.transformation import Transformation
from equicoherence.paths.transformations.affine import SE2, Rotation, Scale, Translation
from equicoherence.paths.transformations.appearance import Blur, ColorJitter, Grayscale, Solarize
from equicoherence.paths.transformations.crop import ResizedCrop
from equicoherence.paths.transformations.perspective import Perspective
from equicoherence.paths.transformations.sums import Compose
from equicoherence.paths.view_batch import Views
from equicoherence.paths.views import PathViews

__all__ = [
    "SE2",
    "Between",
    "Blur",
    "ColorJitter",
    "Compose",
    "Grayscale",
    "PathViews",
    "Perspective",
    "Pyramid",
    "ResizedCrop",
    "Rotation",
    "Scale",
    "Solarize",
    "State",
    "Transformation",
    "Translation",
    "Views",
    "augmentation",
    "named_path",
    "render",
]
