"""Keypoints: heatmaps, their reading, PCKh, and what a head learns on images whose points are plain to see."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from equicoherence.data.source import UnusableData
from equicoherence.downstream.keypoints.heatmaps import (
    gaussian_targets,
    heatmap_head,
    heatmap_loss,
    read_places,
)
from equicoherence.downstream.keypoints.pckh import pckh, relative_errors
from equicoherence.downstream.keypoints.samples import Samples, mean_places
from equicoherence.downstream.keypoints.scoring import draw_points
from equicoherence.downstream.keypoints.task import KeypointDetection
from equicoherence.evaluation.fit import cosine_after_rise
from equicoherence.evaluation.frozen_model import FrozenModel
from equicoherence.evaluation.task import no_bar
from equicoherence.models import Encoder
from equicoherence.sets.kinds import Keypoints, KeypointSet

SIZE = 32


class Dots(KeypointSet):
    """Grey images with a red square on the left half and a green one on the right, anywhere."""

    names = ("red", "green")

    def __init__(self, count: int, seed: int, *, mirrored: tuple[int, ...] = ()) -> None:
        self.mirrored = mirrored
        rng = np.random.default_rng(seed)
        across = rng.integers(4, 13, (count, 2)) + np.array([0, 16])
        self.points = np.stack([across, rng.integers(4, 28, (count, 2))], axis=2)

    def __len__(self) -> int:
        return len(self.points)

    def name(self, index: int) -> str:
        return f"dots {index}"

    def image(self, index: int) -> np.ndarray:
        pixels = np.full((SIZE, SIZE, 3), 90, np.uint8)
        for (x, y), color in zip(self.points[index], ((255, 0, 0), (0, 255, 0))):
            pixels[y - 3 : y + 3, x - 3 : x + 3] = color
        return pixels

    def keypoints(self, index: int) -> Keypoints:
        return Keypoints(self.points[index].astype(np.float32), np.array([True, index % 3 > 0]), 12.0)


@pytest.fixture(scope="module")
def model() -> FrozenModel:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        encoder = Encoder("vit_tiny_patch16_224", {"img_size": SIZE, "patch_size": 8, "depth": 2})
    return FrozenModel("two blocks", "two blocks", encoder.eval(), SIZE, SIZE)


def _task(**settings: Any) -> KeypointDetection:
    return KeypointDetection(**({"pixels": 2 * SIZE, "steps": 60, "batch": 16, "hidden": 32, "lr": 3e-3} | settings))


@pytest.mark.parametrize("encoder", ["frozen", "fine-tuned"])
def test_points_are_learnt_and_the_model_is_left_as_it_was(model: FrozenModel, encoder: str) -> None:
    before = {name: value.clone() for name, value in model.encoder.state_dict().items()}
    found = _task(encoder=encoder).score(model, Dots(64, 0), Dots(24, 1), no_bar)
    rows = {(row.metric, row.parameter): row for row in found.rows}
    assert list(rows) == [(f"pckh@{share}", name) for share in (0.5, 0.1) for name in ("", "red", "green")]
    mean = rows["pckh@0.5", ""]
    assert mean.floor is not None
    assert mean.value > mean.floor + 0.3
    assert rows["pckh@0.1", ""].value <= mean.value
    assert found.counts == {"train": 64, "val": 24}
    assert [picture.predicted.shape for picture in found.pictures.values()] == [(320, 320, 3)] * 6
    assert not model.encoder.training
    assert all(torch.equal(before[name], value) for name, value in model.encoder.state_dict().items())


@pytest.mark.parametrize("encoder", ["frozen", "fine-tuned"])
def test_a_convolutional_model_is_left_as_it_was_too(encoder: str) -> None:
    model = FrozenModel("resnet", "resnet", Encoder("resnet10t", {"output_stride": 8}).eval(), 32, 36)
    before = {name: value.clone() for name, value in model.encoder.state_dict().items()}
    assert any(name.endswith("running_mean") for name in before)
    _task(encoder=encoder, steps=2, batch=4).score(model, Dots(6, 0), Dots(3, 1), no_bar)
    assert not model.encoder.training
    assert all(torch.equal(before[name], value) for name, value in model.encoder.state_dict().items())


@pytest.mark.parametrize("encoder", ["frozen", "fine-tuned"])
def test_the_same_seed_gives_the_same_numbers(model: FrozenModel, encoder: str) -> None:
    task = _task(steps=3, train=16, encoder=encoder)
    scores = [task.score(model, Dots(32, 0), Dots(8, 1), no_bar) for _ in range(2)]
    assert scores[0].rows == scores[1].rows
    assert scores[0].counts == {"train": 16, "val": 8}


def test_maps_are_twice_as_fine_with_each_doubling() -> None:
    for doublings in (0, 1, 2):
        maps = heatmap_head(12, 5, 8, doublings)(torch.rand(2, 12, 3, 4))
        assert maps.shape == (2, 5, 3 * 2**doublings, 4 * 2**doublings)


def test_targets_are_gaussians_about_the_place() -> None:
    place, sigma = (0.4, 0.7), 1.5
    targets = gaussian_targets(torch.tensor([[place]]), (6, 10), sigma)[0, 0].double()
    slow = np.array(
        [
            [
                np.exp(-((c + 0.5 - place[0] * 10) ** 2 + (r + 0.5 - place[1] * 6) ** 2) / 2 / sigma**2)
                for c in range(10)
            ]
            for r in range(6)
        ]
    )
    np.testing.assert_allclose(targets, slow / slow.sum(), atol=1e-7)


def test_the_loss_is_the_entropy_of_the_targets_where_maps_are_right() -> None:
    places, scored = torch.rand(2, 3, 2), torch.tensor([[1, 1, 0], [0, 1, 1]], dtype=torch.bool)
    targets = gaussian_targets(places, (8, 8), 1.0)
    entropy = -(targets * targets.log()).sum(dim=(2, 3))[scored].mean()
    torch.testing.assert_close(heatmap_loss(targets.log(), places, scored, 1.0), entropy)
    wrong = targets.log().clone()
    wrong[0, 2] += torch.rand(8, 8)  # not scored
    torch.testing.assert_close(heatmap_loss(wrong, places, scored, 1.0), entropy)
    assert heatmap_loss(wrong, places, torch.zeros_like(scored), 1.0) == 0


def test_places_are_read_back_to_a_part_of_a_cell() -> None:
    places = 0.2 + 0.6 * torch.rand(4, 5, 2, generator=torch.Generator().manual_seed(0))
    logits = gaussian_targets(places, (14, 18), 1.0).clamp(min=1e-30).log()
    error = (read_places(logits) - places).abs() * torch.tensor([18, 14])
    assert error.max() < 0.08  # cells
    corner = torch.full((1, 1, 4, 4), -50.0)
    corner[..., 3, 0] = 50
    torch.testing.assert_close(read_places(corner), torch.tensor([[[0.125, 0.875]]]))


def test_pckh_is_as_counted_one_by_one() -> None:
    generator = torch.Generator().manual_seed(0)
    places, predicted = torch.rand(40, 6, 2, generator=generator), torch.rand(40, 6, 2, generator=generator)
    shapes, lengths = 50 + 100 * torch.rand(40, 2, generator=generator), 20 + 80 * torch.rand(40, generator=generator)
    scored = torch.rand(40, 6, generator=generator) > 0.3
    scored[:, 4] = False
    each, mean = pckh(relative_errors(predicted, places, shapes, lengths), scored, 0.5)
    hits, counts = np.zeros(6), np.zeros(6)
    for n in range(40):
        for k in range(6):
            if scored[n, k]:
                across, down = ((predicted[n, k] - places[n, k]) * shapes[n]).tolist()
                counts[k] += 1
                hits[k] += np.hypot(across, down) <= 0.5 * float(lengths[n])
    assert 0 < hits.sum() < counts.sum()
    with np.errstate(invalid="ignore"):
        np.testing.assert_allclose(each, hits / counts)
    assert float(mean) == pytest.approx(hits.sum() / counts.sum())


def test_the_floor_is_the_mean_place_of_scored_points() -> None:
    places = torch.tensor([[[0.2, 0.4], [0.1, 0.1], [0.3, 0.3]], [[0.4, 0.8], [0.9, 0.9], [0.3, 0.3]]])
    scored = torch.tensor([[True, True, False], [True, False, False]])
    torch.testing.assert_close(mean_places(places, scored), torch.tensor([[0.3, 0.6], [0.1, 0.1], [0.5, 0.5]]))


def test_mirrored_images_come_with_their_points_under_exchanged_names() -> None:
    dots = Dots(4, 0, mirrored=(1, 0))
    samples = Samples(dots, [1, 2], with_mirrored=True)
    assert len(samples) == 4
    plain, turned = samples.load(1), samples.load(3)
    assert np.array_equal(turned, plain[:, ::-1])
    for name, exchanged in ((0, 1), (1, 0)):
        place = samples.places[3, exchanged]
        torch.testing.assert_close(place, torch.tensor([1, 0]) + samples.places[1, name] * torch.tensor([-1, 1]))
    assert (samples.shapes[1] == SIZE).all()
    assert samples.lengths[3] == 12
    samples.places[3, 0, 0] = 1.25
    assert samples.inside[3].tolist() == [False, True]


def test_a_test_split_without_scored_points_is_refused(model: FrozenModel) -> None:
    class Hidden(Dots):
        def keypoints(self, index: int) -> Keypoints:
            return Keypoints(self.points[index].astype(np.float32), np.zeros(2, dtype=bool), 12.0)

    with pytest.raises(UnusableData, match="no point of the test images is scored"):
        _task(steps=1).score(model, Dots(4, 0), Hidden(4, 0), no_bar)


def test_the_picture_shows_true_points_as_rings_and_said_ones_as_dots() -> None:
    image = np.zeros((16, 32, 3), np.uint8)
    picture = draw_points(image, torch.tensor([[0.25, 0.5]]), torch.tensor([[0.75, 0.5]]), torch.tensor([True]))
    assert picture.given["image"].shape == picture.predicted.shape == (160, 320, 3)
    assert picture.given["image"].sum() == 0
    assert picture.predicted[80, 240].tolist() == [255, 60, 40]
    assert picture.predicted[80 - 4, 80].tolist() == [40, 220, 60]


def test_rates_rise_and_fall_to_nothing() -> None:
    rates = [cosine_after_rise(step, 100) for step in range(101)]
    assert rates[:5] == pytest.approx([0.2, 0.4, 0.6, 0.8, 1.0])
    assert rates[5] == 1
    assert rates[100] == pytest.approx(0, abs=1e-12)
    assert rates[5:] == sorted(rates[5:], reverse=True)
