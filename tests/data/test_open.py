import tarfile
from pathlib import Path

import numpy as np
import pytest

from equicoherence.data import ImageFolder, ImageSource, Loader, ShardSource, Subset, open_images, some_sizes

from .pictures import noise, noise_folder
from .test_shards import write_tar


def names(source: ImageSource) -> list[str]:
    return [source.name(index) for index in range(len(source))]


def write_images(root: Path, *paths: str) -> Path:
    for path in paths:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(noise(0))
    return root


def test_a_plain_folder_is_split_once_and_for_all_by_the_names(tmp_path):
    noise_folder(tmp_path, 100)
    train, val, both = (open_images(str(tmp_path), split) for split in ("train", "val", "all"))
    assert isinstance(both, ImageFolder)
    assert sorted(names(train) + names(val)) == names(both)
    assert 10 <= len(val) <= 30
    assert train.classes == val.classes == ["cat", "dog"]
    assert names(open_images(tmp_path, "val")) == names(val)
    assert names(open_images(tmp_path, "val", seed=1)) != names(val)
    (tmp_path / "cat" / "new.png").write_bytes(noise(0))
    assert set(names(open_images(tmp_path, "val"))) - {"cat/new.png"} == set(names(val))


def test_a_subset_shows_the_images_of_its_source(tmp_path):
    folder = ImageFolder(noise_folder(tmp_path, 10))
    subset = Subset(folder, np.array([9, 2]))
    assert names(subset) == ["dog/009.png", "cat/002.png"]
    assert subset.labels.tolist() == [1, 0]
    assert np.array_equal(subset.load(1, 8).pixels, folder.load(2, 8).pixels)


def test_folders_that_are_split_stay_as_they_are_and_share_the_classes_of_train(tmp_path):
    write_images(tmp_path, "train/ant/1.png", "train/bee/1.png", "train/cow/1.png", "val/cow/2.png", "val/bee/2.png")
    train, val, both = (open_images(tmp_path, split) for split in ("train", "val", "all"))
    assert names(train) == names(both) == ["ant/1.png", "bee/1.png", "cow/1.png"]
    assert names(val) == ["bee/2.png", "cow/2.png"]
    assert val.classes == train.classes == ["ant", "bee", "cow"]
    assert val.labels.tolist() == [1, 2]


def test_val_comes_before_validation_and_validation_before_test(tmp_path):
    write_images(tmp_path, "train/1.png", "test/from_test.png")
    assert names(open_images(tmp_path, "val")) == ["from_test.png"]
    write_images(tmp_path, "validation/from_validation.png")
    assert names(open_images(tmp_path, "val")) == ["from_validation.png"]
    write_images(tmp_path, "val/from_val.png")
    assert names(open_images(tmp_path, "val")) == ["from_val.png"]


def test_a_class_that_training_does_not_know_is_named(tmp_path):
    write_images(tmp_path, "train/ant/1.png", "val/ant/1.png", "val/wasp/1.png")
    with pytest.raises(ValueError, match=r"val' and '.*train' disagree: 1 classes are not among .* 'wasp'"):
        open_images(tmp_path, "val")


def test_a_folder_that_only_holds_train_is_split_inside_it(tmp_path):
    noise_folder(tmp_path / "train", 50)
    assert open_images(tmp_path, "all").classes == ["cat", "dog"]
    assert 0 < len(open_images(tmp_path, "val")) < 25


def test_train_among_other_classes_is_a_class(tmp_path):
    write_images(tmp_path, "car/1.png", "train/1.png", "plane/1.png")
    assert open_images(tmp_path).classes == ["car", "plane", "train"]


def test_a_split_without_an_image_says_what_to_do(tmp_path):
    write_images(tmp_path, "only.png")
    empty = "val" if open_images(tmp_path, "all").name(0) in names(open_images(tmp_path, "train")) else "train"
    with pytest.raises(ValueError, match=r"split 'val' is empty: 1 images are too few"):
        open_images(tmp_path, empty)


