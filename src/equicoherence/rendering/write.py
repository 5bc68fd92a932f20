"""The files of one object: written aside and renamed together, so that an object is whole or not there."""

from __future__ import annotations

import io
import os
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

from equicoherence.drawing import ColouredMesh, Drawing, Painter
from equicoherence.drawing.shade import DEPTH_STEP
from equicoherence.rendering.plan import RenderPlan, draw_latents, draw_view_pairs, states_between
from equicoherence.rendering.presets import find_preset

QUALITY = 95


def write_object(
    folder: Path,
    aside: Path,
    path: str,
    mesh: ColouredMesh,
    plan: RenderPlan,
    painter: Painter,
    drawn: Callable[[], None],
) -> None:
    """Render all views and states of a mesh into ``folder``, by way of ``aside``.

    drawn: called after each image; what it raises stops the work, and leaves nothing in ``folder``.
    """
    latents, pairs = draw_latents(plan, path), draw_view_pairs(plan, path)
    states, scene_of = states_between(plan, latents, pairs), find_preset(plan.preset).scene
    camera = scene_of(latents[0]).camera
    shutil.rmtree(aside, ignore_errors=True)
    aside.mkdir(parents=True)
    names = [(f"image_{i}.jpg", f"latent_{i}.npy", f"{i}") for i in range(plan.views)]
    names += [
        (f"path_{j}_image_{k}.jpg", f"path_{j}_latent_{k}.npy", f"path_{j}_{k}")
        for j in range(plan.paths)
        for k in range(plan.states)
    ]
    boxes, floors = np.empty((len(names), 4), np.int32), np.empty(len(names))
    with zipfile.ZipFile(aside / "dense.npz", "w") as dense:
        for number, (image, numbers, suffix) in enumerate(names):
            latent = latents[number] if number < plan.views else states.reshape(-1, 7)[number - plan.views]
            drawing = painter.draw(mesh, scene_of(latent))
            _write_jpeg(aside / image, drawing)
            np.save(aside / numbers, latent)
            for kind, array in (("depth", drawing.depth), ("normals", drawing.normals), ("mask", drawing.mask)):
                _add(dense, f"{kind}_{suffix}", array, compress=True)
            boxes[number], floors[number] = drawing.box, drawing.floor
            drawn()
        _add(dense, "boxes", boxes[: plan.views])
        _add(dense, "floors", floors[: plan.views])
        if plan.paths:
            _add(dense, "path_boxes", boxes[plan.views :].reshape(plan.paths, plan.states, 4))
            _add(dense, "path_floors", floors[plan.views :].reshape(plan.paths, plan.states))
            _add(dense, "path_views", pairs)
        _add(dense, "intrinsics", camera.intrinsics(plan.size))
        _add(dense, "extrinsics", camera.extrinsics())
        _add(dense, "depth_step", np.float64(DEPTH_STEP))
    folder.parent.mkdir(parents=True, exist_ok=True)
    os.replace(aside, folder)


def _write_jpeg(path: Path, drawing: Drawing) -> None:
    buffer = io.BytesIO()
    Image.fromarray(drawing.image).save(buffer, "JPEG", quality=QUALITY, subsampling=0)
    path.write_bytes(buffer.getbuffer())


def _add(archive: zipfile.ZipFile, name: str, array: np.ndarray | np.generic, *, compress: bool = False) -> None:
    member = zipfile.ZipInfo(f"{name}.npy")  # dated 1980: the same bytes whenever they are written
    member.compress_type = zipfile.ZIP_DEFLATED if compress else zipfile.ZIP_STORED
    buffer = io.BytesIO()
    np.lib.format.write_array(buffer, np.asarray(array), allow_pickle=False)
    archive.writestr(member, buffer.getbuffer(), compresslevel=1)
