"""`evaluate`: any encoder, floors beside each score, the same bits twice."""

import importlib
import itertools
import json

import pytest
import torch

from equicoherence.evaluation import TransformationConfig, evaluate, load_model
from equicoherence.evaluation.pairs import base_state, pool_tokens
from equicoherence.evaluation.partial import PartialResults, fingerprint
from equicoherence.evaluation.transformation import BASE, SMALLER, TRANSFORMATIONS
from equicoherence.paths import named_path
from equicoherence.training import pretrain
from tests.small import picture_folder, small_config

FEW = TransformationConfig(("rotation", "color"), train=30, test=9)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return picture_folder(tmp_path_factory.mktemp("pictures") / "data")


@pytest.fixture(scope="module")
def run(folder, tmp_path_factory):
    return pretrain(small_config(folder, max_steps=2), tmp_path_factory.mktemp("runs") / "run")


def _rows(results, **fields):
    return [row for row in results["rows"] if all(row.get(k) == v for k, v in fields.items())]


def test_a_run_is_scored_in_all_its_parts_with_floors(run):
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
    one, two = (evaluate(run, out=tmp_path / n, transformation=FEW, controls=False)["rows"] for n in "ab")
    assert one == two


def test_an_interrupted_evaluation_goes_on_where_it_stopped(run, tmp_path, monkeypatch):
    def interrupted(*_):
        raise KeyboardInterrupt

    arguments = {"tasks": ("transformation", "knn"), "transformation": FEW, "controls": False}
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


@pytest.mark.parametrize("name", ["timm:resnet18", "timm:vit_tiny_patch16_224"])
def test_bare_timm_models_score_near_their_random_control(name, folder, tmp_path):
    few = TransformationConfig(("rotation",), ("content",), ("linear",), train=30, test=9)
    results = evaluate(
        name,
        data=str(folder),
        tasks=("transformation", "knn"),
        out=tmp_path,
        transformation=few,
        random_weights=True,
        size=32,
    )
    own, control = (
        _rows(results, task="knn", control=c, representation="backbone")[0]["value"] for c in ("", "random")
    )
    assert abs(own - control) <= 0.45  # nine test images of two classes
    assert _rows(results, task="transformation", representation="backbone", probe="linear")


def test_published_weights_that_cannot_be_had_say_what_to_do(monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)  # the variable is read on import
    with pytest.raises(RuntimeError, match="--random-weights"):
        load_model("timm:vit_tiny_patch16_224")


def test_weights_files_fit_their_architecture_or_say_what_does_not(run, tmp_path):
    args = "resnet18"
    with pytest.raises(ValueError, match="--arch"):
        load_model(run / "model.safetensors")
    with pytest.raises(ValueError, match="does not fit"):
        load_model(run / "model.safetensors", arch=args)
    source = load_model("timm:resnet18", random_weights=True)
    weights = {f"module.encoder.{k}": v for k, v in source.encoder.model.state_dict().items()}
    torch.save(
        {"state_dict": {k.replace("module.encoder.", "backbone."): v for k, v in weights.items()}}, tmp_path / "w.pt"
    )
    loaded = load_model(tmp_path / "w.pt", arch="resnet18")
    images = torch.rand(1, 3, 64, 64)
    assert torch.equal(loaded.encoder(images).patches, source.encoder(images).patches)


def test_weights_files_never_execute_code(tmp_path):
    import pickle

    class Bomb:
        def __reduce__(self):
            return (open, (str(tmp_path / "executed"), "w"))

    (tmp_path / "w.pt").write_bytes(pickle.dumps(Bomb()))
    with pytest.raises(ValueError, match="cannot be read as weights"):
        load_model(tmp_path / "w.pt", arch="resnet18")
    assert not (tmp_path / "executed").exists()


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
