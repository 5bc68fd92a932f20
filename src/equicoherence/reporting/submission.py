"""Scores of a suite to send to others: those of its tasks alone, without the paths of the machine that scored them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePath
from typing import Any

from equicoherence.evaluation.store import FILE
from equicoherence.evaluation.suites import Suite
from equicoherence.json_file import write_json
from equicoherence.reporting.comparison.lines import Group, members
from equicoherence.reporting.names import shared_names


def write_submissions(suite: Suite, groups: Sequence[Group], out: Path) -> list[Path]:
    """Write ``out/ENCODER/scores.json`` for each encoder; return the files.

    groups: whole scores, of `read_suite`.
    """
    every = members(groups)
    names = shared_names((each.about["name"], each.about["arch"]) for each in every)
    files = []
    for of in groups:
        for each in of.members:
            seed = f"-seed{each.about['seed']}" if len(of.members) > 1 else ""
            folder = out / (re.sub(r"[^a-zA-Z0-9_.]+", "-", of.label).strip("-") + seed)
            folder.mkdir(parents=True, exist_ok=True)
            write_json(folder / FILE, submission(suite, each.about, names[each.about["name"], each.about["arch"]]))
            files.append(folder / FILE)
    return files


def submission(suite: Suite, scores: Mapping[str, Any], name: str) -> dict[str, Any]:
    """Return the content of a ``scores.json`` to send: parts of the suite's tasks, and no path of this machine.

    name: what others can load the encoder by, or else would call it (`shared_names`).
    """
    parts = {
        key: {**part, "settings": _without_folder(part["settings"]), "pictures": {}}
        for key, part in scores["parts"].items()
        if part["task"] in suite.settings
    }
    return {**scores, "model": name, "name": name, "parts": parts}


def _without_folder(settings: Mapping[str, Any]) -> dict[str, Any]:
    return {**settings, "folder": PurePath(settings.get("folder", "")).name}
