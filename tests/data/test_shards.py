import io
import json
import os
import tarfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from equicoherence.data import BadImage, ImageFolder, ShardSource, cache_folder, open_images
from equicoherence.data.shards import index_shards

from .pictures import noise


def write_tar(path: Path, members: dict[str, bytes]) -> Path:
    with tarfile.open(path, "w") as tar:
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return path


@pytest.fixture
def shards(tmp_path) -> Path:
    folder = tmp_path / "shards"
    folder.mkdir()
    write_tar(folder / "b.tar", {"s/2.PNG": noise(2), "s/2.json": b'{"label": 3, "text": "x"}', "s/3.png": noise(3)})
    write_tar(folder / "a.tar", {"0.cls": b"1\n", "0.png": noise(0), "1.png": noise(1), "1.cls": b"0", "1.txt": b"x"})
    return folder


def test_names_labels_and_classes_come_from_the_members(shards):
    source = ShardSource(shards)
    assert [source.name(i) for i in range(len(source))] == [
        "a.tar/0.png",
        "a.tar/1.png",
        "b.tar/s/2.PNG",
        "b.tar/s/3.png",
    ]
    assert source.labels.tolist() == [1, 0, 3, -1]
    assert source.labels.dtype == np.int64
    assert source.classes == ["0", "1", "2", "3"]


def test_reading_in_any_order_from_many_threads_equals_the_plain_folder(shards, tmp_path):
    plain = tmp_path / "plain"
    plain.mkdir()
    for number in range(4):
        (plain / f"{number}.png").write_bytes(noise(number))
    folder, source = ImageFolder(plain), ShardSource(shards)
    order = np.random.default_rng(0).integers(0, 4, 200).tolist()
    with ThreadPoolExecutor(8) as pool:
        loaded = list(pool.map(lambda index: source.load(index, 12), order))
    for index, sample in zip(order, loaded):
        assert np.array_equal(sample.pixels, folder.load(index, 12).pixels)
        assert sample.aspect == folder.load(index, 12).aspect


def test_the_index_is_kept_and_made_again_when_a_shard_changes_or_the_index_is_damaged(shards, tmp_path, monkeypatch):
    monkeypatch.setenv("EQUICOHERENCE_CACHE", str(tmp_path / "cache"))
    first = [ShardSource(shards).name(i) for i in range(4)]
    [kept] = (cache_folder() / "shards").iterdir()
    state = kept.stat().st_mtime_ns
    assert [ShardSource(shards).name(i) for i in range(4)] == first
    assert kept.stat().st_mtime_ns == state
    for length in (0, 100, kept.stat().st_size - 100):
        kept.write_bytes(kept.read_bytes()[:length])
        assert [ShardSource(shards).name(i) for i in range(4)] == first
    write_tar(shards / "a.tar", {"new.png": noise(9)})
    assert ShardSource(shards).name(0) == "a.tar/new.png"
    assert len(list((cache_folder() / "shards").iterdir())) == 2


@pytest.mark.parametrize(
    "change",
    [
        lambda arrays: arrays | {"label": arrays["label"][:-1]},
        lambda arrays: arrays | {"shard": arrays["shard"] + 7},
        lambda arrays: arrays | {"offset": arrays["offset"].astype(np.float32)},
        lambda arrays: arrays | {"passed_over": np.array(b"{")},
        lambda arrays: arrays | {"more": np.zeros(3)},
        lambda arrays: {},
    ],
)
def test_a_kept_index_whose_arrays_do_not_fit_is_made_again(shards, tmp_path, monkeypatch, change):
    monkeypatch.setenv("EQUICOHERENCE_CACHE", str(tmp_path / "cache"))
    whole = ShardSource(shards)
    [kept] = (cache_folder() / "shards").iterdir()
    with np.load(kept) as stored:
        np.savez(kept, **change(dict(stored)))
    again = ShardSource(shards)
    assert [again.name(i) for i in range(4)] == [whole.name(i) for i in range(4)]
    assert again.labels.tolist() == whole.labels.tolist()


def test_a_key_ends_at_the_first_dot_and_what_follows_may_still_be_an_image(tmp_path):
    dotted = {f"img_v1.{k}.png": noise(k) for k in range(3)} | {f"img_v1.{k}.cls": b"%d" % k for k in range(2)}
    plain = {"img_2.jpg": noise(9), "img_2.cls": b"5", "img_v1.cls": b"4"}
    write_tar(tmp_path / "x.tar", dotted | plain)
    source = ShardSource(tmp_path)
    found = {source.name(i): int(source.labels[i]) for i in range(len(source))}
    assert found == {"x.tar/img_v1.0.png": 0, "x.tar/img_v1.1.png": 1, "x.tar/img_v1.2.png": 4, "x.tar/img_2.jpg": 5}
    assert not source.passed_over


def test_images_of_one_key_fall_on_one_side_of_a_split(tmp_path):
    members = {f"pairs/{key:03}.{eye}.png": noise(0) for key in range(100) for eye in ("left", "right")}
    write_tar(tmp_path / "x.tar", {**members, "alone.png": noise(0)})
    sides = [open_images(tmp_path, split) for split in ("train", "val")]
    keys = [{source.name(i).split(".")[1] for i in range(len(source))} for source in sides]
    assert not keys[0] & keys[1]
    assert 10 < len(keys[1]) < 40
    assert len(sides[0]) + len(sides[1]) == 201


