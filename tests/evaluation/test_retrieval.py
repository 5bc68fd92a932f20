"""Retrieval: chance, floors and perfect predictors score what is known of them; the fitted map finds a bilinear law."""

import dataclasses

import pytest
import torch

from equicoherence.data.poses.latents import FLOOR_HUE, LIGHT_HUE, pose_change, quaternion, relative_rotation, upright
from equicoherence.evaluation.poses import nearest_view
from equicoherence.evaluation.poses import retrieval as module
from equicoherence.evaluation.poses.linear_map import fit_linear_map
from equicoherence.evaluation.poses.quaternions import pose_errors
from equicoherence.evaluation.poses.renders import Renders, view_changes
from equicoherence.evaluation.poses.retrieval import METRICS, retrieval, retrieval_chance, retrieval_scores
from equicoherence.finite import NotFinite
from tests.evaluation.poses import euler_quaternions, imagine, matrices

OF_50 = {"mrr": 0.09, "hit_at_1": 0.02, "hit_at_5": 0.10}
PERFECT = {"mrr": 1, "hit_at_1": 1, "hit_at_5": 1, "pre": 0, "pre_split": 0}


def _of_pose(bare, generator):
    """Make features that hold the quaternion in four directions of eight, and features that are noise."""
    basis = torch.linalg.qr(torch.randn(8, 4, generator=torch.Generator().manual_seed(9)))[0]
    return {"pose": bare.rotations @ basis.T, "noise": torch.randn(*bare.rotations.shape[:2], 8, generator=generator)}


def _turned(first, theta):
    """Predict what features that are quaternions become: q1 times the relative rotation."""
    return -relative_rotation(first[:, None] * torch.tensor([1.0, 1, 1, -1]), theta[..., :4])


def _noise(first, theta):
    return torch.randn(*theta.shape[:2], first.shape[1], generator=torch.Generator().manual_seed(1))


def test_relative_rotation_are_those_of_the_relative_matrices():
    first, second = euler_quaternions(torch.randn(2, 20, 3, generator=torch.Generator().manual_seed(0)).double())
    relative = matrices(first).transpose(-1, -2) @ matrices(second)
    assert torch.allclose(matrices(relative_rotation(first, second)), relative)
    assert torch.allclose(relative_rotation(first, first)[:, 3], torch.ones(20).double())
    cosine = (relative.diagonal(dim1=-2, dim2=-1).sum(dim=-1) - 1) / 2  # of the angle between the two
    assert torch.allclose(pose_errors(first, second).diagonal(), (1 - cosine) / 2)


def test_either_quaternion_of_a_rotation_is_brought_to_the_same_one():
    q = imagine(4, 3, _of_pose).rotations
    assert q[..., 3].min() > 0
    assert torch.equal(upright(-q), q)


def test_chance_is_that_of_fifty_views():
    chance = retrieval_chance(imagine(300, 50, _of_pose).rotations)
    assert {k: chance[k] for k in OF_50} == pytest.approx(OF_50, abs=0.0003)
    assert chance["pre"] == pytest.approx(0.63 * 49 / 50, abs=0.01)  # one of the 50 candidates is the true one
    assert chance["pre_split"] == pytest.approx(0.63, abs=0.01)


def test_a_random_predictor_scores_at_chance():
    renders = imagine(30, 50, _of_pose)
    scores = retrieval_scores(renders, "noise", _noise)
    assert scores == pytest.approx(retrieval_chance(renders.rotations), abs=0.01)


def test_a_perfect_predictor_scores_ones_and_no_error():
    renders = imagine(30, 50, lambda bare, _: {"q": bare.rotations})
    scores = retrieval_scores(renders, "q", _turned)
    assert scores == pytest.approx(PERFECT, abs=1e-5)


@pytest.mark.parametrize("name", ["silent", "constant", "collapsed"])
def test_a_predictor_or_encoder_that_says_nothing_scores_exactly_at_chance(name):
    renders = imagine(20, 50, _of_pose)
    if name == "collapsed":
        renders = dataclasses.replace(renders, features={"noise": torch.randn(20, 1, 8).expand(20, 50, 8)})
    value = 0.0 if name == "silent" else 1.0
    scores = retrieval_scores(renders, "noise", lambda z, theta: torch.full((len(z), theta.shape[1], 8), value))
    chance = retrieval_chance(renders.rotations)
    assert {k: scores[k] for k in OF_50} == pytest.approx({k: chance[k] for k in OF_50}, abs=1e-6)
    assert scores["pre"] == pytest.approx(0.63, abs=0.04)


