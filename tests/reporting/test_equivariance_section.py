"""The section of what encoders keep of transformations: what its text says of the representations on it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from equicoherence.reporting.runs import read_run
from equicoherence.reporting.scores import score_sections
from tests.reporting.scored import change_parts

EXPLAINED = "R² of z_inv may be as high as that of z_equi."


@pytest.mark.parametrize("kept", [("backbone", "z_equi"), ("backbone", "z_inv")])
def test_a_rotation_in_z_inv_is_explained_where_both_z_have_scores(
    kept: tuple[str, ...], write_run: Callable[..., Path]
) -> None:
    folder = write_run()
    assert EXPLAINED in score_sections({"run": [read_run(folder)]})
    change_parts(folder, lambda part: part.update(rows=[r for r in part["rows"] if r["representation"] in kept]))
    assert EXPLAINED not in score_sections({"run": [read_run(folder)]})
