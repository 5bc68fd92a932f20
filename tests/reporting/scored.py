"""Folders of scores, as an evaluation leaves them, written through the schema that it writes by."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from equicoherence.evaluation.store import FILE, SCHEMA, read_scores
from equicoherence.evaluation.task import Row
from equicoherence.json_file import write_json

Write = Callable[..., Path]
SEGMENTATION = {"task": "segmentation", "protocol": "frozen, linear", "data": "CamVid"}
IDENTITY = {"files": "f11e5", "splits": {"train": "367 of the folder, 5b117"}}
METRICS = {"miou": True, "iou": True, "error": False}
PROVENANCE = {"date": "2026-03-14", "machine": {"cores": 2}, "versions": {"torch": "2.11.0"}}


def part(rows: Sequence[Row], **about: Any) -> dict[str, Any]:
    """Return a part of ``scores.json`` with these rows; all fields that are not given are as in a plain one."""
    metrics = dict.fromkeys((row.metric for row in rows), True)
    plain = {"task": "knn", "variant": "", "protocol": "frozen, 20 neighbours", "data": "shapes", "control": ""}
    plain |= {"settings": {}, "counts": {}, "input": None, "metrics": metrics, "probe_order": []}
    plain |= {"caption": "", "shown": {}, "seconds": 1.0}
    return {**plain, "rows": [asdict(row) for row in rows], **PROVENANCE, **about}


def scores(parts: Sequence[dict[str, Any]], name: str = "a", **about: Any) -> dict[str, Any]:
    """Return the content of a ``scores.json``."""
    plain = {"schema": SCHEMA, "model": name, "name": name, "seed": 0, "config": None, "build": "0", "arch": "vit"}
    plain |= {"weights": f"digest of {name}", "size": 64, "layer": None, "random_weights": False, **PROVENANCE}
    names = [f"{p['control']} {p['task']} {p['variant']} ({p['protocol']}) on {p['data']}".strip() for p in parts]
    return plain | {"parts": dict(zip(names, parts))} | about


def write_file(folder: Path, content: dict[str, Any]) -> Path:
    """Write a ``scores.json`` that reads back as it was written; return its folder."""
    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / FILE, content)
    assert read_scores(folder / FILE) == json.loads(json.dumps(content))
    return folder


def write_scores(place: Path, folder: str, level: float = 0.5, random: float | None = 0.1, **about: Any) -> Path:
    """Write the scores of one encoder, and where ``random`` is given those of random weights, into ``place/folder``."""
    path = place / folder
    (path / "pictures").mkdir(parents=True)
    parts = [segmentation(path, "", level)]
    if random is not None:
        parts.append(segmentation(path, "random", random))
    return write_file(path, scores(parts, folder) | about)


def segmentation(path: Path, control: str, level: float) -> dict[str, Any]:
    """Return a part with two main metrics, one class, and a picture."""
    for name, value in ((f"{control}0", level), ("image", 0.2), ("truth", 0.6)):
        pixels = np.full((20, 60, 3), round(255 * value), np.uint8)
        Image.fromarray(pixels).save(path / "pictures" / f"{name}.png")
    given = {"image": "pictures/image.png", "true <classes>": "pictures/truth.png"}
    legend = [[11, "car", "#102030"], [2, "street <wide>", "#804080"]]
    shown = {"frame <7>": {"predicted": f"pictures/{control}0.png", "given": given, "legend": legend}}
    rows = [
        Row("miou", level, floor=0.05),
        Row("error", 9 - level, floor=12.5),
        Row("iou", level / 2, parameter="road"),
    ]
    return part(
        rows, **SEGMENTATION, control=control, counts={"train": 367}, input=[64, 96], metrics=METRICS,
        settings={"pixels": 64, "seed": 0, "folder": str(path.parent / "sets"), **IDENTITY},
        caption="What is <seen>.", shown=shown,
    )  # fmt: skip


def change_file(folder: Path, change: Callable[[dict[str, Any]], object]) -> None:
    """Change the content of a ``scores.json``."""
    about = json.loads((folder / FILE).read_text())
    change(about)
    (folder / FILE).write_text(json.dumps(about))


def change_parts(folder: Path, change: Callable[[dict[str, Any]], object]) -> None:
    """Change all parts of a ``scores.json``."""
    change_file(folder, lambda about: [change(each) for each in about["parts"].values()])


def change_settings(path: Path, **fields: Any) -> None:
    """Change the settings of all parts of a ``scores.json``."""
    change_parts(path, lambda each: each["settings"].update(fields))


def table_of(out: Path) -> list[list[str]]:
    """Return the cells of the first table in comparison.md, its header first."""
    text = (out / "comparison.md").read_text(encoding="utf-8")
    found = re.findall(r"^\| (.*) \|$", text.split("## Encoders")[0], flags=re.MULTILINE)
    return [line.split(" | ") for line in found if not line.startswith("---")]
