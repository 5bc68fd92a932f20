"""The page of earlier claims: its figures of today are those of the pages that it names."""

from __future__ import annotations

from types import ModuleType

import pytest

from tests.test_experiments import EXPERIMENTS


@pytest.fixture
def claims(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """Return the experiment."""
    monkeypatch.syspath_prepend(EXPERIMENTS)
    import claims  # pyright: ignore[reportMissingImports]

    return claims


def test_figures_of_today_are_those_of_their_pages(claims: ModuleType) -> None:
    rows = [line for line in claims.PAGE.read_text(encoding="utf-8").splitlines() if line.startswith("| ")]
    assert len(rows) == 2 + len(claims.CLAIMS)
    for row, claim in zip(rows[2:], claims.CLAIMS):
        assert row.startswith(f"| {claim.said} |")
        assert claim.today.shown() in row, "run `python experiments/claims.py`, and read the verdicts again"
        assert claim.before.commit, "a figure of before is of a commit"
        assert f"`{claim.before.commit}:{claim.before.page}.md`" in row


def test_a_cell_is_found_below_its_heading_by_its_row_and_column(claims: ModuleType) -> None:
    first, second = claims.tables_of(
        "| score | reads | plain |\n|---|---|---|\n| k-NN | z | **.1** |\n| k-NN | z_equi | .2 |\n\nwords\n\n"
        "| encoder | R2 |\n|---|---|\n| A | .3 |\n"
    )
    assert first == {"k-NN, z": {"plain": ".1"}, "k-NN, z_equi": {"plain": ".2"}}
    assert second == {"A": {"R2": ".3"}}


@pytest.mark.parametrize(
    ("row", "column", "heading", "place"),
    [
        ("BYOLO", "k-NN accuracy", "", ""),
        ("BYOL", "k-NN", "", ""),
        ("BYOL", "k-NN accuracy", "## Nowhere", " below '## Nowhere'"),
    ],
    ids=["row", "column", "heading"],
)
def test_a_cell_that_is_not_there_is_named(row: str, column: str, heading: str, place: str, claims: ModuleType) -> None:
    assert claims.Figures("methods", {"BYOL": ("BYOL", "k-NN accuracy")}).shown().startswith("BYOL ")
    with pytest.raises(SystemExit) as raised:
        claims.Figures("methods", {"BYOL": (row, column)}, heading=heading).shown()
    assert str(raised.value).startswith(f"methods.md has no row {row!r} with a column {column!r}{place}; ")
