"""Figures of images that are held out of training: what they are, and that taking them changes nothing."""

import json

import pytest
import torch

from equicoherence.data import Loader, epoch_order, open_images
from equicoherence.evaluation import load_model
from equicoherence.neighbours import neighbours_right
from equicoherence.paths import Pyramid, render
from equicoherence.paths.central import base_state
from equicoherence.reporting.runs import read_run
from equicoherence.reporting.training import training_section
from equicoherence.training import pretrain
from equicoherence.training.online import HeldOut
from tests.small import picture_folder, small_config


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return picture_folder(tmp_path_factory.mktemp("pictures") / "data", 80)


class Reader:
    """Stands for a copy of an encoder: features are what a function of images says."""

    device = torch.device("cpu")

    def __init__(self, read):
        self.read = read

    def load(self, weights):
        pass

    def prepare(self, views):
        return views

    def representations(self, views):
        return {"": self.read(views.float() / 255)}


def _measured(data, names, read, **given):
    loader = Loader(open_images(data, "val"), 32, threads=1)
    return HeldOut(names, Reader(read), loader, size=32, **given).measure({})


def _thumbnails(images):
    return torch.nn.functional.avg_pool2d(images, 4).flatten(1)


def test_r2_is_that_of_a_probe_which_reads_the_turn_where_features_tell_it_and_nothing_where_they_do_not(data):
    told = _measured(data, ["rotation", "color"], _thumbnails)
    generator = torch.Generator().manual_seed(0)
    noise = _measured(data, ["rotation"], lambda images: torch.randn(len(images), 8, generator=generator))
    assert list(told) == ["held_out_rotation", "held_out_color"]
    assert told["held_out_rotation"] > 0.5
    assert noise["held_out_rotation"] < 0.3
    assert _measured(data, ["rotation"], lambda images: torch.ones(len(images), 8))["held_out_rotation"] <= 0


def test_every_image_tests_the_probe(data):
    generator = torch.Generator().manual_seed(0)

    def noise_in_one_fold(images):
        features = _thumbnails(images)
        features[::5] = torch.randn(features[::5].shape, generator=generator)
        return features

    assert _measured(data, ["rotation"], noise_in_one_fold)["held_out_rotation"] > 0.2


def test_the_same_images_are_taken_each_time_and_no_more_than_asked(data):
    seen = []

    def read(images):
        seen.append(images)
        return _thumbnails(images)

    for _ in range(2):
        _measured(data, ["knn", "rotation"], read, most=25)
    assert [len(images) for images in seen] == 6 * [25]
    assert all(torch.equal(a, b) for a, b in zip(seen[:3], seen[3:]))
    upright, turned = seen[1:3]
    assert not torch.equal(upright, turned)


@pytest.fixture(scope="module")
def watched(data, tmp_path_factory):
    config = small_config(data, max_steps=4, watch="knn, rotation", watch_every=2, checkpoint_every=100)
    return pretrain(config, tmp_path_factory.mktemp("runs") / "run")


def _lines(run):
    return [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]


def test_a_run_notes_them_from_the_start_and_the_last_is_the_trained_encoders_on_images_that_it_never_saw(
    watched, data
):
    lines = [line for line in _lines(watched) if "held_out_knn" in line]
    assert [line["step"] for line in lines] == [0, 2, 4]
    source = open_images(data, "val")
    trained = open_images(data, "train")
    names = {source.name(i) for i in range(len(source))}
    assert not names & {trained.name(i) for i in range(len(trained))}
    batch = next(Loader(source, 32).batches([range(len(source))]))
    encoder = load_model(watched).encoder
    with torch.no_grad():
        view = render(Pyramid.build(batch.images, 32), base_state(batch.aspect, 1.0), size=32)
        features = encoder(view).pooled("mean")
    order = torch.from_numpy(epoch_order(len(source), 0, 0).copy())
    right = neighbours_right(features[order], batch.labels[order])
    assert lines[-1]["held_out_knn"] == pytest.approx(float(right.float().mean()), abs=1 / len(right) + 1e-6)
    assert lines[0]["held_out_rotation"] != lines[-1]["held_out_rotation"]


def test_the_page_shows_them(watched):
    page = str(training_section({"small": [read_run(watched)]}))
    assert "Held-out images" in page
    assert "Curve of R2 of rotation, held-out images over training steps." in page


def test_what_cannot_be_watched_is_refused(data, tmp_path):
    with pytest.raises(ValueError, match="watch 'rotaton' is unknown; is it 'rotation'"):
        small_config(data, watch="knn,rotaton")
    with pytest.raises(ValueError, match="watch is knn,knn: give each name once"):
        small_config(data, watch="knn,knn")
    few = picture_folder(tmp_path / "few", 30)
    with pytest.raises(ValueError, match=r"watch is rotation, but \d+ images are held out, fewer than 20"):
        pretrain(small_config(few, watch="rotation"), tmp_path / "run")
    flat = tmp_path / "flat"
    flat.mkdir()
    for number, file in enumerate(sorted(data.rglob("*.png"))):
        (flat / f"{number}.png").write_bytes(file.read_bytes())
    with pytest.raises(ValueError, match=r"watch has knn, but of the \d+ images that are held out 0 have a class"):
        pretrain(small_config(flat, watch="knn"), tmp_path / "run")
    assert not (tmp_path / "run").exists()
