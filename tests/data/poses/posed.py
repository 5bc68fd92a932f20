"""A small tree in 3DIEBench's layout, made for real, that the tests of this folder share."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from ..pictures import encoded

COLOUR_STEP = 5  # between the grey levels of an object's views: more than JPEG blurs them


def latent_of(number: int, width: int = 7) -> np.ndarray:
    """Draw a latent as 3DIEBench does, different for each number."""
    rng = np.random.default_rng(number)
    angles, rest = rng.uniform(-np.pi / 2, np.pi / 2, 3), rng.uniform(0, 1, width - 3)
    return np.concatenate([angles, rest])


def write_view(folder: Path, view: int, number: int, width: int = 7, prefix: str = "") -> None:
    """Write one image, of the grey level of its view, and its latent."""
    folder.mkdir(parents=True, exist_ok=True)
    grey = Image.new("RGB", (16, 16), (view * COLOUR_STEP,) * 3)
    (folder / f"{prefix}image_{view}.jpg").write_bytes(encoded(grey, "JPEG", quality=95))
    np.save(folder / f"{prefix}latent_{view}.npy", latent_of(number, width))


def write_object(folder: Path, number: int, views: int = 4, width: int = 7) -> Path:
    for view in range(views):
        write_view(folder, view, 100 * number + view, width)
    return folder


def write_tree(root: Path, objects: int = 5, views: int = 4, width: int = 7) -> Path:
    """Write synsets "0b" and "0a" of so many objects each, without split files."""
    for number in range(2 * objects):
        write_object(root / ("0b" if number < objects else "0a") / f"obj{number % objects}", number, views, width)
    return root


def write_split(root: Path, train: list[str], val: list[str], kind: type = np.str_) -> None:
    for split, names in (("train", train), ("val", val)):
        np.save(root / f"{split}_images.npy", np.array([f"/{name}/" for name in names], dtype=kind))


def write_paths(folder: Path, ends: list[tuple[int, int]], states: int = 2) -> None:
    """Add paths to an object; the grey level of a state says its path and place."""
    for number in range(len(ends)):
        for state in range(states):
            write_view(folder, state, 1000 * number + state, prefix=f"path_{number}_")
            grey = Image.new("RGB", (16, 16), (100 + (number * states + state) * COLOUR_STEP,) * 3)
            (folder / f"path_{number}_image_{state}.jpg").write_bytes(encoded(grey, "JPEG", quality=95))
    np.savez(folder / "dense.npz", allow_pickle=False, path_views=np.array(ends), depth_0=np.zeros((16, 16)))


def greys(images: np.ndarray) -> list[int]:
    """Read the grey levels of images (N, ...), in steps."""
    return [round(float(image.mean()) / COLOUR_STEP) for image in images]
