"""Run directories as training and evaluation write them, with smooth toy pictures and made-up numbers."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import yaml

from equicoherence.evaluation.task import Row
from equicoherence.json_file import write_json
from equicoherence.reporting.explorer.rotated_file import FILE, SCHEMA
from equicoherence.reporting.explorer.study import Read, TurnedImages
from equicoherence.reporting.explorer.turned_section import gallery
from tests.reporting.browsing import CHROMIUM, NAMES
from tests.reporting.scored import Write, part, scores, write_file, write_scores

if TYPE_CHECKING:
    from playwright.sync_api import Browser

WriteRun = Callable[..., Path]
GAIN = {"backbone": 0.0, "z_inv": -0.3, "z_equi": 0.12}
TRANSFORMATIONS = {"rotation": ("angle",), "translation": ("x", "y"), "scale": ("octaves",), "color": ("hue",)}


@pytest.fixture
def write_run(tmp_path: Path) -> WriteRun:
    """Return a function that writes one run directory below the test's folder."""

    def write(folder: str = "run", **options: Any) -> Path:
        return write_run_directory(tmp_path / folder, **options)

    return write


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Return one browser for all tests of a file."""
    playwright = pytest.importorskip("playwright.sync_api", reason="needs playwright, which the extra dev installs")
    if CHROMIUM is None:
        pytest.skip(f"needs Chromium: none of {', '.join(NAMES)} is on the PATH")
    with playwright.sync_playwright() as started:
        opened = started.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield opened
        opened.close()


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Return a function that writes the scores of one encoder into a folder below the test's."""
    return partial(write_scores, tmp_path)


def write_run_directory(
    path: Path,
    name: str = "vicreg-tiny",
    seed: int = 0,
    states: int = 3,
    parts: tuple[str, ...] = ("metrics.jsonl", "samples.npz", "scores.json"),
    config: dict[str, Any] | None = None,
    level: float = 0.7,
    repeats: int = 2,
    size: int = 32,
    lines: int = 40,
) -> Path:
    """Write a run directory with the given parts; ``level`` is about the R2 of its backbone."""
    path.mkdir(parents=True)
    generator = np.random.default_rng(seed)
    fields = {"name": name, "seed": seed, "method": {"name": "vicreg", "weight": 25.0}, "task": {"states": states}}
    (path / "config.yaml").write_text(yaml.safe_dump(fields | (config or {}), sort_keys=False))
    if "metrics.jsonl" in parts:
        (path / "metrics.jsonl").write_text("".join(json.dumps(m) + "\n" for m in metrics(generator, lines)))
    if "samples.npz" in parts:
        np.savez(path / "samples.npz", **samples(generator, states, size))  # type: ignore[arg-type]
    if "scores.json" in parts:
        machine = {"processor": "two cores", "gpu": "none"}
        found = [{**each, "machine": machine} for each in score_parts(generator, level, repeats)]
        write_file(path, scores(found, name, seed=seed))
    return path


ROTATED = (-20, 0, 20)


def rotated_images(tokens: np.ndarray | None = None, **reads: np.ndarray) -> TurnedImages:
    """Return two images of one color at three angles, and seven more.

    tokens: of the patches. reads: representation -> indices of the nearest (2, 3, 5); backbone has them by default.
    """
    levels = np.array([[10, 20, 30], [110, 120, 130]], np.uint8)
    shown = np.broadcast_to(levels[..., None, None, None], (2, 3, 32, 32, 3))
    bank = np.broadcast_to(np.arange(0, 210, 30, dtype=np.uint8)[:, None, None, None], (7, 32, 32, 3))
    nearest = np.broadcast_to(np.arange(5), (2, 3, 5))
    if tokens is None:
        tokens = np.broadcast_to(levels[..., None, None, None], (2, 3, 4, 4, 3))
    found = [Read(name, each, tokens) for name, each in (reads or {"backbone": nearest}).items()]
    classes = ["cat", "dog"] * 4
    return TurnedImages(
        "held-out images of toys", range(9), ROTATED, shown, bank, classes[:2], classes[:7], {"": found}
    )


def write_rotated(folder: Path, images: str = "toys", tokens: np.ndarray | None = None, **reads: np.ndarray) -> Path:
    """Write `rotated_images` into a folder of scores."""
    content = {"schema": SCHEMA, "about": "", "images": images, **gallery(rotated_images(tokens, **reads))}
    write_json(folder / FILE, content)
    return folder


