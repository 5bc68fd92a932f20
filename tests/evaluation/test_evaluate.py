"""`evaluate`: any encoder, floors beside each score, the same bits twice."""

import json

import numpy as np
import pytest
import torch
from PIL import Image

from equicoherence.data import BadImage, ImageSource, Loader, Sample, first_of_each, open_images
from equicoherence.evaluation import evaluate, load_model
from equicoherence.evaluation.classification.scoring import labelled_features
from equicoherence.evaluation.classification.task import LinearProbe, NearestNeighbours
from equicoherence.evaluation.fingerprint import fingerprint
from equicoherence.evaluation.fit import precision_of
from equicoherence.evaluation.frozen_model import random_control
from equicoherence.evaluation.task import no_bar
from equicoherence.training.checkpoint import save_tensors
from tests.evaluation.rows import QUICK, Noted, rows_of, values_of
from tests.small import picture_folder


def test_a_run_is_scored_in_all_its_parts_with_floors(copied):
    run = copied()
    few = {"transformation": {"transformations": ("rotation", "color"), "train": 30, "test": 9}}
    scores = evaluate(run, settings=few, tasks=["transformation", "knn", "linear"])
    assert scores == json.loads((run / "scores.json").read_text())
    for representation in ("backbone", "z_inv", "z_equi", "z"):
        for probe in ("linear", "mlp", *(() if representation == "z" else ("attentive",))):  # z is no tokens of its own
            for border in ("content", "zeros"):
                fields = {"representation": representation, "probe": probe, "border": border, "control": ""}
                (rotation,) = rows_of(scores, target="rotation", metric="r2", **fields)
                assert rotation["parameter"] == ""
                color = rows_of(scores, target="color", **fields)
                assert [row["parameter"] == "" for row in color] == [True, *[False] * 4]
                assert color[0]["value"] == pytest.approx(np.mean([row["value"] for row in color[1:]]))
        assert len(rows_of(scores, task="knn", representation=representation, control="")) == 1
    assert {row["tokens"] for row in rows_of(scores, probe="attentive")} == {16}
    floors = [row["floor"] for row in rows_of(scores, task="transformation", metric="r2")]
    assert all(-1 < floor <= 1e-6 for floor in floors)  # the mean of the training parameters, on nine test images
    assert {row["floor"] for row in rows_of(scores, task="transformation", metric="accuracy")} == {0.5}
    assert {row["floor"] for row in rows_of(scores, task="linear")} == {
        row["floor"] for row in rows_of(scores, task="knn")
    }
    assert all(0 < row["floor"] <= 1 for row in rows_of(scores, task="linear"))
    assert {row["representation"] for row in rows_of(scores, control="random", task="transformation")} == {"backbone"}
    assert {"date", "machine", "versions", "seed", "config", "weights"} <= set(scores)
    assert {part["machine"]["precision"] for part in scores["parts"].values()} == {precision_of(torch.device("cpu"))}


def test_scores_are_the_same_twice(run, tmp_path):
    settings = {"transformation": {**QUICK["transformation"], "probes": ("mlp", "attentive")}}
    arguments = {"tasks": ("transformation", "linear"), "settings": settings, "controls": False}
    one, two = (evaluate(run, out=tmp_path / name, **arguments) for name in "ab")
    assert rows_of(one) == rows_of(two)


def test_no_image_is_decoded_twice_by_several_tasks_nor_for_random_weights(run, folder, tmp_path, monkeypatch):
    loads, real = [], Loader._decode
    monkeypatch.setattr(Loader, "_decode", lambda *given: (loads.append(len(given[1])), real(*given))[1])
    settings = {**QUICK, "knn": {"limit": 60}, "rot4": {"train": 30, "test": 9, "epochs": 2}}
    scores = evaluate(run, tasks=list(settings), data=folder, settings=settings, out=tmp_path)
    assert {row["control"] for row in rows_of(scores, task="rot4")} == {"", "random"}
    assert sum(loads) == len(open_images(str(folder), "train")) + len(open_images(str(folder), "val"))


def test_it_says_what_was_scored_and_on_how_many_images(run, tmp_path, folder):
    settings = {**QUICK, "knn": {"limit": 12}}
    scores = evaluate(run, tasks=("transformation", "knn"), settings=settings, controls=False, out=tmp_path)
    assert {name: scores[name] for name in ("arch", "size", "random_weights", "name")} == {
        "arch": "resnet18",
        "size": 32,
        "random_weights": False,
        "name": "small",
    }
    held = sum(1 for _ in folder.rglob("*.png")) - 38  # of 48 pictures the hash gives 38 to training
    transformation, knn = scores["parts"].values()
    assert transformation["counts"] == {"train": 30, "val": min(9, held)}
    assert knn["counts"] == {"train": 12, "val": min(12, held)}


