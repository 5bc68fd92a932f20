"""``scores.json``: the scores of one encoder, and the rule by which they are kept.

A part has the scores of one task on one data set, of the encoder or of random weights (``control``). It is kept if
weights, encoder, revision of the task, settings and data are the same. The file is written after each part, so an
interrupted evaluation continues where it stopped.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from equicoherence.evaluation.picture import PICTURES, check_shown, files_of, shown_in
from equicoherence.files import Damaged
from equicoherence.json_file import read_json, strict_json, write_json
from equicoherence.notice import say

FILE = "scores.json"
SCHEMA = 2
ADVICE = "remove it, or give another --out"
SAME = ("size", "layer", "arch", "random_weights")  # what all scores of a file share, besides the weights
PLAIN = ("name", "seed", "weights", "size", "layer", "arch", "build")  # of a file: there, and numbers or text
TEXTS_OF_PART = ("task", "variant", "protocol", "data", "control")
OF_PART = (*TEXTS_OF_PART, "settings", "counts", "metrics", "probe_order", "rows", "seconds")
TEXTS_OF_ROW = ("metric", "target", "border", "representation", "probe", "parameter")
OF_ROW = (*TEXTS_OF_ROW, "value", "floor", "at", "interval")


class Store:
    """The scores of one encoder in a folder; whoever holds one holds the folder's lock.

    folder: None to keep them in memory alone.
    about: what the file says of the encoder: model, name, seed, config, weights, build and `SAME`, and whether random
        weights of its architecture can be drawn.

    Raises ValueError where the file is damaged, or holds scores of another model, input size, layer or architecture, or
    the one of random weights and the other not, for then the two belong into two folders. Scores of the same model with
    other weights are dropped, and a line says so.
    """

    def __init__(self, folder: Path | None, about: Mapping[str, Any]) -> None:
        self.folder, self.path, self.about = folder, (folder or Path()) / FILE, as_read(about)
        found = read_scores(self.path) if folder is not None else {}
        self._found, self._before = found, found.get("parts", {})
        self.parts: dict[str, dict[str, Any]] = self._of_this_encoder(found)

    def kept(self, name: str, settings: Mapping[str, Any]) -> dict[str, Any] | None:
        """Return a part that is of these settings; None if there is none, and a line says why one is not."""
        part = self.parts.get(name)
        if part is None or alike(part["settings"], settings):
            return part
        say(f"{name} is scored again: {_change(part['settings'], settings)}")
        return None

    def put(self, name: str, part: Mapping[str, Any], provenance: Mapping[str, Any]) -> dict[str, Any]:
        """Write a part to the file, and return it as it reads there."""
        self.parts[name] = as_read(part)
        self.write(provenance)
        return self.parts[name]

    def write(self, provenance: Mapping[str, Any]) -> dict[str, Any]:
        """Write the file and return its content; remove pictures that no part refers to."""
        content = as_read({"schema": SCHEMA, **self.about, **provenance, "parts": self.parts})
        self._found = content
        if self.folder is None:
            return content
        write_json(self.path, content)
        for file in _pictures_of(self._before) - _pictures_of(self.parts):
            (self.folder / PICTURES / file).unlink(missing_ok=True)
        self._before = dict(self.parts)
        return content

    def finish(self, provenance: Mapping[str, Any]) -> dict[str, Any]:
        """Return the file's content, which is left as it is where all of it was kept."""
        self._drop_lone_controls()
        same = all(self._found.get(name, self) == value for name, value in {**self.about, "parts": self.parts}.items())
        return self._found if same else self.write(provenance)

    def _drop_lone_controls(self) -> None:
        """Drop random weights scored with other settings than the encoder; a line names them."""

        def is_alike(name: str, part: Mapping[str, Any]) -> bool:
            own = self.parts.get(name.removeprefix(f"{part['control']} ")) if part["control"] else part
            return own is None or alike(own["settings"], part["settings"])

        if others := [name for name, part in self.parts.items() if not is_alike(name, part)]:
            say(f"the scores of {', '.join(others)} are dropped: the encoder's are of other settings now")
            self.parts = {name: part for name, part in self.parts.items() if name not in others}

    def _of_this_encoder(self, found: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
        about = self.about
        for name in SAME:
            if name in found and found[name] != about[name]:
                raise ValueError(
                    f"{self.path} holds scores for {name} {found[name]!r}, these are for {about[name]!r}; "
                    "give another --out"
                )
        for name, words in (("weights", "weights"), ("build", "arguments or normalisation of the encoder")):
            if found and found[name] != about[name]:
                if found["model"] != about["model"]:
                    raise ValueError(
                        f"{self.path} holds scores of {found['model']!r}, these are of {about['model']!r}; "
                        "give another --out"
                    )
                say(f"{self.path}: its scores are of other {words} and are dropped")
                return {}
        return dict(found.get("parts", {}))


def read_scores(path: Path) -> dict[str, Any]:
    """Return the content of a ``scores.json``, {} where there is none; `Damaged`, naming it, for another."""
    if not path.exists():
        return {}
    found = read_json(path, ADVICE)
    try:
        if found["schema"] != SCHEMA:
            raise ValueError(f"it is of schema {found['schema']!r}, not {SCHEMA}")
        hash((found["model"], found.get("config"), *(found[field] for field in PLAIN)))  # all there, all plain
        for name, part in found["parts"].items():
            _check_part(name, part)
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError) as error:
        raise Damaged(path, _why(error), ADVICE) from error
    return found


