"""Draw the film strips of a run as one PNG: v1 | u | target over decoded, in path order | v2.

python docs/film.py RUN OUT.png [ROWS]
"""

import sys
from pathlib import Path

import numpy as np
from PIL import Image

GAP, SIDE = 6, 96


def film(run: Path, rows: int) -> Image.Image:
    """Return the strips of the first ``rows`` samples of a run, targets above decoded states, on white."""
    with np.load(run / "samples.npz", allow_pickle=False) as samples:
        arrays = {name: samples[name] for name in ("v1", "base", "v2", "targets", "decoded")}
    states = arrays["targets"].shape[1]
    sheet = Image.new("RGB", ((states + 3) * (SIDE + GAP) + GAP, rows * (2 * SIDE + 3 * GAP) + GAP), "white")

    def paste(pixels: np.ndarray, column: int, top: int) -> None:
        picture = Image.fromarray(pixels).resize((SIDE, SIDE), Image.Resampling.BICUBIC)
        sheet.paste(picture, (GAP + column * (SIDE + GAP), top))

    for row in range(rows):
        top = GAP + row * (2 * SIDE + 3 * GAP)
        middle = top + (SIDE + GAP) // 2
        paste(arrays["v1"][row], 0, middle)
        paste(arrays["base"][row], 1, middle)
        for state in range(states):
            paste(arrays["targets"][row, state], 2 + state, top)
            paste(arrays["decoded"][row, state], 2 + state, top + SIDE + GAP)
        paste(arrays["v2"][row], 2 + states, middle)
    return sheet


if __name__ == "__main__":
    film(Path(sys.argv[1]), int(sys.argv[3]) if len(sys.argv) > 3 else 2).save(sys.argv[2])
