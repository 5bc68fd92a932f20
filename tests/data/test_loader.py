import threading
from collections.abc import Iterator

import numpy as np
import pytest
import torch

from equicoherence.data import ImageFolder, ImageSource, Loader, Sample, TooManyBadImages, batch_indices

from .pictures import noise_folder


def everything(loader: Loader, *batches: list[int]) -> list[torch.Tensor]:
    return [batch.images for batch in loader.batches(np.array(batch) for batch in batches)]


class Counted(ImageSource):
    """Count how often each image of another source is decoded."""

    def __init__(self, source: ImageSource) -> None:
        self.source, self.labels, self.classes = source, source.labels, source.classes
        self.count = np.zeros(len(source), dtype=np.int64)
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self.source)

    def name(self, index: int) -> str:
        return self.source.name(index)

    def load(self, index: int, size: int) -> Sample:
        with self._lock:
            self.count[index] += 1
        return self.source.load(index, size)


@pytest.fixture
def folder(tmp_path) -> ImageFolder:
    return ImageFolder(noise_folder(tmp_path, 30))


@pytest.mark.parametrize("cache_bytes", [0, 2**30])
def test_batches_hold_what_the_source_holds_in_the_order_asked_for(folder, cache_bytes):
    wanted = [np.array([3, 29, 0]), np.array([7, 7]), np.arange(30)]
    batches = list(Loader(folder, 16, cache_bytes=cache_bytes).batches(wanted))
    assert len(batches) == 3
    for indices, batch in zip(wanted, batches):
        assert batch.index.tolist() == indices.tolist()
        assert batch.labels.tolist() == folder.labels[indices].tolist()
        for image, aspect, index in zip(batch.images, batch.aspect, indices):
            sample = folder.load(int(index), 16)
            assert np.array_equal(image.permute(1, 2, 0).numpy(), sample.pixels)
            assert float(aspect) == pytest.approx(sample.aspect)
    assert batches[0].images.dtype == torch.uint8
    assert batches[0].aspect.dtype == torch.float32
    assert batches[0].labels.dtype == batches[0].index.dtype == torch.int64


def test_cached_and_uncached_batches_are_equal_whatever_the_threads(tmp_path):
    folder = ImageFolder(noise_folder(tmp_path, 30, bad=(4, 5, 29)))
    plans = [batch_indices(30, 8, 0, step) for step in range(9)]
    runs = [
        list(Loader(folder, 16, threads=threads, cache_bytes=cache_bytes, tolerance=0.2).batches(plans))
        for threads, cache_bytes in ((1, 0), (7, 0), (1, 2**30), (7, 2**30))
    ]
    for batches in zip(*runs):
        for batch in batches[1:]:
            assert torch.equal(batch.images, batches[0].images)
            assert torch.equal(batch.aspect, batches[0].aspect)
            assert torch.equal(batch.labels, batches[0].labels)
            assert torch.equal(batch.index, batches[0].index)


def test_a_source_that_fits_is_decoded_once_and_one_that_does_not_each_time(folder):
    plan = [np.arange(10), np.arange(10, 30)] * 3
    for cache_bytes, times in ((30 * 16 * 16 * 3, 1), (30 * 16 * 16 * 3 - 1, 3)):
        counted = Counted(folder)
        loader = Loader(counted, 16, cache_bytes=cache_bytes, prefetch=1)
        for _ in loader.batches(plan):
            pass
        assert counted.count.tolist() == [times] * 30


def test_a_bad_image_is_named_once_and_replaced_by_the_next_good_one(tmp_path):
    folder = ImageFolder(noise_folder(tmp_path, 20, bad=(4, 5, 19)))
    loader = Loader(folder, 16, tolerance=0.15)
    for _ in range(2):
        [batch] = loader.batches([np.array([3, 4, 5, 6, 19])])
        assert batch.index.tolist() == [3, 6, 6, 6, 0]
        assert batch.labels.tolist() == folder.labels[[3, 6, 6, 6, 0]].tolist()
        assert torch.equal(batch.images[1], batch.images[3])
    assert sorted(loader.bad) == ["cat/004.png", "cat/005.png", "dog/019.png"]
    assert all("not an image" in reason for reason in loader.bad.values())