def alike(before: Mapping[str, Any], now: Mapping[str, Any]) -> bool:
    """Say whether two settings give the same scores.

    Where the data lie does not matter, names and sizes of files say which they are; where it is the same place, no file
    may have been changed since.
    """
    return not _odd(before, now)


def as_read(value: Any) -> Any:
    """Return a value as it reads in a JSON file: lists for tuples; `NotFinite` where a number is not."""
    return json.loads(strict_json(value, FILE))


def _check_part(name: str, part: Mapping[str, Any]) -> None:
    missing = [field for field in OF_PART if field not in part]
    if missing:
        raise ValueError(f"part {name!r} has no {', '.join(missing)}")
    texts = [part[field] for field in TEXTS_OF_PART]
    "".join([part.get("caption", ""), *texts])  # all text
    for shown in shown_in(part).values():
        check_shown(shown)
    for field in ("settings", "counts", "metrics"):
        dict(part[field])
    float(part["seconds"])
    _, _ = part.get("input") or (0, 0)
    for row in part["rows"]:
        missing = [field for field in OF_ROW if field not in row]
        if missing or row["metric"] not in part["metrics"]:
            raise ValueError(f"a row of part {name!r} has no {', '.join(missing) or 'metric that the part knows'}")
        "".join(row[field] for field in TEXTS_OF_ROW)
        low, high = row["interval"] or (0, 0)
        own = row["value"], row["floor"] or 0, row["at"] or 0, low, high
        if not all(map(math.isfinite, own)):  # 1e999 reads as infinity
            numbers = f"the value {row['value']}, the floor {row['floor']}, the place {row['at']} and {low} to {high}"
            raise ValueError(f"a row of part {name!r} has {numbers}")


def _why(error: Exception) -> str:
    if isinstance(error, ValueError):
        return str(error)
    return f"it has no {error}" if isinstance(error, KeyError) else "it is not laid out as scores are"


def _change(before: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} was {before.get(name)!r} and is {now.get(name)!r}" for name in _odd(before, now))


def _odd(before: Mapping[str, Any], now: Mapping[str, Any]) -> Sequence[str]:
    apart = {"folder"} if before.get("folder") == now.get("folder") else {"folder", "newest"}
    names = [name for name in dict.fromkeys((*before, *now)) if name not in apart]
    return [name for name in names if before.get(name) != now.get(name)]


def _pictures_of(parts: Mapping[str, dict[str, Any]]) -> set[str]:
    """Return the names of the pictures of parts, in the folder of pictures."""
    told = (Path(file) for part in parts.values() for shown in shown_in(part).values() for file in files_of(shown))
    return {file.name for file in told if file.parent == Path(PICTURES)}
