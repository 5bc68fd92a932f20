"""Tables that hold images as bytes: Hugging Face data sets on disk (.arrow) and parquet files."""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np

from equicoherence.data.cache import cache_folder, taking_turns
from equicoherence.data.decoding import decode
from equicoherence.data.layout import shortened
from equicoherence.data.probing import format_of_all
from equicoherence.data.source import BadImage, ImageSource, Origin, Sample, printable
from equicoherence.files import replacing
from equicoherence.notice import say

if TYPE_CHECKING:
    import pyarrow as pa

IMAGES = ("image", "img", "picture", "photo", "jpg", "jpeg", "png", "webp", "image_bytes", "bytes", "content")
"""Names of columns of images, where several may hold some; the first one there is taken. Compared in lower case."""
LABELS = ("label", "labels", "class", "class_label", "target", "category", "fine_label", "cls")
"""Names of columns of labels, likewise."""
TOGETHER = 64  # rows of a parquet file that are copied at a time
_FORMAT = "1"  # of the cached copies: part of their key


class TableSource(ImageSource):
    """Images and labels in the rows of .arrow or .parquet files.

    The images' column is that of the type that Hugging Face data sets give images, or holds bytes; the labels' column
    holds their `ClassLabel`, or whole numbers or texts, and is found by its name. An image is in its row, as bytes, or
    in a file that the row names: below the folder of the table, others are refused. Nothing in a table is executed.
    Rows of parquet files cannot be read one by one, so that a copy of each file is kept in the cache folder.

    path: folder of the files. names: theirs.

    Raises:
        ImportError: pyarrow is missing.
        ValueError: a file is damaged, holds no column of images, or several candidates; or
            a label is none of its classes.
    """

    def __init__(self, path: str | Path, names: Sequence[str]) -> None:
        need_pyarrow()
        self.path, self._files = Path(path), list(names)
        schema = _schema(self.path / names[0])
        self._image, of_images = _image_column(schema, self.path / names[0])
        label, of_labels = _label_column(schema, self._image)
        tables = [_open(self.path / name, [self._image, *([label] if label else [])]) for name in names]
        chunks = [(number, chunk) for number, table in enumerate(tables) for chunk in table[self._image].chunks]
        self._chunks = [chunk for _, chunk in chunks]
        self._file_of = np.array([number for number, _ in chunks], dtype=np.int64)
        self._ends = np.cumsum([len(chunk) for chunk in self._chunks], dtype=np.int64)
        self._starts = np.cumsum([0, *(len(table) for table in tables)], dtype=np.int64)
        if not len(self):
            raise ValueError(f"no rows in {shortened(self._files)} of {str(path)!r}")
        self.labels, self.classes = _labels(tables, label, schema, self.path)
        self.origin = Origin(remarks=(*of_images, *of_labels))
        self.format = format_of_all(len(self), self.name, self._open)

    def __len__(self) -> int:
        return int(self._starts[-1])

    def name(self, index: int) -> str:
        file = int(np.searchsorted(self._starts, index, side="right")) - 1
        return printable(f"{self._files[file]}/{index - self._starts[file]}")

    def load(self, index: int, size: int) -> Sample:
        return decode(self._bytes(index), size, self.name(index), self.format)

    def file_size(self, index: int) -> int | None:
        try:
            return len(self._bytes(index))
        except BadImage:
            return None

    def _open(self, index: int) -> BinaryIO:
        try:
            return io.BytesIO(self._bytes(index))
        except BadImage as error:
            raise OSError(error.reason) from error

    def _bytes(self, index: int) -> bytes:
        chunk = int(np.searchsorted(self._ends, index, side="right"))
        row = self._chunks[chunk][index - (int(self._ends[chunk - 1]) if chunk else 0)].as_py()
        held, place = (row.get("bytes"), row.get("path")) if isinstance(row, dict) else (row, None)
        if held is not None:
            return held
        if not place:
            raise BadImage(self.name(index), "its row holds no image")
        root = self.path.resolve()
        try:
            file = (root / place).resolve()
        except (TypeError, ValueError) as error:  # a number, or a text with a NUL in it
            raise BadImage(self.name(index), f"its file {place!r} is no path") from error
        if not file.is_relative_to(root):
            raise BadImage(self.name(index), f"its file {place!r} lies outside {str(root)!r}, and is not followed")
        try:
            return file.read_bytes()
        except OSError as error:
            raise BadImage(self.name(index), f"its file {place!r} cannot be read: {error.strerror}") from error


