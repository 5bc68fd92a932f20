"""A sheet to look at: some objects of a rendered set, their views, what lies where, and a path."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from equicoherence.data.npy import read_npz
from equicoherence.files import Damaged, write_aside

ROWS, VIEWS, TILE, GAP, MARGIN = 12, 6, 128, 4, 18


def contact_sheet(out: Path, objects: Sequence[str], *, name: str = "contact_sheet.png") -> Path:
    """Draw ``contact_sheet.png`` of a rendered set: a row for each of at most twelve objects (category/name).

    A row holds the first six views; depth (near is bright), mask with its box, and normals of the first; and, where the
    set has paths, the first path: a view, the states between, the other view. Raises `Damaged`, naming the file, for
    one that cannot be read.
    """
    chosen = [objects[i] for i in sorted({int(i) for i in np.linspace(0, len(objects) - 1, ROWS).round()})]
    rows = [_row(out / path) for path in chosen]
    width = max(len(row) for row in rows)
    sheet = Image.new("RGB", (width * (TILE + GAP) + GAP, len(rows) * (TILE + MARGIN) + GAP), (24, 24, 28))
    pen = ImageDraw.Draw(sheet)
    for r, (path, row) in enumerate(zip(chosen, rows)):
        top = r * (TILE + MARGIN) + MARGIN
        pen.text((GAP, top - MARGIN + 3), path, fill=(220, 220, 220))
        for c, (title, tile) in enumerate(row):
            left = GAP + c * (TILE + GAP)
            sheet.paste(tile.resize((TILE, TILE), Image.Resampling.BICUBIC), (left, top))
            if c >= 2:  # the object's path stands over the first two
                pen.text((left, top - MARGIN + 3), title, fill=(150, 150, 150))
    buffer = io.BytesIO()
    sheet.save(buffer, "PNG")
    write_aside(out / name, buffer.getvalue())
    return out / name


def _row(folder: Path) -> list[tuple[str, Image.Image]]:
    advice = f"remove {folder} and give the same command again, which renders it anew"

    def image(name: str) -> Image.Image:
        try:
            with Image.open(folder / name) as file:
                return file.convert("RGB")
        except OSError as error:
            raise Damaged(folder / name, "it is no whole image", advice) from error

    def dense(*names: str) -> list[np.ndarray]:
        try:
            return list(read_npz(folder / "dense.npz", *names).values())
        except (OSError, ValueError) as error:
            raise Damaged(folder / "dense.npz", str(error), advice) from error

    views = len(list(folder.glob("latent_*.npy")))
    row = [(f"view {i}", image(f"image_{i}.jpg")) for i in range(min(views, VIEWS))]
    depth, mask, normals, boxes = dense("depth_0", "mask_0", "normals_0", "boxes")
    depth, normals, box = depth.astype(float), normals.astype(float), boxes[0].tolist()
    pair, states = None, 0
    if (folder / "path_0_image_0.jpg").is_file():
        ends, path_boxes = dense("path_views", "path_boxes")
        pair, states = ends[0].tolist(), path_boxes.shape[1]
    near, far = 1 / depth.max(), 1 / depth.min()
    row.append(
        ("depth 0", Image.fromarray(((1 / depth - near) / max(far - near, 1e-9) * 255).astype(np.uint8)).convert("RGB"))
    )
    outlined = Image.fromarray(mask * 200).convert("RGB")
    ImageDraw.Draw(outlined).rectangle(
        (box[0], box[1], max(box[2] - 1, box[0]), max(box[3] - 1, box[1])), outline=(255, 160, 0)
    )
    row.append(("mask 0", outlined))
    row.append(("normals 0", Image.fromarray((normals * [1, -1, -1] + 128).clip(0, 255).astype(np.uint8))))
    if pair:
        row.append((f"view {pair[0]}", image(f"image_{pair[0]}.jpg")))
        row += [(f"state {k + 1}/{states + 1}", image(f"path_0_image_{k}.jpg")) for k in range(states)]
        row.append((f"view {pair[1]}", image(f"image_{pair[1]}.jpg")))
    return row