def metrics(generator: np.random.Generator, lines: int) -> Iterator[dict[str, float]]:
    for i in range(lines):
        step = 25 * (i + 1)
        noise = 1 + 0.05 * generator.standard_normal()
        parts = {
            "invariance": 0.4 * np.exp(-i / 10) * noise + 0.05,
            "variance": 0.8 * np.exp(-i / 15) * noise + 0.1,
            "covariance": 0.02 * noise,
            "reconstruction": 0.3 * np.exp(-i / 20) * noise + 0.08,
        }
        yield {
            "step": step, "epoch": step / 100, "loss": sum(parts.values()), **parts,
            "lr": 1e-3 * min(1.0, (i + 1) / 5) * (0.5 + 0.5 * np.cos(np.pi * i / lines)),
            "images_per_second": 800 + 30 * generator.standard_normal(), "seconds": step / 7,
            "std_invariant": 1 - np.exp(-i / 8), "std_equivariant": 0.9 - 0.8 * np.exp(-i / 8),
            "rank_invariant": 4 + i * 1.1, "rank_equivariant": 3 + i * 0.8 * noise,
        }  # fmt: skip


def samples(generator: np.random.Generator, states: int, size: int, count: int = 5) -> dict[str, np.ndarray]:
    theta = np.stack([generator.uniform(-60, 60, count), generator.uniform(-30, 30, count)], axis=1)
    looks = generator.uniform(0, 6.28, (count, 3))
    positions = (np.arange(states) + 1) / (states + 1)

    def at(t: float) -> np.ndarray:
        return np.stack([picture(look, t * th[0], t * th[1] / 112, size) for look, th in zip(looks, theta)])

    targets = [at(t) for t in positions]
    arrays = {
        "v1": np.stack([picture(look, 15, 0.3, size, zoom=1.4) for look in looks]),
        "base": at(0), "v2": at(1), "positions": positions,
        "theta": theta.astype(np.float32), "theta_names": np.array(["angle", "x"]),
        "targets": np.stack(targets, axis=1) if states else np.zeros((count, 0, size, size, 3), np.uint8),
    }  # fmt: skip
    if states:
        soft = np.stack(targets, axis=1).astype(np.float32)
        for axis in (2, 3):
            soft = (np.roll(soft, 1, axis) + soft + np.roll(soft, -1, axis)) / 3
        arrays["decoded"] = soft.clip(0, 255).astype(np.uint8)
    return arrays


def picture(look: np.ndarray, degrees: float, shift: float, size: int, zoom: float = 1.0) -> np.ndarray:
    """Draw a smooth ground with one soft, notched disc; (size, size, 3) uint8."""
    y, x = np.mgrid[-1 : 1 : size * 1j, -1 : 1 : size * 1j] / zoom
    turn = np.deg2rad(degrees)
    u, v = np.cos(turn) * (x - shift) - np.sin(turn) * y, np.sin(turn) * (x - shift) + np.cos(turn) * y
    radius = 0.5 + 0.18 * np.cos(3 * np.arctan2(v, u) + look[0])
    inside = 1 / (1 + np.exp((np.hypot(u, v) - radius) * 25))
    ground = 0.55 + 0.25 * np.stack([np.sin(2 * u + look[i]) * np.cos(1.5 * v + look[i - 1]) for i in range(3)], -1)
    shape = 0.5 + 0.5 * np.sin(look + np.array([0.0, 2.1, 4.2]) + 1.5 * (u + v)[..., None])
    return (255 * (ground * (1 - inside[..., None]) + shape * inside[..., None])).clip(0, 255).astype(np.uint8)


def score_parts(generator: np.random.Generator, level: float, repeats: int) -> Iterator[dict[str, Any]]:
    probes = {"mlp": 0.0, "linear": -0.15}
    for number, (transformation, parameters) in enumerate(TRANSFORMATIONS.items()):
        about = {"task": "transformation", "variant": transformation, "protocol": "frozen, probes of pairs"}
        about |= {"probe_order": ["mlp", "linear", "attentive"], "settings": {"transformations": [transformation]}}
        names = ("", *parameters) if len(parameters) > 1 else ("",)
        own, random = [], []
        for border in ("content", "zeros"):
            for name in names:
                place = {"target": transformation, "border": border, "parameter": name, "floor": -0.002}
                for probe, weaker in probes.items():
                    random.append(Row("r2", 0.21, representation="backbone", probe=probe, **place))
                    for representation, more in GAIN.items():
                        for repeat in range(repeats):
                            value = level + more + weaker - 0.07 * number + 0.08 * (border == "zeros")
                            value += 0.02 * generator.standard_normal()
                            kind = {"representation": representation, "probe": probe, "repeat": repeat}
                            own.append(Row("r2", min(float(value), 0.97), **place, **kind))
        yield part(own, **about)
        yield part(random, **about, control="random")
    for task in ("knn", "linear"):
        values = {name: 0.62 - 0.2 * (level - 0.6) + 0.1 * more for name, more in GAIN.items()}
        own = [
            Row("top1", float(value + 0.01 * generator.standard_normal()), representation=name, floor=0.1)
            for name, value in values.items()
        ]
        yield part(own, task=task)
        yield part([Row("top1", 0.118, representation="backbone", floor=0.1)], task=task, control="random")
