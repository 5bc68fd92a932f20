"""The page of downstream tasks is that of the scores that lie beside it."""

from __future__ import annotations

from pathlib import Path

import pytest

EXPERIMENTS = Path(__file__).resolve().parents[1] / "experiments"


def test_the_page_of_downstream_tasks_is_made_again_from_its_kept_scores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(EXPERIMENTS)
    import downstream as experiment  # pyright: ignore[reportMissingImports]

    encoders = experiment.SUITES["photographs"]
    assert encoders.page.read_text().startswith(experiment.page(encoders))