@pytest.mark.parametrize(("sources", "source_counts"), [(3, False), (1, True), (2, True)])
def test_scores_agree_with_a_slow_loop_and_do_not_depend_on_the_chunks(monkeypatch, sources, source_counts):
    renders, how = imagine(5, 7, _of_pose), {"sources": sources, "source_counts": source_counts}
    z, q = renders.features["pose"], renders.rotations
    fast = retrieval_scores(renders, "pose", _shifted, **how)
    monkeypatch.setattr(module, "ELEMENTS", 1)
    monkeypatch.setattr(nearest_view, "COSINES", 1)
    assert retrieval_scores(renders, "pose", _shifted, **how) == pytest.approx(fast, abs=1e-6)
    slow = []
    for o in range(5):
        for s in range(sources):
            for t in range(7) if source_counts else set(range(7)) - {s}:
                predicted = _shifted(z[o, s : s + 1], relative_rotation(q[o, s], q[o, t])[None, None])[0, 0]
                order = torch.cosine_similarity(predicted[None], z[o]).argsort(descending=True)
                rank = 1 + order.tolist().index(t)
                nearest = q.flatten(0, 1)[torch.cosine_similarity(predicted[None], z.flatten(0, 1)).argmax()]
                errors = [1 - float(q[o, t] @ found) ** 2 for found in (q[o, order[0]], nearest)]
                slow.append([1 / rank, rank <= 1, rank <= 5, *errors])
    assert list(fast.values()) == pytest.approx(torch.tensor(slow).mean(dim=0).tolist(), abs=1e-5)


def test_equally_near_views_of_a_split_count_as_their_mean():
    renders = imagine(4, 5, lambda bare, _: {"same": torch.ones(4, 5, 2)})
    scores = retrieval_scores(renders, "same", lambda z, theta: torch.ones(len(z), 5, 2), source_counts=True)
    assert scores == pytest.approx(retrieval_chance(renders.rotations), abs=1e-6)


def test_a_prediction_that_is_the_same_for_all_targets_is_sought_once(monkeypatch):
    renders = imagine(6, 4, _of_pose)
    rows = []
    search = nearest_view.WholeSplit._sums_of_nearest
    monkeypatch.setattr(
        nearest_view.WholeSplit, "_sums_of_nearest", lambda self, part: rows.append(len(part)) or search(self, part)
    )
    one = retrieval_scores(renders, "pose", lambda z, theta: z[:, None].expand(-1, 4, -1))
    each = retrieval_scores(renders, "pose", lambda z, theta: z[:, None].repeat(1, 4, 1))
    assert one == pytest.approx(each)
    assert rows == [6 * 4, 6 * 4 * 4]


def _shifted(first, theta):
    return first[:, None] + torch.nn.functional.pad(theta[..., :4], (0, 4))


def test_predictors_are_given_what_training_on_poses_tells():
    latents = torch.rand(4, 5, 7, generator=torch.Generator().manual_seed(0))
    latents[..., :3] = (latents[..., :3] * 2 - 1) * torch.pi / 2
    theta = view_changes(quaternion(latents[..., :3]), latents[..., [FLOOR_HUE, LIGHT_HUE]], 3)
    assert torch.allclose(theta, pose_change(latents[:, :3, None].expand(-1, -1, 5, -1), latents[:, None]), atol=1e-6)


def test_rows_carry_floor_and_chance_and_the_identity_is_never_first():
    renders = imagine(10, 20, _of_pose)
    rows = list(retrieval(renders, "pose", _noise, "own"))
    assert len(rows) == 2 * len(METRICS)
    assert all(row.representation == "pose" for row in rows)
    by = {(row.probe, row.metric): row for row in rows}
    assert by["own", "mrr"].floor == pytest.approx(by["own", "mrr"].chance), "one feature for all is a random order"
    assert by["own", "pre"].floor == by["identity", "pre"].floor
    assert by["identity", "hit_at_1"].value == 0
    assert all(value.chance is not None for value in by.values())


def test_the_fitted_map_learns_how_features_turn_and_nothing_from_noise():
    train, test = imagine(200, 6, _of_pose), imagine(10, 50, _of_pose, seed=1)
    fitted = fit_linear_map(train, "pose")
    assert retrieval_scores(test, "pose", fitted)["hit_at_1"] > 0.99
    silent = fit_linear_map(train, "noise")
    scores = retrieval_scores(test, "noise", silent)
    assert scores == pytest.approx(retrieval_chance(test.rotations), abs=0.03)
    assert silent.strength > fitted.strength
    rows = list(retrieval(test, "pose", fitted, fitted.name))
    assert {row.probe for row in rows} == {"fitted_linear_map", "identity"}


def test_bad_input_is_named():
    renders = imagine(3, 4, _of_pose)
    z, q = renders.features["pose"], renders.rotations
    with pytest.raises(ValueError, match="sources is 5, but must be 1 to 4"):
        retrieval_scores(renders, "pose", _noise, sources=5)
    with pytest.raises(ValueError, match="returned"):
        retrieval_scores(renders, "pose", lambda first, theta: first)
    with pytest.raises(NotFinite, match="not finite"):
        retrieval_scores(renders, "pose", lambda first, theta: _noise(first, theta) / 0)
    with pytest.raises(ValueError, match="choose among pose, noise"):
        fit_linear_map(renders, "color")
    with pytest.raises(ValueError, match="lengths"):
        Renders({"z": z}, 2 * q, renders.hues, renders.labels)
    with pytest.raises(ValueError, match="from -1"):
        Renders({"z": z}, q, renders.hues, renders.labels * 0 - 1)
    with pytest.raises(ValueError, match="must be"):
        Renders({"z": z[:2]}, q, renders.hues, renders.labels)
    with pytest.raises(NotFinite, match="not all finite"):
        Renders({"z": z / 0}, q, renders.hues, renders.labels)
