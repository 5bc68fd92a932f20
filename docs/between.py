"""Draw paths between two views of an image as one PNG: view 1, ten states, view 2; a row for each image.

python docs/between.py OUT.png [DATA...]    three images of each data set that `pretrain` takes; else embedded objects
"""

import sys

import numpy as np
import torch
from PIL import Image

from equicoherence.data import Loader, open_images
from equicoherence.paths import Between, PathViews, Views, augmentation

STATES, ROWS, SIDE, GAP = 10, 3, 72, 4
SEED = 6
AUGMENTATION = augmentation(area=(0.25, 0.9), rotation=35.0, blur=0.4, sigma=(0.5, 2.5), grayscale=0.15)


def views_of(data: str) -> Views:
    """Return views of images that lie all over a data set, with the states between them."""
    images = open_images(data, "train")
    which = np.linspace(0, len(images) - 1, ROWS).astype(np.int64)
    batch = next(iter(Loader(images, 2 * SIDE).batches([which])))
    positions = [k / (STATES + 1) for k in range(1, STATES + 1)]
    make = PathViews(AUGMENTATION, AUGMENTATION, Between(), size=SIDE, positions=positions)
    return make(batch.images, torch.Generator().manual_seed(SEED), batch.aspect)


def film(made: list[Views]) -> Image.Image:
    """Return the strips on white, the views at their ends a little apart."""
    strips = torch.cat([torch.cat([v.v1[:, None], v.targets, v.v2[:, None]], dim=1) for v in made])
    rows, columns = strips.shape[:2]
    sheet = Image.new("RGB", (columns * (SIDE + GAP) + 5 * GAP, rows * (SIDE + GAP) + GAP), "white")
    pixels = (strips.clamp(0, 1) * 255).round().byte().movedim(2, -1).numpy()
    for row in range(rows):
        for column in range(columns):
            apart = 2 * GAP * ((column > 0) + (column == columns - 1))
            place = (GAP + column * (SIDE + GAP) + apart, GAP + row * (SIDE + GAP))
            sheet.paste(Image.fromarray(pixels[row, column]), place)
    return sheet


if __name__ == "__main__":
    film([views_of(data) for data in sys.argv[2:] or ["objects"]]).save(sys.argv[1])
