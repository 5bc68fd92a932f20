"""Correspondence: true places from depth and pose, matches, and what is counted, beside loops over single tokens."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from equicoherence.data.source import UnusableData
from equicoherence.downstream.correspondence import matches as matching
from equicoherence.downstream.correspondence.matches import COUNTS, TruePlaces, count_matches, match_rows
from equicoherence.downstream.correspondence.photographs import places_of
from equicoherence.downstream.correspondence.pictures import draw_matches
from equicoherence.downstream.correspondence.poses import object_points, seen_places, turn_between
from equicoherence.downstream.correspondence.renders import draw_view_pairs
from equicoherence.downstream.correspondence.task import Correspondence, HomographyCorrespondence
from equicoherence.downstream.homography import pairs as patch_pairs
from equicoherence.downstream.homography.plane_maps import SQUARE
from equicoherence.evaluation.frozen_model import FrozenModel
from equicoherence.evaluation.task import TaskScore, no_bar
from equicoherence.models import Encoder
from equicoherence.rendering.latent import rotation_matrix

from .colour_regions import small_model
from .painted_spheres import RADIUS, PaintedSpheres
from .test_homography import Blobs

TURNS = np.radians([[0, 0, 0], [0, 20, 0], [5, 40, -5], [0, 80, 10]])
GRID = (16, 16)


def value(score: TaskScore, metric: str, parameter: str = "") -> float:
    (found,) = (row.value for row in score.rows if (row.metric, row.parameter) == (metric, parameter))
    return found


def _truth(data: PaintedSpheres, first: int, second: int) -> tuple[TruePlaces, Tensor, Tensor]:
    """Return the true places of a pair of views, and the objects' own points that their tokens show (1, N, 3)."""
    views = data.surface(first), data.surface(second)
    seen = seen_places(views[0], data.rotations[first], views[1], data.rotations[second], GRID)
    scaled = {
        name: torch.from_numpy(array)[None] * (GRID[0] if array.dtype == float else 1)
        for name, array in vars(seen).items()
    }
    for name in ("first", "second", "true", "mirrored"):
        scaled[name] = scaled[name].bool()
    rows, columns = (each.ravel() for each in np.meshgrid(np.arange(16) * 2 + 1, np.arange(16) * 2 + 1, indexing="ij"))
    points = [
        torch.from_numpy(object_points(view, data.rotations[index], rows, columns))[None].float()
        for view, index in zip(views, (first, second))
    ]
    return TruePlaces(**{n: e.float() if e.dtype == torch.float64 else e for n, e in scaled.items()}), *points


def _waves(points: Tensor) -> Tensor:
    """Return features (..., 512) whose cosine falls with the distance between points (..., 3)."""
    directions = 9 * torch.randn(3, 256, generator=torch.Generator().manual_seed(0))
    return torch.cat([(points @ directions).sin(), (points @ directions).cos()], dim=-1)


