"""``manifest.json``: which weights a release holds, what they are, and size and SHA-256 of their files.

A manifest comes from elsewhere. What is read of it is checked here: no name in it can lead out of a folder, and no text
in it can control a terminal.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from equicoherence.errors import unknown
from equicoherence.json_file import read_json_text
from equicoherence.models.shared_files import ABOUT, CARD, CONFIG, HEADS, WEIGHTS

FILE = "manifest.json"
SCHEMA = 1
NEEDED = (CONFIG, WEIGHTS)
OF_WEIGHTS = (*NEEDED, ABOUT, HEADS, CARD)
"""Files of one folder of weights: those that `equicoherence export RUN --to timm` writes, and a card."""
PLAIN_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,199}")
SHA256 = re.compile(r"[0-9a-f]{64}")
LARGEST = 2**64 - 1  # of a number: seeds are as large, and a larger one may be no float


@dataclass(frozen=True)
class ReleasedFile:
    """One file of weights. name: in their folder. file: its name in the release. bytes: its size."""

    name: str
    file: str
    bytes: int
    sha256: str


@dataclass(frozen=True)
class Figure:
    """One main score.

    score, reads: what it is of, as tables say it. images: how many it was measured with, as in "10000 train, 5000 val".
    text: the value as tables write it.
    """

    task: str
    score: str
    reads: str
    images: str
    value: float
    text: str


@dataclass(frozen=True)
class Weights:
    """One encoder of a release.

    size: pixels of the images it was trained on. parameters: of the encoder, without heads.
    configuration: its name. data: last name of the images it was trained on.
    steps, seed: of its training. license: by its name on the Hugging Face Hub; "" for none.
    version: of equicoherence. date: on which it was exported. scores: its main scores, the first of a task first.
    files: which make its folder.
    """

    name: str
    architecture: str
    size: int
    parameters: int
    configuration: str
    data: str
    steps: int
    seed: int
    license: str
    version: str
    date: str
    scores: tuple[Figure, ...]
    files: tuple[ReleasedFile, ...]

    @property
    def bytes(self) -> int:
        """Size of all files."""
        return sum(file.bytes for file in self.files)


def manifest_values(release: Sequence[Weights]) -> dict[str, Any]:
    """Return what ``manifest.json`` holds."""
    return {"schema": SCHEMA, "weights": [dataclasses.asdict(weights) for weights in release]}


def read_manifest(text: str, place: str) -> tuple[Weights, ...]:
    """Return the weights of a manifest. Raises ValueError, one sentence that names the place, for what is none."""
    try:
        values = read_json_text(text)
        _check(isinstance(values, dict), "it holds no mapping")
        _check(values.get("schema") == SCHEMA, f"its schema is {values.get('schema')!r}, this version reads {SCHEMA}")
        release = tuple(_weights(each) for each in _listed(values, "weights"))
        names = [weights.name for weights in release]
        _check(len(set(names)) == len(names), "two weights have one name")
    except (ValueError, RecursionError) as error:
        reason = "it is nested too deeply" if isinstance(error, RecursionError) else error
        raise ValueError(f"{FILE} of {place} cannot be used ({reason}); ask whoever published it") from error
    return release


def find_weights(release: Sequence[Weights], name: str) -> Weights:
    """Return the weights of a name. Raises ValueError, with the nearest name, where there are none."""
    for weights in release:
        if weights.name == name:
            return weights
    raise unknown("weights", name, [weights.name for weights in release])


def _weights(values: Any) -> Weights:
    fields = _fields(values, Weights, scores=lambda each: _listed(each, "scores"), files=lambda each: _files(each))
    check_name("name of weights", fields["name"])
    scores = tuple(Figure(**_fields(each, Figure)) for each in fields.pop("scores"))
    return Weights(**{**fields, "scores": scores})


def _files(values: Mapping[str, Any]) -> tuple[ReleasedFile, ...]:
    files = tuple(ReleasedFile(**_fields(each, ReleasedFile)) for each in _listed(values, "files"))
    for file in files:
        _check(file.name in OF_WEIGHTS, f"{file.name!r} is no file of weights, which are {', '.join(OF_WEIGHTS)}")
        check_name("file", file.file)
        _check(bool(SHA256.fullmatch(file.sha256)), f"sha256 {file.sha256!r} is not 64 hexadecimal digits")
    names = [file.name for file in files]
    _check(len(set(names)) == len(names), f"a file is listed twice: {', '.join(names)}")
    _check(set(NEEDED) <= set(names), f"weights need {' and '.join(NEEDED)}")
    return files


def _fields(values: Any, of: type, **special: Any) -> dict[str, Any]:
    """Return the fields of a dataclass, each of its kind. special: how a field that holds others is read."""
    _check(isinstance(values, dict), "an entry is no mapping")
    found: dict[str, Any] = {}
    for field in dataclasses.fields(of):
        _check(field.name in values, f"an entry has no {field.name!r}")
        value = values[field.name]
        if field.name in special:
            found[field.name] = special[field.name](values)
            continue
        if field.type == "str":
            _check(isinstance(value, str) and value.isprintable(), f"{field.name} is {value!r}, which is no plain text")
        else:
            kinds = (int,) if field.type == "int" else (int, float)
            _check(isinstance(value, kinds) and not isinstance(value, bool), f"{field.name} is {value!r}, no number")
            _check(field.type != "int" or value >= 0, f"{field.name} is {value!r}, which is below 0")
            _check(abs(value) <= LARGEST, f"{field.name} is {repr(value)[:20]}.., above {LARGEST}")
        found[field.name] = value
    return found


def _listed(values: Mapping[str, Any], field: str) -> list[Any]:
    value = values.get(field)
    if not isinstance(value, list):
        raise ValueError(f"it has no list {field!r}")
    return value


def check_name(what: str, name: str) -> None:
    """Raise ValueError for a name that could lead out of a folder. what: which name it is, as in "file"."""
    _check(
        bool(PLAIN_NAME.fullmatch(name)),
        f"{what} {name!r} is refused: it may have at most 200 letters without accents, digits and . _ -, a letter or "
        "digit first",
    )


def _check(right: bool, reason: str) -> None:
    if not right:
        raise ValueError(reason)
