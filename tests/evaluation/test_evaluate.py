"""`evaluate`: any encoder, floors beside each score, the same bits twice."""

import importlib
import itertools
import json

import pytest
import torch

from equicoherence.evaluation import TransformationConfig, evaluate, load_model
from equicoherence.evaluation.model import random_control
from equicoherence.evaluation.partial import PartialResults, fingerprint
from equicoherence.evaluation.transformation.pairs import base_state, pool_tokens
from equicoherence.evaluation.transformation.regression import BASE, SMALLER, TRANSFORMATIONS
from equicoherence.paths import named_path
from equicoherence.training.checkpoint import save_tensors

FEW = TransformationConfig(("rotation", "color"), train=30, test=9)


def _rows(results, **fields):
    return [row for row in results["rows"] if all(row.get(k) == v for k, v in fields.items())]


def test_a_run_is_scored_in_all_its_parts_with_floors(copied):
    run = copied()
    results = evaluate(run, transformation=FEW)
    assert results == json.loads((run / "results.json").read_text())
    for representation in ("backbone", "z_inv", "z_equi", "z"):
        for probe in ("linear", "mlp", *(() if representation == "z" else ("attentive",))):  # z is no tokens of its own
            for border in ("content", "zeros"):
                fields = {"representation": representation, "probe": probe, "border": border}
                assert len(_rows(results, transformation="rotation", control="", **fields)) == 1
                assert len(_rows(results, transformation="color", control="", **fields)) == 5  # four and their mean
        assert len(_rows(results, task="knn", representation=representation, control="")) == 1
    assert {row["tokens"] for row in _rows(results, probe="attentive")} == {16}
    floors = [row["value"] for row in _rows(results, task="transformation", control="constant")]
    assert all(-1 < value <= 1e-6 for value in floors)  # the mean of the training parameters, on nine test images
    assert _rows(results, control="random", task="transformation", representation="backbone")
    assert _rows(results, control="constant", task="linear")
    assert {"date", "machine", "versions", "seed", "seconds"} <= set(results)


def test_scores_are_the_same_twice(run, tmp_path):
    few = TransformationConfig(("rotation",), ("content",), train=30, test=9)
    one, two = (evaluate(run, out=tmp_path / n, transformation=few, controls=False)["rows"] for n in "ab")
    assert one == two


def test_an_interrupted_evaluation_goes_on_where_it_stopped(run, tmp_path, monkeypatch):
    def interrupted(*_):
        raise KeyboardInterrupt

    few = TransformationConfig(("rotation", "color"), ("content",), ("linear",), train=30, test=9)
    arguments = {"tasks": ("transformation", "knn"), "transformation": few, "controls": False}
    with monkeypatch.context() as patch:
        patch.setattr(importlib.import_module("equicoherence.evaluation.evaluate"), "classification", interrupted)
        with pytest.raises(KeyboardInterrupt):
            evaluate(run, out=tmp_path / "twice", **arguments)
    assert not (tmp_path / "twice" / "results.json").exists()
    partial = tmp_path / "twice" / "results.partial.json"
    begun = json.loads(partial.read_text())
    assert list(begun["parts"]) == ["transformation rotation", "transformation color"]
    begun["parts"]["transformation rotation"]["rows"][0]["mark"] = "kept"
    partial.write_text(json.dumps(begun))
    rows = evaluate(run, out=tmp_path / "twice", **arguments)["rows"]
    assert rows[0].pop("mark") == "kept"
    assert rows == evaluate(run, out=tmp_path / "once", **arguments)["rows"]
    assert not partial.exists()


def test_what_was_begun_with_other_weights_is_not_taken_up(run, tmp_path):
    path, model = tmp_path / "partial.json", load_model(run)
    key = {"weights": fingerprint(model), "settings": (1, 2)}
    PartialResults(path, key).get("part", lambda: {"rows": [1]})
    assert PartialResults(path, key).parts == {"part": {"rows": [1]}}
    next(model.encoder.parameters()).data += 1
    assert PartialResults(path, key | {"weights": fingerprint(model)}).parts == {}


def test_tokens_are_averaged_to_at_most_7_by_7():
    tokens = torch.arange(196.0).view(1, 196, 1)  # a 14 x 14 grid: the first cell averages 0, 1, 14 and 15
    assert pool_tokens(tokens).shape == (1, 49, 1)
    assert pool_tokens(tokens)[0, 0] == 7.5
    assert torch.equal(pool_tokens(tokens[:, :16]), tokens[:, :16])
    with pytest.raises(ValueError, match="50 patch tokens"):
        pool_tokens(tokens[:, :50])


