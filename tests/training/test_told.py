"""Methods that are told the transformation: they alone are, with theta scaled, and their parts are evaluated."""

import dataclasses

import pytest
import torch

from equicoherence.coherence import CoherenceConfig
from equicoherence.evaluation import load_model
from equicoherence.methods import METHODS
from equicoherence.methods.vicreg import VICRegConfig
from equicoherence.paths import named_path
from equicoherence.paths.standard import FittedTheta, StandardTheta
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
        coherence=None if method.told or method.symmetries else CoherenceConfig(d_equi=8, decoder="conv"),
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
    z_inv, z_equi = learner.split(learner.encoder(torch.cat([views.v1, views.v2])))
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


@pytest.mark.parametrize("name", ["SIE", "EquiMod", "AugSelf"])
def test_they_may_be_told_some_parameters_alone_on_the_same_scale(name):
    config = _config(name)
    whole, views = _build(config)
    some, _ = _build(dataclasses.replace(config, views=dataclasses.replace(config.views, told=("y", "angle"))))
    given = []
    some.method.register_forward_pre_hook(lambda module, inputs: given.append(inputs[0].theta))
    assert [parameter.name for parameter in config.views.parameters] == ["angle", "x", "y"]
    assert all(loss.isfinite() for loss in some(views).losses.values())
    assert torch.equal(given[0], whole.standard(views.theta)[:, [2, 0]])
    unknown = dataclasses.replace(views, theta=views.theta * torch.tensor([1.0, torch.nan, 1.0]))
    assert torch.stack(list(some(unknown).losses.values())).isfinite().all()


def test_on_poses_they_may_be_told_the_rotation_alone():
    views = ViewsConfig(size=32, source=32, path="poses", told=("rotation_x", "rotation_y", "rotation_z", "rotation_w"))
    learner = build_learner(dataclasses.replace(_config("SIE"), views=views))
    theta = torch.rand(5, 6)
    assert torch.equal(learner.standard(theta), theta[:, :4])
    assert learner.method.predictor.matrices.in_features == 5 * 12


def test_on_poses_theta_is_scaled_for_methods_that_predict_it_and_a_quaternion_for_the_others():
    views = ViewsConfig(size=32, source=32, path="poses", told=("rotation_w", "light_hue"))
    theta = torch.randn(5, 6)
    mean, deviation = torch.arange(6.0), torch.arange(1.0, 7.0)
    for name, predicts in (("SIE", False), ("EquiMod", False), ("AugSelf", True)):
        learner = build_learner(dataclasses.replace(_config(name), views=views))
        assert learner.method.predicts_theta == predicts
        fitted = [module for module in learner.standard if isinstance(module, FittedTheta)]
        assert len(fitted) == predicts
        for module in fitted:
            module.fit(mean, deviation)
        told = (theta - mean) / deviation if predicts else theta
        assert torch.equal(learner.standard(theta), told[:, [3, 5]])


def test_a_scale_that_does_not_fit_is_refused():
    for mean, deviation in ((torch.zeros(2), torch.ones(2)), (torch.zeros(3), torch.tensor([1.0, 0.0, 1.0]))):
        with pytest.raises(ValueError, match="must be 3 numbers, above 0; got"):
            FittedTheta(3).fit(mean, deviation)


def test_names_that_are_not_the_paths_are_quoted_with_those_that_are():
    with pytest.raises(
        ValueError, match=r"views\.told 'hue', 'z': not among the parameters of path se2, .* angle, x, y"
    ):
        ViewsConfig(told=("angle", "hue", "z"))
    with pytest.raises(ValueError, match=r"'hue': not among the parameters of path poses, .* floor_hue, light_hue"):
        ViewsConfig(path="poses", told=("hue",))
    with pytest.raises(ValueError, match=r"'angle': .* path none, which are none"):
        ViewsConfig(path="none", told=("angle",))
    with pytest.raises(ValueError, match=r"names, each once, got \('angle', 'angle'\)"):
        ViewsConfig(told=("angle", "angle"))


def test_methods_that_are_told_nothing_are_not_told_some_of_it():
    with pytest.raises(ValueError, match=r"VICReg receives nothing about the path; leave --views\.told out"):
        dataclasses.replace(_config("VICReg"), views=ViewsConfig(told=("angle",)))


@pytest.mark.parametrize("name", ["SIE", "EquiMod"])
def test_an_embedding_and_theta_predict_an_embedding(name):
    learner, views = _build(_config(name))
    _, z_equi = learner.split(learner.encoder(views.v1))
    z_equi = z_equi.mean(dim=1)
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
    with pytest.raises(ValueError, match="no plain form: SIE receives the transformation"):
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
