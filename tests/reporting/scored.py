"""Folders of downstream scores, as an evaluation leaves them."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

Write = Callable[..., Path]
PLACE = {"task": "segmentation", "protocol": "frozen, linear", "data": "CamVid"}
IDENTITY = {"files": "f11e5", "splits": {"train": "367 of the folder, 5b117"}}
METRICS = {"miou": True, "iou": True, "error": False}


def write_scores(place: Path, folder: str, level: float = 0.5, random: float | None = 0.1, **about: Any) -> Path:
    """Write the scores of one encoder, and where ``random`` is given those of random weights, into ``place/folder``."""
    path = place / folder
    (path / "pictures").mkdir(parents=True)
    parts = {"on CamVid": part(path, "", level)}
    if random is not None:
        parts["random on CamVid"] = part(path, "random", random)
    plain = {
        "model": folder,
        "name": folder,
        "seed": 0,
        "weights": f"digest of {folder}",
        "size": 64,
        "arch": "vit",
        "build": "0",
    }
    plain |= {"date": "2026-03-14", "machine": {"cores": 2}, "versions": {"torch": "2.11.0"}, "parts": parts}
    (path / "downstream.json").write_text(json.dumps(plain | about))
    return path


def part(path: Path, control: str, level: float) -> dict[str, Any]:
    rows = [("miou", "", level, 0.05), ("error", "", 9 - level, 12.5), ("iou", "road", level / 2, None)]
    pixels = np.full((20, 60, 3), round(255 * level), np.uint8)
    Image.fromarray(pixels).save(path / "pictures" / f"{control}0.png")
    return {
        **PLACE, "control": control, "seconds": 1.0,
        "settings": {"pixels": 64, "seed": 0, "folder": str(path.parent / "sets"), **IDENTITY},
        "counts": {"train": 367}, "input": [64, 96], "metrics": METRICS, "caption": "What is <seen>.",
        "pictures": {"frame <7>": f"pictures/{control}0.png"},
        "rows": [dict(zip(("metric", "parameter", "value", "floor"), row)) for row in rows],
    }  # fmt: skip


def change(path: Path, **fields: Any) -> None:
    """Change the settings of all parts of a file."""
    about = json.loads((path / "downstream.json").read_text())
    for each in about["parts"].values():
        each["settings"] |= fields
    (path / "downstream.json").write_text(json.dumps(about))


def table_of(out: Path) -> list[list[str]]:
    """Return the cells of the first table in comparison.md, its header first."""
    text = (out / "comparison.md").read_text(encoding="utf-8")
    found = re.findall(r"^\| (.*) \|$", text.split("## Encoders")[0], flags=re.MULTILINE)
    return [line.split(" | ") for line in found if not line.startswith("---")]