def need_pyarrow() -> None:
    """Raise ImportError, with what to do, where pyarrow is missing."""
    try:
        import pyarrow  # noqa: F401
    except ImportError as error:
        raise ImportError(
            "reading .arrow and .parquet files needs pyarrow: pip install 'equicoherence[parquet]'"
        ) from error


def _damaged(file: Path, error: Exception) -> ValueError:
    return ValueError(f"{str(file)!r} is damaged or no table: {' '.join(str(error).split())[:200]}")


def _schema(file: Path) -> pa.Schema:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        if file.name.lower().endswith(".parquet"):
            return pq.read_schema(file)
        with pa.memory_map(str(file)) as mapped:
            return _reader(mapped).schema
    except (pa.ArrowException, OSError) as error:
        raise _damaged(file, error) from error


def _reader(mapped: pa.MemoryMappedFile) -> Any:
    """Open an .arrow file, in the format of streams, as data sets write it, or in that of files."""
    import pyarrow as pa

    try:
        return pa.ipc.open_stream(mapped)
    except pa.ArrowInvalid:
        mapped.seek(0)
        return pa.ipc.open_file(mapped)


def _open(file: Path, columns: Sequence[str]) -> pa.Table:
    """Return some columns of a file, mapped into memory: pixels are read when they are asked for."""
    import pyarrow as pa

    try:
        held = _copied(file, columns) if file.name.lower().endswith(".parquet") else file
        table = _reader(pa.memory_map(str(held))).read_all()
    except (pa.ArrowException, OSError) as error:
        raise _damaged(file, error) from error
    if missing := [name for name in columns if name not in table.column_names]:
        raise ValueError(f"{str(file)!r} has no column {missing[0]!r}, which the files beside it have")
    return table.select(list(columns))


def _copied(file: Path, columns: Sequence[str]) -> Path:
    """Return a copy of a parquet file in the cache folder that can be read row by row; made where there is none."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    state = file.stat()
    identity = json.dumps([_FORMAT, str(file.resolve()), *columns])
    folder, key = cache_folder() / "tables", hashlib.sha256(identity.encode()).hexdigest()[:24]
    place = folder / f"{key}-{state.st_size}-{state.st_mtime_ns}.arrow"
    if place.is_file():
        return place
    folder.mkdir(exist_ok=True)
    with taking_turns(folder / f"{key}.lock", lambda: say(f"another process copies {str(file)!r}: waiting for it")):
        if place.is_file():
            return place
        with pq.ParquetFile(file) as opened:
            whole = opened.schema_arrow
            schema = pa.schema([whole.field(name) for name in columns if name in whole.names], metadata=whole.metadata)
            with (
                replacing(place) as aside,
                pa.OSFile(str(aside), "wb") as sink,
                pa.ipc.new_stream(sink, schema) as writer,
            ):
                for batch in opened.iter_batches(TOGETHER, columns=schema.names):
                    writer.write_batch(batch.cast(schema))
        for older in folder.glob(f"{key}-*.arrow"):
            if older != place:
                with contextlib.suppress(OSError):  # on Windows where it is in use
                    older.unlink()
    return place


def _features(schema: pa.Schema) -> dict[str, dict[str, Any]]:
    """Return the features that Hugging Face's `datasets` noted for each column; empty without them."""
    try:
        features = json.loads((schema.metadata or {})[b"huggingface"])["info"]["features"]
    except (KeyError, TypeError, ValueError):
        return {}
    known = features.items() if isinstance(features, dict) else ()
    return {str(name): feature for name, feature in known if isinstance(feature, dict)}


