"""Homographies: found from points, seen in images, told from tokens."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from equicoherence.downstream.homography.pairs import turns
from equicoherence.downstream.homography.plane_maps import (
    SQUARE,
    apply_homography,
    corner_error,
    corners_of_map,
    cut_pairs,
    draw_quadrilaterals,
    find_homography,
    look_through,
    map_of_corners,
)
from equicoherence.downstream.homography.task import HomographyEstimation
from equicoherence.evaluation.frozen_model import FrozenModel
from equicoherence.evaluation.task import no_bar
from equicoherence.models import Encoder
from equicoherence.sets.kinds import SampleSet

PATCH = 32


class Blobs(SampleSet):
    """Smooth noise in color."""

    kind = "images"

    def __init__(self, count: int, seed: int) -> None:
        coarse = torch.rand(count, 3, 7, 9, generator=torch.Generator().manual_seed(seed))
        smooth = torch.nn.functional.interpolate(coarse, (60, 80), mode="bicubic").clamp(0, 1)
        self.pixels = (smooth.permute(0, 2, 3, 1) * 255).byte().numpy()

    def __len__(self) -> int:
        return len(self.pixels)

    def name(self, index: int) -> str:
        return f"blobs {index}"

    def image(self, index: int) -> np.ndarray:
        return self.pixels[index]


@pytest.fixture(scope="module")
def model() -> FrozenModel:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        encoder = Encoder("vit_tiny_patch16_224", {"img_size": PATCH, "patch_size": 4, "depth": 1})
    return FrozenModel("one block", "one block", encoder.eval(), PATCH, PATCH)


def _task(**settings: Any) -> HomographyEstimation:
    small = {"pixels": PATCH, "hidden": 32, "pairs": 320, "test_pairs": 48, "steps": 150, "lr": 3e-3}
    return HomographyEstimation(**(small | settings))


def _displacements(count: int, reach: float, seed: int = 0) -> Tensor:
    return (torch.rand(count, 4, 2, generator=torch.Generator().manual_seed(seed)) * 2 - 1) * reach


def _slow_homography(source: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Solve the homogeneous equations of one set of points by their smallest singular vector."""
    rows = []
    for (x, y), (u, v) in zip(source, target):
        rows.append([x, y, 1, 0, 0, 0, -u * x, -u * y, -u])
        rows.append([0, 0, 0, x, y, 1, -v * x, -v * y, -v])
    matrix = np.linalg.svd(np.array(rows))[2][-1].reshape(3, 3)
    return matrix / matrix[2, 2]


def test_four_points_fix_the_homography_of_a_slow_solver_and_of_skimage() -> None:
    transform = pytest.importorskip("skimage.transform")
    square = torch.tensor(SQUARE).expand(20, 4, 2)
    moved = square + _displacements(20, 0.25)
    found = find_homography(square, moved)
    torch.testing.assert_close(apply_homography(found, square), moved.double(), atol=1e-12, rtol=0)
    for number in range(20):
        source, target = square[number].double().numpy(), moved[number].double().numpy()
        np.testing.assert_allclose(found[number], _slow_homography(source, target), atol=1e-10)
        published = transform.ProjectiveTransform.from_estimate(source, target).params
        np.testing.assert_allclose(found[number], published, atol=1e-10)


