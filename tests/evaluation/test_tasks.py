"""Which tasks are scored: those asked for, or those that the images allow, with bad images and without labels."""

import importlib

import numpy as np
import pytest
import torch
from PIL import Image

from equicoherence.data import BadImage, ImageSource, Loader, Sample
from equicoherence.evaluation import evaluate, load_model
from equicoherence.evaluation.classification.accuracy import LabelledFeatures
from equicoherence.evaluation.tasks import choose_tasks
from equicoherence.evaluation.transformation.pairs import first_of_each
from tests.small import picture_folder


@pytest.fixture(scope="module")
def flat(tmp_path_factory):
    """A folder of pictures without classes."""
    folder, rng = tmp_path_factory.mktemp("flat"), np.random.default_rng(0)
    for number in range(40):
        Image.fromarray(rng.integers(0, 255, (32, 32, 3), dtype=np.uint8)).save(folder / f"{number:02}.png")
    return folder


def test_without_labels_the_default_is_what_can_be_scored_and_says_what_cannot(flat, capsys):
    assert choose_tasks(None, str(flat)) == ("transformation",)
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert "knn needs labelled images" in said
    assert "linear needs labelled images" in said


def test_with_labels_all_is_scored_and_nothing_said(folder, capsys):
    assert choose_tasks(None, str(folder)) == ("transformation", "knn", "linear")
    assert choose_tasks(["linear"], str(folder)) == ("linear",)
    assert capsys.readouterr().err == ""


def test_what_is_asked_for_and_not_possible_is_refused_with_the_way_out(flat, folder):
    with pytest.raises(ValueError, match=r"knn needs labelled images.*give --tasks transformation"):
        choose_tasks(["transformation", "knn"], str(flat))
    with pytest.raises(ValueError, match=r"linear needs at least 2 labelled training images.*limit takes 1"):
        choose_tasks(["linear"], str(folder), limit=1)
    with pytest.raises(ValueError, match="no task is given"):
        choose_tasks([], str(folder))


class Pictures(ImageSource):
    """Eight flat grey pictures, of which ``bad`` cannot be decoded."""

    def __init__(self, labels, bad):
        self.labels, self.bad, self.classes = np.array(labels), bad, ["dark", "light"]

    def __len__(self):
        return len(self.labels)

    def name(self, index):
        return str(index)

    def load(self, index, size):
        if index in self.bad:
            raise BadImage(str(index), "broken")
        return Sample(np.full((size, size, 3), 30 * index, dtype=np.uint8), 1.0)


def test_what_stands_in_for_a_bad_image_is_scored_with_a_label_only_and_once(run):
    model = load_model(run)
    whole, damaged = (
        LabelledFeatures(model, *[Loader(Pictures([0, 1, -1, 0, 1, 0, -1, 1], bad), 32, tolerance=1.0)] * 2, limit=8)
        for bad in ((), (1, 4))  # 2, without a label, stands in for 1, and 5, already there, for 4
    )
    assert whole.splits[0][1].tolist() == [0, 1, 0, 1, 0, 1]
    assert whole.counts() == {"train": 6, "val": 6}
    assert damaged.splits[0][1].tolist() == [0, 0, 0, 1]
    assert damaged.counts() == {"train": 4, "val": 4}
    rows = damaged.splits[0][0]["backbone"], whole.splits[0][0]["backbone"][[0, 2, 4, 5]]
    assert torch.allclose(*rows, atol=0.02)  # bfloat16 in batches of other sizes
    undecodable = Loader(Pictures([0, 1], (0, 1)), 32, tolerance=1.0)
    with pytest.raises((ValueError, RuntimeError), match="cannot be decoded"):
        LabelledFeatures(model, undecodable, undecodable, limit=2).counts()


def test_the_first_of_each_index_is_kept_in_order():
    assert first_of_each(torch.tensor([7, 3, 7, 0, 3, 9])).tolist() == [0, 1, 3, 5]
    assert first_of_each(torch.arange(5)).tolist() == [0, 1, 2, 3, 4]


def test_a_run_is_read_with_its_own_number_of_threads(copied, tmp_path, monkeypatch):
    module, made = importlib.import_module("equicoherence.evaluation.evaluate"), []

    class Seen(Loader):
        def __init__(self, *arguments, **options):
            super().__init__(*arguments, **options)
            made.append(self.threads)

    run = copied()
    (run / "config.yaml").write_text((run / "config.yaml").read_text().replace("\nthreads: 1", "\nthreads: 3"))
    monkeypatch.setattr(module, "Loader", Seen)
    evaluate(run, tasks=("knn",), controls=False, out=tmp_path)
    assert made == [3, 3]


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
    results = evaluate(run, out=tmp_path / "own", **arguments)
    assert sum(results["tasks"]["knn"]["images"].values()) < 48
