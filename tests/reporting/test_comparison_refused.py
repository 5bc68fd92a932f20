"""Scores that are damaged or cannot be compared: each is refused with the name of its file."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from equicoherence.reporting.comparison.page import comparison
from tests.reporting.scored import Write, change_file


def first_part(about: dict[str, Any]) -> dict[str, Any]:
    return next(iter(about["parts"].values()))


DAMAGE: dict[str, Callable[[dict[str, Any]], object]] = {
    "no parts": lambda about: about.pop("parts"),
    "no architecture": lambda about: about.pop("arch"),
    "a name that is a list": lambda about: about.update(name=["a"]),
    "a configuration that is a list": lambda about: about.update(config=["a"]),
    "a score that is no number": lambda about: first_part(about)["rows"][0].update(value=None),
    "a target that is a list": lambda about: first_part(about)["rows"][0].update(target=["a"]),
    "a metric that is unknown": lambda about: first_part(about)["rows"][0].update(metric="other"),
    "an input that is no size": lambda about: first_part(about).update(input=[64]),
    "a caption that is no text": lambda about: first_part(about).update(caption=3),
    "pictures that are none": lambda about: first_part(about).update(shown={"title": 3}),
}


def test_a_score_too_large_for_a_number_is_damage(write: Write, tmp_path: Path) -> None:
    path = write("a", 0.4375) / "scores.json"
    path.write_text(path.read_text().replace("0.4375", "1e999"))  # which reads as infinity
    with pytest.raises(ValueError, match=r"is damaged .*has the value inf"):
        comparison([path.parent], tmp_path / "out")


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_file_is_named(write: Write, tmp_path: Path, damage: str) -> None:
    path = write("a") / "scores.json"
    change_file(path.parent, DAMAGE[damage])
    with pytest.raises(ValueError, match=re.escape(f"{path} is damaged")):
        comparison([path.parent], tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_what_cannot_be_compared_is_refused(write: Write, tmp_path: Path) -> None:
    run = write("a")
    with pytest.raises(ValueError, match="no scores to compare"):
        comparison([], tmp_path / "out")
    with pytest.raises(FileNotFoundError, match=re.escape(f"there is no folder {str(tmp_path / 'empty')!r}")):
        comparison([run, tmp_path / "empty"], tmp_path / "out")
    (tmp_path / "empty").mkdir()
    with pytest.raises(FileNotFoundError, match=re.escape(f"{tmp_path / 'empty' / 'scores.json'} is missing")):
        comparison([run, tmp_path / "empty"], tmp_path / "out")
    with pytest.raises(ValueError, match="is a file; give the folder"):
        comparison([run], run / "scores.json")
    twin = write("b", name="a", weights="digest of a")
    with pytest.raises(ValueError, match="both hold segmentation of the same weights; give one"):
        comparison([run, twin], tmp_path / "out")
    (run / "scores.json").write_text("{")
    with pytest.raises(ValueError, match=re.escape(f"{run / 'scores.json'} is damaged")):
        comparison([run], tmp_path / "out")
