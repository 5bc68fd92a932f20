import itertools
import multiprocessing
import os
import shutil
from multiprocessing.synchronize import Barrier
from pathlib import Path

import numpy as np
import pytest

from equicoherence.data import BadImage, Loader, PosePaths, ThreeDIEBench, TooManyBadImages, cache_folder, open_images

from ..pictures import noise_folder
from .posed import greys, latent_of, write_object, write_paths, write_split, write_tree, write_view


@pytest.fixture(autouse=True)
def _own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("EQUICOHERENCE_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def root(tmp_path) -> Path:
    return write_tree(tmp_path / "set")


def object_names(source: ThreeDIEBench) -> list[str]:
    return [source.object_name(number) for number in range(len(source.first) - 1)]


def test_every_image_has_its_object_view_latent_and_label(root):
    source = ThreeDIEBench(root)
    assert source.classes == ["0a", "0b"]
    assert len(source) == len(source.labels) == 40
    assert object_names(source)[:2] == ["0a/obj0", "0a/obj1"]
    for index in range(len(source)):
        name = f"{source.object_name(source.objects[index])}/image_{source.views[index]}.jpg"
        assert source.name(index) == name
        assert source.classes[source.labels[index]] == name.split("/")[0]
        saved = np.load(root / name.replace("image", "latent").replace("jpg", "npy"))
        assert np.array_equal(source.latents[index], saved.astype(np.float32))
        assert greys(source.load(index, 8).pixels[None]) == [source.views[index]]
    assert np.array_equal(np.repeat(np.arange(10), 4), source.objects)
    assert source.first.tolist() == list(range(0, 41, 4))


def test_views_are_in_the_order_of_their_numbers_not_of_their_names(tmp_path):
    write_object(tmp_path / "set" / "0a" / "x", 0, views=12)
    source = ThreeDIEBench(tmp_path / "set")
    assert source.views.tolist() == list(range(12))
    assert np.allclose(source.latents[10], latent_of(10))


@pytest.mark.parametrize("kind", [np.str_, np.bytes_])
def test_split_files_decide_the_split_and_the_labels(root, kind, capfd):
    train, val = ["0b/obj3", "0a/obj1", "0b/obj0"], ["0a/obj0", "0b/obj4"]
    write_split(root, train, val, kind)
    assert object_names(ThreeDIEBench(root, "train")) == sorted(train)
    validation = ThreeDIEBench(root, "val")
    assert object_names(validation) == sorted(val)
    assert validation.labels.tolist() == [0] * 4 + [1] * 4
    assert validation.objects.tolist() == [0] * 4 + [1] * 4
    assert np.allclose(validation.latents[4], latent_of(400))
    assert object_names(ThreeDIEBench(root)) == sorted(train) + sorted(val)
    assert "left out: 5 objects in neither split file" in capfd.readouterr().err


def test_labels_stay_the_same_where_only_a_part_of_the_data_is_there(root, capfd):
    write_split(root, ["0b/obj0", "00/gone"], ["0b/obj1"])
    assert ThreeDIEBench(root, "val").classes == ["00", "0b"]
    assert ThreeDIEBench(root, "val").labels.tolist() == [1] * 4
    assert "1 objects of the split files that are not there" in capfd.readouterr().err


def test_without_split_files_every_fifth_object_of_a_class_is_validation_and_it_is_said(root, capfd):
    assert object_names(ThreeDIEBench(root, "val")) == ["0a/obj4", "0b/obj4"]
    assert len(ThreeDIEBench(root, "train")) == 32
    assert "has no split files: every fifth object" in capfd.readouterr().err


def test_pickled_split_files_are_refused_with_the_way_to_convert_them(root):
    write_split(root, ["0a/obj0"], ["0a/obj1"], kind=object)
    with pytest.raises(ValueError, match=r"train_images.npy' holds pickled .*allow_pickle=True\).astype\(str\)"):
        ThreeDIEBench(root)


def test_the_conversion_that_is_named_works(root):
    write_split(root, ["0a/obj0"], ["0a/obj1"], kind=object)
    for split in ("train", "val"):
        file = str(root / f"{split}_images.npy")
        np.save(file, np.load(file, allow_pickle=True).astype(str))
    assert object_names(ThreeDIEBench(root, "val")) == ["0a/obj1"]


@pytest.mark.parametrize(
    ("train", "val", "message"),
    [
        (["0a/obj0"], ["0a/obj0"], "1 objects .* in train and in val, such as '0a/obj0'"),
        (["0a/obj0/image_0.jpg"], ["0a/obj1"], "entries must be '/SYNSET/OBJECT/'"),
        (["../outside"], ["0a/obj1"], r"holds '../outside'"),
        ([3], ["0a/obj1"], "entries must be"),
    ],
)
def test_split_files_that_are_not_as_published_are_quoted(root, train, val, message):
    write_split(root, train, val)
    with pytest.raises(ValueError, match=message):
        ThreeDIEBench(root)


def test_a_list_of_numbers_or_a_damaged_file_is_no_split(root):
    write_split(root, ["0a/obj0"], ["0a/obj1"])
    np.save(root / "train_images.npy", np.arange(3))
    with pytest.raises(ValueError, match="must hold a list of texts, not int64"):
        ThreeDIEBench(root)
    (root / "train_images.npy").write_bytes(b"version https://git-lfs.github.com/spec/v1")
    with pytest.raises(ValueError, match=r"cannot be read, fetch it again: not a .npy file"):
        ThreeDIEBench(root)


def test_one_split_file_without_the_other_is_refused(root):
    write_split(root, ["0a/obj0"], ["0a/obj1"])
    (root / "val_images.npy").unlink()
    with pytest.raises(FileNotFoundError, match=r"train_images.npy' is there but 'val_images.npy' is not"):
        ThreeDIEBench(root)


def test_views_that_cannot_be_used_are_left_out_counted_and_said_once(root, capfd):
    folder = root / "0a" / "obj0"
    (folder / "latent_1.npy").unlink()
    (root / "0a" / "obj1" / "latent_0.npy").write_bytes(b"\x93NUMPY")
    np.save(root / "0a" / "obj1" / "latent_2.npy", np.arange(6.0))
    np.save(root / "0a" / "obj2" / "latent_3.npy", np.full(7, np.nan))
    np.save(root / "0a" / "obj2" / "latent_2.npy", np.array([None] * 7, dtype=object), allow_pickle=True)
    (root / "0b" / "obj0" / "image_3.jpg").unlink()
    for view in (1, 2, 3):
        (root / "0b" / "obj1" / f"image_{view}.jpg").unlink()
    (root / "0b" / "obj5").mkdir()
    for _ in range(2):
        source = ThreeDIEBench(root)
        by_object = {
            name: source.views[a:b].tolist() for name, a, b in zip(object_names(source), source.first, source.first[1:])
        }
        assert by_object["0a/obj0"] == [0, 2, 3]
        assert by_object["0a/obj1"] == [1, 3]
        assert by_object["0a/obj2"] == [0, 1]
        assert by_object["0b/obj0"] == [0, 1, 2]
        assert by_object["0b/obj2"] == [0, 1, 2, 3]
        assert "0b/obj1" not in by_object
        assert len(by_object) == 9
    said = capfd.readouterr().err
    assert said.count("left out:") == 1
    for part in (
        "1 images without a latent",
        "4 images with a damaged latent",
        "4 latents without an image",
        "2 objects with fewer than 2 views",
        f"such as {folder / 'latent_1.npy'}: not there",
    ):
        assert part in said


def test_damaged_images_follow_the_loaders_rule(root):
    (root / "0a" / "obj0" / "image_1.jpg").write_bytes(b"no image")
    source = ThreeDIEBench(root)
    with pytest.raises(BadImage, match=r"0a/obj0/image_1.jpg: not an image"):
        source.load(1, 8)
    [batch] = Loader(source, 8, tolerance=0.05).batches([np.array([0, 1])])
    assert batch.index.tolist() == [0, 2]
    with pytest.raises(TooManyBadImages):
        list(Loader(source, 8, tolerance=0).batches([np.array([0, 1])]))
    (root / "0a" / "obj0" / "image_2.jpg").unlink()
    with pytest.raises(BadImage, match="cannot be read: No such file"):
        source.load(2, 8)


def test_latents_with_a_translation_have_ten_numbers_and_do_not_mix_with_others(tmp_path):
    root = write_tree(tmp_path / "set", objects=2, width=10)
    assert ThreeDIEBench(root).latents.shape == (16, 10)
    assert np.allclose(ThreeDIEBench(root).latents[0], latent_of(200, 10))
    write_view(root / "0a" / "obj0", 4, 0, width=7)
    with pytest.raises(ValueError, match=r"1 latents .* hold 7 numbers and 16 hold 10"):
        ThreeDIEBench(root)


def test_a_folder_without_poses_is_refused_with_the_layout(tmp_path):
    for folder in (noise_folder(tmp_path / "plain", 10), tmp_path):
        with pytest.raises(ValueError, match=r"SYNSET/OBJECT/image_I.jpg with latent_I.npy are needed"):
            ThreeDIEBench(folder)
    with pytest.raises(FileNotFoundError, match="nowhere"):
        ThreeDIEBench(tmp_path / "nowhere")
    with pytest.raises(ValueError, match=r"split must be one of .*got 'test'"):
        ThreeDIEBench(tmp_path, "test")  # type: ignore[arg-type]


def test_an_empty_side_of_the_split_is_refused(tmp_path):
    root = write_tree(tmp_path / "set", objects=2)
    with pytest.raises(ValueError, match=r"split 'val' .* holds no object"):
        ThreeDIEBench(root, "val")


def kept() -> list[Path]:
    return [path for path in (cache_folder() / "poses").iterdir() if path.is_dir()]


def test_latents_are_read_once_and_mapped_from_the_cache_afterwards(root):
    first = np.array(ThreeDIEBench(root).latents)
    for latent in root.glob("*/*/latent_*.npy"):
        latent.write_bytes(b"")  # in its place: the folder keeps its time
    again = ThreeDIEBench(root)
    assert np.array_equal(again.latents, first)
    assert isinstance(again.latents, np.memmap)
    assert not again.latents.flags.writeable
    assert len(kept()) == 1


def test_what_is_added_or_removed_is_seen(root):
    ThreeDIEBench(root)
    write_view(root / "0a" / "obj0", 4, 4)
    assert len(ThreeDIEBench(root)) == 41
    shutil.rmtree(root / "0b" / "obj4")
    assert len(ThreeDIEBench(root)) == 37
    write_split(root, ["0a/obj1"], ["0a/obj2"])
    assert len(ThreeDIEBench(root)) == 8


@pytest.mark.parametrize("name", ["latents", "first", "objects"])
def test_a_damaged_index_is_made_again(root, name):
    first = np.array(ThreeDIEBench(root).latents)
    [folder] = kept()
    file = folder / f"{name}.npy"
    for length in (0, 60, file.stat().st_size - 10):
        os.truncate(file, length)
        assert np.array_equal(ThreeDIEBench(root).latents, first)
    for other in (np.load(file)[:-1], np.zeros((2, 2, 2), complex), np.array(0), np.array([], np.int64)):
        np.save(file, other)
        assert np.array_equal(ThreeDIEBench(root).latents, first)
    shutil.rmtree(folder)
    folder.touch()
    assert np.array_equal(ThreeDIEBench(root).latents, first)
    assert kept() == [folder]


def open_at_once(root: Path, start: Barrier, out: Path) -> None:
    start.wait(timeout=60)
    np.save(out, ThreeDIEBench(root).latents)


def test_two_processes_that_make_the_index_at_once_get_the_same(root, tmp_path):
    context = multiprocessing.get_context("spawn")
    start, out = context.Barrier(2), tmp_path / "other.npy"
    other = context.Process(target=open_at_once, args=(root, start, out), daemon=True)
    other.start()
    start.wait(timeout=60)
    source = ThreeDIEBench(root)
    other.join(timeout=60)
    assert other.exitcode == 0
    assert np.array_equal(np.load(out), source.latents)
    assert np.allclose(source.latents[:4], [latent_of(500 + view) for view in range(4)])
    assert len(kept()) == 1
    assert not list((cache_folder() / "poses").glob(".making-*"))


def test_data_is_opened_by_its_layout(root, tmp_path):
    assert isinstance(open_images(root, "train"), ThreeDIEBench)
    assert len(open_images(root, "val")) == 8
    assert not isinstance(open_images(noise_folder(tmp_path / "plain", 10)), ThreeDIEBench)


@pytest.fixture
def with_paths(root) -> Path:
    write_paths(root / "0a" / "obj1", [(3, 0), (1, 2)])
    write_paths(root / "0a" / "obj4", [(0, 1)])
    write_paths(root / "0b" / "obj2", [(2, 1)])
    return root


def test_a_pose_path_has_two_views_and_the_states_between_them(with_paths):
    source = PosePaths(with_paths, "train")
    assert source.states == 2
    assert source.groups.shape == (3, 4)
    assert [source.benchmark.object_name(o) for o in source.path_objects] == ["0a/obj1", "0a/obj1", "0b/obj2"]
    assert [source.name(int(i)) for i in source.groups[1]] == [
        "0a/obj1/image_1.jpg",
        "0a/obj1/image_2.jpg",
        "0a/obj1/path_1_image_0.jpg",
        "0a/obj1/path_1_image_1.jpg",
    ]
    images = np.array([source.load(int(i), 8).pixels for i in source.groups[0]])
    assert greys(images) == [3, 0, 20, 21]
    assert np.allclose(source.latents[source.groups[1, 2:]], [latent_of(1000), latent_of(1001)])
    assert len(source) == len(source.labels) == len(source.latents) == 32 + 6
    assert source.labels[source.groups].tolist() == [[0] * 4, [0] * 4, [1] * 4]
    assert PosePaths(with_paths, "val").groups.tolist() == [[0, 1, 8, 9]]


def test_a_source_of_some_states_holds_these_and_no_others(tmp_path):
    root = write_tree(tmp_path / "set", objects=5)
    write_paths(root / "0a" / "obj1", [(3, 0), (1, 2)], states=5)
    write_paths(root / "0b" / "obj2", [(2, 1)], states=5)
    whole, some = PosePaths(root), PosePaths(root, positions=(1 / 3, 1.0))
    assert some.between == (2 / 6, 4 / 6)
    assert (len(whole), len(some), some.states) == (40 + 15, 40 + 6, 2)
    assert some.groups.shape == (3, 4)
    same = whole.groups[:, [0, 1, 3, 5]]
    for index, other in zip(some.groups.ravel().tolist(), same.ravel().tolist()):
        assert some.name(index) == whole.name(other)
        assert np.array_equal(some.load(index, 8).pixels, whole.load(other, 8).pixels)
    assert np.array_equal(some.latents[some.groups], whole.latents[same])
    assert np.array_equal(some.labels[some.groups], whole.labels[same])
    state = int(some.groups[1, 3])
    assert list(itertools.islice(some.substitutes(state), 2)) == [state, state - 1]
    ends = PosePaths(root, positions=())
    assert (len(ends), ends.groups.shape, ends.between) == (40, (3, 2), ())
    with pytest.raises(ValueError, match=r"wanted at 0.25 of the paths, which have some at 0, 0.166667"):
        PosePaths(root, positions=(0.25,))


def test_states_do_not_count_among_the_views(with_paths):
    assert len(ThreeDIEBench(with_paths)) == 40
    assert isinstance(open_images(with_paths), ThreeDIEBench)


def test_paths_that_lack_a_state_or_an_end_are_left_out_and_counted(with_paths, capfd):
    (with_paths / "0a" / "obj1" / "path_0_image_1.jpg").unlink()
    (with_paths / "0a" / "obj1" / "latent_2.npy").unlink()
    (with_paths / "0a" / "obj4" / "dense.npz").write_bytes(b"PK")
    assert [PosePaths(with_paths).name(int(i)) for i in PosePaths(with_paths).groups[0]][2:] == [
        "0b/obj2/path_0_image_0.jpg",
        "0b/obj2/path_0_image_1.jpg",
    ]
    assert "3 incomplete paths" in capfd.readouterr().err


def test_a_set_without_paths_says_how_to_get_them(root):
    with pytest.raises(ValueError, match=r"no whole pose path .*equicoherence render --paths"):
        PosePaths(root)