def test_shards_are_opened_and_split_like_folders(tmp_path):
    for split, count in (("train", 5), ("val", 2)):
        (tmp_path / split).mkdir()
        members = {f"{k}.png": noise(k) for k in range(count)} | {f"{k}.cls": b"%d" % k for k in range(count)}
        write_tar(tmp_path / split / "0.tar", members)
    assert isinstance(open_images(tmp_path / "train"), ShardSource)
    assert (len(open_images(tmp_path, "train")), len(open_images(tmp_path, "val"))) == (5, 2)
    assert open_images(tmp_path, "val").classes == ["0", "1", "2", "3", "4"]
    assert open_images(tmp_path, "val").labels.tolist() == [0, 1]


def test_an_archive_is_opened_like_the_folder_it_holds(tmp_path):
    write_images(tmp_path / "pets", "train/ant/1.png", "val/ant/2.png", "val/ant/3.png")
    with tarfile.open(tmp_path / "pets.tar.gz", "w:gz") as tar:
        tar.add(tmp_path / "pets", arcname="pets")
    assert names(open_images(tmp_path / "pets.tar.gz", "val")) == ["ant/2.png", "ant/3.png"]


def test_a_misspelt_path_is_quoted_with_what_may_have_been_meant(tmp_path):
    (tmp_path / "photographs").mkdir()
    with pytest.raises(FileNotFoundError, match=r"photografs' \(is it 'photographs' that you mean\?\): give a folder"):
        open_images(tmp_path / "photografs")
    with pytest.raises(FileNotFoundError, match=r"nothing at '.*/no/such/place': give .*\.zip.* or 'objects'"):
        open_images("/no/such/place")


def test_a_file_that_is_no_archive_and_a_split_that_is_none_are_quoted(tmp_path):
    write_images(tmp_path, "cat.png")
    with pytest.raises(ValueError, match=r"cat\.png' is not a data set: give a folder of images"):
        open_images(tmp_path / "cat.png")
    with pytest.raises(ValueError, match=r"split must be one of 'train', 'val', 'all', got 'test'"):
        open_images(tmp_path, "test")  # type: ignore[arg-type]


def test_real_photographs_are_counted_and_load_without_one_bad_image(shared_data):
    archive = shared_data("clothing_small/clothing_128.tar.gz")
    train, val = open_images(archive, "train"), open_images(archive, "val")
    assert (len(train), len(val)) == (3068, 341)
    assert len(train.classes) == 10
    assert val.classes == train.classes
    assert np.bincount(val.labels).tolist() == [32, 14, 49, 24, 49, 29, 26, 25, 12, 81]
    test = open_images(Path(train.path).parent / "test")  # type: ignore[attr-defined]
    assert len(test) == 372
    loader = Loader(val, 64, tolerance=0)
    [batch] = loader.batches([np.arange(len(val))])
    assert batch.images.shape == (341, 3, 64, 64)
    assert 0.3 < float(batch.aspect.min()) < float(batch.aspect.max()) < 3
    assert loader.bad == {}


def test_some_files_have_the_sizes_by_which_images_are_told_from_others_of_their_names(tmp_path):
    folder = noise_folder(tmp_path / "folder", 700)
    sizes = [path.stat().st_size for path in sorted(folder.glob("*/*.png"))]
    source = ImageFolder(folder)
    assert some_sizes(source) == sizes[::2]
    assert some_sizes(Subset(source, np.array([5, 3]))) == [sizes[5], sizes[3]]
    (folder / source.name(0)).unlink()
    assert some_sizes(source)[:2] == [None, sizes[2]]
    (tmp_path / "shards").mkdir()
    write_tar(tmp_path / "shards" / "a.tar", {"0.png": noise(0), "1.png": noise(1, 30)})
    assert some_sizes(ShardSource(tmp_path / "shards")) == [len(noise(0)), len(noise(1, 30))]
