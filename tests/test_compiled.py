"""The renderer: the process that compiles it computes the bits of those that read it from disk."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

SCRIPT = """
import hashlib

import torch

from equicoherence.paths import PathViews, Perspective, kernel
from equicoherence.paths.presets import augmentation, named_path
from tests.paths.pictures import textured

torch.manual_seed(0)
images = (textured(4, 48) * 255).to(torch.uint8)
augment = augmentation(blur=1.0, solarize=1.0)
for seed, path in enumerate((named_path("se2"), Perspective())):
    views = PathViews(augment, augment, path, size=32, border="zeros")(images, torch.Generator().manual_seed(seed))
    for pixels in (views.v1, views.v2, views.targets):
        print(hashlib.md5(pixels.contiguous().numpy().tobytes()).hexdigest())
print("read" if sum(kernel.draw.stats.cache_hits.values()) else "compiled")
"""


def _lines(cache: Path) -> list[str]:
    where = {**os.environ, "NUMBA_CACHE_DIR": str(cache)}
    root = Path(__file__).parents[1]
    found = subprocess.run(
        [sys.executable, "-c", SCRIPT], cwd=root, env=where, capture_output=True, text=True, timeout=600, check=True
    )
    return found.stdout.splitlines()


def test_the_process_that_compiles_computes_the_bits_of_those_that_read_from_disk(tmp_path: Path) -> None:
    first, second = _lines(tmp_path), _lines(tmp_path)
    assert (first.pop(), second.pop()) == ("compiled", "read")
    assert len(set(first)) == len(first)  # the pictures differ from one another
    assert first == second
