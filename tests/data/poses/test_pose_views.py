import numpy as np
import pytest
import torch

from equicoherence.data import Loader, PosePaths, PoseSampler, PoseViews, pose_views
from equicoherence.data.poses.latents import pose_change
from equicoherence.data.poses.views import change_parameters

from .posed import write_paths, write_tree

THETA = torch.arange(12.0).view(2, 6)


def numbered(groups: int, images: int, size: int = 4) -> torch.Tensor:
    """Make uniform images, each of the level of its number."""
    return torch.arange(groups * images, dtype=torch.uint8)[:, None, None, None].expand(-1, 3, size, size).contiguous()


def level(images: torch.Tensor) -> torch.Tensor:
    return (images.mean(dim=(-3, -2, -1)) * 255).round().long()


def test_groups_become_views_targets_and_their_positions():
    views = pose_views(numbered(2, 4), THETA, size=4)
    assert level(views.v1).tolist() == [0, 4]
    assert level(views.v2).tolist() == [1, 5]
    assert level(views.targets).tolist() == [[2, 3], [6, 7]]
    assert views.positions == (1 / 3, 2 / 3)
    assert torch.equal(views.theta, THETA)
    assert views.v1.dtype == views.targets.dtype == torch.float32
    assert views.targets.shape == (2, 2, 3, 4, 4)
    assert views.crops is views.masks is None


def test_positions_choose_among_the_states_and_both_views():
    views = pose_views(numbered(2, 5), THETA, size=4, positions=(1.0, 0.5, 0.0))
    assert level(views.targets).tolist() == [[1, 3, 0], [6, 8, 5]]
    assert views.positions == (1.0, 0.5, 0.0)


def test_pairs_alone_have_no_states_but_their_ends_can_be_targets():
    assert pose_views(numbered(2, 2), THETA, size=4).targets.shape == (2, 0, 3, 4, 4)
    assert level(pose_views(numbered(2, 2), THETA, size=4, positions=(1.0,)).targets).tolist() == [[1], [3]]
    with pytest.raises(ValueError, match=r"no image at position 0.333333 of the paths: there are some at 0, 1"):
        pose_views(numbered(2, 2), THETA, size=4, positions=(1 / 3,))


def test_pixels_are_those_of_the_images_in_0_to_1_and_resizing_is_all_that_is_done():
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (4, 3, 8, 8), generator=generator, dtype=torch.uint8)
    kept = images.clone()
    same = pose_views(images, THETA, size=8)
    assert torch.allclose(same.v2, images[1::2] / 255)
    halved = pose_views(images, THETA, size=4)
    assert halved.v1.shape == (2, 3, 4, 4)
    assert torch.allclose(halved.v1.mean(), (images[::2] / 255).mean(), atol=0.01)
    assert 0 <= float(halved.v1.min()) <= float(halved.v1.max()) <= 1
    assert torch.equal(images, kept)


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (numbered(2, 2).float(), "uint8, got"),
        (numbered(2, 2)[:, :1], r"got \(4, 1, 4, 4\)"),
        (numbered(1, 3), "3 images are not 2 groups"),
        (numbered(1, 2), "2 images are not 2 groups"),
    ],
)
def test_images_that_are_no_groups_are_refused(images, message):
    with pytest.raises(ValueError, match=message):
        pose_views(images, THETA, size=4)


def test_parameters_have_the_names_and_ranges_of_theta():
    latents = torch.rand(1000, 7, dtype=torch.float64) * torch.tensor([torch.pi] * 3 + [1] * 4) - torch.tensor(
        [torch.pi / 2] * 3 + [0] * 4
    )
    theta = pose_change(latents[:500], latents[500:])
    parameters = change_parameters(7)
    assert [parameter.name for parameter in parameters][3:] == ["rotation_w", "floor_hue", "light_hue"]
    for column, parameter in zip(theta.T, parameters):
        assert parameter.low <= column.min() < column.max() <= parameter.high
    assert len(change_parameters(10)) == 9


@pytest.fixture
def source(tmp_path, monkeypatch) -> PosePaths:
    monkeypatch.setenv("EQUICOHERENCE_CACHE", str(tmp_path / "cache"))
    root = write_tree(tmp_path / "set", objects=2)
    for folder in root.glob("*/*"):
        write_paths(folder, [(3, 0), (1, 2)])
    return PosePaths(root)


def test_batches_of_the_loader_become_views_with_the_change_of_pose(source):
    views_of = PoseViews(source.latents, (1 / 3, 2 / 3), size=8)
    sampler = PoseSampler(source)
    wanted = [sampler.indices(4, 0, step) for step in range(2)]
    for indices, batch in zip(wanted, Loader(source, 16).batches(wanted)):
        views = views_of(batch.images, batch.index)
        ends = torch.tensor(np.array(source.latents))[indices.reshape(4, 4)[:, :2]]
        assert torch.equal(views.theta, pose_change(ends[:, 0], ends[:, 1]))
        assert views.targets.shape == (4, 2, 3, 8, 8)
        part = views_of(batch.images[views_of.group :], batch.index[views_of.group :])
        assert torch.equal(part.theta, views.theta[1:])
        assert torch.equal(part.v2, views.v2[1:])


def test_the_change_of_pose_is_that_of_the_images_that_are_shown(source):
    damaged = int(source.groups[0, 0])
    (source.benchmark.root / source.name(damaged)).write_bytes(b"no image")
    [batch] = Loader(source, 16, tolerance=0.1).batches([source.groups[0]])
    views = PoseViews(source.latents, (1 / 3, 2 / 3), size=8)(batch.images, batch.index)
    shown = torch.tensor(np.array(source.latents))[batch.index[:2]]
    assert int(batch.index[0]) != damaged
    assert torch.equal(views.theta[0], pose_change(shown[0], shown[1]))


def test_states_of_some_positions_become_the_targets_of_these(source):
    some = PosePaths(source.benchmark.root, positions=(0.0, 1.0))
    [batch] = Loader(some, 16).batches([some.groups[0]])
    views = PoseViews(some.latents, some.between, size=8, positions=(0.0, 1.0))(batch.images, batch.index)
    assert torch.equal(views.targets[:, 0], views.v1)
    assert torch.equal(views.targets[:, 1], views.v2)


def test_positions_and_batches_that_do_not_fit_are_refused_early(source):
    with pytest.raises(ValueError, match=r"no image at position 0.25 of the paths: there are some at 0, 0.333333"):
        PoseViews(source.latents, (1 / 3, 2 / 3), size=8, positions=(0.25,))
    with pytest.raises(ValueError, match="6 images with 6 indices are not groups of 4"):
        PoseViews(source.latents, (1 / 3, 2 / 3), size=8)(numbered(3, 2), torch.arange(6))


def test_a_damaged_image_is_replaced_by_one_of_the_same_object_and_a_damaged_state_by_one_of_its_path(source):
    views, last = source.benchmark, int(source.benchmark.first[1]) - 1
    state = int(source.groups[0, -1])
    for damaged in (last, state):
        (views.root / source.name(damaged)).write_bytes(b"no image")
    [batch] = Loader(source, 16, tolerance=0.2).batches([np.array([last, state])])
    assert batch.index.tolist() == [0, int(source.groups[0, -2])]
    assert next(iter(views.substitutes(last))) == last
    assert sorted(set(views.substitutes(last))) == list(range(len(views)))