@pytest.mark.parametrize("cache_bytes", [0, 2**30])
def test_too_many_bad_images_stop_with_the_list_and_the_way_out(tmp_path, cache_bytes):
    folder = ImageFolder(noise_folder(tmp_path, 20, bad=(4, 5, 19)))
    loader = Loader(folder, 16, tolerance=0.1, cache_bytes=cache_bytes, threads=1)
    with pytest.raises(TooManyBadImages) as caught:
        everything(loader, list(range(20)))
    message = str(caught.value)
    assert message.startswith("3 of 20 images cannot be decoded so far (15.000%)")
    for name in ("cat/004.png", "cat/005.png", "dog/019.png"):
        assert f"  {name}: not an image" in message
    assert "go on without them: --bad-image-tolerance 0." in message
    assert caught.value.bad == loader.bad


def test_of_many_bad_images_twenty_are_shown_and_the_others_counted(tmp_path):
    folder = ImageFolder(noise_folder(tmp_path, 40, bad=tuple(range(30))))
    with pytest.raises(TooManyBadImages, match=r"\n  \.\.\. and 5 more\n") as caught:
        everything(Loader(folder, 16, tolerance=0.6, threads=1), list(range(40)))
    assert str(caught.value).count("not an image") == 20


def test_with_tolerance_zero_the_first_bad_image_stops(tmp_path):
    folder = ImageFolder(noise_folder(tmp_path, 20, bad=(4,)))
    loader = Loader(folder, 16, tolerance=0)
    assert len(everything(loader, [0, 1, 2, 3])) == 1
    with pytest.raises(TooManyBadImages, match=r"1 of 20 .*\n  cat/004.png: not an image"):
        everything(loader, [4])


def test_where_every_image_is_bad_no_tolerance_helps(tmp_path):
    folder = ImageFolder(noise_folder(tmp_path, 3, bad=(0, 1, 2)))
    with pytest.raises(TooManyBadImages, match="none of 3 images can be decoded"):
        everything(Loader(folder, 16, tolerance=1), [0])


def threads_of_the_loader() -> list[str]:
    return [t.name for t in threading.enumerate() if t.name.startswith(("decode", "gather"))]


def test_closing_early_stops_the_threads_and_an_endless_plan_is_read_only_a_little_ahead(folder):
    read = 0

    def endless() -> Iterator[np.ndarray]:
        nonlocal read
        while True:
            yield batch_indices(30, 8, 0, read)
            read += 1

    batches = Loader(folder, 16, prefetch=3).batches(endless())
    next(batches)
    next(batches)
    assert read <= 2 + 3
    assert threads_of_the_loader()
    batches.close()
    assert threads_of_the_loader() == []


def test_an_error_of_the_source_reaches_the_caller_and_stops_the_threads(folder):
    class Broken(Counted):
        def load(self, index: int, size: int) -> Sample:
            raise ConnectionError("the store is gone")

    with pytest.raises(ConnectionError, match="the store is gone"):
        everything(Loader(Broken(folder), 16), [0, 1])
    assert threads_of_the_loader() == []


def test_indices_outside_the_source_are_refused(folder):
    for wanted in ([30], [-1]):
        with pytest.raises(IndexError, match="source of 30 images"):
            everything(Loader(folder, 16), wanted)


@pytest.mark.parametrize(
    "options", [{"threads": 0}, {"prefetch": 0}, {"size": 0}, {"tolerance": 1.5}, {"tolerance": -0.1}]
)
def test_options_out_of_range_are_quoted(folder, options):
    with pytest.raises(ValueError, match=f"{next(iter(options.values()))}"):
        Loader(folder, **{"size": 16, **options})


def test_a_batch_moves_to_a_device_as_a_whole(folder):
    [batch] = Loader(folder, 16).batches([np.arange(4)])
    moved = batch.to("meta")
    assert {field.device.type for field in vars(moved).values()} == {"meta"}
    assert moved.images.shape == (4, 3, 16, 16)
