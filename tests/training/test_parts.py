"""Seeds, health, configuration."""

import json
import math
import re

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from equicoherence.coherence import CoherenceConfig
from equicoherence.methods import METHODS
from equicoherence.methods.barlow import cross_correlation_loss
from equicoherence.recipes import RECIPES, describe, recipe
from equicoherence.training import AugmentationConfig, NotFinite, PretrainConfig, ViewsConfig, build_learner
from equicoherence.training.config_file import differences, from_dict, to_dict
from equicoherence.training.health import effective_rank, feature_std, first_not_finite
from equicoherence.training.learner import LearnerOutput
from equicoherence.training.metrics import Metrics, drop_after
from equicoherence.training.optim import learning_rate
from equicoherence.training.seeds import step_seed

RIVALS = ("sie", "equimod", "augself", "essl", "ser", "stl")  # equivariant in ways of their own, without the task


@given(st.integers(0, 2**31), st.integers(0, 10**7), st.integers(0, 4096))
def test_seeds_fit_a_generator_and_depend_on_everything(seed, step, rank):
    found = {step_seed(seed, step, rank, stream) for stream in range(3)} | {step_seed(seed, step + 1, rank)}
    assert len(found) == 4
    assert all(0 <= s < 2**63 for s in found)


def test_effective_rank_counts_equal_directions():
    torch.manual_seed(0)
    basis = torch.linalg.qr(torch.randn(20, 20))[0][:, :5]
    z = torch.linalg.qr(torch.randn(1000, 5) - 0)[0] @ basis.T
    assert effective_rank(z).item() == pytest.approx(5, abs=0.1)
    assert effective_rank(z[:8]).item() < 5.1
    assert effective_rank(torch.ones(10, 4)).item() == pytest.approx(1, abs=0.1)
    assert feature_std(torch.ones(10, 4)).item() == 0


def test_the_first_broken_term_is_named():
    history = torch.ones(3, 2)
    assert first_not_finite(history, ["a", "b"], 5) is None
    history[1, 1] = math.inf
    history[2, 0] = math.nan
    assert first_not_finite(history, ["a", "b"], 5) == (6, "b is inf at step 6")


@pytest.mark.parametrize("name", list(RECIPES))
def test_recipes_survive_yaml_and_say_what_they_cost(name):
    config = recipe(name)
    assert config.name == name
    assert (config.coherence is None) == (name.split("-")[0] in RIVALS)
    assert from_dict(to_dict(config)) == config
    if not METHODS[type(config.method)].told and config.encoder.train != "head":
        assert from_dict(to_dict(config.plain())) == config.plain()
    assert all(describe(name)[key] for key in ("summary", "hardware", "time", "scores"))


@pytest.mark.parametrize("name", [name for name in RECIPES if name.endswith("-paper")])
def test_the_batch_of_a_published_recipe_is_the_one_it_states(name):
    said, batch = describe(name), recipe(name).optim.batch_size
    processes, each = map(int, re.findall(r"(\d+) A100 \(batch (\d+) each", said["hardware"])[0])
    assert batch == each
    assert all(int(whole) == processes * each for whole in re.findall(r"batch (\d+)", said["summary"]))


def test_published_recipes_of_self_distillation_decay_to_the_published_end():
    for name in ("dino-paper", "ibot-paper", "dinov2-paper"):
        optim = recipe(name).optim
        assert (optim.weight_decay, optim.weight_decay_end, optim.clip) == (0.04, 0.4, 3.0)


def test_published_sie_is_told_rotations_of_renders_as_they_are():
    config = recipe("sie-paper")
    assert (config.views.path, config.views.size, config.views.source) == ("poses", 256, 256)
    assert config.views.told == ("rotation_x", "rotation_y", "rotation_z", "rotation_w")
    encoder = build_learner(config).encoder
    assert encoder.mean.flatten().tolist() == pytest.approx([0.5016, 0.5037, 0.5060])
    assert encoder.std.flatten().tolist() == pytest.approx([0.1030, 0.0999, 0.0969])
    assert learning_rate(config.optim, 0, 1, world=8) == pytest.approx(1e-3)