@pytest.mark.usefixtures("in_float32")
@pytest.mark.parametrize("arch", ["resnet18", "vit_tiny_patch16_224"])
def test_the_random_control_of_a_bare_timm_model_is_that_model_with_other_weights(arch, folder, tmp_path):
    arguments = {"data": str(folder), "tasks": ("transformation", "knn"), "settings": QUICK, "size": 32}
    scores = evaluate(f"timm:{arch}", out=tmp_path / "bare", random_weights=True, **arguments)
    model = load_model(f"timm:{arch}", random_weights=True, size=32)
    control = random_control(model)
    assert fingerprint(model) == scores["weights"] != fingerprint(control)
    save_tensors(control.encoder.model.state_dict(), tmp_path / "control.safetensors")  # scored as a model of its own
    own = evaluate(tmp_path / "control.safetensors", out=tmp_path / "own", arch=arch, controls=False, **arguments)
    for task in ("knn", "transformation"):
        random, alone, bare = (
            values_of(found, task=task, control=control, representation="backbone")
            for found, control in ((scores, "random"), (own, ""), (scores, ""))
        )
        assert len(random) == (5 if task == "transformation" else 1)  # the angle, its size, both on noise, and its side
        assert random == pytest.approx(alone, rel=1e-4)  # norms in convolutions round in another order
        assert task == "knn" or random[0] != pytest.approx(bare[0], rel=1e-3)  # the angle
    assert (scores["arch"], scores["size"], scores["random_weights"]) == (arch, 32, True)
    assert scores["name"].endswith("(random weights)")
    assert own["random_weights"] is False


def test_the_random_control_has_the_probes_that_were_asked_for(run, tmp_path):
    settings = {"transformation": {**QUICK["transformation"], "probes": ("linear", "attentive"), "repeats": 2}}
    scores = evaluate(run, tasks=("transformation",), out=tmp_path, settings=settings)
    rows = rows_of(scores, control="random", target="rotation", metric="r2")
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
    evaluate(run, tasks=("knn", "linear"), out=tmp_path)
    load_model("timm:resnet18", random_weights=True)
    assert torch.equal(torch.get_rng_state(), before)


def test_published_weights_that_cannot_be_had_say_what_to_do(monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)  # the variable is read on import
    with pytest.raises(RuntimeError, match="--random-weights"):
        load_model("timm:vit_tiny_patch16_224")


def test_wrong_models_tasks_and_options_are_quoted(run, folder, tmp_path):
    with pytest.raises(FileNotFoundError, match="no-such-model"):
        load_model("no-such-model")
    with pytest.raises(FileNotFoundError, match="no-such-model"):
        evaluate("no-such-model", data=folder, tasks=("knn",), out=tmp_path / "none")
    for tasks, settings, quoted in (
        (("knnn",), None, "'knnn' is unknown; is it 'knn'. Choose one of transformation, knn"),
        (("transformation",), {"transformation": {"transformations": ("rotatoin",)}}, "rotatoin"),
        (("transformation",), {"transformation": {"borders": ("contnet",)}}, "contnet"),
        (("transformation",), {"transformation": {"probes": ()}}, "the list is empty"),
        (("transformation",), {"transformation": {"test": 1}}, "test must be at least 2, got 1"),
        (("knn",), {"knn": {"limit": 0}}, "limit must be at least 1, got 0"),
        (("knn",), {"linear": {"limit": 5}}, "settings of linear, which is not among the tasks knn"),
        ((), None, "no task is given"),
    ):
        with pytest.raises(ValueError, match=quoted):
            evaluate(run, tasks=tasks, settings=settings, out=tmp_path / "none")
    with pytest.raises(ValueError, match=r"bad_image_tolerance must be a share from 0 to 1, got 2"):
        evaluate(run, tasks=("knn",), bad_image_tolerance=2, out=tmp_path / "none")
    with pytest.raises(ValueError, match=r"mean, std: given, but of no effect for '.*run'"):
        evaluate(run, tasks=("knn",), mean=(0.5, 0.5, 0.5), std=(0.2, 0.2, 0.2), out=tmp_path / "none")
    assert not (tmp_path / "none").exists()


@pytest.fixture(scope="module")
def flat(tmp_path_factory):
    """Return a folder of pictures without classes."""
    folder, rng = tmp_path_factory.mktemp("flat"), np.random.default_rng(0)
    for number in range(40):
        Image.fromarray(rng.integers(0, 255, (32, 32, 3), dtype=np.uint8)).save(folder / f"{number:02}.png")
    return folder


def test_without_names_what_the_images_allow_is_scored_and_a_line_says_what_they_do_not(run, flat, tmp_path, capsys):
    scores = evaluate(run, data=flat, controls=False, out=tmp_path, settings=QUICK)
    assert {part["task"] for part in scores["parts"].values()} == {"transformation"}
    said = capsys.readouterr().err
    assert "left out on" in said
    for task in ("knn needs labelled images", "linear needs labelled images"):
        assert task in said


