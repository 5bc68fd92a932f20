"""Do training views reveal their angle by how they were rendered? Encoders trained on noise, which has no content.

    python experiments/view_traces.py [--out runs/view-traces] [--steps N] [--only WAY:SOURCE:SIZE ...]

An oracle is trained with the angle of a view as a label, on noise: it can only learn traces. Power spectra show how
much there is to learn. A control has noise of one direction, whose angle can be seen: what an oracle of these steps is
able to learn. Runs of a recipe on the same noise, with decoders, are probed for the angle of single views; their
controls are trained and probed on noise of one direction. WAY is one of:

    training views | central crops | central crops, round band | control: noise of one direction    oracles
    DECODER | control: DECODER          a recipe's run; DECODER: render, conv, render+cross-attention

Each cell is kept in docs/results/view-traces as it is done, and the page is made from all that lie there.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from pages import measured, write_page
from PIL import Image
from published import slug
from torch import Tensor, nn
from traces import after, before

from equicoherence.evaluation import load_model
from equicoherence.evaluation.baselines import Spectrum
from equicoherence.evaluation.frozen_model import random_control
from equicoherence.evaluation.provenance import provenance
from equicoherence.evaluation.transformation.noise import as_photographs, noise_images
from equicoherence.json_file import write_json
from equicoherence.models import Encoder
from equicoherence.paths import Rotation
from equicoherence.recipes import recipe
from equicoherence.reporting.tables import MISSING
from equicoherence.ridge import r2_score, ridge_probe
from equicoherence.training import PretrainConfig, pretrain
from equicoherence.training.build import build_views

PAGE = Path(__file__).parents[1] / "docs" / "results" / "view-traces.md"
KEPT = PAGE.with_suffix("")
RECIPE = "vicreg-tiny"
SHAPES = ((64, 32), (32, 32))  # pixels of source and view: as the recipe has them, and not made smaller
TRAIN, TEST, BATCH, LARGEST = 2000, 1000, 128, 45.0
STRIPE = 5  # pixels over which noise is averaged along its rows, in the control
BEFORE = "2026-11-30, a CPU, machine not recorded, equicoherence 0.2.0, torch 2.14.1+cu130"
"""Of cells that do not say it themselves."""
Draw = Callable[[Tensor, torch.Generator], tuple[Tensor, Tensor]]


def config_of(shape: tuple[int, int]) -> PretrainConfig:
    """Return the recipe with turned views, of a source and a size."""
    config = recipe(RECIPE)
    views = dataclasses.replace(config.views, source=shape[0], size=shape[1], path="rotation")
    return dataclasses.replace(config, views=views)


def recipe_views(shape: tuple[int, int]) -> Draw:
    """Return what draws second views as training does, and their angles."""
    config = config_of(shape)
    config = dataclasses.replace(config, coherence=None, views=dataclasses.replace(config.views, invariant="path"))
    draw = build_views(config, Encoder(config.encoder.name, config.encoder.args))

    def views(images: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        made = draw(images, generator)
        return made.v2, made.theta

    return views


def central_views(shape: tuple[int, int], read: Callable[..., Tensor]) -> Draw:
    """Return what draws central crops within the image, as the evaluation's are, read as training does or round."""

    def views(images: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        angle = Rotation().sample(len(images), generator)
        return read(as_photographs(images, shape[0]), angle, shape[1]), angle

    return views


def striped_views(shape: tuple[int, int]) -> Draw:
    """Return what draws central crops, as training reads them, of noise that is smooth along its rows."""
    draw = central_views(shape, before)

    return lambda images, generator: draw(of_one_direction(images), generator)


def of_one_direction(images: Tensor) -> Tensor:
    """Return noise (B, 3, H, W) uint8 averaged along its rows, with as much contrast as before."""
    wide = F.pad(images.float(), (STRIPE // 2, STRIPE // 2, 0, 0), mode="circular")
    smooth = F.avg_pool2d(wide, (1, STRIPE), stride=1)
    return (128 + STRIPE**0.5 * (smooth - 128)).clamp(0, 255).byte()


WAYS: dict[str, Callable[[tuple[int, int]], Draw]] = {
    "training views": recipe_views,
    "central crops": lambda shape: central_views(shape, before),
    "control: noise of one direction": striped_views,
    "central crops, round band": lambda shape: central_views(shape, after),
}
DECODERS = ("render", "conv", "render+cross-attention")  # the last is the recipe's own
CONTROL = "control: "
EVERY_WAY = (*WAYS, *DECODERS, *(f"{CONTROL}{decoder}" for decoder in DECODERS))


def train_oracle(draw: Draw, shape: tuple[int, int], steps: int) -> tuple[list[float], list[float]]:
    """Return R2 of the angle and of its size: of an encoder trained to read both from turned noise, on other noise;
    and of a ridge regression on its features."""
    torch.manual_seed(0)
    generator = torch.Generator().manual_seed(0)
    images, others = noise_images(TRAIN, shape[0], 0), noise_images(TEST, shape[0], 1)
    config = config_of(shape)
    encoder = Encoder(config.encoder.name, config.encoder.args)
    head = nn.Linear(encoder.width, 2)
    optimiser = torch.optim.AdamW([*encoder.parameters(), *head.parameters()], lr=2e-3, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 2e-3, steps, pct_start=0.1)
    centre, spread = torch.tensor([0.0, LARGEST / 2]), torch.tensor([LARGEST / 3**0.5, LARGEST / 12**0.5])
    encoder.train()
    for _ in range(steps):
        views, angle = draw(images[torch.randint(TRAIN, (BATCH,), generator=generator)], generator)
        target = (torch.cat([angle, angle.abs()], dim=1) - centre) / spread
        loss = F.mse_loss(head(encoder(views).patches.mean(dim=1)), target)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
    encoder.eval()

    @torch.no_grad()
    def seen(images: Tensor) -> tuple[Tensor, Tensor]:
        parts = [draw(part, generator) for part in images.split(BATCH)]
        features = torch.cat([encoder(views).patches.mean(dim=1) for views, _ in parts])
        return features, torch.cat([angle for _, angle in parts])

    (known, target), (asked, truth) = seen(images), seen(others)
    with torch.no_grad():
        said = head(asked) * spread + centre
    target, truth = (torch.cat([angle, angle.abs()], dim=1) for angle in (target, truth))
    return r2_score(said, truth).tolist(), r2_of_ridge(known, target, asked, truth)


def read_spectra(draw: Draw, shape: tuple[int, int]) -> list[float]:
    """Return R2 of the angle and of its size by a ridge regression on the power spectra of views alone."""
    generator = torch.Generator().manual_seed(0)

    def seen(images: Tensor) -> tuple[Tensor, Tensor]:
        parts = [draw(part, generator) for part in images.split(BATCH)]
        angle = torch.cat([angle for _, angle in parts])
        return torch.cat([Spectrum()(views) for views, _ in parts]), torch.cat([angle, angle.abs()], dim=1)

    return r2_of_ridge(*seen(noise_images(TRAIN, shape[0], 0)), *seen(noise_images(TEST, shape[0], 1)))


def r2_of_ridge(known: Tensor, target: Tensor, asked: Tensor, truth: Tensor) -> list[float]:
    predicted = [ridge_probe(known, column, asked) for column in target.split(1, dim=1)]
    return r2_score(torch.cat(predicted, dim=1), truth).tolist()


def train_decoder(way: str, shape: tuple[int, int], steps: int, folder: Path) -> dict[str, list[float]]:
    """Return R2 of the angle and of its size by a ridge regression from single views of other noise, by representation.

    The recipe is trained on noise with a decoder before; for its control the noise of both is of one direction. Power
    spectra, and the backbone with random weights, are read of the same views.
    """
    decoder, control = way.removeprefix(CONTROL), way.startswith(CONTROL)
    kind: Callable[[Tensor], Tensor] = of_one_direction if control else lambda images: images
    drawn = recipe_views(shape)

    def draw(images: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        return drawn(kind(images), generator)

    images = folder / f"noise{'-of-one-direction' if control else ''}-{shape[0]}"
    if not images.is_dir():
        images.mkdir(parents=True)
        for number, image in enumerate(kind(noise_images(TRAIN, shape[0], 0))):
            Image.fromarray(image.permute(1, 2, 0).numpy()).save(images / f"{number:04}.png")
    config = config_of(shape)
    assert config.coherence is not None
    config = dataclasses.replace(
        config,
        coherence=dataclasses.replace(config.coherence, decoder=decoder),
        optim=dataclasses.replace(config.optim, batch_size=BATCH, epochs=steps),  # max_steps ends it
        data=str(images),
        max_steps=steps,
        precision="fp32",
        threads=1,
    )
    model = load_model(pretrain(config, folder / f"{slug(way)}-{shape[0]}-{shape[1]}-{steps}"))
    untrained, generator = random_control(model), torch.Generator().manual_seed(1)

    @torch.no_grad()
    def seen(images: Tensor) -> tuple[dict[str, Tensor], Tensor]:
        parts = [draw(part, generator) for part in images.split(BATCH)]
        pooled = [model.represent(views)[0] for views, _ in parts]
        found = {name: torch.cat([part[name] for part in pooled]) for name in ("backbone", "z_equi")}
        found["random"] = torch.cat([untrained.represent(views)[0]["backbone"] for views, _ in parts])
        angle = torch.cat([angle for _, angle in parts])
        return found, torch.cat([angle, angle.abs()], dim=1)

    (known, target), (asked, truth) = (seen(noise_images(count, shape[0], s)) for s, count in ((2, TRAIN), (1, TEST)))
    found = {name: r2_of_ridge(known[name], target, asked[name], truth) for name in known}
    return {"spectra": read_spectra(draw, shape), **found}


def main() -> None:
    """Parse, train what is not there, write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("runs/view-traces"), help="of the recipe's runs")
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--only", nargs="*", help="cells WAY:SOURCE:SIZE; all where left out")
    given = parser.parse_args()
    every = {f"{way}:{source}:{size}": (way, (source, size)) for source, size in SHAPES for way in EVERY_WAY}
    cells = list(every) if given.only is None else given.only
    if odd := [cell for cell in cells if cell not in every]:
        parser.error(f"--only {odd[0]!r} is no cell; one is {', '.join(map(repr, every))}")
    for cell in cells:
        way, shape = every[cell]
        source, size = shape
        file = KEPT / f"{slug(way)}-{source}-{size}-{given.steps}.json"
        if not file.is_file():
            start, found = time.process_time(), dict[str, Any](way=way, shape=shape, steps=given.steps)
            if way in WAYS:
                oracle, ridge = train_oracle(WAYS[way](shape), shape, given.steps)
                found |= {"spectra": read_spectra(WAYS[way](shape), shape), "oracle": oracle, "ridge": ridge}
            else:
                found |= train_decoder(way, shape, given.steps, given.out)
            KEPT.mkdir(parents=True, exist_ok=True)
            write_json(file, {**found, "seconds": time.process_time() - start, **provenance("float32")})
            print(json.dumps(found), flush=True)
    done = [json.loads(file.read_text(encoding="utf-8")) for file in sorted(KEPT.glob("*.json"))]
    write_page(page(done), PAGE)


def page(found: list[dict[str, Any]]) -> str:
    """Return the page of the cells that are done."""
    lines = [
        "# Traces in training views: how well encoders trained on noise predict the angle",
        "",
        f"Written by `python experiments/view_traces.py`. Measured {measured(found, BEFORE)}.",
        "",
        f"The encoder of `{RECIPE}` on {TRAIN:,} images of isotropic noise as large as the source, batches of {BATCH}; "
        f"tested on {TEST:,} others. R2 of the signed angle / of its absolute value, from one view alone; from spectra "
        "and features by a ridge regression. Controls are trained and tested on noise that is smooth along its rows, "
        "so that its content shows the angle. Random weights: the backbone before training. One seed of training, 0. "
        "Seeds of noise: training 0, test 1; for the ridge regression on a decoder's features 2.",
        "",
        "| trained on | source | size | steps | power spectra | the oracle itself | its features | CPU seconds |",
        f"|{'---|' * 8}",
    ]
    lines += [_row(each, "spectra", "oracle", "ridge") for each in found if "oracle" in each]
    lines += [
        "",
        "| decoder | source | size | steps | power spectra | random weights | backbone | z_equi | CPU seconds |",
        f"|{'---|' * 9}",
    ]
    lines += [_row(each, "spectra", "random", "backbone", "z_equi") for each in found if "z_equi" in each]
    return "\n".join([*lines, ""])


def _row(each: dict[str, Any], *names: str) -> str:
    """Return a line of a table: the cell, pairs of figures, a dash where there are none, its time."""
    figures = [" / ".join(f"{value:.3f}" for value in each[name]) if name in each else MISSING for name in names]
    cells = [each["way"], *each["shape"], each["steps"], *figures, f"{each['seconds']:.0f}"]
    return f"| {' | '.join(map(str, cells))} |"


if __name__ == "__main__":
    main()
