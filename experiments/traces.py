"""Do rendered pairs reveal their angle by resampling? Probes on the spectra of rotated noise, before and after.

    python experiments/traces.py [--out FOLDER] [--only SOURCE:SIZE ...] [--images N] [--seeds S ...]

Isotropic noise has no content that would show a rotation, so any R2 above 0 comes from a trace. Each cell is kept in
a folder beside the page as it is done, smallest first, and the command goes on from there. The page is
docs/results/traces.md, with a picture of what the evaluation sees of a photograph, before and after.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from pages import measured, write_page
from PIL import Image
from torch import Tensor

from equicoherence.data import open_images
from equicoherence.evaluation.baselines import Spectrum
from equicoherence.evaluation.probes import mlp_probe
from equicoherence.evaluation.provenance import provenance
from equicoherence.evaluation.transformation.noise import as_photographs, noise_images
from equicoherence.json_file import write_json
from equicoherence.paths import Pyramid, Rotation, render
from equicoherence.paths.central import base_state
from equicoherence.paths.pair_images import Photographs, base_share, draw_pair_image
from equicoherence.ridge import r2_score, ridge_probe

PAGE = Path(__file__).parents[1] / "docs" / "results" / "traces.md"
PICTURE = PAGE.parent / "traces.png"
BEFORE = "by 2026-11-29, x86_64, machine not recorded, equicoherence 0.1.0 or 0.2.0, torch 2.14.1+cu130"
"""Of cells that do not say it themselves."""
SOURCES, SIZES = (64, 96, 128, 256), (32, 64, 96, 128, 224)
ENLARGED = ((64, 96, 64), (64, 128, 96), (64, 256, 224))  # noise of fewer pixels than the source, as small photographs
DRAWS, BATCH, SEED = 2, 64, 17
SHARE = 4  # what a bilinear reading leaves is large: one image in so many shows it
Render = Callable[[Photographs, Tensor | None, int], Tensor]


def before(images: Photographs, angle: Tensor | None, size: int) -> Tensor:
    """Render as the evaluation did, and training does: one bilinear reading."""
    state = None if angle is None else Rotation().state(angle)
    base = base_state(images.aspect, base_share("rotation"))
    return render(Pyramid.build(images.images, size), base, state, size=size)


def after(images: Photographs, angle: Tensor | None, size: int) -> Tensor:
    """Render as the evaluation does."""
    return draw_pair_image(images, Rotation(), angle, base_share("rotation"), size)


WAYS: dict[str, Render] = {"before": before, "after": after}


def probe_spectra(draw: Render, cell: tuple[int, int, int], count: int, seed: int) -> dict[str, list[float]]:
    """Return R2 of the angle and of its absolute value, by probe, from the spectra of turned noise alone.

    cell: pixels of the noise, those it is read at, those of the output. count: images for the probes' training, and as
    many for their test.
    """
    side, source, size = cell
    generator = torch.Generator().manual_seed(SEED + seed)
    spectra, targets = [], []
    for split in range(2):
        images = as_photographs(noise_images(count, side, 2 * seed + split), source)
        angles = Rotation().sample(DRAWS * count, generator)
        parts = [
            Spectrum()(draw(images[slice(start, start + BATCH)], turn[start : start + BATCH], size))
            for turn in angles.split(count)
            for start in range(0, count, BATCH)
        ]
        spectra.append(torch.cat(parts))
        targets.append(torch.cat([angles, angles.abs()], dim=1))
    (train, test), (target, truth) = spectra, targets
    ridge = torch.cat([ridge_probe(train, column, test, draws=DRAWS) for column in target.split(1, dim=1)], dim=1)
    found = {"ridge": ridge, "mlp": mlp_probe(train, target, test, draws=DRAWS, seed=seed)}
    return {name: r2_score(predicted, truth).tolist() for name, predicted in found.items()}


def milliseconds(source: int, size: int) -> dict[str, float]:
    """Return how long a core works on an image each way, and the ratio: medians of five, taken by turns."""
    images = as_photographs(noise_images(BATCH, source), source)
    angle = Rotation().sample(BATCH, torch.Generator().manual_seed(SEED))
    spent: dict[str, list[float]] = {name: [] for name in WAYS}
    for _ in range(6):
        for name, draw in WAYS.items():
            start = time.process_time()
            draw(images, angle, size)
            spent[name].append((time.process_time() - start) / BATCH * 1e3)
    before, after = (times[1:] for times in spent.values())
    ratio = statistics.median(late / early for early, late in zip(before, after))
    return {"before": statistics.median(before), "after": statistics.median(after), "ratio": ratio}


def main() -> None:
    """Parse, measure what is not there, write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=PAGE.with_suffix(""), help="where the cells are kept")
    parser.add_argument("--only", nargs="*", help="cells SOURCE:SIZE or NOISE:SOURCE:SIZE; all where left out")
    parser.add_argument("--images", type=int, default=1000, help="of the probes' training, and of their test")
    parser.add_argument("--seeds", type=int, nargs="*", default=[0], help="of noise and angles; each is kept")
    parser.add_argument("--picture", type=Path, help="photographs, of which three are shown before and after")
    given = parser.parse_args()
    cells = [(source, source, size) for source in SOURCES for size in SIZES] + list(ENLARGED)
    wanted = [tuple(map(int, cell.split(":"))) for cell in given.only] if given.only is not None else cells
    work = [(seed, (cell[0], cell[-2], cell[-1])) for seed in given.seeds for cell in wanted]
    for seed, cell in sorted(work, key=lambda each: (each[0], each[1][1] ** 2 + each[1][2] ** 2)):
        file = given.out / f"{'-'.join(map(str, cell))}-{given.images}-{seed}.json"
        if not file.is_file():
            counts = {"before": given.images // SHARE, "after": given.images}
            found = {name: probe_spectra(draw, cell, counts[name], seed) for name, draw in WAYS.items()}
            about: dict[str, Any] = {"cell": cell, "images": given.images, "ms": milliseconds(*cell[1:]), **found}
            about |= provenance("float32")
            given.out.mkdir(parents=True, exist_ok=True)
            write_json(file, about)
            print(about, flush=True)
    found = []
    for cell in cells:
        files = given.out.glob(f"{'-'.join(map(str, cell))}-*-*.json")
        found.append([json.loads(file.read_text(encoding="utf-8")) for file in sorted(files)])
    if given.picture is not None:
        draw_picture(given.picture)
    write_page(page([seeds for seeds in found if seeds], len(cells)), PAGE)


def page(found: list[list[dict[str, Any]]], planned: int) -> str:
    """Return the page of the cells that are done, each with one or several seeds."""
    several = any(len(seeds) > 1 for seeds in found)
    spread = "For several seeds of noise, angles and probes: the mean, and the lowest and highest. " if several else ""
    lines = [
        "# Traces: how well the spectra of rotated noise predict the angle",
        "",
        f"Written by `python experiments/traces.py`; {len(found)} of {planned} cells done. "
        f"Measured {measured((each for seeds in found for each in seeds), BEFORE)}; seed {SEED}.",
        "",
        "Isotropic 1/f noise, border `content`, angles within 45 degrees. R2 of the signed angle / of its absolute "
        "value, by a ridge regression and by the MLP probe on the logarithm of the power spectrum of the rotated image "
        "alone. The probes are trained on the given number of images and tested on as many others (before: on a "
        f"quarter of them), each rotated {DRAWS} times. {spread}Noise with fewer pixels than its source is "
        "enlarged as small photographs are. "
        "ms: time per image on one core; medians of alternating measurements.",
        "",
        "| noise | source | size | images | seeds | before: ridge | mlp | after: ridge | mlp | ms | after | ratio |",
        "|---|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    lowest, highest = [1.0, 1.0], [-1.0, -1.0]
    for seeds in found:
        values = []
        for way in WAYS:
            for probe in ("ridge", "mlp"):
                columns = list(zip(*(each[way][probe] for each in seeds)))
                values.append(" / ".join(map(_spread, columns)))
                if way == "after":
                    means = [statistics.mean(column) for column in columns]
                    lowest = [min(old, mean) for old, mean in zip(lowest, means)]
                    highest = [max(old, mean) for old, mean in zip(highest, means)]
        times = [statistics.median(each["ms"][name] for each in seeds) for name in ("before", "after", "ratio")]
        images = max(each["images"] for each in seeds)
        cells = [*seeds[0]["cell"], images, len(seeds), *values, f"{times[0]:.2f}", f"{times[1]:.2f}"]
        lines.append(f"| {' | '.join(map(str, cells))} | {times[2]:.1f} |")
    ends = [f"{low:.3f} to {high:.3f}" for low, high in zip(lowest, highest)]
    lines += ["", f"The lowest and the highest of all cells after: {ends[0]} signed, {ends[1]} absolute."]
    shown = "![Three photographs at 96 px from sources of 110 px, upright and rotated: before (top) and after (bottom)]"
    lines += ["", *([f"{shown}({PICTURE.name})", ""] if PICTURE.is_file() else [])]
    return "\n".join(lines)


def _spread(values: Sequence[float]) -> str:
    """Return the mean, and of several values the lowest and the highest."""
    mean = f"{statistics.mean(values):.3f}"
    return mean if len(values) == 1 else f"{mean} ({min(values):.3f} to {max(values):.3f})"


def draw_picture(folder: Path) -> None:
    """Write three photographs at 96 px, upright and turned by 30 degrees: above as before, below as after."""
    source = open_images(folder, "val")
    samples = [source.load(index, 110) for index in np.linspace(0, len(source) - 1, 3).round().astype(int).tolist()]
    images = Photographs(
        torch.stack([torch.from_numpy(sample.pixels).permute(2, 0, 1) for sample in samples]),
        torch.tensor([sample.aspect for sample in samples]),
        torch.tensor([float(sample.side) for sample in samples]),
    )
    turn = torch.full((3, 1), 30.0)
    rows = [torch.cat([image for pair in zip(draw(images, None, 96), draw(images, turn, 96)) for image in pair], dim=2)
            for draw in WAYS.values()]  # fmt: skip
    pixels = torch.cat(rows, dim=1).mul(255).round().byte().permute(1, 2, 0).numpy()
    Image.fromarray(pixels).resize((pixels.shape[1] * 2, pixels.shape[0] * 2), Image.Resampling.NEAREST).save(PICTURE)


if __name__ == "__main__":
    main()
