"""Turned photographs: a feature that holds the angle is read, a constant is not, and pairs are those of the list."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from equicoherence import evaluate
from equicoherence.downstream.turned.scoring import pairs_of_scenes, turn_between
from equicoherence.downstream.turned.task import TurnedPhotographs
from equicoherence.evaluation.module import as_frozen
from equicoherence.evaluation.task import Row, no_bar
from equicoherence.paths import Rotation
from equicoherence.paths.pair_images import Photographs, draw_pair_image
from equicoherence.sets.turned import Turned
from tests.sets.test_turned import slope, write_turned


class Slope(nn.Module):
    """How much brighter an image is to the right and below, in shares of how steep it is."""

    def forward(self, images: Tensor) -> Tensor:
        grey, half = images.mean(dim=1), images.shape[-1] // 2
        right = grey[:, :, half:].mean(dim=(1, 2)) - grey[:, :, :half].mean(dim=(1, 2))
        below = grey[:, half:].mean(dim=(1, 2)) - grey[:, :half].mean(dim=(1, 2))
        return nn.functional.normalize(torch.stack([right, below], dim=1))


class Steepness(Slope):
    """The same for an image and its mirror image."""

    def forward(self, images: Tensor) -> Tensor:
        return super().forward(images).abs()


class Constant(nn.Module):
    def forward(self, images: Tensor) -> Tensor:
        return torch.ones(len(images), 3)


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_turned(tmp_path_factory.mktemp("sets") / "turns", 15)


def figures(network: nn.Module, tree: Path) -> dict[tuple[str, str], Row]:
    model = as_frozen(network, size=24)
    score = TurnedPhotographs().score(model, Turned(tree, "train"), Turned(tree, "val"), no_bar)
    assert score.counts == {"train": 60, "val": 15, "pairs": 36}
    return {(row.target, row.probe): row for row in score.rows}


def test_a_feature_that_holds_the_angle_scores_high(tree: Path) -> None:
    rows = figures(Slope(), tree)
    for probe, least in (("linear", 0.95), ("mlp", 0.8)):
        assert rows["rotation", probe].value > least
        assert rows["rotation, absolute", probe].value > 0.7
        assert rows["rotation, side", probe].value > 0.95
        low, high = rows["rotation", probe].interval or (0, 0)
        assert 0.7 < low <= rows["rotation", probe].value <= high


def test_a_feature_that_is_blind_to_the_mirror_holds_the_size_alone(tree: Path) -> None:
    rows = figures(Steepness(), tree)
    assert abs(rows["rotation", "mlp"].value) < 0.1
    assert rows["rotation, absolute", "mlp"].value > 0.7
    assert rows["rotation, side", "mlp"].value == pytest.approx(0.5, abs=0.1)


def test_a_constant_scores_nothing(tree: Path) -> None:
    for (target, _), row in figures(Constant(), tree).items():
        at_chance = 0.5 if target == "rotation, side" else 0.0
        assert row.value == pytest.approx(at_chance, abs=0.02)
        assert row.floor == pytest.approx(at_chance, abs=0.02)


def test_one_scene_has_no_interval(tmp_path: Path) -> None:
    root = write_turned(tmp_path / "turns", 3)
    model = as_frozen(Slope(), size=24)
    score = TurnedPhotographs().score(model, Turned(root, "train"), Turned(root, "val"), no_bar)
    assert [row.interval for row in score.rows] == [None] * 6


def test_turns_have_the_sign_that_the_renderer_gives_them() -> None:
    def seen(image: np.ndarray, turn: float) -> Tensor:
        pixels = torch.from_numpy(image).permute(2, 0, 1)[None].contiguous()
        part = Photographs(pixels, torch.tensor([48 / 40]), torch.tensor([40.0]))
        return Slope()(draw_pair_image(part, Rotation(), torch.tensor([[turn]]), 0.66, 24))

    assert torch.allclose(seen(slope(25, 40), 0), seen(slope(0, 40), 25), atol=0.05)
    assert not torch.allclose(seen(slope(25, 40), 0), seen(slope(0, 40), -25), atol=0.3)


def test_pairs_are_within_scenes_each_in_turn(tree: Path) -> None:
    images = Turned(tree, "val")
    pairs = pairs_of_scenes(images, 20)
    scenes = torch.from_numpy(images.scenes)[pairs]
    assert torch.equal(scenes[:, 0], scenes[:, 1])
    assert torch.equal(scenes[:3, 0], scenes[3:6, 0])
    assert len(scenes[:3, 0].unique()) == 3
    first = {tuple(pair) for pair in pairs[::3].tolist()}
    assert first == set(itertools.permutations(range(5), 2))
    wanted = [(images.angles[b] - images.angles[a] + 180) % 360 - 180 for a, b in pairs.tolist()]
    assert turn_between(images, pairs)[:, 0].tolist() == pytest.approx(wanted, abs=1e-4)
    assert pairs_of_scenes(images, 45)[::3].tolist()[20:40] == pairs_of_scenes(images, 45)[::3].tolist()[:20]


def test_turns_beyond_half_a_circle_go_the_other_way(tree: Path) -> None:
    images = Turned(tree, "val")
    images.angles = np.array([170.0, -170.0, *images.angles[2:]])
    assert turn_between(images, torch.tensor([[0, 1], [1, 0]]))[:, 0].tolist() == pytest.approx([20, -20])


def test_a_folder_among_sets_is_scored_by_name(tree: Path) -> None:
    scores = evaluate(Slope(), sets=tree.parent, tasks=["turned"], size=24, controls=False)
    (part,) = scores["parts"].values()
    assert part["data"] == "turned"
    assert {row["target"] for row in part["rows"]} == {"rotation", "rotation, absolute", "rotation, side"}
