"""Boxes of resized crops are distributed as torchvision draws them, and none is cut to the image."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor
from torchvision.transforms.v2 import RandomResizedCrop

from equicoherence.paths import ResizedCrop

COUNT = 8000
BOUND = 1.628 * math.sqrt(2 / COUNT)  # Kolmogorov-Smirnov: one in a hundred pairs of samples is further apart
RATIO = (3 / 4, 4 / 3)
SHAPES = [  # width, height, area
    (512, 512, (0.2, 1.0)),
    (640, 427, (0.08, 1.0)),
    (1000, 300, (0.2, 1.0)),  # no box of more than 40 % of it fits
    (375, 500, (0.32, 1.0)),
    (240, 960, (0.05, 0.25)),
]


def ours(width: int, height: int, area: tuple[float, float]) -> Tensor:
    """Return left, top, width, height (N, 4) in whole pixels."""
    aspect = torch.full((COUNT,), width / height)
    theta = ResizedCrop(area).sample(COUNT, torch.Generator().manual_seed(0), aspect).double()
    shares, pixels = theta[:, 2:4].exp(), torch.tensor([width, height])
    corners = (theta[:, :2] - shares + 1) / 2
    return torch.cat([corners * pixels, (shares * pixels).round()], dim=1)


def theirs(width: int, height: int, area: tuple[float, float]) -> Tensor:
    """Return left, top, width, height (N, 4)."""
    crop, image = RandomResizedCrop(8, scale=area), torch.empty(1, height, width)
    torch.manual_seed(1)
    drawn = [crop.make_params([image]) for _ in range(COUNT)]
    return torch.tensor([[box[name] for name in ("left", "top", "width", "height")] for box in drawn]).double()


def measures(boxes: Tensor, width: int, height: int) -> dict[str, Tensor]:
    """Return area, aspect ratio and centre of boxes, on grids that leave no room for rounding errors."""
    left, top, wide, high = boxes.unbind(dim=1)
    return {
        "area": (wide * high / (width * height) * 1e4).round(),
        "ratio": (wide / high * 1e3).round(),
        "x": ((left + wide / 2) / width * 500).round(),
        "y": ((top + high / 2) / height * 500).round(),
    }


def distance(a: Tensor, b: Tensor) -> float:
    """Return the Kolmogorov-Smirnov distance of two samples."""
    at = torch.cat([a, b])
    shares = [torch.searchsorted(x.sort().values, at, right=True) / len(x) for x in (a, b)]
    return float((shares[0] - shares[1]).abs().max())


@pytest.mark.parametrize(("width", "height", "area"), SHAPES)
def test_area_ratio_and_place_are_distributed_as_torchvisions(width: int, height: int, area) -> None:
    found = [measures(boxes(width, height, area), width, height) for boxes in (ours, theirs)]
    distances = {name: distance(found[0][name], found[1][name]) for name in found[0]}
    assert max(distances.values()) < BOUND, distances


@pytest.mark.parametrize(("width", "height", "area"), SHAPES)
def test_boxes_lie_in_the_image_and_keep_their_ratio(width: int, height: int, area) -> None:
    theta = ResizedCrop(area).sample(COUNT, torch.Generator().manual_seed(0), torch.full((COUNT,), width / height))
    shares = theta[:, 2:4].exp()
    assert float((theta[:, :2].abs() + shares).max()) < 1 + 1e-6
    ratio = shares[:, 0] * width / (shares[:, 1] * height)
    assert RATIO[0] - 1e-5 < float(ratio.min()) <= float(ratio.max()) < RATIO[1] + 1e-5


@pytest.mark.parametrize(("width", "height", "shares"), [(1000, 300, (0.4, 1.0)), (300, 1000, (1.0, 0.4))])
def test_where_no_box_fits_it_is_the_largest_central_one(width: int, height: int, shares: tuple[float, float]) -> None:
    aspect = torch.full((50,), width / height)
    theta = ResizedCrop((0.9, 1.0)).sample(50, torch.Generator().manual_seed(0), aspect)
    assert (theta[:, :2] == 0).all()
    assert torch.allclose(theta[:, 2:4].exp(), torch.tensor(shares).expand(50, -1))


def test_rows_do_not_depend_on_the_images_beside_them() -> None:
    alone = ResizedCrop().sample(6, torch.Generator().manual_seed(0), torch.full((6,), 1.5))
    mixed = torch.tensor([1.5, 9.0, 1.5, 0.1, 1.5, 1.5])
    among = ResizedCrop().sample(6, torch.Generator().manual_seed(0), mixed)
    assert torch.equal(alone[mixed == 1.5], among[mixed == 1.5])
