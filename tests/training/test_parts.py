"""Seeds, health, configuration."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from equicoherence.recipes import RECIPES, describe, recipe
from equicoherence.training import PretrainConfig
from equicoherence.training.config import differences, from_dict, to_dict
from equicoherence.training.health import effective_rank, feature_std, first_not_finite
from equicoherence.training.metrics import drop_after
from equicoherence.training.seeds import step_seed


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
    assert first_not_finite(history, ["a", "b"], 5) == "b is inf at step 6"


@pytest.mark.parametrize("name", list(RECIPES))
def test_recipes_survive_yaml_and_say_what_they_cost(name):
    config = recipe(name)
    assert config.name == name
    assert config.coherence is not None
    assert from_dict(to_dict(config)) == config
    assert from_dict(to_dict(config.plain())) == config.plain()
    assert all(describe(name)[key] for key in ("summary", "hardware", "time", "scores"))


def test_misspelt_recipes_and_fields_are_quoted():
    with pytest.raises(ValueError, match="vicreg-tinny"):
        recipe("vicreg-tinny")
    with pytest.raises(ValueError, match=r"optim\.lrr"):
        from_dict({"optim": {"lrr": 1}})
    with pytest.raises(ValueError, match=r"optim\.lr cannot be 'fast'"):
        from_dict({"optim": {"lr": "fast"}})
    with pytest.raises(ValueError, match="kind 'DINOv9'"):
        from_dict({"method": {"kind": "DINOv9"}})


@pytest.mark.parametrize(
    ("values", "quoted"),
    [
        ({"log_every": 0}, "log_every must be at least 1, got 0"),
        ({"optim": {"accumulation": 9, "batch_size": 8}}, "accumulation 9"),
        ({"views": {"path": "none"}}, "views.path is none"),
    ],
)
def test_configurations_that_could_only_fail_later_are_refused(values, quoted):
    with pytest.raises(ValueError, match=quoted):
        from_dict({"coherence": {}, **values})


def test_differences_name_fields_with_both_values():
    assert differences(PretrainConfig(), PretrainConfig(seed=3)) == ["seed: 0 -> 3"]


def test_metrics_past_a_checkpoint_and_a_damaged_last_line_are_dropped(tmp_path):
    path = tmp_path / "metrics.jsonl"
    path.write_text('{"step": 2}\n{"step": 4}\n{"step": 6}\n{"st')
    drop_after(path, 4)
    assert path.read_text() == '{"step": 2}\n{"step": 4}\n'
