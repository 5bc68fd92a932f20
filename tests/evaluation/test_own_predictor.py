"""Retrieval through a method's own predictor: as training told it, near chance where untrained, and nowhere else."""

import dataclasses

import pytest
import torch

from equicoherence.coherence import CoherenceConfig
from equicoherence.data.poses.latents import multiply
from equicoherence.evaluation import evaluate
from equicoherence.evaluation import own_predictor as module
from equicoherence.evaluation.fingerprint import fingerprint
from equicoherence.evaluation.frozen_model import random_control
from equicoherence.evaluation.model import load_model
from equicoherence.evaluation.own_predictor import OwnPredictor
from equicoherence.evaluation.poses.quaternions import pose_errors
from equicoherence.evaluation.poses.retrieval import retrieval_chance, retrieval_scores
from equicoherence.evaluation.poses.task import ViewRetrieval
from equicoherence.evaluation.task import main_rows
from equicoherence.methods.augself import AugSelfConfig
from equicoherence.methods.equimod import EquiModConfig
from equicoherence.methods.sie import SIEConfig
from equicoherence.training import PretrainConfig, ViewsConfig, build_learner, pretrain
from tests.evaluation.poses import imagine
from tests.evaluation.rows import rows_of
from tests.small import ENCODER, picture_folder, small_config

ROTATION = ("rotation_x", "rotation_y", "rotation_z", "rotation_w")
TOLD = {
    "SIE": SIEConfig(d_equi=6, width=12),
    "EquiMod": EquiModConfig(width=12, output=6, d_equi=6, theta_width=5),
    "AugSelf": AugSelfConfig(width=12, output=6, hidden=8),
}


def _config(name="SIE", path="poses", told=()) -> PretrainConfig:
    views = ViewsConfig(size=32, source=32, path=path, told=told)
    return PretrainConfig(method=TOLD[name], encoder=ENCODER, d=16, coherence=None, views=views)


def _learner(name="SIE", told=()):
    torch.manual_seed(0)
    return build_learner(_config(name, told=told)).eval()


def _noise(objects=30, views=50):
    made = imagine(objects, views, lambda bare, g: {"z_equi": torch.randn(objects, views, 6, generator=g)})
    return made, made.features["z_equi"]


class _Perfect(torch.nn.Module):
    """Embed as it is; turn a quaternion by the rotation told, and move hues by their differences."""

    def embed(self, z_equi):
        return z_equi

    def predict(self, embedding, theta):
        return torch.cat([multiply(embedding[:, :4], theta[:, :4]), embedding[:, 4:] + theta[:, 4:]], dim=1)


def _perfect(told=()):
    learner = _learner(told=told)
    learner.method = _Perfect()
    return OwnPredictor(learner)


@pytest.mark.parametrize("name", ["SIE", "EquiMod"])
def test_an_untrained_predictor_scores_near_chance(name):
    renders, z_equi = _noise()
    predictor = OwnPredictor(_learner(name))
    embedded = dataclasses.replace(renders, features={"embedding": predictor.embed(z_equi)})
    scores = retrieval_scores(embedded, "embedding", predictor, sources=5)
    chance = retrieval_chance(renders.rotations)
    assert {**scores, "pre_split": 0} == pytest.approx({**chance, "pre_split": 0}, abs=0.03)
    # of all views, one and the same may be nearest to all that is predicted: what it scores as the answer to all
    q = renders.rotations.flatten(0, 1)
    constants = pose_errors(q, q).mean(dim=0)
    assert constants.min() - 0.01 < scores["pre_split"] < constants.max() + 0.01


def test_a_perfect_predictor_of_rotations_and_hues_always_finds_the_view():
    renders = imagine(10, 50, lambda bare, _: {"state": torch.cat([bare.rotations, bare.hues], dim=-1)})
    scores = retrieval_scores(renders, "state", _perfect())
    assert scores == pytest.approx({"mrr": 1, "hit_at_1": 1, "hit_at_5": 1, "pre": 0, "pre_split": 0}, abs=1e-5)


def test_hues_reach_a_predictor_that_was_told_them_and_no_other():
    renders = imagine(10, 50, lambda bare, _: {"state": torch.cat([0 * bare.rotations, bare.hues], dim=-1)})

    def of_hues_alone(first, theta):
        assert theta.shape[1:] == (50, 6)
        return _perfect()(first, theta * torch.tensor([0.0, 0, 0, 0, 1, 1]))

    assert retrieval_scores(renders, "state", of_hues_alone)["hit_at_1"] > 0.9
    theta = torch.rand(3, 50, 6)
    given = []
    for told in ((), ROTATION, ("floor_hue",)):
        predictor = OwnPredictor(_learner(told=told))
        predictor.method.predictor.register_forward_pre_hook(lambda _, inputs: given.append(inputs[1]))
        predictor(torch.rand(3, 12), theta)
    for found, columns in zip(given, (slice(0, 6), slice(0, 4), slice(4, 5))):
        assert torch.equal(found, theta.flatten(0, 1)[:, columns])


