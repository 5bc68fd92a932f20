"""Files of features, one row an image, written as they come: parquet and npz."""

from __future__ import annotations

import contextlib
import json
import math
import shutil
import tempfile
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, cast

import numpy as np

from equicoherence.json_file import strict_json

ROW_GROUP = 2**24  # bytes of a parquet row group, about: what is in memory at a time
CHUNK = 2**14  # names at a time
STORED_AT = (1980, 1, 1, 0, 0, 0)  # the date of what is in an npz, as NumPy's own have it


@dataclass(frozen=True)
class Part:
    """Rows of some images. bad: (B,) bool; features: name -> (B, ...), NaN where bad. Labels are the table's."""

    bad: np.ndarray
    features: Mapping[str, np.ndarray]


@dataclass(frozen=True)
class Table:
    """What a file holds beside the features.

    names, labels: (N,) of all rows. shapes: of a row of each feature. dtype: of features, float32 or float16.
    about: plain values, among them what the features are of. reasons: name -> why an image is bad; complete when the
    last part has been taken.
    """

    names: Sequence[str]
    labels: np.ndarray
    shapes: Mapping[str, tuple[int, ...]]
    dtype: np.dtype
    about: Mapping[str, Any]
    reasons: Mapping[str, str]


def writer(path: Path) -> Callable[[Path, Table, Iterable[Part]], None]:
    """Return what writes a file of this ending. Raises ValueError for an ending that is neither, ImportError where
    parquet's extra is missing."""
    if path.suffix == ".npz":
        return write_npz
    if path.suffix != ".parquet":
        raise ValueError(f"{path} must end in .parquet or .npz, which says what is written")
    try:
        import pyarrow  # noqa: F401
    except ImportError as error:
        raise ImportError(
            "parquet needs pyarrow: pip install 'equicoherence[parquet]', or write a .npz file"
        ) from error
    return write_parquet


def write_parquet(path: Path, table: Table, parts: Iterable[Part]) -> None:
    """Write columns ``name``, ``label``, ``bad`` and, for each feature, lists of fixed size, flattened row by row.

    The metadata of a feature's field say its ``shape``; those of the file hold ``about`` and ``bad_images`` (name ->
    reason), all as JSON. One row group is in memory at a time.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    kind = pa.from_numpy_dtype(table.dtype)
    features = [
        pa.field(name, pa.list_(kind, math.prod(shape)), metadata={"shape": json.dumps(shape)})
        for name, shape in table.shapes.items()
    ]
    plain = [pa.field("name", pa.string()), pa.field("label", pa.int64()), pa.field("bad", pa.bool_())]
    schema = pa.schema([*plain, *features], metadata={"about": strict_json(table.about, "about")})
    with pq.ParquetWriter(path, schema, compression="none", use_dictionary=False) as file:
        start = 0
        for group in _row_groups(parts, table):
            stop = start + len(group.bad)
            columns = [pa.array(table.names[start:stop], pa.string()), pa.array(table.labels[start:stop], pa.int64())]
            columns.append(pa.array(group.bad))
            for field in features:
                values = pa.array(np.ascontiguousarray(group.features[field.name]).reshape(-1))
                columns.append(pa.FixedSizeListArray.from_arrays(values, type=field.type))
            file.write_table(pa.Table.from_arrays(columns, schema=schema), row_group_size=stop - start)
            start = stop
        file.add_key_value_metadata({"bad_images": json.dumps(dict(sorted(table.reasons.items())))})


def write_npz(path: Path, table: Table, parts: Iterable[Part]) -> None:
    """Write arrays ``name``, ``label``, ``bad`` (N,), each feature (N, ...), ``about`` and ``bad_images`` (JSON).

    The largest feature goes into the archive as it comes; others wait in a temporary file beside it.
    """
    rows = len(table.names)
    largest = max(table.shapes, key=lambda name: math.prod(table.shapes[name]))
    bad = np.zeros(rows, bool)
    with contextlib.ExitStack() as stack, zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        width = max((len(name) for name in table.names), default=1) or 1
        with _member(archive, "name", (rows,), np.dtype(f"<U{width}")) as file:
            for start in range(0, rows, CHUNK):
                file.write(np.array(table.names[start : start + CHUNK], f"<U{width}").tobytes())
        _add(archive, "label", table.labels)
        waiting: dict[str, IO[bytes]] = {
            name: stack.enter_context(tempfile.TemporaryFile(dir=path.parent))
            for name in table.shapes
            if name != largest
        }
        with _member(archive, largest, (rows, *table.shapes[largest]), table.dtype) as first:
            start = 0
            for part in parts:
                stop = start + len(part.bad)
                bad[start:stop] = part.bad
                for name, file in {largest: first, **waiting}.items():
                    file.write(np.ascontiguousarray(part.features[name]).data.cast("B"))
                start = stop
        for name, file in waiting.items():
            file.seek(0)
            with _member(archive, name, (rows, *table.shapes[name]), table.dtype) as member:
                shutil.copyfileobj(file, member, 2**20)
        _add(archive, "bad", bad)
        _add(archive, "about", np.array(strict_json(table.about, "about")))
        _add(archive, "bad_images", np.array(json.dumps(dict(sorted(table.reasons.items())))))


@contextlib.contextmanager
def _member(archive: zipfile.ZipFile, name: str, shape: tuple[int, ...], dtype: np.dtype) -> Iterator[IO[bytes]]:
    """Open an array of the archive, to which exactly its values are to be written."""
    with archive.open(zipfile.ZipInfo(f"{name}.npy", STORED_AT), "w", force_zip64=True) as file:
        descr = np.lib.format.dtype_to_descr(dtype)
        header = {"descr": descr, "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(cast(Any, file), header)
        yield file


def _add(archive: zipfile.ZipFile, name: str, values: np.ndarray) -> None:
    with _member(archive, name, values.shape, values.dtype) as file:
        file.write(values.tobytes())


def _row_groups(parts: Iterable[Part], table: Table) -> Iterator[Part]:
    """Join parts to row groups of about ``ROW_GROUP`` bytes."""
    row = sum(math.prod(shape) for shape in table.shapes.values()) * table.dtype.itemsize
    held: list[Part] = []
    for part in parts:
        held.append(part)
        if row * sum(len(p.bad) for p in held) >= ROW_GROUP:
            yield _joined(held)
            held = []
    if held:
        yield _joined(held)


def _joined(parts: Sequence[Part]) -> Part:
    names = parts[0].features
    features = {name: np.concatenate([part.features[name] for part in parts]) for name in names}
    return Part(np.concatenate([part.bad for part in parts]), features)