def test_the_task_weighs_a_hundred_beside_the_barlow_twins_loss_less_beside_vicreg_and_one_beside_others():
    weights = {
        name: recipe(name).coherence.weight
        for name in RECIPES
        if name.endswith("-tiny") and name.split("-")[0] not in RIVALS
    }
    assert weights.pop("barlow-tiny") == 100
    assert weights.pop("vicreg-tiny") == 0.3
    assert set(weights.values()) == {1}
    assert "lambda = 100" in describe("barlow-tiny")["summary"]


@pytest.mark.parametrize("name", ["barlow-tiny", "barlow-small", "barlow-paper"])
def test_beside_barlow_twins_the_task_weighs_the_same_share_of_the_loss_at_every_width(name):
    """The loss of features that are unrelated, as at the start, grows with their number."""
    config = recipe(name)
    views = torch.randn(2, 512, config.method.width, generator=torch.Generator().manual_seed(0))
    loss = cross_correlation_loss(*views, config.method.redundancy).item()
    assert config.coherence.weight / loss == pytest.approx(0.19, rel=0.1)


def test_misspelt_recipes_and_fields_are_quoted():
    with pytest.raises(ValueError, match="recipe 'vicreg-tinny' is unknown; is it 'vicreg-tiny'"):
        recipe("vicreg-tinny")
    with pytest.raises(ValueError, match=r"optim\.lrr"):
        from_dict({"optim": {"lrr": 1}})
    with pytest.raises(ValueError, match=r"optim\.lr cannot be 'fast'"):
        from_dict({"optim": {"lr": "fast"}})
    with pytest.raises(
        ValueError, match=r"'views\.corps' is unknown; is it 'views\.crops'\? Choose one of views\.size"
    ):
        from_dict({"views": {"corps": 1}})
    with pytest.raises(ValueError, match="kind 'DINOv9'"):
        from_dict({"method": {"kind": "DINOv9"}})


@pytest.mark.parametrize(
    ("values", "quoted"),
    [
        ({"log_every": 0}, "log_every must be at least 1, got 0"),
        ({"optim": {"accumulation": 9, "batch_size": 8}}, "accumulation 9"),
        ({"views": {"path": "none"}}, "views.path is none"),
        ({"views": {"path": "none"}, "coherence": {"decoder": "oracle"}}, "views.path is none"),
        ({"coherence": {"states": -1}}, "got -1"),
        ({"optim": {"warmup": -1}}, r"optim.warmup must be a share of all steps, in \[0, 1\], got -1"),
        ({"optim": {"warmup": 10}}, "got 10"),
        ({"optim": {"lr": -1}}, r"optim.lr must be above 0, got -1"),
        ({"optim": {"lr": float("nan")}}, "optim.lr cannot be nan"),
        ({"optim": {"lr": True}}, "optim.lr cannot be True; a number is expected"),
        ({"seed": True}, "seed cannot be True; a whole number is expected"),
        ({"method": ["VICReg"]}, r"method cannot be \['VICReg'\]; a mapping with its kind is expected"),
        ({3: 1}, "field 3 is unknown"),
        ({"optim": {"clip": -3}}, "optim.clip must be 0 or more, got -3"),
        ({"optim": {"weight_decay_end": -0.1}}, r"weight_decay_end must be 0 or more, or none, got -0\.1"),
        ({"views": {"mask_ratio": [0.5]}}, r"views.mask_ratio cannot be \[0\.5\]"),
        (
            {"views": {"mask_ratio": [0.5, 0.1]}},
            r"mask_ratio must be \(lowest, highest\) in \[0, 1\], got \(0\.5, 0\.1\)",
        ),
        ({"views": {"mask_ratio": [0.5, "all"]}}, r"views.mask_ratio\[1\] cannot be 'all'"),
        ({"views": {"first": {"jitter": [0.1, 0.2, 0.3]}}}, r"first.jitter cannot be \[0\.1, 0\.2, 0\.3\]"),
        ({"views": {"mask_probability": 2}}, "mask_probability must be in .*, got 2"),
        ({"encoder": {"mean": [0.5, 0.5]}}, r"mean must hold a number for each of the 3 channels, got \(0\.5, 0\.5\)"),
        ({"encoder": {"mean": [0.5, 0.5, float("nan")]}}, r"encoder.mean\[2\] cannot be nan; a number is expected"),
        ({"encoder": {"std": [0.1, 0.0, 0.1]}}, r"std must be above 0 in all channels, got \(0\.1, 0\.0, 0\.1\)"),
        ({"views": {"crops": -2}}, "views.crops must be 0 or more, got -2"),
        ({"views": {"crops": 3, "crop_rotations": True}}, "with views.crop_rotations, views.crops must be 4, got 3"),
        ({"method": {"kind": "SIE"}}, "SIE receives the transformation, so coherence must be null, got Cohe"),
        ({"method": {"kind": "SIE"}, "coherence": None, "views": {"path": "none"}}, "nothing that SIE could receive"),
        ({"method": {"kind": "ESSL"}, "views": {"crops": 4}}, "crop_rotations is False, but ESSL classifies rotated"),
        (
            {"method": {"kind": "DINO"}, "views": {"crops": 4, "crop_rotations": True}},
            "crop_rotations is True, but DINO reads no rotated crops; give --views.no-crop-rotations",
        ),
        ({"method": {"kind": "SER"}}, "SER has a layer and views of its own .* must be null, got CoherenceConfig"),
        (
            {"method": {"kind": "STL"}, "optim": {"batch_size": 6, "accumulation": 2}},
            r"STL reads images in pairs, but optim\.batch_size 6 in 2 parts .* odd ones; give a multiple of 4",
        ),
        *(
            ({"method": {"kind": kind}, "coherence": None, "views": {"path": "poses"}}, f"{kind} transforms images")
            for kind in ("SER", "STL")
        ),
    ],
)
def test_configurations_that_could_only_fail_later_are_refused(values, quoted):
    with pytest.raises(ValueError, match=quoted):
        from_dict({"coherence": {}, **values})


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_number_that_is_not_finite_is_refused_wherever_it_stands(value):
    with pytest.raises(ValueError, match=r"coherence\.weight must be a finite number, got (nan|inf)"):
        PretrainConfig(coherence=CoherenceConfig(weight=value))
    with pytest.raises(ValueError, match=r"views\.first\.jitter\[1\] must be a finite number"):
        PretrainConfig(views=ViewsConfig(first=AugmentationConfig(jitter=(0.1, value, 0.1, 0.1))))


