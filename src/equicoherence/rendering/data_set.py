"""A data set with poses from any meshes: the layout of 3DIEBench, with depth, normals, masks and paths."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from rich.console import Console

from equicoherence.data.loader import usable_cores
from equicoherence.errors import refusing
from equicoherence.files import write_aside
from equicoherence.rendering.manifest import BAD_MESHES, claimed, describe
from equicoherence.rendering.meshes import Entry, find_meshes
from equicoherence.rendering.plan import RenderPlan
from equicoherence.rendering.presets import PresetName, find_preset
from equicoherence.rendering.sheet import contact_sheet
from equicoherence.rendering.split import write_splits
from equicoherence.rendering.workers import render_objects


def render(
    meshes: str | Path,
    out: Path,
    *,
    preset: PresetName = "3diebench",
    views: int = 50,
    size: int = 128,
    seed: int = 0,
    workers: int | None = None,
    paths: int = 0,
    states: int = 2,
    turn: float | None = None,
    objects: int | None = None,
    bad_mesh_tolerance: float = 0.01,
) -> Path:
    """Render a data set in 3DIEBench's layout from meshes; return its contact sheet.

    Each view rotates the object, moves the light, and colors light and floor, as in 3DIEBench (see `latent`); the
    camera is fixed. The preset ``objects`` is the scene of `data.objects`: the object rotates only about the vertical
    axis, on tiles, under a sky with the hue opposite to that of the floor, seen from 18 degrees above the horizon at
    2.7 radii. Its latents have the same columns. Files depend only on the meshes and numbers, not on ``workers``. The
    same call continues an interrupted set: finished objects are kept.

    In ``out``::

        train_images.npy train_labels.npy val_images.npy val_labels.npy    see `write_splits`
        CATEGORY/OBJECT/image_I.jpg     view I, JPEG of quality 95 without chroma subsampling
        CATEGORY/OBJECT/latent_I.npy    (7,) float64: rotation x, y, z; floor hue; light theta, phi; light hue
        CATEGORY/OBJECT/dense.npz       members are read one by one: np.load(file)["depth_3"]
            depth_I       (S, S) uint16, distance along the camera's axis; times depth_step, in radii of the object;
                          65535 is that far, farther, or sky
            normals_I     (S, S, 3) int8, 127 times the unit normal, camera coordinates, facing the camera; 0: sky
            mask_I        (S, S) uint8, 1 on the object, 0 elsewhere
            boxes         (V, 4) int32, left, top, right, bottom of the mask in pixels, the last two exclusive
            floors        (V,) float64, height of the floor, which touches the object from below
            intrinsics (3, 3), extrinsics (4, 4) float64, world to camera to pixels: of all views; depth_step float64
        CATEGORY/OBJECT/path_J_image_K.jpg, path_J_latent_K.npy    state K = 0 to states - 1 of path J, a share of
                                        (K + 1) / (states + 1) of the way from one view to the other (see `interpolate`)
            path_views    (P, 2) int64, the two views of each path; in dense.npz, as path_boxes, path_floors (P, K, ...)
            depth_path_J_K, normals_path_J_K, mask_path_J_K    as those of views
        contact_sheet.png, render.yaml, bad_meshes.txt (CATEGORY/OBJECT, tab, reason; if there are any)

    Depth, normals and mask are exact at the pixels' centres, floor included; images are antialiased. A vertex v of the
    mesh, fitted into the unit sphere with its bounding box about the origin, is seen at intrinsics @ (extrinsics @
    (R v, 1))[:3] with R = Rz @ Ry @ Rx.

    Args:
        meshes: a folder, a mesh file, or ``procedural``; see `find_meshes`.
        out: a new or empty folder, or one to continue.
        preset: ``3diebench`` or ``objects``, the kind of scene.
        views: images per object.
        size: width and height in pixels, 16 to 2048.
        workers: threads; by default one for each core this process may use.
        paths: pairs of views per object with states between them.
        states: between the two views of a pair.
        turn: largest rotation of the object about each axis, in degrees, above 0, at most 90; by default 90, as in
            3DIEBench.
        objects: largest number of objects per category.
        bad_mesh_tolerance: largest share of the meshes, 0 to 1, that may be bad before ``TooManyBadMeshes``.

    Raises:
        ValueError: a number is out of range, or ``out`` has a set with other settings.
        FileNotFoundError: there are no meshes.
        FileExistsError: ``out`` has other files, or another process renders into it.
        TooManyBadMeshes: more than the tolerated share cannot be drawn.
    """
    with refusing():
        turn = find_preset(preset).turn if turn is None else turn
        plan = RenderPlan(views, size, seed, paths, states, turn, preset)
        if workers is not None and workers < 1:
            raise ValueError(f"workers must be at least 1, got {workers}")
        if not 0 <= bad_mesh_tolerance <= 1:
            raise ValueError(f"bad_mesh_tolerance must be a share from 0 to 1, got {bad_mesh_tolerance}")
        found, out = find_meshes(meshes, seed=seed, objects=objects), Path(out)
    console = Console(stderr=True, highlight=False, soft_wrap=True)
    with claimed(out, describe(str(meshes), found, plan, objects)):
        return _render(found.entries, out, plan, workers or usable_cores(), bad_mesh_tolerance, console)


def _render(
    entries: Sequence[Entry], out: Path, plan: RenderPlan, workers: int, tolerance: float, console: Console
) -> Path:
    missing = [entry for entry in entries if not (out / entry.path).exists()]
    if kept := len(entries) - len(missing):
        console.print(f"{out}: {kept} objects are there already, {len(missing)} to render", markup=False)
    bad = render_objects(missing, out, plan, workers, len(entries), tolerance, console)
    _note_bad_meshes(out / BAD_MESHES, bad)
    if bad:
        console.print(f"{len(bad)} meshes are left out: see {out / BAD_MESHES}", markup=False, style="yellow")
    counts = write_splits(out, entries, bad.keys())
    sheet = contact_sheet(out, [entry.path for entry in entries if entry.path not in bad])
    console.print(f"{out}: {counts['train']} objects for training, {counts['val']} for validation", markup=False)
    if not counts["val"]:
        text = "no object is held out, so that nothing can be scored on these: every fifth of a category would be"
        console.print(text, style="yellow")
    return sheet


def _note_bad_meshes(path: Path, bad: Mapping[str, str]) -> None:
    """Write all bad meshes, one a line; where there are none, remove what an earlier run said."""
    if bad:  # those an earlier run found are among them: what is not there is tried again
        lines = (f"{name}\t{' '.join(reason.split())}\n" for name, reason in sorted(bad.items()))
        write_aside(path, "".join(lines))
    else:
        path.unlink(missing_ok=True)
