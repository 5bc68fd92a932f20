"""What the sliders show: the same views that training saw, whatever is drawn anew or was kept, and turned images."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from equicoherence.coherence import CoherenceConfig
from equicoherence.data import open_images
from equicoherence.data.images import ImageFolder
from equicoherence.evaluation.model import load_model
from equicoherence.paths import geometry
from equicoherence.paths.lie import affine_logarithm
from equicoherence.paths.transformations.affine import PIXEL
from equicoherence.reporting.explorer.drawn import drawn_scene
from equicoherence.reporting.explorer.explorer import answers, embedded, explorer_section, opening, scene_data
from equicoherence.reporting.explorer.gather import gather
from equicoherence.reporting.explorer.kept import kept_scenes
from equicoherence.reporting.explorer.scene import Decoding, PathScene, geodesic_numbers, mean_error
from equicoherence.reporting.explorer.study import NEAREST
from equicoherence.reporting.explorer.turned import principal_colors, turned
from equicoherence.reporting.runs import read_run
from equicoherence.training.build import build_learner
from tests.reporting.kept_samples import holding, levels
from tests.small import small_config

WriteRun = Callable[..., Path]  # the fixture of conftest.py


def test_what_is_drawn_anew_is_what_the_run_kept_and_the_steps_between(run: Path) -> None:
    read = read_run(run)
    found = gather({"small": [read]})
    assert found.remarks == found.notes == []
    (scene,), kept = found.scenes, read.samples
    assert len(scene.times) == 13, "eleven steps, and the two places that the decoder has its states at"
    own = [int(np.abs(scene.times - place).argmin()) for place in kept["positions"]]
    (decoding,) = scene.decodings
    assert list(decoding.stops) == own
    for drawn, then in (
        (scene.v1, kept["v1"]),
        (scene.states[:, 0], kept["base"]),
        (scene.states[:, -1], kept["v2"]),
        (scene.states[:, own], kept["targets"]),
        (decoding.pictures, kept["decoded"]),
    ):
        assert np.abs(drawn.astype(int) - then).max() <= 1
    np.testing.assert_allclose(scene.theta[:, -1], kept["theta"], rtol=1e-6)
    np.testing.assert_allclose(scene.theta[:, 5], 0.4 * kept["theta"], rtol=1e-5)
    assert scene.times[5] == pytest.approx(0.4)
    assert [number.name for number in scene.numbers] == kept["theta_names"].tolist()


def test_the_images_of_several_runs_are_listed_once_for_training_and_once_held_out(
    run: Path, copied: Callable[[], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    other = copied()
    config = (other / "config.yaml").read_text()
    (other / "config.yaml").write_text(config.replace("border: content", "border: reflection"))
    listed = []

    class Counted(ImageFolder):
        def __init__(self, path: str | Path) -> None:
            listed.append(path)
            super().__init__(path)

    monkeypatch.setattr("equicoherence.data.open.ImageFolder", Counted)
    found = gather({"small": [read_run(run)], "other": [read_run(other)]})
    assert found.notes == []
    assert (len(found.scenes), len(found.turns), len(listed)) == (2, 1, 2)
    assert not np.array_equal(found.scenes[0].states, found.scenes[1].states)


def test_a_path_between_the_views_begins_at_view_1_and_is_decoded_at_each_step(folder: Path) -> None:
    config = small_config(folder)
    views = dataclasses.replace(config.views, path="between", invariant="path")
    config = dataclasses.replace(config, views=views, coherence=CoherenceConfig(d_equi=8, decoder="geodesic"))
    torch.manual_seed(0)
    scene = drawn_scene([("a", config, build_learner(config).eval())])
    assert scene.begin == "v1"
    assert np.abs(scene.states[:, 0].astype(int) - scene.v1).max() <= 1
    (decoding,) = scene.decodings
    assert decoding.stops == tuple(range(1, len(scene.times) - 1)), "all places but the ends, which it is given"
    ends = (scene.v1.astype(float) + scene.states[:, -1]) / 2
    middle = decoding.pictures[:, decoding.stops.index(len(scene.times) // 2)]
    assert np.abs(middle - ends).mean() < 3, "an untrained one draws the mean of both"


def test_an_oracle_beside_a_decoder_draws_nothing(folder: Path) -> None:
    config = small_config(folder)
    scenes = []
    for decoder in ("render", "oracle+render"):
        built = dataclasses.replace(config, coherence=CoherenceConfig(d_equi=8, decoder=decoder))
        torch.manual_seed(0)
        scenes.append(drawn_scene([("a", built, build_learner(built).eval())]))
    alone, beside = (scene.decodings[0] for scene in scenes)
    assert alone.stops == beside.stops
    assert set(beside.by) == {"render"}


def test_numbers_of_a_path_between_views_are_turn_zoom_and_shift() -> None:
    moves = [
        geometry.rotation(torch.tensor([30.0])),
        geometry.scaling(torch.tensor([2**0.5])),
        geometry.translation(torch.tensor([10 * PIXEL]), torch.tensor([-4 * PIXEL])),
    ]
    logarithms, _ = affine_logarithm(torch.cat(moves))
    theta = torch.cat([logarithms[:, :2].flatten(1), torch.zeros(3, 13)], dim=1)
    numbers, found = geodesic_numbers(theta.numpy(), [0.0, 0.5, 1.0])
    assert [number.name for number in numbers] == ["rotation", "zoom", "shift x", "shift y", "blur, variance"]
    wanted = np.array([[30, 0, 0, 0, 0], [0, 0.5, 0, 0, 0], [0, 0, 10, -4, 0]])
    np.testing.assert_allclose(found[:, 2], wanted, atol=1e-4)
    np.testing.assert_allclose(found[:, 1], wanted / 2, atol=1e-4)


def test_a_turned_image_is_turned_and_its_nearest_are_those_of_its_features(run: Path) -> None:
    model = load_model(run)
    assert model.config is not None
    study = turned({"small": model}, open_images(model.config.data, "val"), model.config.data, 0.0)
    upright, quarter = study.angles.index(0), study.angles.index(180)
    half = study.shown[:, upright, ::-1, ::-1].astype(int)
    assert np.abs(study.shown[:, quarter] - half).mean() < 1
    assert set(study.bank_classes) == {"disc", "square"}
    reads = {read.name: read for read in study.reads["small"]}
    assert list(reads) == ["backbone", "z_inv", "z_equi"]

    def features(pictures: np.ndarray, name: str) -> np.ndarray:
        images = torch.from_numpy(pictures.copy()).movedim(-1, -3).float() / 255
        with torch.no_grad():
            found = model.represent(images)[0][name].double().numpy()
        return found / np.linalg.norm(found, axis=1, keepdims=True)

    for name, read in reads.items():
        likeness = features(study.shown[:, 3], name) @ features(study.bank, name).T
        best = np.sort(likeness, axis=1)[:, ::-1][:, :NEAREST]
        found = np.take_along_axis(likeness, read.nearest[:, 3], axis=1)
        np.testing.assert_allclose(found, best, atol=2e-4)  # pictures are rounded to bytes here
        assert read.colors is not None
        assert read.colors.shape == (len(study.shown), len(study.angles), 4, 4, 3)


def test_colors_of_patches_move_with_tokens_that_move() -> None:
    tokens = torch.randn(2, 1, 4, 4, 7, generator=torch.Generator().manual_seed(0))
    turning = torch.cat([tokens.rot90(turns, (2, 3)) for turns in range(4)], dim=1)
    colors = principal_colors(turning.flatten(2, 3), 0, (4, 4))
    for turns in range(4):
        assert np.array_equal(colors[:, turns], np.rot90(colors[:, 0], turns, axes=(1, 2)))
    points = tokens.reshape(-1, 7).double()
    centred = points - points.mean(dim=0)
    first = centred @ torch.linalg.svd(centred, full_matrices=False)[2][0]
    red = colors[:, 0, ..., 0].flatten().astype(float)
    assert abs(np.corrcoef(red, first.numpy())[0, 1]) > 0.98, "red is the first component, cut off at its ends"


def test_places_at_which_a_decoder_answers_are_said_for_runs_alike() -> None:
    times = np.array([0, 0.2, 1 / 3, 0.5, 2 / 3, 0.8, 1])
    pictures = np.broadcast_to(levels(0)[:, :1], (1, 7, 8, 8, 3))
    places = {"a": (2, 4), "b": (2, 4), "c": (1, 2, 3, 4, 5), "d": tuple(range(7))}
    decodings = [Decoding(name, own, ("conv",) * len(own), pictures[:, : len(own)]) for name, own in places.items()]
    scene = PathScene("", "u", pictures[:, 0], pictures, times, [], np.zeros((1, 7, 0)), decodings)
    assert [row.text for row in answers(scene)] == [
        "a, b: decoded at t = 0.33, 0.67",
        "c: decoded at every t between the ends",
        "d: decoded at every t",
    ]


@pytest.mark.parametrize(
    ("stops", "first"), [([(2, 4)], 2), ([(0, 1, 2, 3, 4), (2, 4)], 2), ([(0, 1, 2), (3,)], 1), ([(0,)], 0), ([], 0)]
)
def test_the_slider_opens_where_most_runs_decode_after_the_beginning(stops: list[tuple[int, ...]], first: int) -> None:
    pictures, times = levels(*range(5)), np.linspace(0, 1, 5)
    decodings = [Decoding(str(n), each, ("",) * len(each), pictures[:, list(each)]) for n, each in enumerate(stops)]
    scene = PathScene("", "u", pictures[:, 0], pictures, times, [], np.zeros((1, 5, 0)), decodings)
    assert opening(scene) == first
    assert f'value="{first}" aria-label="Place on the path"' in explorer_section([scene], [], [])


def test_data_blocks_cannot_be_ended_from_inside() -> None:
    text = embedded({"name": "</script><script>alert(1)</script>&lt;"})
    assert not set("<>&") & set(text)
    assert json.loads(text) == {"name": "</script><script>alert(1)</script>&lt;"}


def test_the_data_of_a_scene_say_its_errors_and_numbers() -> None:
    (scene,) = kept_scenes([holding(targets=levels(10), decoded=levels(61), positions=np.array([0.5]))])
    assert isinstance(scene, PathScene)
    data = scene_data(scene)
    assert data["runs"][0]["errors"] == [[0.2]]
    assert data["still"] == [[0, round(10 / 255, 4), 0]]
    assert mean_error(levels(10, 20), levels(61, 20)).tolist() == [[0.2, 0.0]]