def test_differences_name_fields_with_both_values():
    assert differences(PretrainConfig(), PretrainConfig(seed=3)) == {"seed": "0 -> 3"}


@pytest.mark.parametrize("step", [3, 999_999, 1_234_567, 12_345_678])
def test_steps_are_written_exactly(step, tmp_path):
    metrics = Metrics(tmp_path / "metrics.jsonl")
    metrics.add({"loss": torch.tensor(1 / 3)}, torch.tensor(1.0), 1)
    line, _ = metrics.flush(step, 1.0, 1e-3, LearnerOutput({}, {}, None))
    assert json.loads((tmp_path / "metrics.jsonl").read_text())["step"] == step
    assert line["loss"] == 0.333333


def test_features_that_are_not_finite_stop_the_run_and_the_last_line_is_strict_json(tmp_path):
    metrics = Metrics(tmp_path / "metrics.jsonl")
    pooled = {"invariant": torch.ones(4, 2), "equivariant": torch.tensor([[1.0, math.nan]] * 4)}
    metrics.add({"a": torch.tensor(2.0)}, torch.tensor(1.0), 4)
    sentence = "the equivariant features are not finite at step 3"
    with pytest.raises(NotFinite, match=f"^{sentence}$"):
        metrics.flush(3, 0.5, 0.1, LearnerOutput({}, pooled, None))
    line = json.loads((tmp_path / "metrics.jsonl").read_text())
    assert (line["step"], line["a"], metrics.broken) == (3, 2.0, 3)
    metrics.add({"a": torch.tensor(math.inf)}, torch.tensor(1.0), 4)
    with pytest.raises(NotFinite, match="a is inf at step 4"):
        metrics.flush(4, 0.5, 0.1, LearnerOutput({}, {}, None))
    assert '"a": null' in (tmp_path / "metrics.jsonl").read_text()


def test_metrics_past_a_checkpoint_and_a_damaged_last_line_are_dropped(tmp_path):
    path = tmp_path / "metrics.jsonl"
    path.write_text('{"step": 2, "changed": "a"}\n{"step": 4}\n{"step": 4, "stopped": "b"}\n{"step": 6}\n{"st')
    drop_after(path, 4)
    assert path.read_text() == '{"step": 2, "changed": "a"}\n{"step": 4}\n'
