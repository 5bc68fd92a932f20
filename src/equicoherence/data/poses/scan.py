"""What the folder of one rendered object holds: views, pose paths, and what of both cannot be used."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Container
from dataclasses import dataclass, field

import numpy as np

from equicoherence.data.npy import read_npy, read_npz
from equicoherence.data.poses.latents import LATENT_WIDTHS

WIDEST = max(LATENT_WIDTHS)
_NUMBER = r"(0|[1-9]\d{0,8})"
_VIEW_IMAGE = re.compile(rf"image_{_NUMBER}\.jpg")
_VIEW_LATENT = re.compile(rf"latent_{_NUMBER}\.npy")
_STATE_IMAGE = re.compile(rf"path_{_NUMBER}_image_{_NUMBER}\.jpg")


@dataclass(frozen=True)
class PosePath:
    """A whole path: its number, the numbers of the views at its ends, and the latents (K, 10) of its states."""

    number: int
    ends: tuple[int, int]
    latents: np.ndarray


@dataclass(frozen=True)
class ScannedObject:
    """views: (n,) int32 numbers, rising. latents: (n, 10) float32, NaN beyond 7 where there are 7.

    left_out: how many files or paths were, by reason. example: one of them, and why.
    """

    views: np.ndarray
    latents: np.ndarray
    paths: list[PosePath]
    left_out: Counter[str] = field(default_factory=Counter)
    example: str | None = None


def scan_object(folder: str) -> ScannedObject:
    """Scan ``image_I.jpg``, ``latent_I.npy`` and, where ``dense.npz`` lists paths, their states.

    A view without a latent, or with one that cannot be used, is left out, and with it the paths that end there. Images
    are not opened.
    """
    found = _Finder(folder)
    images = {int(m[1]) for name in found.names if (m := _VIEW_IMAGE.fullmatch(name))}
    if orphans := {int(m[1]) for name in found.names if (m := _VIEW_LATENT.fullmatch(name))} - images:
        found.leave_out(
            "latents without an image", f"latent_{min(orphans)}.npy", "its image is not there", len(orphans)
        )
    latents = {view: latent for view in sorted(images) if (latent := found.latent(f"latent_{view}.npy")) is not None}
    paths = _scan_paths(found, latents.keys())
    rows = np.array(list(latents.values()), dtype=np.float32).reshape(-1, WIDEST)
    return ScannedObject(np.array(list(latents), dtype=np.int32), rows, paths, found.left_out, found.example)


class _Finder:
    """The files of one object, and what was left out of them so far."""

    def __init__(self, folder: str) -> None:
        self.folder, self.names = folder, set(os.listdir(folder))
        self.left_out: Counter[str] = Counter()
        self.example: str | None = None

    def leave_out(self, reason: str, name: str, why: str, count: int = 1) -> None:
        self.left_out[reason] += count
        self.example = self.example or f"{os.path.join(self.folder, name)}: {why}"

    def latent(self, name: str) -> np.ndarray | None:
        """Read a latent, padded to (10,); None, and counted, where it cannot be used."""
        if name not in self.names:
            self.leave_out("images without a latent", name, "not there")
            return None
        try:
            with open(os.path.join(self.folder, name), "rb") as file:
                values = read_npy(file.read())
            if values.size not in LATENT_WIDTHS or values.dtype.kind not in "fiu":
                raise ValueError(f"{values.size} values of type {values.dtype} instead of 7 or 10 numbers")
            latent = np.full(WIDEST, np.nan, dtype=np.float32)
            with np.errstate(over="ignore"):
                latent[: values.size] = values.ravel()
            if not np.isfinite(latent[: values.size]).all():
                raise ValueError(f"values that are not finite: {values.tolist()}")
        except (OSError, ValueError) as error:
            self.leave_out("images with a damaged latent", name, str(error))
            return None
        return latent


def _scan_paths(found: _Finder, views: Container[int]) -> list[PosePath]:
    states: dict[int, set[int]] = {}
    for name in found.names:
        if match := _STATE_IMAGE.fullmatch(name):
            states.setdefault(int(match[1]), set()).add(int(match[2]))
    if not states:
        return []
    try:
        ends = read_npz(os.path.join(found.folder, "dense.npz"), "path_views")["path_views"]
        if ends.ndim != 2 or ends.shape[1] != 2 or ends.dtype.kind not in "iu":
            raise ValueError(f"path_views is {ends.dtype} of shape {ends.shape} instead of integers (paths, 2)")
    except (OSError, ValueError) as error:
        found.leave_out("incomplete paths", "dense.npz", f"the ends of its paths cannot be read: {error}", len(states))
        return []
    paths = []
    for number, (first, second) in enumerate(ends.tolist()):
        shown = states.get(number, set())
        latents = [found.latent(f"path_{number}_latent_{k}.npy") for k in sorted(shown)]
        whole = shown == set(range(len(shown))) and bool(shown) and all(latent is not None for latent in latents)
        if whole and first != second and first in views and second in views:
            paths.append(PosePath(number, (first, second), np.array(latents, dtype=np.float32)))
        else:
            found.leave_out("incomplete paths", f"path_{number}", "a state, or a view at its end, is missing")
    return paths
