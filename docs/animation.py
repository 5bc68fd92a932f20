"""Draw the path from the base image u to view 2 as an animation: view 1 | the state at t | view 2, a row per image.

python docs/animation.py OUT.webp [DATA]    images of a data set that `pretrain` takes; else embedded objects
"""

import sys

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont

from equicoherence.data import Loader, open_images
from equicoherence.paths import PathViews, Views, augmentation, named_path

STEPS, SIDE, GAP, TITLE, LINE = 16, 128, 10, 22, 14  # states, and pixels
MILLISECONDS, PAUSE = 70, 900
IMAGES, SEED = (300, 2600), 5
CROPS = augmentation(area=(0.45, 0.9), blur=0.0, grayscale=0.0)
TITLES = ("view 1", "t = {t:.2f}", "view 2")
SAID = (
    "from u: rotation {angle:z.0f}°, scale x{scale:.2f}, translation {x:z.0f}, {y:z.0f} px, blur {sigma:.1f} px",
    "brightness x{brightness:.2f}, contrast x{contrast:.2f}, saturation x{saturation:.2f}, hue {hue:z.0f}°",
)


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
    font, small = ImageFont.load_default(13), ImageFont.load_default(11)
    below = len(SAID) * LINE + GAP
    found = []
    for step in range(STEPS + 1):
        sheet = Image.new("RGB", (3 * (SIDE + GAP) + GAP, len(IMAGES) * (SIDE + below) + TITLE), "white")
        write = ImageDraw.Draw(sheet)
        for column, title in enumerate(TITLES):
            write.text((GAP + column * (SIDE + GAP), 3), title.format(t=step / STEPS), "black", font)
        for row in range(len(IMAGES)):
            top = TITLE + row * (SIDE + below)
            for column, picture in enumerate((pixels["v1"][row], pixels["targets"][row, step], pixels["v2"][row])):
                sheet.paste(Image.fromarray(picture), (GAP + column * (SIDE + GAP), top))
            for line, text in enumerate(_said(made.theta[row], step / STEPS)):
                write.text((GAP, top + SIDE + 3 + line * LINE), text, "black", small)
        found.append(sheet)
    return found


def _bytes(images: torch.Tensor) -> np.ndarray:
    return (images.clamp(0, 1) * 255).round().byte().movedim(-3, -1).numpy()


def _said(theta: torch.Tensor, t: float) -> list[str]:
    """Return how the state at t differs from u, in pixels of the pictures."""
    path = named_path("all")
    values = dict(zip((parameter.name for parameter in path.parameters), path.at(theta[None], t)[0].tolist()))
    factors = {name: 1 + values[name] for name in ("brightness", "contrast", "saturation")}
    shift = {name: values[name] * SIDE / 224 for name in ("x", "y")}
    values |= {**factors, **shift, "scale": 2 ** values["octaves"], "hue": 360 * values["hue"]}
    return [text.format(**values) for text in SAID]


if __name__ == "__main__":
    shown = frames(views_of(sys.argv[2] if len(sys.argv) > 2 else "objects"))
    there_and_back = [*shown, *shown[-2:0:-1]]
    times = [PAUSE if step in (0, STEPS) else MILLISECONDS for step in range(len(there_and_back))]
    there_and_back[0].save(
        sys.argv[1], save_all=True, append_images=there_and_back[1:], duration=times, loop=0, quality=80, method=6
    )
