"""Methods that are told the transformation: they alone are, with theta scaled, and their parts are evaluated."""

import dataclasses

import pytest
import torch

from equicoherence.coherence import CoherenceConfig
from equicoherence.evaluation import load_model
from equicoherence.methods import METHODS, VICRegConfig
from equicoherence.paths import named_path
from equicoherence.paths.standard import StandardTheta
from equicoherence.training import PretrainConfig, ViewsConfig, build_learner, build_views, pretrain
from tests.small import ENCODER, METHOD_CONFIGS, picture_folder, small_config

CONFIGS = {METHODS[type(config)].__name__: config for config in METHOD_CONFIGS}


def _config(name):
    method = METHODS[type(CONFIGS[name])]
    crops = {"crops": 4, "crop_size": 16, "crop_rotations": method.rotated_crops} if method.crops else {}
    return PretrainConfig(
        method=CONFIGS[name],
        encoder=ENCODER,
        d=16,
        coherence=None if method.told else CoherenceConfig(d_equi=8, decoder="conv"),
        views=ViewsConfig(size=32, source=32, **crops),
    )


def _build(config, batch=6):
    torch.manual_seed(0)
    learner = build_learner(config)
    generator = torch.Generator().manual_seed(1)
    return learner, build_views(config, learner.encoder)(torch.rand(batch, 3, 32, 32, generator=generator), generator)


def test_the_methods_that_say_that_they_are_told_are_these():
    assert {name for name, config in CONFIGS.items() if METHODS[type(config)].told} == {"SIE", "EquiMod", "AugSelf"}
    assert len(CONFIGS) == len(METHODS)


@pytest.mark.parametrize("name", list(CONFIGS))
def test_theta_reaches_the_losses_of_methods_that_are_told_and_of_no_other(name):
    learner, views = _build(_config(name))
    unknown = dataclasses.replace(views, theta=torch.full_like(views.theta, torch.nan))
    losses = torch.stack(list(learner.eval()(unknown).losses.values()))
    assert losses.isnan().any() == learner.method.told
    expected = torch.stack(list(learner(views).losses.values()))
    assert expected.isfinite().all()
    assert learner.method.told or torch.equal(losses, expected)


@pytest.mark.parametrize("name", ["SIE", "EquiMod"])
def test_they_get_the_means_of_both_views_and_theta_of_unit_variance(name):
    learner, views = _build(_config(name), batch=64)
    given = []
    learner.method.register_forward_pre_hook(lambda module, inputs: given.extend(inputs))
    output = learner(views)
    z_inv, z_equi = learner.encode(views)
    assert torch.allclose(given[0].summary.flatten(0, 1), z_inv.mean(dim=1), atol=1e-5)
    assert torch.allclose(given[0].equivariant.flatten(0, 1), z_equi.mean(dim=1), atol=1e-5)
    assert torch.allclose(output.pooled["equivariant"], z_equi.mean(dim=1), atol=1e-5)
    assert given[0].theta.mean(dim=0).abs().max() < 0.4
    assert (given[0].theta.std(dim=0) - 1).abs().max() < 0.2


def test_theta_is_scaled_by_the_range_of_each_parameter():
    path = named_path("se2+blur")
    theta = path.sample(20000, torch.Generator().manual_seed(0))
    scaled = StandardTheta(path.parameters)(theta)
    assert scaled.mean(dim=0).abs().max() < 0.03
    assert (scaled.std(dim=0) - 1).abs().max() < 0.03


@pytest.mark.parametrize("name", ["SIE", "EquiMod"])
def test_an_embedding_and_theta_predict_an_embedding(name):
    learner, views = _build(_config(name))
    z_equi = learner.encode(views)[1].mean(dim=1)[:6]
    embedding = learner.method.embed(z_equi)
    predicted = learner.method.predict(embedding, learner.standard(views.theta))
    assert predicted.shape == embedding.shape == (6, 12 if name == "SIE" else 6)


@pytest.mark.parametrize("name", [name for name in CONFIGS if name not in ("SIE", "EquiMod")])
def test_methods_without_a_predictor_say_so(name):
    learner, _ = _build(_config(name))
    for call in (learner.method.embed, lambda z: learner.method.predict(z, z)):
        with pytest.raises(NotImplementedError, match=f"{name} has no predictor"):
            call(torch.zeros(2, 8))


def test_there_is_no_plain_form_of_what_is_told():
    with pytest.raises(ValueError, match="no plain form: SIE is told"):
        _config("SIE").plain()
    assert _config("ESSL").plain().coherence is None
    assert dataclasses.replace(_config("VICReg"), method=VICRegConfig()).plain().d_equi == 0


def test_both_parts_of_a_run_are_evaluated(tmp_path):
    data = picture_folder(tmp_path / "data", 10)
    config = dataclasses.replace(small_config(data, max_steps=1), method=CONFIGS["SIE"], coherence=None)
    model = load_model(pretrain(config, tmp_path / "run"))
    pooled, tokens = model.represent(torch.rand(2, 3, 32, 32))
    assert {name: part.shape[1] for name, part in pooled.items()} == {"backbone": 16, "z_inv": 10, "z_equi": 6, "z": 16}
    assert tokens["z_equi"].shape == (2, 16, 6)
