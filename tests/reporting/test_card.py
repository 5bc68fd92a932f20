"""The first section of a page: what its text says of the runs on it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from equicoherence.reporting.card import card_section
from equicoherence.reporting.runs import read_run

INSIDE = "In run the method's loss reads v1 and v2, as published."
BETWEEN = "In run the path leads from v1 to v2, without u, and the method's loss reads v1 and v2."


@pytest.mark.parametrize(
    ("path", "invariant", "task", "sentence"),
    [
        ("se2", "path", True, INSIDE),
        ("se2", "base", True, ""),
        ("se2", "path", False, ""),
        ("none", "path", True, ""),
        ("between", "path", True, BETWEEN),
    ],
)
def test_which_views_the_loss_reads_is_said_of_runs_with_a_path(
    path: str, invariant: str, task: bool, sentence: str, write_run: Callable[..., Path]
) -> None:
    config: dict[str, Any] = {"views": {"path": path, "invariant": invariant}}
    run = read_run(write_run(config=config | {"coherence": {"decoder": "conv"} if task else None}))
    text = str(card_section({"run": [run]}, [])).replace("&#39;", "'")
    assert [each for each in (INSIDE, BETWEEN) if each in text] == [each for each in (sentence,) if each]
    assert ("loss reads" in text) == bool(sentence)
