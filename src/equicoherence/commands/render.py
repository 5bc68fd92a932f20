"""`equicoherence render`: a data set in 3DIEBench's layout, from meshes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from equicoherence.commands.arguments import parse
from equicoherence.loading import preparing


def run(arguments: list[str]) -> None:
    """Run the command with its arguments."""

    @dataclass
    class Arguments:
        """Render a data set in 3DIEBench's layout: views of meshes in random poses, with depth, masks and normals.

        meshes: a folder of OBJ, GLB, PLY, a mesh file, or 'procedural'. out: a new folder, or one to continue. preset:
        the scene: '3diebench', or 'objects' as in the quickstart: turned about the vertical, on tiles under a sky.
        views: images of each object. size: pixels. workers: threads; all cores where not given. paths: pairs of views
        of each object with states between them. states: of each. turn: largest angle of an object about each axis that
        it turns about, in degrees, at most 90, and 90 where not given. objects: at most so many of each category, of
        which every fifth is for validation. bad-mesh-tolerance: share of the meshes that may be bad.
        """

        meshes: str
        out: Path
        preset: Literal["3diebench", "objects"] = "3diebench"
        views: int = 50
        size: int = 128
        seed: int = 0
        workers: int | None = None
        paths: int = 0
        states: int = 2
        turn: float | None = None
        objects: int | None = None
        bad_mesh_tolerance: float = 0.01

    with preparing():
        given = parse(Arguments, arguments, "render")
        from equicoherence.rendering import render

    print(f"look at it: {render(**vars(given))}")
