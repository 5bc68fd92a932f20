"""Tables of images: Hugging Face data sets as `datasets` lays them on disk, and parquet files."""

from __future__ import annotations

import json
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from equicoherence.data import BadImage, check_data, describe_images, open_images
from equicoherence.data.cache import cache_folder
from equicoherence.data.tables import TableSource

from .pictures import noise, noise_folder

IMAGE = pa.struct([("bytes", pa.binary()), ("path", pa.string())])


def rows(count: int, first: int = 0) -> list[dict[str, Any]]:
    return [{"bytes": noise(first + number), "path": f"{number}.png"} for number in range(count)]


def hub_schema(fields: dict[str, pa.DataType], features: dict[str, Any]) -> pa.Schema:
    """Return a schema with what `datasets` writes into it."""
    return pa.schema(fields.items(), metadata={"huggingface": json.dumps({"info": {"features": features}})})


ANIMALS = hub_schema(
    {"image": IMAGE, "label": pa.int64()},
    {"image": {"_type": "Image"}, "label": {"_type": "ClassLabel", "names": ["cat", "dog", "emu"]}},
)


def write_arrow(file: Path, table: pa.Table, rows_together: int = 4) -> None:
    """Write a table as `save_to_disk` does: a stream of batches."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with pa.OSFile(str(file), "wb") as sink, pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table, max_chunksize=rows_together)


def animals(count: int, first: int = 0) -> pa.Table:
    labels = [number % 3 for number in range(count)]
    return pa.table({"image": rows(count, first), "label": labels}, schema=ANIMALS)


def same_pixels(source: Any, index: int, number: int, tmp_path: Path) -> bool:
    """Say whether an image is the one of `noise` of that number."""
    folder = tmp_path / f"own{number}"
    folder.mkdir(exist_ok=True)
    (folder / "0.png").write_bytes(noise(number))
    return np.array_equal(source.load(index, 20).pixels, open_images(folder).load(0, 20).pixels)


def test_a_data_set_on_disk_has_its_images_classes_and_splits(tmp_path: Path) -> None:
    root = tmp_path / "set"
    write_arrow(root / "train" / "data-00000-of-00002.arrow", animals(10))
    write_arrow(root / "train" / "data-00001-of-00002.arrow", animals(5, first=10))
    write_arrow(root / "train" / "cache-0123456789abcdef.arrow", animals(3))  # what `datasets` computed
    write_arrow(root / "test" / "data-00000-of-00001.arrow", animals(4, first=20))
    for side in ("train", "test"):
        (root / side / "dataset_info.json").write_text("{}")
        (root / side / "state.json").write_text("{}")
    (root / "dataset_dict.json").write_text('{"splits": ["train", "test"]}')
    check_data(root)
    train, test = open_images(root, "train"), open_images(root, "val")
    assert (len(train), len(test)) == (15, 4)
    assert train.classes == test.classes == ["cat", "dog", "emu"]
    assert train.labels.tolist() == [0, 1, 2, 0, 1, 2, 0, 1, 2, 0, 0, 1, 2, 0, 1]
    assert train.name(11) == "data-00001-of-00002.arrow/1"
    assert same_pixels(train, 11, 11, tmp_path)
    assert same_pixels(train, 6, 6, tmp_path)  # in the second of the batches of four
    assert same_pixels(test, 3, 23, tmp_path)
    assert train.file_size(2) == len(noise(2))
    said = describe_images(train, test)
    assert said == "15 images, 3 classes (cat, dog, emu), held out: 4 images (folder 'test')"


def test_parquet_files_whose_names_say_a_side_are_split_so(tmp_path: Path) -> None:
    data = tmp_path / "set" / "data"
    data.mkdir(parents=True)
    (tmp_path / "set" / "README.md").write_text("about")
    pq.write_table(animals(9), data / "train-00000-of-00002-a1b2.parquet", row_group_size=2)
    pq.write_table(animals(3, first=9), data / "train-00001-of-00002-a1b2.parquet")
    pq.write_table(animals(6, first=12), data / "validation-00000-of-00001-a1b2.parquet")
    train, held_out = open_images(tmp_path / "set", "train"), open_images(tmp_path / "set", "val")
    assert (len(train), len(held_out)) == (12, 6)
    assert train.origin.held_out == "the shards of 'validation'"
    assert train.classes == ["cat", "dog", "emu"]
    assert same_pixels(train, 8, 8, tmp_path)
    assert same_pixels(held_out, 0, 12, tmp_path)


def test_one_parquet_file_of_bytes_and_texts_is_split_by_a_hash(tmp_path: Path) -> None:
    file = tmp_path / "birds.parquet"
    kinds = ["owl", "auk", None, "owl"] * 10
    pq.write_table(pa.table({"id": range(40), "jpg": [noise(n) for n in range(40)], "class": kinds}), file)
    check_data(file)
    whole = open_images(file)
    assert whole.classes == ["auk", "owl"]
    assert whole.labels[:4].tolist() == [1, 0, -1, 1]
    assert same_pixels(whole, 39, 39, tmp_path)
    sides = [open_images(file, side) for side in ("train", "val")]
    names = [{side.name(index) for index in range(len(side))} for side in sides]
    assert len(names[0] | names[1]) == 40
    assert not names[0] & names[1]


@pytest.mark.parametrize("values", [["0", "3"], [0, 3]])
def test_whole_numbers_without_names_are_classes_by_themselves(tmp_path: Path, values: list[Any]) -> None:
    file = tmp_path / "set.parquet"
    pq.write_table(pa.table({"image": rows(2), "target": values}), file)
    assert open_images(file).classes == ["0", "3"]
    assert open_images(file).labels.tolist() == [0, 1]


def test_of_several_columns_the_one_that_is_called_image_is_read_and_it_is_said(tmp_path: Path) -> None:
    schema = hub_schema(
        {"annotation": IMAGE, "image": IMAGE, "coarse_label": pa.int64(), "fine_label": pa.int64()},
        {
            **{name: {"_type": "Image"} for name in ("annotation", "image")},
            "coarse_label": {"_type": "ClassLabel", "names": ["all", "none"]},
            "fine_label": {"_type": "ClassLabel", "names": ["a", "b"]},
        },
    )
    held = {"annotation": rows(4, 50), "image": rows(4), "coarse_label": [0, 0, 0, 0], "fine_label": [0, 1, 1, 0]}
    pq.write_table(pa.table(held, schema=schema), tmp_path / "set.parquet")
    source = open_images(tmp_path / "set.parquet")
    assert same_pixels(source, 1, 1, tmp_path)
    assert source.classes == ["a", "b"]
    remarks = "column 'image' is read, annotation not; labels are those of column 'fine_label', not of coarse_label"
    assert describe_images(source).splitlines()[1] == remarks


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"x": [1.0, 2.0], "label": [0, 1]}, r"no column of image bytes; it has x \(double\), label \(int64\)"),
        ({"left": rows(2), "right": rows(2)}, "images in 'left', 'right': call the column that is meant 'image'"),
    ],
)
def test_columns_that_do_not_say_what_they_hold_are_refused(
    tmp_path: Path, table: dict[str, Any], message: str
) -> None:
    pq.write_table(pa.table(table), tmp_path / "set.parquet")
    with pytest.raises(ValueError, match=message):
        open_images(tmp_path / "set.parquet")


def test_a_label_that_has_no_name_is_refused(tmp_path: Path) -> None:
    pq.write_table(pa.table({"image": rows(2), "label": [0, 3]}, schema=ANIMALS), tmp_path / "set.parquet")
    with pytest.raises(ValueError, match=r"column 'label' in .* holds 3, but names 3 classes"):
        open_images(tmp_path / "set.parquet")


def test_files_that_rows_name_are_read_below_the_table_alone(tmp_path: Path) -> None:
    root = tmp_path / "set"
    (root / "pictures").mkdir(parents=True)
    (tmp_path / "secret.png").write_bytes(noise(1))
    (root / "pictures" / "in.bin").write_bytes(noise(2))
    (root / "pictures" / "link.bin").symlink_to(tmp_path / "secret.png")
    places = ["pictures/in.bin", "../secret.png", str(tmp_path / "secret.png"), "pictures/link.bin", "gone.png", None]
    held = {"image": [{"bytes": None, "path": place} for place in places], "label": [0, 1, 2, 0, 1, 2]}
    write_arrow(root / "data-00000-of-00001.arrow", pa.table(held, schema=ANIMALS))
    source = open_images(root)
    assert same_pixels(source, 0, 2, tmp_path)
    for index in (1, 2, 3):
        with pytest.raises(Exception, match=r"lies outside '.*set', and is not followed"):
            source.load(index, 8)
    with pytest.raises(Exception, match=r"data-00000-of-00001.arrow/4: its file 'gone.png' cannot be read"):
        source.load(4, 8)
    with pytest.raises(Exception, match="its row holds no image"):
        source.load(5, 8)


def test_a_place_that_is_no_path_is_a_bad_image(tmp_path: Path) -> None:
    for place in ("a\0b", 7):
        table = pa.table({"image": [{"bytes": noise(0), "path": None}, {"bytes": None, "path": place}]})
        pq.write_table(table, tmp_path / "set.parquet")
        source = open_images(tmp_path / "set.parquet")
        with pytest.raises(BadImage, match=r"set.parquet/1: its file .* is no path"):
            source.load(1, 8)


def test_a_column_of_texts_that_is_called_images_is_none(tmp_path: Path) -> None:
    schema = hub_schema({"image": pa.string()}, {"image": {"_type": "Image"}})
    pq.write_table(pa.table({"image": ["a.png"]}, schema=schema), tmp_path / "set.parquet")
    with pytest.raises(ValueError, match=r"no column of image bytes; it has image \(string\)"):
        open_images(tmp_path / "set.parquet")


def test_of_a_parquet_file_one_copy_is_made_and_the_newest_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EQUICOHERENCE_CACHE", str(tmp_path / "cache"))
    made: list[int] = []
    batches = pq.ParquetFile.iter_batches
    monkeypatch.setattr(pq.ParquetFile, "iter_batches", lambda *a, **k: made.append(1) or batches(*a, **k))
    file = tmp_path / "set.parquet"
    for count in (2, 3):
        pq.write_table(pa.table({"image": rows(count)}), file)
        with ThreadPoolExecutor(4) as pool:
            sources = list(pool.map(lambda _: TableSource(tmp_path, [file.name]), range(4)))
        assert [len(source) for source in sources] == [count] * 4
        assert len(list((cache_folder() / "tables").glob("*.arrow"))) == 1
    assert len(made) == 2


def test_a_table_beside_images_is_none_of_them(tmp_path: Path) -> None:
    noise_folder(tmp_path, 4)
    pq.write_table(pa.table({"image": rows(2)}), tmp_path / "metadata.parquet")
    source = open_images(tmp_path)
    assert len(source) == 4
    assert "1 .parquet ('metadata.parquet')" in describe_images(source)


def test_a_damaged_table_is_named(tmp_path: Path) -> None:
    for name in ("set.parquet", "set.arrow"):
        (tmp_path / name).write_bytes(b"no table")
        with pytest.raises(ValueError, match=rf"{name}' is damaged or no table"):
            open_images(tmp_path / name)


def test_without_pyarrow_it_is_said_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(ImportError, match=r"pip install 'equicoherence\[parquet\]'"):
        TableSource(tmp_path, ["set.parquet"])