def test_points_are_seen_where_the_sphere_puts_them() -> None:
    data = PaintedSpheres(TURNS)
    for first, second in ((0, 1), (2, 1), (0, 3)):
        truth, points, _ = _truth(data, first, second)
        _, mask, own = data.points(second)
        turn = data.rotations[second]
        checked = 0
        for token in range(256):
            row, column = 2 * (token // 16) + 1, 2 * (token % 16) + 1
            assert bool(truth.first[0, token]) == bool(data.surface(first).mask[row, column])
            if not truth.first[0, token]:
                assert not truth.true[0, token]
                continue
            for mirror, place, seen in (
                (1, truth.places[0, token], bool(truth.true[0, token])),
                (-1, truth.mirrors[0, token], bool(truth.mirrored[0, token])),
            ):
                world = turn @ (points[0, token].numpy() * (mirror, 1, 1))
                surface = data.surface(second)
                camera = surface.extrinsics[:3, :3] @ world + surface.extrinsics[:3, 3]
                away = world @ (surface.extrinsics[:3, :3].T @ camera) / np.linalg.norm(camera) / RADIUS
                x, y, depth = surface.intrinsics @ camera
                np.testing.assert_allclose(place * 2, [x / depth, y / depth], atol=1e-3)
                if seen:
                    assert away < 0.1  # the near side, or just behind its edge, within two pixels' width
                    checked += 1
                    near = own[int(y / depth), int(x / depth)]
                    assert mask[int(y / depth), int(x / depth)]
                    assert np.linalg.norm(near - points[0, token].numpy() * (mirror, 1, 1)) < 0.35
        assert checked > 40


def test_counts_are_those_of_a_loop_over_tokens(monkeypatch: pytest.MonkeyPatch) -> None:
    data = PaintedSpheres(TURNS)
    generator = torch.Generator().manual_seed(1)
    pairs = ((0, 1), (1, 2), (2, 3))
    truths, firsts, seconds = [], [], []
    for first, second in pairs:
        truth, *points = _truth(data, first, second)
        truths.append(truth)
        firsts.append(_waves(points[0] * torch.tensor([0.1, 1, 1])) + torch.randn(1, 256, 512, generator=generator))
        seconds.append(_waves(points[1] * torch.tensor([0.1, 1, 1])) + torch.randn(1, 256, 512, generator=generator))
    joint = TruePlaces(
        *(torch.cat([getattr(truth, field.name) for truth in truths]) for field in dataclasses.fields(TruePlaces))
    )
    monkeypatch.setattr(matching, "LARGEST", 2 * 256 * 256)
    counts, found = count_matches(torch.cat(firsts), torch.cat(seconds), joint, 16, 1.0)
    for number in range(len(pairs)):
        slow = dict.fromkeys(COUNTS, 0.0)
        one, other = (F.normalize(each[0], dim=1) for each in (firsts[number], seconds[number]))
        of_second = [token for token in range(256) if joint.second[number, token]]
        of_first = [token for token in range(256) if joint.first[number, token]]
        products = (one @ other.T).tolist()

        def off(token: int, place: Tensor) -> float:
            return float(np.hypot(token % 16 + 0.5 - float(place[0]), token // 16 + 0.5 - float(place[1])))

        for token in of_first:
            if not joint.true[number, token]:
                continue
            place, mirror = joint.places[number, token], joint.mirrors[number, token]
            slow["true"] += 1
            close = [j for j in of_second if off(j, place) <= 1]
            slow["still"] += token in close
            slow["chance"] += len(close) / len(of_second)
            nearest = max(of_second, key=lambda j, token=token: products[token][j])
            if max(of_first, key=lambda i, j=nearest: products[i][j]) != token:
                continue
            slow["match"] += 1
            assert int(found.nearest[number, token]) == nearest
            slow["right"] += nearest in close
            assert bool(found.right[number, token]) == (nearest in close)
            apart = float((place - mirror).norm()) > 2
            if nearest not in close and joint.mirrored[number, token] and apart:
                there = [j for j in of_second if off(j, mirror) <= 1]
                slow["could_mirror"] += 1
                slow["at_mirror"] += nearest in there
                slow["mirror_chance"] += len(there) / (len(of_second) - len(close))
        assert counts[number].tolist() == pytest.approx(list(slow.values()), abs=1e-4)
    assert (counts.sum(dim=0) > 0).all()


def test_a_feature_that_knows_the_point_is_right_and_one_that_cannot_tell_sides_is_wrong_at_the_mirror() -> None:
    data = PaintedSpheres(TURNS)
    totals: dict[str, Tensor] = {}
    for name, known in (("all", (1, 1, 1)), ("mirror", (0, 1, 1))):
        for first, second in ((0, 1), (1, 2), (0, 2)):
            truth, *points = _truth(data, first, second)
            sides = [torch.cat([each * torch.tensor(known), each[..., :1].abs()], dim=-1) for each in points]
            waves = [_waves(each[..., :3] + each[..., 3:] * torch.tensor([1 - known[0], 0, 0])) for each in sides]
            counts, _ = count_matches(*waves, truth, 16, 1.0)
            totals[name] = totals.get(name, 0) + counts.sum(dim=0)
    known, blind = (dict(zip(COUNTS, totals[name].tolist())) for name in ("all", "mirror"))
    assert known["right"] / known["match"] > 0.97
    assert known["right"] / known["true"] > 0.6
    assert blind["could_mirror"] > 30
    assert blind["at_mirror"] / blind["could_mirror"] > 0.9
    assert blind["mirror_chance"] / blind["could_mirror"] < 0.1


def test_angles_are_those_of_the_turn_between_two_poses() -> None:
    about_y = np.stack([rotation_matrix(np.radians([0, angle, 0])) for angle in (0, 10, 90)])
    assert turn_between(about_y[[0, 0, 1]], about_y[[1, 2, 2]]) == pytest.approx([10, 90, 80])
    assert turn_between(about_y[0], about_y[0]) == pytest.approx(0, abs=1e-5)
    both = rotation_matrix(np.radians([90, 0, 0])), rotation_matrix(np.radians([0, 0, 90]))
    assert turn_between(*both) == pytest.approx(120)


def test_pairs_are_of_one_object_and_at_most_so_many_of_each_step() -> None:
    data = PaintedSpheres(TURNS, spheres=5)
    pairs = draw_view_pairs(data, 15, 100)
    assert len(pairs) == 5 * 6
    for first, second, place in pairs:
        assert data.numbers[first] == data.numbers[second]
        assert place == int(turn_between(data.rotations[first], data.rotations[second]) // 15)
    few = draw_view_pairs(data, 15, 2)
    counts = np.bincount([place for *_, place in pairs]), np.bincount([place for *_, place in few])
    assert np.array_equal(counts[1], np.minimum(counts[0], 2))
    assert {int(data.numbers[few[0][0]]), int(data.numbers[few[1][0]])} == {0, 4}, "spread over the objects"


def test_rows_are_shares_by_bin_their_mean_and_the_mirrors_of_all() -> None:
    counts = torch.tensor(
        [[10, 4, 5, 2, 1, 1, 2, 0.5], [10, 2, 5, 2, 3, 0, 2, 0.5], [4, 0, 0, 1, 1, 0, 0, 0]], dtype=torch.float64
    )
    rows = match_rows(counts, torch.tensor([0, 0, 2]), ["low", "none", "high"], mirrors=True, tokens=9)
    found = {(row.metric, row.parameter): (row.value, row.floor, row.chance) for row in rows}
    assert found == {
        ("matched", ""): pytest.approx((0.15, 0.225, None)),
        ("matched", "low"): pytest.approx((0.3, 0.2, None)),
        ("matched", "high"): pytest.approx((0, 0.25, None)),
        ("precision", ""): pytest.approx((0.6, 0.2, 0.2)),
        ("precision", "low"): pytest.approx((0.6, 0.2, 0.2)),
        ("mirrored", ""): pytest.approx((0.25, None, 0.25)),
        ("mirrored", "low"): pytest.approx((0.25, None, 0.25)),
    }
    with pytest.raises(UnusableData, match="no token of a first image is seen in the second"):
        match_rows(0 * counts, torch.tensor([0, 0, 2]), ["low", "none", "high"], mirrors=True, tokens=9)


def test_scores_of_renders_follow_the_angle() -> None:
    score = Correspondence(tokens=4, pairs=3).score(small_model(), None, PaintedSpheres(TURNS, spheres=4), no_bar)
    bins = {row.parameter for row in score.rows}
    assert {"", "15 to 30 degrees", "75 to 90 degrees"} <= bins
    assert {row.metric for row in score.rows} <= set(Correspondence.metrics)
    for row in score.rows:
        assert 0 <= row.value <= 1
        assert row.tokens == 16
    assert score.counts["pairs"] == sum(min(3, count) for count in _angles(PaintedSpheres(TURNS, spheres=4)))
    assert score.input == (32, 32)
    curve, picture = list(score.pictures.values())[:2]
    assert curve.predicted.shape == (320, 600, 3)
    assert picture.given["images"].shape == picture.predicted.shape == (320, 648, 3)
    assert (picture.given["images"] != picture.predicted).any()


def _angles(data: PaintedSpheres) -> list[int]:
    return np.bincount([place for *_, place in draw_view_pairs(data, 15, 99)]).tolist()


def test_one_view_of_each_object_is_nothing_to_match() -> None:
    with pytest.raises(UnusableData, match="no object of the test split has two views"):
        Correspondence(tokens=4).score(small_model(), None, PaintedSpheres(TURNS[:1], spheres=3), no_bar)


def test_places_of_moved_corners_are_those_of_a_slow_homography() -> None:
    moves = (torch.rand(5, 4, 2, generator=torch.Generator().manual_seed(0)) * 2 - 1) / 4
    truth = places_of(moves, (3, 4))
    for number in range(5):
        rows = []
        for (x, y), (u, v) in zip((np.array(SQUARE) + moves[number].numpy()), SQUARE):
            rows += [[x, y, 1, 0, 0, 0, -u * x, -u * y, -u], [0, 0, 0, x, y, 1, -v * x, -v * y, -v]]
        matrix = np.linalg.svd(np.array(rows))[2][-1].reshape(3, 3)
        for token in range(12):
            x, y, w = matrix @ ((token % 4 + 0.5) / 4, (token // 4 + 0.5) / 3, 1)
            np.testing.assert_allclose(truth.places[number, token], [4 * x / w, 3 * y / w], atol=1e-4)
            assert bool(truth.true[number, token]) == (0 <= x / w < 1 and 0 <= y / w < 1)
    still = places_of(torch.zeros(1, 4, 2), (3, 4))
    assert still.true.all()
    assert still.places[0].tolist() == [[column + 0.5, row + 0.5] for row in range(3) for column in range(4)]


def test_views_that_are_the_same_match_everywhere(monkeypatch: pytest.MonkeyPatch) -> None:
    task = HomographyCorrespondence(tokens=4, pairs=40)
    moved = task.score(small_model(), Blobs(3, 0), Blobs(9, 1), no_bar)
    assert 0 < value(moved, "matched") <= 1
    assert {row.parameter for row in moved.rows} <= {"", *(f"corners moved by .{n} to .{n + 1}" for n in range(4))}
    assert moved.counts == {"val": 9}
    assert len(moved.pictures) == 6
    monkeypatch.setattr(patch_pairs, "REACH", 0.0)
    still = task.score(small_model(), Blobs(3, 0), Blobs(9, 1), no_bar)
    assert value(still, "matched") == value(still, "precision") == 1
    assert {row.floor for row in still.rows} == {1.0}


def test_the_picture_joins_matches() -> None:
    flags = torch.zeros(1, 4, dtype=torch.bool)
    right = flags.clone()
    right[0, 0] = True
    found = matching.Matches(torch.tensor([[3, 0, 0, 0]]), right, flags, flags)
    picture = draw_matches(np.zeros((32, 32, 3), np.uint8), np.zeros((32, 32, 3), np.uint8), found, 0, (2, 2)).predicted
    assert picture.shape == (320, 648, 3)
    assert picture[80, 80].tolist() == picture[240, 328 + 240].tolist() == [40, 200, 60]
    assert not picture[300, 100].any()


def test_a_convolutional_model_is_left_as_it_was() -> None:
    model = FrozenModel("resnet", "resnet", Encoder("resnet10t", {"output_stride": 8}).eval(), 32, 36)
    before = {name: weight.clone() for name, weight in model.encoder.state_dict().items()}
    Correspondence(tokens=4, pairs=1).score(model, None, PaintedSpheres(TURNS), no_bar)
    HomographyCorrespondence(tokens=4, pairs=3).score(model, Blobs(2, 0), Blobs(3, 1), no_bar)
    assert not model.encoder.training
    assert all(torch.equal(weight, before[name]) for name, weight in model.encoder.state_dict().items())
