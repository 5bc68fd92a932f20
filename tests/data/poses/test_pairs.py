from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from equicoherence.data import Loader, PosePaths, PoseSampler, ThreeDIEBench, steps_per_epoch
from equicoherence.data.poses.pairs import draw_pairs, draw_paths
from equicoherence.data.poses.paths import kept_states

from .posed import greys, write_paths, write_tree

counts = st.lists(st.integers(2, 6), min_size=1, max_size=30)


@pytest.fixture(scope="module")
def root(tmp_path_factory) -> Path:
    root = write_tree(tmp_path_factory.mktemp("poses") / "set", objects=5)
    write_paths(root / "0a" / "obj1", [(3, 0), (1, 2)])
    write_paths(root / "0b" / "obj2", [(2, 1)])
    write_paths(root / "0b" / "obj3", [(0, 3)])
    return root


@settings(deadline=None)
@given(counts=counts, seed=st.integers(0, 2**40), epoch=st.integers(0, 1000))
def test_a_pair_is_two_different_views_of_its_object_that_only_seed_and_epoch_decide(counts, seed, epoch):
    first = np.cumsum([0, *counts])
    pairs = draw_pairs(first, seed, epoch)
    assert pairs.shape == (len(counts), 2)
    assert pairs.dtype == np.int64
    assert (pairs[:, 0] != pairs[:, 1]).all()
    assert (pairs >= first[:-1, None]).all()
    assert (pairs < first[1:, None]).all()
    assert np.array_equal(pairs, draw_pairs(first, seed, epoch))


def test_all_ordered_pairs_of_views_are_drawn_equally_often():
    first = np.arange(0, 4 * 12_001, 4)
    pairs = draw_pairs(first, seed=0, epoch=0) - first[:-1, None]
    _, times = np.unique(pairs, axis=0, return_counts=True)
    assert len(times) == 12
    assert (abs(times - 1000) < 150).all()  # five standard deviations


def test_pairs_change_with_epoch_and_seed_and_are_for_ever_the_same():
    first = np.arange(0, 404, 4)
    pairs = draw_pairs(first, 0, 0)
    assert not np.array_equal(pairs, draw_pairs(first, 0, 1))
    assert not np.array_equal(pairs, draw_pairs(first, 1, 0))
    assert pairs[:4].tolist() == GOLDEN


GOLDEN = [[1, 3], [6, 5], [10, 8], [15, 13]]


def test_a_path_is_one_of_its_object_and_half_of_them_are_turned_round():
    groups = np.arange(4 * 300).reshape(300, 4)
    objects = np.sort(np.random.default_rng(0).integers(0, 100, 300)) * 7
    drawn = draw_paths(groups, objects, seed=0, epoch=0)
    turned = drawn[:, 0] > drawn[:, 1]
    original = np.where(turned[:, None], drawn[:, [1, 0, 3, 2]], drawn)
    assert np.array_equal(original, groups[original[:, 0] // 4])
    assert np.array_equal(objects[original[:, 0] // 4], np.unique(objects))
    assert 0.3 < turned.mean() < 0.7
    assert not np.array_equal(drawn, draw_paths(groups, objects, seed=0, epoch=1))


def test_every_object_comes_once_in_an_epoch_whatever_the_ranks(root):
    source = ThreeDIEBench(root)
    sampler = PoseSampler(source)
    assert (len(sampler), sampler.between) == (10, ())
    for epoch in range(3):
        whole = sampler.indices(10, seed=3, step=epoch)
        assert sorted(source.objects[whole[::2]]) == list(range(10))
        assert np.array_equal(source.objects[whole[::2]], source.objects[whole[1::2]])
        steps = steps_per_epoch(10, 1, 5)
        parts = [sampler.indices(1, 3, epoch * steps + step, rank, 5) for step in range(steps) for rank in range(5)]
        assert np.array_equal(np.concatenate(parts), whole)


def test_a_step_does_not_depend_on_the_steps_before_it(root):
    source = ThreeDIEBench(root)
    walked = PoseSampler(source)
    for step in range(7):
        wanted = walked.indices(4, 0, step)
        assert np.array_equal(wanted, PoseSampler(source).indices(4, 0, step))


def test_paths_are_sampled_from_the_objects_that_have_one_and_decode_in_their_order(root):
    source = PosePaths(root)
    sampler = PoseSampler(source)
    assert (len(sampler), sampler.between) == (3, (1 / 3, 2 / 3))
    wanted = [sampler.indices(3, 0, step) for step in range(8)]
    seen = set()
    for indices, batch in zip(wanted, Loader(source, 8).batches(wanted)):
        assert np.array_equal(batch.index, indices)
        for group in np.array(greys(batch.images.numpy())).reshape(3, 4).tolist():
            seen.add(tuple(group))
    ends = {(3, 0): (20, 21), (1, 2): (22, 23), (2, 1): (20, 21), (0, 3): (20, 21)}
    forth = {(*views, *states) for views, states in ends.items()}
    back = {(b, a, d, c) for a, b, c, d in forth}
    assert seen <= forth | back
    assert len(seen) > 4


def test_of_states_that_are_not_wanted_none_is_read():
    assert kept_states((1 / 3, 2 / 3), 11) == [3, 7]
    assert kept_states((0.25,), 11) == [2, 8], "half of the paths are turned round"
    assert kept_states((0.0, 1.0), 11) == []
    with pytest.raises(ValueError, match=r"wanted at 0.25 of the paths, which have some at 0, 0.333333, 0.666667, 1"):
        kept_states((0.25,), 2)


def test_a_sampler_of_paths_without_states_draws_the_same_ends(root):
    sampler, whole = PoseSampler(PosePaths(root, positions=(1.0,))), PoseSampler(PosePaths(root))
    assert sampler.between == ()
    assert sampler.indices(3, 0, 0).tolist() == whole.indices(3, 0, 0).reshape(3, 4)[:, :2].ravel().tolist()


def test_pairs_stand_for_those_of_all_epochs(root):
    views = ThreeDIEBench(root)
    pairs = PoseSampler(views).pairs()
    assert len(pairs) >= 20_000
    assert np.array_equal(pairs, PoseSampler(views).pairs())
    assert np.array_equal(views.objects[pairs[:, 0]], views.objects[pairs[:, 1]])
    assert (np.bincount(views.objects[pairs[:, 0]]) == len(pairs) // 10).all()
    sampler = PoseSampler(PosePaths(root))
    either_way = {tuple(pair) for pair in sampler.pairs().tolist()}
    drawn = [sampler.indices(3, 0, step).reshape(3, 4)[:, :2].tolist() for step in range(60)]
    assert either_way == {tuple(pair) for groups in drawn for pair in groups}
    assert len(either_way) == len(sampler.pairs()) == 8


def test_fewer_objects_than_a_batch_are_refused(root):
    with pytest.raises(ValueError, match="3 images do not fill one global batch of 4"):
        PoseSampler(PosePaths(root)).indices(4, 0, 0)
