"""Scores of a suite to send to others: those of its tasks alone, without the paths of the machine that scored them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePath
from typing import Any

from equicoherence.evaluation.store import FILE
from equicoherence.evaluation.suites import Suite
from equicoherence.json_file import write_json
from equicoherence.reporting.comparison.evaluated import Evaluated
from equicoherence.reporting.comparison.lines import Group, members
from equicoherence.reporting.names import shared_names

DIGITS = 8  # of the digest of an encoder's weights, in the name of its folder


def write_submissions(suite: Suite, groups: Sequence[Group], out: Path) -> list[Path]:
    """Write ``out/ENCODER/scores.json`` for each encoder; return the files.

    groups: whole scores, of `read_suite`. Those that lie in ``out`` already stay as they are.

    A folder's name is of the encoder's name, with its layer, of its size and of its weights: other encoders in the
    table do not change it. Raises ValueError where two encoders have one.
    """
    every = members(groups)
    names = shared_names((each.about["name"], each.about["arch"]) for each in every)
    found: dict[Path, Evaluated] = {}
    for each in every:
        if each.folder.resolve().parent == out.resolve():
            continue
        folder = out / _folder_name(each.about, names[each.about["name"], each.about["arch"]])
        if folder in found:
            raise ValueError(
                f"{str(found[folder].folder)!r} and {str(each.folder)!r} are of the same weights; give one"
            )
        found[folder] = each
    for folder, each in found.items():
        folder.mkdir(parents=True, exist_ok=True)
        write_json(folder / FILE, submission(suite, each.about, names[each.about["name"], each.about["arch"]]))
    return [folder / FILE for folder in found]


def submission(suite: Suite, scores: Mapping[str, Any], name: str) -> dict[str, Any]:
    """Return the content of a ``scores.json`` to send: parts of the suite's tasks, and no path of this machine.

    name: what others can load the encoder by, or else would call it (`shared_names`).
    """
    parts = {
        key: {**part, "settings": _without_folder(part["settings"]), "shown": {}}
        for key, part in scores["parts"].items()
        if part["task"] in suite.settings
    }
    return {**scores, "model": name, "name": name, "parts": parts}


def _folder_name(about: Mapping[str, Any], name: str) -> str:
    return "-".join([re.sub(r"[^a-zA-Z0-9_.]+", "-", name).strip("-"), f"{about['size']}px", about["weights"][:DIGITS]])


def _without_folder(settings: Mapping[str, Any]) -> dict[str, Any]:
    return {**settings, "folder": PurePath(settings.get("folder", "")).name}