def test_more_points_give_the_homography_that_made_them() -> None:
    square = torch.tensor(SQUARE).expand(8, 4, 2)
    truth = find_homography(square, square + _displacements(8, 0.25, seed=1))
    points = torch.rand(8, 30, 2, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    torch.testing.assert_close(find_homography(points, apply_homography(truth, points)), truth, atol=1e-9, rtol=0)


def test_maps_and_corners_say_the_same() -> None:
    moves = _displacements(16, 0.25, seed=3)
    torch.testing.assert_close(corners_of_map(map_of_corners(moves, (4, 6))), moves, atol=1e-5, rtol=0)
    constant = torch.tensor([0.1, -0.2]).view(1, 2, 1, 1).expand(1, 2, 5, 5)
    torch.testing.assert_close(corners_of_map(constant), torch.tensor([[[0.1, -0.2]] * 4]))


def test_corners_that_stay_give_the_same_patch_twice() -> None:
    images = torch.rand(2, 3, 20, 30, generator=torch.Generator().manual_seed(0))
    corners = torch.tensor([[3.0, 4.0], [12.0, 2.0]])
    first, second = cut_pairs(images, corners, torch.zeros(2, 4, 2), 12)
    assert torch.equal(first, second)
    torch.testing.assert_close(first[0], images[0, :, 4:16, 3:15], atol=1e-5, rtol=0)
    torch.testing.assert_close(first[1], images[1, :, 2:14, 12:24], atol=1e-5, rtol=0)


def test_the_second_patch_is_what_skimage_warps() -> None:
    transform = pytest.importorskip("skimage.transform")
    images = torch.rand(3, 3, 40, 44, generator=torch.Generator().manual_seed(4))
    corners, moves = torch.tensor([[8.0, 9.0]]).expand(3, 2), _displacements(3, 6.0, seed=5)
    _, second = cut_pairs(images, corners, moves, 24)
    for number in range(3):
        square = np.array(SQUARE) * 24 - 0.5  # skimage's first pixel is centred on 0
        target = square + (corners[number] + moves[number]).numpy()
        projective = transform.ProjectiveTransform.from_estimate(square, target)
        image = images[number].permute(1, 2, 0).double().numpy()
        expected = transform.warp(image, projective, output_shape=(24, 24), order=1, mode="edge")
        np.testing.assert_allclose(second[number].permute(1, 2, 0), expected, atol=2e-5)


def test_a_shift_is_seen_as_a_shift() -> None:
    images = torch.rand(1, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    matrix = torch.tensor([[[8.0, 0, 5], [0, 8.0, 2], [0, 0, 1]]])
    torch.testing.assert_close(look_through(images, matrix, 8), images[:, :, 2:10, 5:13], atol=1e-6, rtol=0)


def test_moved_corners_stay_in_the_image_and_use_its_whole_room() -> None:
    corners, moves = draw_quadrilaterals(4000, (61, 73), 32, 8.0, torch.Generator().manual_seed(0))
    assert torch.equal(corners, corners.floor())
    assert corners.amin(dim=0).tolist() == [8, 8]
    assert corners.amax(dim=0).tolist() == [73 - 40, 61 - 40]
    assert 7.9 < moves.abs().max() <= 8
    mean = moves.norm(dim=-1).mean() / 8
    assert float(mean) == pytest.approx(0.765196, abs=0.01)  # of a point anywhere in a square, from its middle
    with pytest.raises(ValueError, match="no room for a patch of 32 moved by 8"):
        draw_quadrilaterals(1, (47, 80), 32, 8.0, torch.Generator())


def test_the_error_is_the_mean_distance_of_corners() -> None:
    said, truth = _displacements(7, 1.0, seed=6), _displacements(7, 1.0, seed=7)
    slow = [np.mean([np.hypot(*(said[n, k] - truth[n, k]).tolist()) for k in range(4)]) for n in range(7)]
    np.testing.assert_allclose(corner_error(said, truth), slow, rtol=1e-6)


@pytest.mark.parametrize(
    "settings", [{"steps": 120}, {"encoder": "fine-tuned", "steps": 60, "batch": 16, "encoder_lr": 1e-3}]
)
def test_motion_is_learnt_and_the_model_is_left_as_it_was(model: FrozenModel, settings: dict[str, Any]) -> None:
    before = {name: value.clone() for name, value in model.encoder.state_dict().items()}
    found = _task(**settings).score(model, Blobs(160, 0), Blobs(24, 1), no_bar)
    (row,) = found.rows
    assert row.metric == "corner_error"
    assert row.floor == pytest.approx(0.765 * 32, rel=0.1)  # of a patch of 128 pixels
    assert row.value < 0.9 * 0.765 * 32
    assert found.counts == {"train": 160, "val": 24}
    assert list(found.pictures)[1] == "blobs 1, pair 1"
    assert {picture.predicted.shape for picture in found.pictures.values()} == {(240, 320, 3)}
    given = [(name, pixels.shape) for picture in found.pictures.values() for name, pixels in picture.given.items()]
    assert set(given) == {("first patch", (240, 240, 3)), ("second patch", (240, 240, 3))}
    assert not model.encoder.training
    assert all(torch.equal(before[name], value) for name, value in model.encoder.state_dict().items())


@pytest.mark.parametrize("encoder", ["frozen", "fine-tuned"])
def test_a_convolutional_model_is_left_as_it_was_too(encoder: str) -> None:
    model = FrozenModel("resnet", "resnet", Encoder("resnet10t", {"output_stride": 8}).eval(), 32, 36)
    before = {name: value.clone() for name, value in model.encoder.state_dict().items()}
    assert any(name.endswith("running_mean") for name in before)
    _task(encoder=encoder, pairs=8, test_pairs=4, steps=2, batch=2).score(model, Blobs(6, 0), Blobs(3, 1), no_bar)
    assert not model.encoder.training
    assert all(torch.equal(before[name], value) for name, value in model.encoder.state_dict().items())


@pytest.mark.parametrize("encoder", ["frozen", "fine-tuned"])
def test_one_seed_gives_one_error(model: FrozenModel, encoder: str) -> None:
    task = _task(encoder=encoder, pairs=16, test_pairs=8, steps=3, batch=8)
    first, second = (task.score(model, Blobs(8, 0), Blobs(8, 1), no_bar) for _ in range(2))
    assert first.rows == second.rows


def test_fine_tuning_sees_images_in_an_order_of_its_seed(model: FrozenModel) -> None:
    class Noted(Blobs):
        seen: list[int]

        def image(self, index: int) -> np.ndarray:
            self.seen.append(index)
            return super().image(index)

    orders = []
    for seed in (0, 0, 1):
        train = Noted(90, 0)
        train.seen = []
        task = _task(encoder="fine-tuned", test_pairs=2, steps=2, batch=4, seed=seed)
        assert task.score(model, train, Blobs(2, 1), no_bar).counts == {"train": 8, "val": 2}
        orders.append(sorted(train.seen[64:72]) == sorted(turns(train, 8)) and train.seen[64:72])
    assert orders[0]
    assert orders[0] != sorted(orders[0])


def test_pairs_are_of_all_images_in_turn() -> None:
    assert turns(Blobs(3, 0), 7) == [0, 1, 2, 0, 1, 2, 0]
    assert turns(Blobs(9, 0), 3) == [0, 4, 8]


def test_a_square_of_one_token_is_refused(model: FrozenModel) -> None:
    with pytest.raises(ValueError, match=r"homography.pixels is 4, which is one token of vit_tiny.*, 4 pixels wide"):
        HomographyEstimation(pixels=4).score(model, Blobs(4, 0), Blobs(2, 1), no_bar)
