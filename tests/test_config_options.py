"""Options of a configuration before they are parsed."""

from __future__ import annotations

import pytest

from equicoherence.commands.config_options import with_spaces


@pytest.mark.parametrize(
    ("given", "read"),
    [
        (
            ["--coherence.layers", "2,7", "--watch", "knn,rotation"],
            ["--coherence.layers", "2", "7", "--watch", "knn,rotation"],
        ),
        (["--coherence.layers=-1,-2", "--seed=1"], ["--coherence.layers", "-1", "-2", "--seed=1"]),
        (["MODEL,a", "--views.told", "angle,", "scale"], ["MODEL,a", "--views.told", "angle", "scale"]),
        (["--coherence.layers", "2", "7"], ["--coherence.layers", "2", "7"]),
    ],
)
def test_commas_of_lists_are_spaces_and_others_stay(given: list[str], read: list[str]) -> None:
    assert with_spaces(given) == read
