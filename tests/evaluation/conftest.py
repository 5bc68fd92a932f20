"""Data that tests of scores share: a segmentation set in its published layout, and renders with poses."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from PIL import Image

from tests.downstream.colour_regions import ColourRegions
from tests.rendered import rendered_set


@pytest.fixture
def in_float32(monkeypatch: pytest.MonkeyPatch) -> None:
    """Read encoders in float32 on CPUs with bfloat16, too, where products that should be equal round far apart."""
    monkeypatch.setattr("equicoherence.evaluation.fit.has_bfloat16", lambda device: False)


@pytest.fixture(scope="session")
def camvid(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder that holds a set in CamVid's layout, of two classes; tests that change it copy it."""
    root = tmp_path_factory.mktemp("published") / "sets"
    for folder, count, seed in (("train", 6, 0), ("test", 3, 1)):
        source = ColourRegions(count, seed)
        for index in range(count):
            for kind, pixels in (("", source.image(index)), ("annot", source.mask(index))):
                path = root / "camvid" / f"{folder}{kind}" / f"{index}.png"
                path.parent.mkdir(parents=True, exist_ok=True)
                Image.fromarray(pixels).save(path)
    return root


@pytest.fixture
def sets(camvid: Path, tmp_path: Path) -> Path:
    """Return a copy of the set that the test may change."""
    return Path(shutil.copytree(camvid, tmp_path / "sets"))


@pytest.fixture(scope="session")
def renders(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return rendered objects in poses."""
    return rendered_set(tmp_path_factory.mktemp("renders") / "set", paths=0)
