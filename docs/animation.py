"""Draw the path from the base image u to view 2 as an animation: view 1 | the state at t | view 2, a row per image.

python docs/animation.py OUT.webp [DATA]    images of a data set that `pretrain` takes; else embedded objects
"""

import sys

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont

from equicoherence.data import Loader, open_images
from equicoherence.paths import PathViews, Views, augmentation, named_path

STEPS, SIDE, GAP, TITLE = 16, 128, 10, 22  # states, and pixels
MILLISECONDS, PAUSE = 70, 900
IMAGES, SEED = (300, 2600), 5
CROPS = augmentation(area=(0.45, 0.9), blur=0.0, grayscale=0.0)
TITLES = ("view 1", "t = {t:.2f}", "view 2")
SAID = {"angle": "turn {:.0f}°", "octaves": "size x {:.2f}"}


def views_of(data: str) -> Views:
    """Return views of two images with the states between u and view 2."""
    images = open_images(data, "train")
    batch = next(iter(Loader(images, SIDE).batches([np.array(IMAGES)])))
    positions = [k / STEPS for k in range(STEPS + 1)]
    make = PathViews(CROPS, CROPS, named_path("all"), size=SIDE, positions=positions)
    return make(batch.images, torch.Generator().manual_seed(SEED), batch.aspect)


def frames(made: Views) -> list[Image.Image]:
    """Return a picture for each state."""
    pixels = {name: _bytes(getattr(made, name)) for name in ("v1", "v2", "targets")}
    names = [parameter.name for parameter in named_path("all").parameters]
    font = ImageFont.load_default(13)
    found = []
    for step in range(STEPS + 1):
        sheet = Image.new("RGB", (3 * (SIDE + GAP) + GAP, len(IMAGES) * (SIDE + GAP + TITLE) + TITLE), "white")
        write = ImageDraw.Draw(sheet)
        for column, title in enumerate(TITLES):
            write.text((GAP + column * (SIDE + GAP), 3), title.format(t=step / STEPS), "black", font)
        for row in range(len(IMAGES)):
            top = TITLE + row * (SIDE + GAP + TITLE)
            for column, picture in enumerate((pixels["v1"][row], pixels["targets"][row, step], pixels["v2"][row])):
                sheet.paste(Image.fromarray(picture), (GAP + column * (SIDE + GAP), top))
            write.text((2 * GAP + SIDE, top + SIDE + 3), _said(names, made.theta[row] * step / STEPS), "black", font)
        found.append(sheet)
    return found


def _bytes(images: torch.Tensor) -> np.ndarray:
    return (images.clamp(0, 1) * 255).round().byte().movedim(-3, -1).numpy()


def _said(names: list[str], theta: torch.Tensor) -> str:
    values = dict(zip(names, [round(value, 3) for value in theta.tolist()]))
    values = {name: 2**value if name.endswith("octaves") else value for name, value in values.items()}
    found = [SAID[key].format(v + 0.0) for name, v in values.items() if (key := name.rsplit("_", 1)[-1]) in SAID]
    return ", ".join(found)


if __name__ == "__main__":
    shown = frames(views_of(sys.argv[2] if len(sys.argv) > 2 else "objects"))
    there_and_back = [*shown, *shown[-2:0:-1]]
    times = [PAUSE if step in (0, STEPS) else MILLISECONDS for step in range(len(there_and_back))]
    there_and_back[0].save(
        sys.argv[1], save_all=True, append_images=there_and_back[1:], duration=times, loop=0, quality=80, method=6
    )