@pytest.mark.parametrize("arch", ["resnet18", "vit_tiny_patch16_224"])
def test_the_random_control_of_a_bare_timm_model_is_that_model_with_other_weights(arch, folder, tmp_path):
    few = TransformationConfig(("rotation",), ("content",), ("linear",), train=30, test=9)
    arguments = {"data": str(folder), "tasks": ("transformation", "knn"), "transformation": few, "size": 32}
    results = evaluate(f"timm:{arch}", out=tmp_path / "bare", random_weights=True, **arguments)
    model = load_model(f"timm:{arch}", random_weights=True, size=32)
    control = random_control(model)
    assert fingerprint(model) == results["weights"] != fingerprint(control)
    save_tensors(control.encoder.model.state_dict(), tmp_path / "control.safetensors")  # scored as a model of its own
    own = evaluate(tmp_path / "control.safetensors", out=tmp_path / "own", arch=arch, controls=False, **arguments)
    for fields in ({"task": "knn"}, {"task": "transformation", "probe": "linear"}):
        found = [
            [row["value"] for row in _rows(scored, control=kind, representation="backbone", **fields)]
            for scored, kind in ((results, "random"), (own, ""), (results, ""))
        ]
        assert len(found[0]) == 1
        assert found[0] == found[1]
        assert fields["task"] == "knn" or found[0] != found[2]
    assert (results["arch"], results["size"], results["random_weights"]) == (arch, 32, True)
    assert own["random_weights"] is False


def test_the_random_control_has_the_probes_that_were_asked_for(run, tmp_path):
    few = TransformationConfig(("rotation",), ("content",), ("linear", "attentive"), train=30, test=9)
    results = evaluate(run, tasks=("transformation",), out=tmp_path, transformation=few)
    rows = _rows(results, control="random")
    assert [(row["representation"], row["probe"]) for row in rows] == [
        ("backbone", "linear"),
        ("backbone", "attentive"),
    ]


def test_random_controls_of_two_seeds_have_other_weights_and_of_one_the_same(run):
    model = load_model(run)
    zero, again, one = (fingerprint(random_control(model, seed)) for seed in (0, 0, 1))
    assert zero == again != one
    assert random_control(model).head is None


def test_an_evaluation_leaves_the_callers_random_numbers_alone(run, tmp_path):
    torch.manual_seed(5)
    before = torch.get_rng_state()
    evaluate(run, tasks=("knn",), out=tmp_path)
    load_model("timm:resnet18", random_weights=True)
    assert torch.equal(torch.get_rng_state(), before)


def test_published_weights_that_cannot_be_had_say_what_to_do(monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)  # the variable is read on import
    with pytest.raises(RuntimeError, match="--random-weights"):
        load_model("timm:vit_tiny_patch16_224")


def test_wrong_models_and_tasks_are_quoted(run):
    with pytest.raises(FileNotFoundError, match="no-such-model"):
        load_model("no-such-model")
    with pytest.raises(ValueError, match="knnn"):
        evaluate(run, tasks=("knnn",))
    with pytest.raises(ValueError, match="rotatoin"):
        TransformationConfig(("rotatoin",))
    with pytest.raises(ValueError, match="contnet"):
        TransformationConfig(borders=("contnet",))  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="test is 1"):
        TransformationConfig(test=1)
    with pytest.raises(ValueError, match="limit is 0"):
        evaluate(run, limit=0)


@pytest.mark.parametrize("aspect", [0.5, 1.0, 3.0])
@pytest.mark.parametrize("name", TRANSFORMATIONS)
def test_base_crops_stay_inside_the_image_whatever_is_done_to_them(name, aspect):
    """So that border content leaks nothing: no pixel of g(I) is read beyond the source."""
    path = named_path(name)
    theta = torch.tensor(list(itertools.product(*((p.low, 0.0, p.high) for p in path.parameters))))
    base = base_state(torch.full((len(theta),), aspect), SMALLER.get(name, BASE))
    corners = torch.tensor([[-1.0, -1, 1], [-1, 1, 1], [1, -1, 1], [1, 1, 1]]).T
    assert (base.then(path.state(theta)).geometry @ corners)[:, :2].abs().max() <= 1