def _chosen(candidates: Sequence[str], names: Sequence[str]) -> str | None:
    """Return the candidate whose name comes first among ``names``, or the only one."""
    ranked = sorted((names.index(each.lower()), each) for each in candidates if each.lower() in names)
    return ranked[0][1] if ranked else candidates[0] if len(candidates) == 1 else None


def _image_column(schema: pa.Schema, file: Path) -> tuple[str, list[str]]:
    """Return the column of the images, and what to say of others."""
    typed = [name for name, feature in _features(schema).items() if feature.get("_type") == "Image"]
    holding = [each.name for each in schema if _holds_bytes(each)]
    candidates = [name for name in typed if name in holding] or holding
    if not candidates:
        columns = ", ".join(f"{printable(each.name)} ({each.type})" for each in list(schema)[:12])
        raise ValueError(f"{str(file)!r} has no column of image bytes; it has {columns}")
    chosen = _chosen(candidates, IMAGES)
    if chosen is None:
        found = ", ".join(map(repr, candidates))
        raise ValueError(f"{str(file)!r} holds images in {found}: call the column that is meant 'image'")
    others = [name for name in candidates if name != chosen]
    return chosen, [f"column {chosen!r} is read, {shortened(others)} not"] if others else []


def _holds_bytes(field: pa.Field) -> bool:
    import pyarrow.types as kinds

    kind = field.type
    if kinds.is_struct(kind):
        index = kind.get_field_index("bytes")
        return index >= 0 and _holds_bytes(kind.field(index))
    return kinds.is_binary(kind) or kinds.is_large_binary(kind) or kinds.is_binary_view(kind)


def _label_column(schema: pa.Schema, image: str) -> tuple[str | None, list[str]]:
    """Return the column of the labels, None if there is none, and what to say of others."""
    import pyarrow.types as kinds

    def may_be(field: pa.Field) -> bool:
        kind = field.type.value_type if kinds.is_dictionary(field.type) else field.type
        text = kinds.is_string(kind) or kinds.is_large_string(kind) or kinds.is_string_view(kind)
        return field.name != image and (text or kinds.is_integer(kind) or kinds.is_boolean(kind))

    typed = [name for name, feature in _features(schema).items() if feature.get("_type") == "ClassLabel"]
    typed = [name for name in typed if name in schema.names and may_be(schema.field(name))]
    candidates = typed or [field.name for field in schema if may_be(field) and field.name.lower() in LABELS]
    if not candidates:
        return None, []
    chosen = _chosen(candidates, LABELS) or candidates[0]
    others = [name for name in candidates if name != chosen]
    return chosen, [f"labels are those of column {chosen!r}, not of {shortened(others)}"] if others else []


def _labels(
    tables: Sequence[pa.Table], column: str | None, schema: pa.Schema, folder: Path
) -> tuple[np.ndarray, list[str]]:
    """Return labels (N,), -1 where unknown, and the names of the classes."""
    if column is None:
        return np.full(sum(map(len, tables)), -1, dtype=np.int64), []
    values = [value for table in tables for value in table[column].to_pylist()]
    given = _features(schema).get(column, {}).get("names")
    texts = any(isinstance(value, str) for value in values)
    known = [name for name in given if isinstance(name, str)] if isinstance(given, list) and not texts else None
    if known is None:
        own = {value for value in values if value is not None and (texts or value >= 0)}
        place = {value: number for number, value in enumerate(sorted(own))}
        labels = [place.get(value, -1) for value in values]
        return np.array(labels, dtype=np.int64), [printable(str(value)) for value in place]
    labels = np.array([-1 if value is None else int(value) for value in values], dtype=np.int64)
    if len(labels) and labels.max() >= len(known):
        raise ValueError(f"column {column!r} in {str(folder)!r} holds {labels.max()}, but names {len(known)} classes")
    return labels.clip(-1), [printable(name) for name in known]
