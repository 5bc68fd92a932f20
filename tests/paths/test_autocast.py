"""Views in a loop that computes in half precision: the same pixels."""

import pytest
import torch

from equicoherence.paths import SE2, Between, ColorJitter, Compose, PathViews, Perspective, augmentation

PATHS = {
    "none": None,
    "SE(2)": SE2(),
    "sum": Compose(SE2(), Perspective(), ColorJitter()),
    "between": Between(),
}


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("kind", [torch.uint8, torch.float32])
def test_views_under_autocast_are_the_same(kind: torch.dtype, path: str):
    pixels = torch.randint(256, (4, 3, 64, 64), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    images = pixels if kind == torch.uint8 else pixels / 255
    views = PathViews(augmentation(), augmentation(), PATHS[path], size=32)
    plain = views(images, torch.Generator().manual_seed(0))
    with torch.autocast("cpu", torch.bfloat16):
        half = views(images, torch.Generator().manual_seed(0))
    for name in ("v1", "v2", "targets", "theta"):
        assert torch.equal(getattr(plain, name), getattr(half, name)), name


def test_states_of_transformations_under_autocast_are_the_same():
    theta = torch.tensor([[30.0, 5.0, -3.0]])
    plain = SE2().state(theta).then(SE2().state(-theta))
    with torch.autocast("cpu", torch.bfloat16):
        half = SE2().state(theta).then(SE2().state(-theta))
    assert half.geometry.dtype == torch.float32
    assert torch.equal(plain.geometry, half.geometry)
    assert torch.equal(plain.color, half.color)
