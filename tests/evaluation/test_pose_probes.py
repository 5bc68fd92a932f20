"""Pose probes: features whose content is known score so, floors are as stated, and one pass is as many."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from equicoherence.data.poses.latents import FLOOR_HUE, LIGHT_HUE, quaternion, relative_rotation
from equicoherence.evaluation.poses.head_batch import Head, HeadBatch
from equicoherence.evaluation.poses.probes import (
    inputs_of,
    make_heads,
    pose_probes,
    probe_loss,
    r2_scalar_mean,
    standard,
    target_scales,
    train_heads,
)
from equicoherence.evaluation.poses.renders import Renders, ViewPairs
from equicoherence.evaluation.poses.task import PoseProbes
from equicoherence.rendering.plan import RenderPlan, draw_latents
from equicoherence.ridge import r2_score
from tests.evaluation.poses import imagine

SMALL = PoseProbes(epochs=60, batch=128, hidden=64, learning_rate=3e-3)


def _features(bare, generator):
    """Make features that hold pose, hues and class side by side, and features that are noise."""
    classes = F.one_hot(bare.labels, 5)[:, None].expand(-1, bare.views, -1)
    told = torch.cat([bare.rotations, bare.hues, classes], dim=2)
    return {"told": told, "noise": torch.randn(told.shape, generator=generator)}


@pytest.fixture(scope="module")
def rows():
    return list(pose_probes(imagine(1500, 4, _features), imagine(300, 4, _features, seed=1), SMALL))


def _value(rows, **fields):
    found = [row.value for row in rows if all(getattr(row, name) == value for name, value in fields.items())]
    assert len(found) == 1
    return found[0]


def test_probes_read_what_features_hold(rows):
    told = {"representation": "told", "metric": "r2", "parameter": ""}
    for target in ("color", "absolute_rotation"):
        for probe in ("linear", "mlp"):
            assert _value(rows, **told, target=target, probe=probe) > 0.95
    assert _value(rows, **told, target="relative_rotation", probe="mlp") > 0.9
    assert _value(rows, **told, target="relative_rotation", probe="linear") < 0.9  # it is a product of the two poses
    assert _value(rows, representation="told", metric="top1", probe="linear") > 0.95


def test_probes_read_nothing_in_noise(rows):
    of_noise = [row for row in rows if row.representation == "noise"]
    assert max(row.value - row.floor for row in of_noise if row.metric != "top1") < 0.05
    (top1,) = (row for row in of_noise if row.metric == "top1")
    assert top1.value < top1.floor + 0.08


def test_every_row_carries_floor_and_chance(rows):
    assert all(row.target and row.floor is not None and row.chance is not None for row in rows)
    r2 = [row for row in rows if row.metric == "r2"]
    assert max(abs(row.floor) for row in r2) < 0.02
    assert max(abs(row.chance) for row in r2) < 1e-5
    (floor,) = {row.floor for row in rows if row.target == "class"}
    assert floor == pytest.approx(0.2, abs=0.08)
    assert {row.chance for row in rows if row.metric == "top1"} == {0.2}
    assert len(rows) == 2 * (2 * (6 + 4 + 6) + 1)


def test_a_constant_scores_a_quarter_by_one_scalar_mean_and_nothing_by_each_targets_own():
    q = imagine(20000, 2, _features).rotations
    relative = relative_rotation(q[:, 0], q[:, 1])
    mean = relative.mean(dim=0).expand_as(relative)
    assert r2_scalar_mean(mean, relative) == pytest.approx(0.23, abs=0.01)
    assert r2_score(mean, relative).abs().max() < 1e-5
    assert r2_scalar_mean(relative, relative) == 1


def test_a_batch_of_heads_is_its_heads_one_by_one():
    heads = [Head("a", 6, "x", 3, 8), Head("a", 6, "x", 3, 0), Head("b", 5, "y", 2, 8), Head("b", 5, "z", 4, 0)]
    batch = HeadBatch(heads, torch.Generator().manual_seed(0))
    inputs = {"a": torch.randn(7, 6), "b": torch.randn(7, 5)}
    for head, answer in batch(inputs).items():
        assert torch.allclose(batch.single(head)(inputs[head.source]), answer, atol=1e-6)
    with pytest.raises(ValueError, match=r"hidden widths \[8, 9\]"):
        HeadBatch([heads[0], Head("b", 5, "y", 2, 9)], torch.Generator())
    with pytest.raises(ValueError, match="do not agree on the width"):
        HeadBatch([heads[0], Head("a", 7, "y", 2, 8)], torch.Generator())


def test_heads_trained_together_are_the_heads_trained_alone():
    train, test = imagine(600, 4, _features), imagine(300, 4, _features, seed=1)
    config = PoseProbes(epochs=10, batch=128, hidden=64, learning_rate=3e-3)
    standards = {name: standard(z) for name, z in train.features.items()}
    scales = target_scales(train)
    together = train_heads(train, standards, scales, config, torch.Generator().manual_seed(0))
    pairs = test.draw(torch.Generator().manual_seed(5))
    truth = test.targets(pairs)
    for head in (together.heads[0], together.heads[3], together.heads[-1]):
        generator = torch.Generator().manual_seed(0)
        alone = HeadBatch(make_heads(train, config), generator).single(head)
        optimizer = torch.optim.Adam(alone.parameters(), config.learning_rate)
        for _ in range(config.epochs):
            for part in train.draw(generator).split(config.batch):
                predicted = alone(inputs_of(train, standards, part)[head.source])
                optimizer.zero_grad()
                target = train.targets(part)[head.task]
                if head.task != "class":
                    target = (target - scales[head.task][0]) / scales[head.task][1]
                probe_loss(head.task, predicted, target).backward()
                optimizer.step()
        inputs = inputs_of(test, standards, pairs)
        one, all_at_once = alone(inputs[head.source]), together(inputs)[head]
        if head.task == "class":
            assert (one.argmax(dim=1) == all_at_once.argmax(dim=1)).float().mean() > 0.97
        else:
            wanted = (truth[head.task] - scales[head.task][0]) / scales[head.task][1]
            both = [float(r2_score(x.detach(), wanted).mean()) for x in (one, all_at_once)]
            assert both[0] == pytest.approx(both[1], abs=0.01)


def test_a_target_that_hardly_varies_costs_a_head_nothing():
    """Of small turns w is nearly 1: a head that had to find that first would score far below the constant."""

    def small_turns(bare, generator):
        return {"told": torch.cat([bare.rotations[..., :3], bare.rotations[..., 3:] * 0 + 1], dim=2)}

    def turned(objects, seed):
        bare = imagine(objects, 4, small_turns, seed=seed)
        rotations = F.normalize(
            bare.rotations * torch.tensor([0.1, 0.1, 0.1, 0.0]) + torch.tensor([0, 0, 0, 1.0]), dim=-1
        )
        return type(bare)({"told": rotations[..., :3] * 10}, rotations, bare.hues, bare.labels)

    found = list(pose_probes(turned(300, 0), turned(100, 1), SMALL))
    w = [row for row in found if row.target == "absolute_rotation" and row.parameter == "w"]
    assert min(row.value for row in w) > -0.1


def _of_preset(preset, objects, seed):
    """Make renders whose latents are those that a preset draws."""
    plan = RenderPlan(views=4, seed=seed, turn=90, preset=preset)
    latents = torch.from_numpy(np.stack([draw_latents(plan, f"a/{number}") for number in range(objects)]))
    rotations, hues = quaternion(latents[..., :3]), latents[..., [FLOOR_HUE, LIGHT_HUE]].float()
    return Renders({"told": rotations.float()}, rotations, hues, torch.arange(objects) % 5)


def test_a_parameter_that_does_not_vary_has_no_row_and_a_constant_scores_nothing_on_average():
    config = PoseProbes(epochs=1, hidden=8)
    for preset, told in (("objects", {"y", "w", ""}), ("3diebench", {"x", "y", "z", "w", ""})):
        found = list(pose_probes(_of_preset(preset, 500, 0), _of_preset(preset, 300, 1), config))
        for target in ("relative_rotation", "absolute_rotation"):
            r2 = [row for row in found if row.target == target and row.metric == "r2"]
            assert {row.parameter for row in r2} == told
            assert [row.floor for row in r2] == pytest.approx([0] * len(r2), abs=0.03)
    still = _of_preset("objects", 50, 0)
    still = Renders(still.features, still.rotations, still.hues * 0, still.labels)
    assert "color" not in {row.target for row in pose_probes(still, still, config)}


def test_relative_rotations_of_the_preset_objects_keep_one_sign():
    rotations = _of_preset("objects", 300, 0).rotations
    assert (relative_rotation(rotations[:, :1], rotations)[..., 3] >= 0).all()


def test_pairs_are_of_two_views_and_every_object_comes_once_an_epoch():
    renders = imagine(50, 3, _features)
    pairs = renders.draw(torch.Generator().manual_seed(0))
    assert sorted(pairs.objects.tolist()) == list(range(50))
    assert (pairs.first != pairs.second).all()
    assert ViewPairs.join(pairs.split(7)).second.equal(pairs.second)


def test_probes_are_the_same_for_the_same_seed_and_leave_the_global_generator_alone():
    train, test = imagine(60, 3, _features), imagine(20, 3, _features, seed=1)
    config = PoseProbes(epochs=2, batch=32, hidden=16)
    before = torch.get_rng_state()
    assert list(pose_probes(train, test, config)) == list(pose_probes(train, test, config))
    assert torch.equal(torch.get_rng_state(), before)


def test_parts_of_one_tensor_cost_no_memory_and_half_precision_is_read():
    whole = imagine(40, 3, lambda bare, g: {"all": torch.randn(40, 3, 12, generator=g).half()}).features["all"]
    renders = imagine(40, 3, lambda bare, g: {"all": whole, "inv": whole[..., :6], "equi": whole[..., 6:]})
    assert renders.features["equi"].untyped_storage().data_ptr() == whole.untyped_storage().data_ptr()
    found = list(pose_probes(renders, renders, PoseProbes(epochs=1, hidden=8)))
    assert {row.representation for row in found} == {"all", "inv", "equi"}


def test_bad_settings_are_named():
    with pytest.raises(ValueError, match="epochs must be at least 1, got 0"):
        PoseProbes(epochs=0)
    train = imagine(4, 3, _features)
    with pytest.raises(ValueError, match="other widths"):
        list(pose_probes(train, imagine(4, 3, lambda bare, g: {"told": bare.rotations}), SMALL))
