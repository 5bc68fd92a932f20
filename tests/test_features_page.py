"""The page about the files of `embed` is true: its code reads them, and it names what is in them."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet
import pytest

from equicoherence.embedding import embed
from tests.small import picture_folder

PAGE = (Path(__file__).resolve().parents[1] / "docs" / "features.md").read_text(encoding="utf-8")
CODE = re.findall(r"```python\n(.*?)```", PAGE, flags=re.DOTALL)


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with both files of one model and one data set, an image of which is bad."""
    folder = tmp_path_factory.mktemp("features")
    pictures = picture_folder(folder / "pictures", per_class=3)
    (pictures / "disc" / "001.png").write_bytes(b"no picture")
    for ending in ("npz", "parquet"):
        embed(
            "timm:test_vit",
            pictures,
            folder / f"features.{ending}",
            features="backbone,patches",
            random_weights=True,
            size=32,
            bad_image_tolerance=1,
        )
    return folder


def test_the_code_on_the_page_reads_the_same_from_both_files(written: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(written)
    from_npz: dict[str, Any] = {"numpy": np, "json": json}
    from_parquet: dict[str, Any] = {"pyarrow": pyarrow, "json": json}
    exec(CODE[0], from_npz)  # the page's own words
    exec(CODE[1] + CODE[2], from_parquet)
    held = from_npz["held"]
    assert held["backbone"].shape == (6, 64)
    for name in ("backbone", "patches"):
        assert np.array_equal(held[name], from_parquet[name], equal_nan=True), name
    assert from_npz["about"]["grid"] == from_parquet["about"]["grid"] == [2, 2]
    assert json.loads(held["bad_images"].item()) == from_parquet["bad_images"]
    assert list(from_parquet["bad_images"]) == ["disc/001.png"]


def test_the_page_names_what_the_files_hold(written: Path) -> None:
    held = np.load(written / "features.npz")
    named = set(re.findall(r"`(\w+)`", PAGE))
    assert set(held.keys()) <= named
    assert set(json.loads(held["about"].item())) <= named
