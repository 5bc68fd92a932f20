"""The heads beside a model of timm that others may load: their files, and how its folder says that it has them."""

from __future__ import annotations

from pathlib import Path

from equicoherence.json_file import read_json

CONFIG, WEIGHTS = "config.json", "model.safetensors"  # which timm reads
ABOUT, HEADS = "equicoherence.json", "heads.safetensors"  # how to build the heads, and their weights
CARD = "README.md"  # which people read
MARK = "heads"  # in CONFIG, beside what timm reads: true where the folder has heads


def has_heads(folder: Path) -> bool:
    """Return whether a folder of timm says that it has heads."""
    path = folder / CONFIG
    return path.is_file() and read_json(path, "export the run again with --overwrite").get(MARK) is True
