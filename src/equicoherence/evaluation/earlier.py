"""What an earlier ``downstream.json`` holds: which of its parts still count beside new ones, and which do not."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from equicoherence.evaluation.results import refuse_others
from equicoherence.notice import say

SAME = ("size", "arch", "random_weights")  # what all scores of a file share, besides the weights


def read_scores(path: Path) -> dict[str, Any]:
    """Return the content of an earlier file, {} where there is none; ValueError where it cannot be read."""
    if not path.is_file():
        return {}
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        [(part["settings"]["revision"], *part["pictures"].values()) for part in found["parts"].values()]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"{path} cannot be read ({error!r}); remove it, or give another --out") from error
    return found


def of_these_weights(
    path: Path, found: Mapping[str, Any], model: str, about: Mapping[str, Any]
) -> dict[str, dict[str, Any]]:
    """Return the parts of an earlier file's content where it is of the same encoder.

    Where ``model``, by its name the same, has other weights by now, return {}, and a line says so; ValueError where the
    file is of another model.
    """
    refuse_others(path, found, about, SAME)
    for name, words in (("weights", "weights"), ("build", "arguments or normalisation of the encoder")):
        if found and found.get(name) != about[name]:
            if found.get("model") != model:
                raise ValueError(
                    f"{path} holds scores of {found.get('model')!r}, these are of {model!r}; give another --out"
                )
            say(f"{path}: its scores are of other {words} and are dropped")
            return {}
    return found.get("parts", {})


def of_revision(parts: Mapping[str, dict[str, Any]], path: Path, revision: int) -> dict[str, dict[str, Any]]:
    """Return the parts whose protocols are of a revision; a line names the others."""
    stale = [name for name, part in parts.items() if part["settings"]["revision"] != revision]
    if stale:
        say(f"{path}: the scores of {', '.join(stale)} are of an earlier revision and are dropped")
    return {name: part for name, part in parts.items() if name not in stale}


def controlled_alike(parts: Mapping[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Return the parts but for random weights scored with other settings than the encoder; a line names those."""

    def is_alike(name: str, part: Mapping[str, Any]) -> bool:
        own = parts.get(name.removeprefix(f"{part['control']} ")) if part["control"] else part
        return own is None or alike(own["settings"], part["settings"])

    kept = {name: part for name, part in parts.items() if is_alike(name, part)}
    if others := [name for name in parts if name not in kept]:
        say(f"the scores of {', '.join(others)} are dropped: the encoder's are of other settings now")
    return kept


def alike(before: Mapping[str, Any], now: Mapping[str, Any]) -> bool:
    """Say whether two settings give the same scores.

    Where the data lie does not matter, names and sizes of files say which they are; where it is the same place, no file
    may have been changed since.
    """
    return not _odd(before, now)


def change(before: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    """Return in which settings two differ."""
    return ", ".join(f"{name} was {before.get(name)!r} and is {now.get(name)!r}" for name in _odd(before, now))


def _odd(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    apart = {"folder"} if before.get("folder") == now.get("folder") else {"folder", "newest"}
    names = [name for name in dict.fromkeys((*before, *now)) if name not in apart]
    return [name for name in names if before.get(name) != now.get(name)]


def pictures_of(parts: Mapping[str, dict[str, Any]]) -> set[str]:
    """Return the names of the pictures that parts tell of, in the folder of pictures."""
    told = (Path(file) for part in parts.values() for file in part["pictures"].values())
    return {file.name for file in told if file.parent == Path("pictures")}
