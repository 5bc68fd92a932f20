"""What the slider shows of the samples that a run kept, and why, where it cannot be drawn anew."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from equicoherence.reporting.explorer.explorer import explorer_section
from equicoherence.reporting.explorer.gather import gather
from equicoherence.reporting.explorer.kept import kept_scenes
from equicoherence.reporting.runs import Run, read_run
from tests.reporting.kept_samples import holding, levels

WriteRun = Callable[..., Path]  # the fixture of conftest.py


def test_kept_states_stand_in_the_order_of_the_path_whatever_the_order_of_the_file() -> None:
    places = np.array([0.75, 0.25, 1.0, 0.5])
    (scene,) = kept_scenes([holding(targets=levels(30, 10, 40, 20), decoded=levels(31, 11, 41, 21), positions=places)])
    assert scene.times.tolist() == [0, 0.25, 0.5, 0.75, 1]
    assert scene.states[0, :, 0, 0, 0].tolist() == [0, 10, 20, 30, 40]
    (decoding,) = scene.decodings
    found = dict(zip(decoding.stops, decoding.pictures[0, :, 0, 0, 0].tolist()))
    assert found == {1: 11, 2: 21, 3: 31, 4: 41}
    assert scene.errors(decoding) == pytest.approx(1 / 255)
    assert scene.still()[0] * 255 == pytest.approx([0, 10, 20, 10, 0]), "of u and view 2 the nearer one"


def test_runs_that_kept_the_same_views_are_stacked_and_others_are_not() -> None:
    arrays = {"targets": levels(10), "decoded": levels(11), "positions": np.array([0.5])}
    runs = [holding("a", **arrays), holding("b", **arrays), holding("c", **arrays | {"v2": levels(50)[:, 0]})]
    scenes = kept_scenes(runs)
    assert [[each.name for each in scene.decodings] for scene in scenes] == [["a", "b"], ["c"]]


def test_arrays_of_a_wrong_kind_are_left_out() -> None:
    assert kept_scenes([holding(v1=np.zeros((1, 8, 8, 3), np.float32))]) == []
    assert kept_scenes([holding(targets=levels(1, 2), positions=np.array([0.5]))]) == []
    (scene,) = kept_scenes([holding(targets=levels(10), decoded=levels(1, 2), positions=np.array([0.5]))])
    assert scene.decodings == []
    assert "No run decodes these states." in explorer_section([scene], [], [])


@pytest.mark.parametrize("place", [np.nan, 7.0, -0.1, "0.5", True, 0.5j])
def test_a_run_whose_positions_are_no_places_on_the_path_is_left_out(place: object) -> None:
    assert kept_scenes([holding(targets=levels(10), decoded=levels(11), positions=np.array([place]))]) == []


@pytest.mark.parametrize("theta", [[["30"]], [[np.nan]], [30.0], [[30j]]])
def test_numbers_of_a_wrong_kind_are_left_out(theta: object) -> None:
    arrays = {"targets": levels(10), "positions": np.array([0.5]), "theta_names": np.array("angle")}
    (scene,) = kept_scenes([holding(**arrays, theta=np.array(theta))])
    assert scene.numbers == []
    (scene,) = kept_scenes([holding(**arrays, theta=np.array([[30]]))])
    assert scene.theta.tolist() == [[[30.0]]]


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (ImportError("tables need pyarrow:\npip install it"), "tables need pyarrow: pip install it"),
        (OSError(), "OSError"),
    ],
)
def test_a_run_that_cannot_be_loaded_is_shown_as_it_was_kept(
    error: Exception, reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(run: Run) -> None:
        raise error

    monkeypatch.setattr("equicoherence.reporting.explorer.gather._load", fails)
    found = gather({"a": [holding(targets=levels(10), positions=np.array([0.5]))]})
    assert [scene.title for scene in found.scenes] == ["kept by a"]
    (remark,) = found.notes
    assert remark.endswith(f"they cannot be rendered now: {reason}")


def test_a_run_without_weights_is_shown_as_it_was_kept_and_it_is_said_why(write_run: WriteRun) -> None:
    found = gather({"a": [read_run(write_run())]})
    assert [scene.title for scene in found.scenes] == ["kept by vicreg-tiny"]
    (remark,) = found.notes
    assert "saved at the end of training; they cannot be rendered now: " in remark
    assert "is unknown" in remark, "the reason: the configuration is not one of today"
