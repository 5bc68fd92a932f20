"""`equicoherence render`: render a data set in 3DIEBench's layout, from meshes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from equicoherence.commands.arguments import FloatOrNone, IntOrNone, parse
from equicoherence.loading import preparing


def run(arguments: list[str]) -> None:
    """Run the command with its arguments."""

    @dataclass
    class Arguments:
        """Render a data set in 3DIEBench's layout: views of meshes in random poses, with depth, masks and normals.

        Args:
            meshes: A folder of OBJ, GLB or PLY files, one such file, or 'procedural'.
            out: A new folder, or one to continue.
            preset: The scene: '3diebench', or 'objects' as in the quickstart (rotated about the vertical axis, on
                tiles, under a sky).
            views: Images per object.
            size: Pixels of an image.
            seed: Of all random numbers.
            workers: Threads; all cores by default.
            paths: Pairs of views per object with states between them.
            states: States per path.
            turn: Largest rotation of an object about each axis, in degrees, at most 90 (the default).
            objects: Largest number of objects per category; every fifth is for validation.
            bad_mesh_tolerance: Largest share of meshes that cannot be read.
        """

        meshes: str
        out: Path
        preset: Literal["3diebench", "objects"] = "3diebench"
        views: int = 50
        size: int = 128
        seed: int = 0
        workers: IntOrNone = None
        paths: int = 0
        states: int = 2
        turn: FloatOrNone = None
        objects: IntOrNone = None
        bad_mesh_tolerance: float = 0.01

    with preparing():
        given = parse(Arguments, arguments, "render")
        from equicoherence.rendering import render

    print(f"look at it: {render(**vars(given))}")