def test_numbered_images_and_two_files_of_one_name_are_split_as_they_should(tmp_path):
    for folder in ("numbered", "twice"):
        (tmp_path / folder).mkdir()
    write_tar(tmp_path / "numbered/x.tar", {f"frame.{number:04}.png": noise(0) for number in range(100)})
    write_tar(tmp_path / "twice/x.tar", {f"{key}.{kind}": noise(0) for key in range(100) for kind in ("png", "jpg")})
    assert 10 < len(open_images(tmp_path / "numbered", "val")) < 30
    sides = [open_images(tmp_path / "twice", split) for split in ("train", "val")]
    keys = [{source.name(i).partition(".tar/")[2].partition(".")[0] for i in range(len(source))} for source in sides]
    assert not keys[0] & keys[1]


def test_members_that_are_passed_over_are_counted_and_named_each_time(tmp_path):
    members = {"0.jpg": noise(0), "0.seg.png": noise(1), "0.txt": b"a cat", "1.heic": b"", "1.txt": b"", "2.cls": b"0"}
    write_tar(tmp_path / "x.tar", members | {".png": noise(2), "0.meta.json": b"[not read]"})
    for _ in range(2):  # the second time from the kept index
        source = ShardSource(tmp_path)
        assert [source.name(i) for i in range(len(source))] == ["x.tar/0.jpg"]
        assert source.passed_over.rows() == [
            (".heic", 1, "x.tar/1.heic"),
            (".txt", 2, "x.tar/0.txt"),
            ("labels without an image", 2, "x.tar/0.meta.json"),
            ("beside an image of the same key", 1, "x.tar/0.seg.png"),
            ("hidden", 1, "x.tar/.png"),
        ]


def test_links_and_folders_in_a_shard_are_no_images(tmp_path):
    with tarfile.open(tmp_path / "x.tar", "w") as tar:
        for name, kind in (("link.png", tarfile.SYMTYPE), ("folder.png", tarfile.DIRTYPE)):
            info = tarfile.TarInfo(name)
            info.type, info.linkname = kind, "/etc/passwd"
            tar.addfile(info)
    with pytest.raises(ValueError, match=r"no images in the 1 shards of '.*'; they hold 1 links .*: members must be"):
        ShardSource(tmp_path)


def test_a_shard_that_is_cut_anywhere_is_named(tmp_path):
    whole = write_tar(tmp_path / "whole.tar", {"0.png": noise(0), "1.png": noise(1)})
    with tarfile.open(whole) as tar:
        [first, second] = tar.getmembers()
    boundary = second.offset
    for length in (0, 100, first.offset_data + 50, boundary, boundary + 100, second.offset_data + 10):
        cut = tmp_path / "cut.tar"
        cut.write_bytes(whole.read_bytes()[:length])
        with pytest.raises(ValueError, match=r"shard '.*cut\.tar' is damaged"):
            index_shards([cut])


def test_a_damaged_header_in_the_middle_does_not_pass_for_the_end(tmp_path):
    path = write_tar(tmp_path / "x.tar", {"0.png": noise(0), "1.png": noise(1)})
    data = bytearray(path.read_bytes())
    with tarfile.open(path) as tar:
        data[tar.getmembers()[1].offset + 5] ^= 0xFF
    path.write_bytes(data)
    with pytest.raises(ValueError, match=r"x\.tar' is damaged .* header at byte"):
        ShardSource(tmp_path)


def test_a_compressed_shard_or_another_file_is_named(tmp_path):
    (tmp_path / "x.tar").write_bytes(b"hello" * 1000)
    with pytest.raises(ValueError, match=r"x\.tar' is damaged or not an uncompressed tar file"):
        ShardSource(tmp_path)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("0.cls", b"cat"),
        ("0.cls", b"-2"),
        ("0.cls", b"20000000"),
        ("0.cls", b"99999999999999999999"),
        ("0.json", b"[1]"),
        ("0.json", b"{"),
        ("0.json", b'{"label": 1.5}'),
        ("0.json", b"[" * 100_000),
    ],
)
def test_a_label_that_is_no_number_is_quoted_with_its_place(tmp_path, name, text):
    write_tar(tmp_path / "x.tar", {"0.png": noise(0), name: text})
    with pytest.raises(ValueError, match=rf"'{name}' in shard '.*x\.tar'"):
        ShardSource(tmp_path)


def test_shards_of_the_same_name_size_and_time_in_two_folders_keep_their_own_labels(tmp_path):
    for folder, labels in (("train", (b"0", b"1")), ("val", (b"1", b"0"))):
        (tmp_path / folder).mkdir()
        members = {"0.png": noise(0), "0.cls": labels[0], "1.png": noise(1), "1.cls": labels[1]}
        os.utime(write_tar(tmp_path / folder / "000.tar", members), (1, 1))
    assert ShardSource(tmp_path / "train").labels.tolist() == [0, 1]
    assert ShardSource(tmp_path / "val").labels.tolist() == [1, 0]


def test_a_json_without_a_label_leaves_it_unknown(tmp_path):
    write_tar(tmp_path / "x.tar", {"0.png": noise(0), "0.json": json.dumps({"caption": "a cat"}).encode()})
    assert ShardSource(tmp_path).labels.tolist() == [-1]
    assert ShardSource(tmp_path).classes == []


def test_bad_bytes_in_a_whole_shard_are_a_bad_image(tmp_path):
    path = write_tar(tmp_path / "x.tar", {"good.png": noise(0), "bad.png": b"no image"})
    source = ShardSource(tmp_path)
    with pytest.raises(BadImage, match=r"x\.tar/bad\.png: not an image"):
        source.load(1, 8)
    path.write_bytes(path.read_bytes()[:600])
    with pytest.raises(BadImage, match="became shorter"):
        source.load(0, 8)


def test_a_folder_without_shards_is_an_error(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no \.tar shards in '"):
        ShardSource(tmp_path)