class Pictures(ImageSource):
    """Eight flat grey pictures, of which ``bad`` cannot be decoded."""

    def __init__(self, labels, bad=()):
        self.labels, self.bad, self.classes = np.array(labels), bad, ["dark", "light"]

    def __len__(self):
        return len(self.labels)

    def name(self, index):
        return str(index)

    def load(self, index, size):
        if index in self.bad:
            raise BadImage(str(index), "broken")
        return Sample(np.full((size, size, 3), 30 * index, dtype=np.uint8), 1.0, size)


def test_what_stands_in_for_a_bad_image_is_scored_with_a_label_only_and_once(run):
    model, labels = load_model(run), [0, 1, -1, 0, 1, 0, -1, 1]
    whole, damaged = (
        labelled_features(model, Loader(Pictures(labels, bad), 32, tolerance=1.0), 8, no_bar)
        for bad in ((), (1, 4))  # 2, without a label, stands in for 1, and 5, already there, for 4
    )
    assert whole.labels.tolist() == [0, 1, 0, 1, 0, 1]
    assert damaged.labels.tolist() == [0, 0, 0, 1]
    rows = damaged.features["backbone"], whole.features["backbone"][[0, 2, 4, 5]]
    assert torch.allclose(*rows, atol=0.02)  # bfloat16 in batches of other sizes
    undecodable = Loader(Pictures([0, 1], (0, 1)), 32, tolerance=1.0)
    with pytest.raises((ValueError, RuntimeError), match=r"can(not)? be decoded"):
        labelled_features(model, undecodable, 2, no_bar)


@pytest.mark.parametrize("task", [NearestNeighbours(), LinearProbe()], ids=["knn", "linear"])
def test_labels_far_apart_take_no_more_room_than_labels_side_by_side(run, task):
    """A row for each number up to the largest label would be a terabyte."""
    scores = []
    for near, far in ((0, 1), (0, 10**12), (7, 10**9)):
        labels = [near, near, far, far, near, near, far, far]
        train, test = Loader(Pictures(labels), 32), Loader(Pictures([*labels[:6], 5, -1]), 32)
        scores.append(task.score(load_model(run), train, test, no_bar))
    assert scores[0].rows == scores[1].rows == scores[2].rows
    assert scores[0].counts == {"train": 8, "val": 7}
    assert max(row.value for row in scores[0].rows) <= 6 / 7 + 1e-6, "a class that training lacks cannot be predicted"


def test_the_first_of_each_index_is_kept_in_order():
    assert first_of_each(torch.tensor([7, 3, 7, 0, 3, 9])).tolist() == [0, 1, 3, 5]
    assert first_of_each(torch.arange(5)).tolist() == [0, 1, 2, 3, 4]


def test_a_run_is_read_with_its_own_number_of_threads(copied, tmp_path, monkeypatch):
    made = []

    class Seen(Loader):
        def __init__(self, *arguments, **options):
            super().__init__(*arguments, **options)
            made.append(self.threads)

    run = copied()
    (run / "config.yaml").write_text((run / "config.yaml").read_text().replace("\nthreads: 1", "\nthreads: 3"))
    monkeypatch.setattr("equicoherence.evaluation.scoring.Loader", Seen)
    evaluate(run, tasks=("knn",), controls=False, out=tmp_path)
    assert made == [3, 3]


def test_images_are_read_once_for_all_tasks_on_them_and_once_more_for_random_weights(run, tmp_path):
    track = Noted()
    evaluate(run, tasks=("transformation", "knn", "linear"), settings=QUICK, out=tmp_path, track=track)
    assert track.lines.count("labelled images: features") == 2 * 2, "two splits, two encoders"
    assert track.lines.count("upright images: features") == 2 * 2


def test_the_share_of_bad_images_is_the_runs_own_or_the_one_given(copied, tmp_path):
    data = picture_folder(tmp_path / "damaged")
    for path in sorted(data.rglob("*.png"))[::6]:  # a sixth of the images; training tolerates a hundredth
        path.write_bytes(b"no picture")
    arguments = {"data": str(data), "tasks": ("knn",), "controls": False}
    run = copied()
    with pytest.raises(RuntimeError, match=r"bad_image_tolerance = 0.01"):
        evaluate(run, out=tmp_path / "out", **arguments)
    evaluate(run, out=tmp_path / "given", bad_image_tolerance=0.5, **arguments)
    config = (run / "config.yaml").read_text()
    (run / "config.yaml").write_text(config.replace("bad_image_tolerance: 0.01", "bad_image_tolerance: 0.5"))
    (part,) = evaluate(run, out=tmp_path / "own", **arguments)["parts"].values()
    assert sum(part["counts"].values()) < 48
