"""``render.yaml``: all that a rendered set is made from, so that only the same set is ever continued."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from equicoherence.data.poses.objects import MANIFEST
from equicoherence.errors import refusing
from equicoherence.files import alone, write_aside
from equicoherence.json_file import read_yaml
from equicoherence.rendering.meshes import Meshes
from equicoherence.rendering.plan import RenderPlan

BAD_MESHES = "bad_meshes.txt"
RENDERER = 1  # raised whenever the same numbers give other pixels


def describe(source: str, meshes: Meshes, plan: RenderPlan, objects: int | None) -> dict[str, Any]:
    """Return the contents of the manifest. The meshes' folder may move; no preset is named where it is 3DIEBench's."""
    numbers = {name: number for name, number in dataclasses.asdict(plan).items() if number != "3diebench"}
    return {
        "renderer": RENDERER,
        "meshes": source,
        "meshes_digest": meshes.digest,
        "categories": len({entry.category for entry in meshes.entries}),
        "meshes_listed": len(meshes.entries),
        "objects": objects,
        **numbers,
    }


@contextlib.contextmanager
def claimed(out: Path, contents: dict[str, Any]) -> Iterator[None]:
    """Keep a folder for one process, its manifest written, or found to say the same where there is one.

    A set of which no object was finished holds nothing, and may become another.

    Raises:
        FileExistsError: the folder holds other things, or another process has it.
        ValueError: it holds a set made from other numbers or meshes; says which differ.
    """
    with alone(out, "renders into"):
        with refusing():
            _check_or_write(out, contents)
        yield


def _check_or_write(out: Path, contents: dict[str, Any]) -> None:
    path = out / MANIFEST
    there = {found.name for found in out.iterdir() if not found.name.startswith(".")}
    if there and MANIFEST not in there:
        raise FileExistsError(f"{out} is not empty and holds no {MANIFEST}: give another --out")
    if there - {MANIFEST, BAD_MESHES}:  # else no object was ever finished
        before = read_yaml(path, "give another --out, or remove the folder")
        names = [name for name in {**contents, **before} if name != "meshes" and contents.get(name) != before.get(name)]
        if names:
            changes = "; ".join(f"{name} was {before.get(name)!r}, now {contents.get(name)!r}" for name in names)
            raise ValueError(
                f"{out} holds a set that was rendered otherwise: {changes}. Give another --out or remove it"
            )
        return
    write_aside(path, yaml.safe_dump(contents, sort_keys=False))