def test_the_name_of_a_predictor_says_whether_it_was_told_hues():
    names = [OwnPredictor(_learner(told=told)).name for told in (ROTATION, ROTATION[:2], (), ("floor_hue",))]
    assert names == ["own", "own", "own, hues too", "own, hues too"]
    assert set(names) < set(ViewRetrieval.probe_order)


def test_predictions_are_those_of_each_pair_and_do_not_depend_on_the_chunks(monkeypatch):
    learner = _learner()
    predictor = OwnPredictor(learner)
    first, theta = torch.rand(7, 12), torch.rand(7, 5, 6)
    whole = predictor(first, theta)
    assert torch.allclose(whole[3, 2], learner.method.predict(first[3:4], theta[3, 2:3])[0], atol=1e-6)
    z_equi = torch.rand(5, 4, 6)
    embedding = predictor.embed(z_equi)
    assert torch.allclose(embedding[3, 2], learner.method.embed(z_equi[3, 2:3])[0], atol=1e-6)
    rows = []
    learner.method.predictor.register_forward_pre_hook(lambda _, inputs: rows.append(len(inputs[0])))
    monkeypatch.setattr(module, "ELEMENTS", 2 * 5 * 12 * 7)  # two sources, of five targets, 12 features and 7 factors
    monkeypatch.setattr(module, "EMBEDDED", 2)
    assert torch.allclose(predictor(first, theta), whole, atol=1e-6)
    assert rows == [10, 10, 10, 5]
    assert torch.allclose(predictor.embed(z_equi), embedding, atol=1e-6)


def _run(config, data, out):
    settings = small_config(data, max_steps=2, method=config.method, coherence=None, views=config.views)
    return pretrain(settings, out)


def test_a_run_on_poses_has_rows_of_its_own_predictor(renders, tmp_path):
    run = _run(_config(told=ROTATION), renders, tmp_path / "run")
    results = evaluate(run, tasks=["retrieval"], out=tmp_path / "out")
    own = rows_of(results, probe="own")
    assert {row["metric"] for row in own} == {"mrr", "hit_at_1", "hit_at_5", "pre", "pre_split"}
    assert all(row["representation"] == "embedding" and not row["control"] for row in own)
    assert {row["probe"] for row in rows_of(results, representation="embedding")} == {"own", "identity"}
    for fields in ({"representation": "z_equi", "control": ""}, {"representation": "backbone", "control": "random"}):
        assert {row["probe"] for row in rows_of(results, **fields)} == {"fitted_linear_map", "identity"}
    assert not rows_of(results, representation="z_inv")
    part = next(iter(results["parts"].values()))
    assert {row["representation"]: row["probe"] for row in main_rows(part)} == {
        "backbone": "fitted_linear_map",
        "z_equi": "fitted_linear_map",
        "z": "fitted_linear_map",
        "embedding": "own",
    }
    frozen = load_model(run)
    weights = fingerprint(frozen)
    frozen.predictor.method.predictor.matrices.weight.data += 1
    assert fingerprint(frozen) != weights == results["weights"]
    assert random_control(frozen).predictor is None


def test_a_run_told_of_another_path_and_a_method_that_predicts_nothing_have_none(renders, tmp_path):
    pictures = picture_folder(tmp_path / "pictures", 10)
    for name, path, images in (("SIE", "se2", pictures), ("AugSelf", "poses", renders)):
        run = _run(_config(name, path), images, tmp_path / name)
        assert load_model(run).predictor is None
        results = evaluate(run, tasks=["retrieval"], data=renders, out=tmp_path / f"{name}-out", controls=False)
        assert {row["probe"] for row in rows_of(results)} == {"fitted_linear_map", "identity"}


def test_the_task_on_poses_has_none(renders, tmp_path):
    views = ViewsConfig(size=32, source=32, path="poses")
    task = CoherenceConfig(d_equi=8, decoder="cross-attention-other", targets="final")
    run = pretrain(small_config(renders, max_steps=1, views=views, coherence=task), tmp_path / "run")
    assert load_model(run).predictor is None
