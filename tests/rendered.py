"""A small rendered data set in 3DIEBench's layout, made once for all tests that train or score on poses."""

from __future__ import annotations

from pathlib import Path

from equicoherence.rendering import render


def rendered_set(folder: Path, *, paths: int = 1) -> Path:
    """Render five objects of each procedural category in three views of 32 pixels, and return the folder."""
    render("procedural", folder, views=3, size=32, paths=paths, objects=5, workers=2)
    return folder
