"""How features look: colours of principal components, nearest neighbours, and their pictures."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from equicoherence.data.source import UnusableData
from equicoherence.downstream.looks.scoring import nearest, principal_colours, same_folder
from equicoherence.downstream.looks.task import Looks
from equicoherence.evaluation.frozen_model import random_control
from equicoherence.evaluation.model import load_model
from equicoherence.evaluation.task import no_bar
from equicoherence.sets.kinds import SampleSet

TINY = Looks(shown=3, pixels=64, queries=2, neighbours=3, among=30)


class Stripes(SampleSet):
    """Images of two kinds, in folders: noise on red and on blue ground."""

    kind = "images"

    def __init__(self, count: int, folders: tuple[str, ...] = ("red", "blue")) -> None:
        self.count, self.folders = count, folders

    def __len__(self) -> int:
        return self.count

    def name(self, index: int) -> str:
        return f"{self.folders[index % len(self.folders)]}/{index}.png"

    def image(self, index: int) -> np.ndarray:
        generator = np.random.default_rng(index)
        pixels = generator.integers(0, 60, (40 + index, 60, 3))
        pixels[..., 2 * (index % 2)] += 190
        return pixels.astype(np.uint8)


def test_colours_are_the_projections_on_the_first_three_axes() -> None:
    generator = torch.Generator().manual_seed(0)
    tokens = torch.randn(500, 6, generator=generator) * torch.tensor([0.1, 3.0, 0.1, 9.0, 1.0, 0.1]) + 5
    colours = principal_colours(tokens)
    assert colours.shape == (500, 3)
    assert colours.min() == 0
    assert colours.max() == 1
    for channel, axis in enumerate((3, 1, 4)):  # the widest are red, green, blue; larger is brighter
        both = torch.stack([colours[:, channel], tokens[:, axis]])
        assert torch.corrcoef(both)[0, 1] > 0.97


def test_colours_do_not_depend_on_an_axis_sign_the_solver_chose() -> None:
    tokens = torch.randn(200, 5, generator=torch.Generator().manual_seed(1)).double()
    centred = tokens - tokens.mean(dim=0)
    axes = torch.linalg.svd(centred, full_matrices=False).Vh[:3]  # another solver
    for channel, axis in enumerate(axes):
        positive = axis * axis[axis.abs().argmax()].sign()
        ranks = [(centred @ positive).argsort(), principal_colours(tokens)[:, channel].argsort()]
        inner = slice(10, -10)  # the ends are clipped to one colour
        assert torch.equal(ranks[0][inner], ranks[1][inner])


def test_what_does_not_vary_is_grey() -> None:
    assert torch.equal(principal_colours(torch.ones(10, 4)), torch.full((10, 3), 0.5))
    line = principal_colours(torch.linspace(0, 1, 50)[:, None] * torch.ones(4))
    assert line[:, 0].max() == 1
    assert torch.equal(line[:, 1:], torch.full((50, 2), 0.5))
    one_channel = principal_colours(torch.linspace(0, 1, 50)[:, None])
    assert torch.equal(one_channel[:, 1:], torch.full((50, 2), 0.5))


def test_neighbours_are_the_others_by_cosine_whatever_their_length() -> None:
    vectors = torch.tensor([[1.0, 0.0], [9.0, 1.0], [1.0, 1.0], [-1.0, 0.1]])
    assert nearest(vectors, 2).tolist() == [[1, 2], [0, 2], [1, 0], [2, 1]]


def test_the_share_of_a_folder_and_that_of_chance() -> None:
    order = torch.tensor([[1, 2], [0, 2], [3, 1], [2, 0]])
    assert same_folder(order, "aabb") == (0.5, pytest.approx(1 / 3))
    assert same_folder(order, "abcd") == (0, 0)


def test_a_foreign_encoder_is_looked_at_at_its_backbone() -> None:
    model = load_model("timm:resnet10t", random_weights=True, size=64)
    found = TINY.score(model, None, Stripes(20), no_bar)
    assert list(found.pictures) == [
        "PCA of patch features, backbone",
        "nearest neighbours of the first column, backbone",
    ]
    for picture in found.pictures.values():
        assert picture.predicted.dtype == np.uint8
        assert picture.predicted.shape[0] <= 320
        assert picture.predicted.shape[2] == 3
    (row,) = found.rows
    assert (row.metric, row.parameter) == ("same_folder", "")
    assert row.value == 1, "red and blue are told apart even by random weights"
    assert row.floor == pytest.approx(9 / 19)
    assert found.counts == {"shown": 3, "val": 20}


def test_a_run_is_looked_at_at_its_split_too_and_its_control_is_not(run: Path) -> None:
    model = load_model(run)
    found = TINY.score(model, None, Stripes(12), no_bar)
    titles = ("PCA of patch features", "nearest neighbours of the first column")
    names = ("backbone", "z_inv", "z_equi")
    assert list(found.pictures) == [f"{title}, {name}" for title in titles for name in names]
    assert [row.parameter for row in found.rows] == ["", "z_inv", "z_equi"]
    looked = [found.pictures[f"{titles[0]}, {name}"] for name in names]
    assert all(np.array_equal(looked[0].given["images"], picture.given["images"]) for picture in looked)
    assert not np.array_equal(looked[0].predicted, looked[2].predicted)
    control = TINY.score(random_control(model), None, Stripes(12), no_bar)
    assert list(control.pictures) == [f"{title}, backbone" for title in titles]


def test_the_same_settings_give_the_same_pixels() -> None:
    model = load_model("timm:resnet10t", random_weights=True, size=64)
    first, second = (TINY.score(model, None, Stripes(8), no_bar).pictures for _ in range(2))
    assert all(np.array_equal(first[title].predicted, second[title].predicted) for title in first)


def test_images_of_one_folder_have_no_figure() -> None:
    model = load_model("timm:resnet10t", random_weights=True, size=64)
    found = TINY.score(model, None, Stripes(8, folders=(".",)), no_bar)
    assert found.rows == []
    assert found.pictures


def test_what_does_not_fit_is_refused() -> None:
    model = load_model("timm:resnet10t", random_weights=True, size=64)
    with pytest.raises(UnusableData, match="3 neighbours need more images than that, but there are 3"):
        TINY.score(model, None, Stripes(3), no_bar)
    with pytest.raises(ValueError, match="shown must be at least 1, got 0"):
        Looks(shown=0)
    with pytest.raises(ValueError, match="among must be larger than neighbours, 5, got 5"):
        Looks(among=5)
