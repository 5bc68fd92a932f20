"""R2 on noise in the tables of a comparison: nothing is better, and what is not near 0 is marked."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from equicoherence.evaluation.registry import all_tasks
from equicoherence.evaluation.task import Row
from equicoherence.evaluation.transformation import NOISE
from equicoherence.reporting.comparison.page import comparison
from equicoherence.reporting.comparison.texts import NOISE_GUIDE
from tests.reporting.scored import part, scores, table_of, write_file

MINUS = "\N{MINUS SIGN}"
ABOUT: dict[str, Any] = {"target": "rotation", "representation": "backbone", "probe": "mlp", "border": "content"}


def encoder(place: Path, name: str, noise: float | None) -> Path:
    """Write the scores of an encoder as they are stored: there, a lower R2 on noise is better."""
    rows = [Row("r2", 0.5, **ABOUT), *([] if noise is None else [Row(NOISE, noise, **ABOUT)])]
    metrics = {"r2": True, NOISE: False}
    turned = part(rows, task="transformation", probe_order=["mlp"], metrics=metrics)
    return write_file(place / name, scores([turned], name))


def test_no_r2_on_noise_is_the_best_and_what_is_beyond_the_limit_is_marked(tmp_path: Path) -> None:
    folders = [encoder(tmp_path, "a", -0.019), encoder(tmp_path, "b", -0.021)]
    page = comparison(folders, tmp_path / "out").read_text(encoding="utf-8")
    (row,) = (row for row in table_of(tmp_path / "out") if "noise" in row[3])
    assert row[3].replace("\N{NO-BREAK SPACE}", " ") == "rotation R2 on noise (content)", "no arrow"
    assert row[5:7] == [f"{MINUS}0.019", f"{MINUS}0.021 (!)"]
    assert f">{MINUS}0.019<" in page
    assert f">{MINUS}0.021 (!)<" in page
    assert NOISE_GUIDE in page


def test_a_comparison_without_noise_does_not_explain_it(tmp_path: Path) -> None:
    page = comparison([encoder(tmp_path, "a", None)], tmp_path / "out")
    assert NOISE_GUIDE not in page.read_text(encoding="utf-8")
    assert NOISE_GUIDE not in page.with_suffix(".md").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", [name for name, task in all_tasks().items() if NOISE in task.metrics])
def test_each_task_with_r2_on_noise_declares_that_neither_side_is_better(name: str) -> None:
    assert NOISE in all_tasks()[name].unranked
