"""Rendered views with pose: those of views and of states of paths, and what is said of damaged ones."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from equicoherence.data.source import TooManyBadImages
from equicoherence.downstream.correspondence.poses import seen_places
from equicoherence.downstream.correspondence.task import Correspondence
from equicoherence.evaluation.task import no_bar
from equicoherence.rendering.latent import rotation_matrix
from equicoherence.sets.find import Found, find_sets
from equicoherence.sets.kinds import PosedViewSet
from equicoherence.sets.rendered_depth import RenderedDepth
from equicoherence.sets.rendered_poses import RENDERED_POSES, RenderedPoses
from tests.downstream.colour_regions import small_model
from tests.rendered import rendered_set


@pytest.fixture(scope="module")
def rendered(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return rendered_set(tmp_path_factory.mktemp("rendered"))


@pytest.fixture
def copied(rendered: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(rendered, tmp_path / "set"))


def _only(root: Path) -> Found:
    (found,) = find_sets(root, [RENDERED_POSES])
    return found


def test_views_and_states_of_an_object_stand_together_with_their_poses(rendered: Path) -> None:
    data = RenderedPoses(rendered, "val")
    names = [data.name(index) for index in range(5)]
    first = names[0].rsplit("/", 1)[0]
    assert names == [f"{first}/{view}" for view in ("0", "1", "2", "path_0_0", "path_0_1")]
    assert np.array_equal(data.numbers, np.repeat(np.arange(len(data) // 5), 5))
    latent = np.load(rendered / first / "path_0_latent_1.npy")
    np.testing.assert_array_equal(data.rotations[4], rotation_matrix(latent[:3]))
    with np.load(rendered / first / "dense.npz") as dense:
        surface = data.surface(4)
        assert np.array_equal(surface.mask, dense["mask_path_0_1"] == 1)
        np.testing.assert_allclose(surface.depth, dense["depth_path_0_1"] * float(dense["depth_step"]), rtol=1e-6)
        assert np.array_equal(surface.intrinsics, dense["intrinsics"])
    assert data.image(4).shape == (32, 32, 3)
    depth = RenderedDepth(rendered, "val")
    assert [depth.name(index) for index in range(3)] == names[:3], "other sets are of views alone"
    assert len(depth) == len(data) * 3 // 5


def test_what_is_rendered_at_a_true_place_has_the_same_normal(rendered: Path) -> None:
    data = RenderedPoses(rendered, "val")
    checked, apart = 0, []
    for first in range(0, len(data) - 1, 4):
        second = first + 1
        if data.numbers[first] != data.numbers[second]:
            continue
        views = data.surface(first), data.surface(second)
        seen = seen_places(views[0], data.rotations[first], views[1], data.rotations[second], (32, 32))
        normals = [
            data.dense(index, "normals") / 127 @ view.extrinsics[:3, :3] @ data.rotations[index]
            for index, view in zip((first, second), views)
        ]
        for token in np.flatnonzero(seen.true)[::7]:
            x, y = (seen.places[token] * 32).astype(int)
            one, other = normals[0][token // 32, token % 32], normals[1][y, x]
            apart.append(1 - abs(one @ other))
            checked += 1
    assert checked > 150
    assert np.median(apart) < 0.02
    assert np.mean(np.array(apart) < 0.1) > 0.8  # others lie at edges


def test_it_is_scored_and_pairs_of_a_bad_view_are_left_out(copied: Path, capsys: pytest.CaptureFixture[str]) -> None:
    task = Correspondence(tokens=4, pairs=2)
    score = task.score(small_model(), None, _only(copied).open("val"), no_bar)
    assert score.counts["pairs"] > 10
    data = RenderedPoses(copied, "val")
    folder = copied / data.name(0).rsplit("/", 1)[0]
    (folder / "dense.npz").write_bytes(b"PK")
    loose = _only(copied).open("val", tolerance=0.5)
    assert task.score(small_model(), None, loose, no_bar).counts["pairs"] < score.counts["pairs"]
    assert "is left out, and so are its pairs:" in capsys.readouterr().err
    with pytest.raises(TooManyBadImages, match=f"{folder.name}/dense.npz: .*cannot be read"):
        task.score(small_model(), None, _only(copied).open("val", tolerance=0.0), no_bar)


@pytest.mark.parametrize(
    ("content", "says"),
    [(b"no array", "cannot be read: not a .npy file"), (None, r"holds float64 of shape \(3,\); 7 numbers are needed")],
)
def test_a_damaged_pose_is_named(copied: Path, content: bytes | None, says: str) -> None:
    path = copied / RenderedPoses(copied, "val").name(0).rsplit("/", 1)[0] / "latent_1.npy"
    if content is None:
        np.save(path, np.zeros(3))
    else:
        path.write_bytes(content)
    with pytest.raises(ValueError, match=rf"rendered_poses .val. .*latent_1.npy: {says}"):
        _only(copied).open("val")


def test_a_set_is_found_by_its_kind(rendered: Path) -> None:
    data = _only(rendered).open("val")
    assert isinstance(data, PosedViewSet)
    assert data.readable(0)
