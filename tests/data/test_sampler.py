import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from equicoherence.data import batch_indices, epoch_order, steps_per_epoch

seeds = st.integers(0, 2**40)


@settings(deadline=None)
@given(n=st.integers(0, 500), seed=seeds, epoch=st.integers(0, 10_000))
def test_an_epoch_is_a_permutation_that_only_its_arguments_decide(n, seed, epoch):
    order = epoch_order(n, seed, epoch).copy()
    assert np.array_equal(np.sort(order), np.arange(n))
    epoch_order.cache_clear()
    assert np.array_equal(epoch_order(n, seed, epoch), order)


def test_epochs_and_seeds_are_shuffled_differently_and_for_ever_the_same():
    assert not np.array_equal(epoch_order(100, 0, 0), epoch_order(100, 0, 1))
    assert not np.array_equal(epoch_order(100, 0, 0), epoch_order(100, 1, 0))
    assert epoch_order(8, 0, 0).tolist() == GOLDEN


GOLDEN = [0, 3, 7, 5, 1, 2, 6, 4]


def test_the_order_of_an_epoch_cannot_be_changed_by_who_reads_it():
    with pytest.raises(ValueError, match="read-only"):
        epoch_order(5, 0, 0)[0] = 1


@settings(deadline=None)
@given(
    n=st.integers(1, 300),
    batch_size=st.integers(1, 20),
    world=st.integers(1, 6),
    seed=seeds,
    epoch=st.integers(0, 50),
)
def test_the_ranks_of_an_epoch_leave_no_gap_and_share_no_image(n, batch_size, world, seed, epoch):
    if n < batch_size * world:
        with pytest.raises(ValueError, match=f"^{n} images do not fill"):
            steps_per_epoch(n, batch_size, world)
        return
    steps = steps_per_epoch(n, batch_size, world)
    seen = [
        batch_indices(n, batch_size, seed, epoch * steps + step, rank, world)
        for step in range(steps)
        for rank in range(world)
    ]
    assert all(len(batch) == batch_size for batch in seen)
    assert np.array_equal(np.concatenate(seen), epoch_order(n, seed, epoch)[: steps * world * batch_size])
    assert n - steps * world * batch_size < world * batch_size


@settings(deadline=None)
@given(n=st.integers(24, 200), seed=seeds, step=st.integers(0, 200))
def test_the_global_batch_does_not_depend_on_the_number_of_ranks(n, seed, step):
    whole = batch_indices(n, 24, seed, step)
    for world in (2, 3, 4):
        parts = [batch_indices(n, 24 // world, seed, step, rank, world) for rank in range(world)]
        assert np.array_equal(np.concatenate(parts), whole)


def test_too_few_images_are_named_with_the_batch_size_that_would_do():
    with pytest.raises(ValueError, match=r"10 images .* global batch of 16 \(batch_size 8 x 2 ranks\).* at most 5"):
        batch_indices(10, 8, seed=0, step=0, rank=0, world=2)


@pytest.mark.parametrize(
    "arguments",
    [{"step": -1}, {"step": 0, "rank": 2, "world": 2}, {"step": 0, "rank": -1}, {"step": 0, "seed": -1}],
)
def test_arguments_out_of_range_are_refused(arguments):
    with pytest.raises(ValueError, match="got"):
        batch_indices(100, 4, **{"seed": 0, **arguments})
