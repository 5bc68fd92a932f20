"""How far a linear turn about the grey axis is from torchvision's hue."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
import torchvision.transforms.v2.functional as TF
from PIL import Image
from torch import Tensor

from equicoherence.paths import ColorJitter

from .pictures import shown, textured

TURNS = (-0.1, -0.075, -0.05, -0.025, 0.025, 0.05, 0.075, 0.1)


@pytest.fixture(scope="module")
def photographs(shared_data: Callable[[str], Path]) -> Tensor:
    with tarfile.open(shared_data("clothing_small") / "clothing_128.tar.gz") as archive:
        members = [m for m in archive if m.isfile() and m.name.endswith(".jpg")][::60]
        files = [archive.extractfile(member) for member in members]
        opened = [Image.open(io.BytesIO(file.read())).convert("RGB").resize((64, 64)) for file in files if file]
    return torch.stack([torch.from_numpy(np.array(image)).permute(2, 0, 1) / 255 for image in opened])


def changes(images: Tensor, turns: float) -> tuple[Tensor, Tensor]:
    return shown(images, ColorJitter(), [0, 0, 0, turns]) - images, TF.adjust_hue(images, turns) - images


def test_on_photographs_the_difference_is_four_fifths_of_the_change(photographs: Tensor) -> None:
    pairs = [changes(photographs, turns) for turns in TURNS]
    difference = sum(float((ours - theirs).abs().mean()) for ours, theirs in pairs)
    change = sum(float(theirs.abs().mean()) for _, theirs in pairs)
    assert 0.74 < difference / change < 0.82
    assert 3.5 < 255 * difference / len(TURNS) < 4.2


@pytest.mark.parametrize("turns", TURNS)
def test_the_sign_is_torchvisions(turns: float, photographs: Tensor) -> None:
    ours, theirs = changes(photographs, turns)
    assert float(torch.cosine_similarity(ours.flatten(), theirs.flatten(), dim=0)) > 0.78
    ours, opposite = changes(photographs, turns)[0], changes(photographs, -turns)[1]
    assert float(torch.cosine_similarity(ours.flatten(), opposite.flatten(), dim=0)) < 0


def test_red_turns_towards_green_as_in_torchvision() -> None:
    red = torch.tensor([0.8, 0.2, 0.2]).view(1, 3, 1, 1).expand(1, 3, 8, 8).contiguous()
    ours, theirs = (change.mean(dim=(0, 2, 3)) for change in changes(red, 0.08))
    assert ours[1] > 0.05
    assert theirs[1] > 0.05
    assert ours[1] > ours[2]


def test_grey_stays_grey_and_the_mean_of_the_channels_is_kept() -> None:
    images = 0.35 + 0.3 * textured(2, 32)  # no value is clamped
    ours, _ = changes(images, 0.1)
    assert float(ours.mean(dim=1).abs().max()) < 1e-5
    grey = images.mean(dim=1, keepdim=True).expand_as(images).contiguous()
    assert float(changes(grey, 0.1)[0].abs().max()) < 1e-5
