"""What a comparison's page says at its top: who is best, above which floors, and whose score is not to be trusted."""

from __future__ import annotations

import html
import re
from pathlib import Path
from typing import Any

import pytest

from equicoherence.evaluation.task import Row
from equicoherence.evaluation.transformation import NOISE
from equicoherence.reporting.comparison.page import comparison
from tests.reporting.scored import part, scores, write_file

TURN = {"target": "rotation", "border": "content", "representation": "backbone", "probe": "mlp", "floor": 0.0}
Interval = tuple[float, float] | None


def encoder(
    place: Path,
    name: str,
    turn: float | None = None,
    knn: float | None = None,
    linear: float | None = None,
    *,
    interval: Interval = None,
    noise: float | None = None,
    random: float | None = None,
    random_noise: float | None = None,
    arch: str = "vit",
) -> Path:
    """Write the scores of an encoder as `evaluate` does; those that are None were not taken."""
    parts: list[dict[str, Any]] = []
    for control, value, of_noise, ends in (("", turn, noise, interval), ("random", random, random_noise, None)):
        if value is not None:
            rows = [Row("r2", value, interval=ends, **TURN)]
            if of_noise is not None:
                rows.append(Row(NOISE, of_noise, **TURN | {"floor": None}))
            about = {"task": "transformation", "variant": "rotation", "metrics": {"r2": True, NOISE: True}}
            parts.append(part(rows, **about, control=control))
    for task, value in (("knn", knn), ("linear", linear)):
        if value is not None:
            parts.append(part([Row("top1", value, representation="backbone", floor=0.1)], task=task))
    return write_file(place / name.replace(":", "-"), scores(parts, name, arch=arch))


def said(folders: list[Path], out: Path) -> dict[str, str]:
    """Return what the page says of each topic, as text."""
    page = comparison(folders, out).read_text(encoding="utf-8")
    summary = page[page.index('id="summary"') :]
    found = re.findall(r'<p class="says"><strong>(\w+)\.</strong> (.*?)</p>', summary)
    if found:
        assert summary.index('class="says"') < summary.index("<svg")
    return {topic: html.unescape(re.sub("<.*?>", "", text)) for topic, text in found}


def test_the_best_is_named_for_rotation_and_for_classes(tmp_path: Path) -> None:
    folders = [encoder(tmp_path, "a", 0.8, 0.5, 0.6), encoder(tmp_path, "b", 0.3, 0.7, 0.9)]
    above = "All are clearly above a constant guess."
    assert said(folders, tmp_path / "out") == {
        "Rotation": f"The features of a keep it best (R2 0.800). {above}",
        "Classes": f"The features of b recognise them best (k-NN 70.0 %; linear probe 90.0 %). {above}",
    }


def test_a_single_encoder_is_best_of_nothing(tmp_path: Path) -> None:
    text = said([encoder(tmp_path, "a", 0.8, random=0.1)], tmp_path / "out")
    assert text == {
        "Rotation": "The features of a keep it (R2 0.800). They are clearly above a constant guess and random weights."
    }


@pytest.mark.parametrize(
    ("ends", "best"),
    [
        (((0.4, 0.6), (0.5, 0.7)), "b and a keep it best, without a clear difference (R2 0.600, 0.500)"),
        (((0.48, 0.52), (0.58, 0.62)), "b keep it best (R2 0.600)"),
    ],
)
def test_intervals_that_meet_leave_no_best(tmp_path: Path, ends: tuple[Interval, Interval], best: str) -> None:
    folders = [encoder(tmp_path, n, v, interval=i) for n, v, i in zip("ab", (0.5, 0.6), ends)]
    assert said(folders, tmp_path / "out")["Rotation"].startswith(f"The features of {best}. ")


def test_two_tasks_on_classes_may_have_two_best(tmp_path: Path) -> None:
    folders = [encoder(tmp_path, "a", knn=0.5, linear=0.6), encoder(tmp_path, "b", knn=0.3, linear=0.9)]
    (text,) = said(folders, tmp_path / "out").values()
    assert "of a recognise them best (k-NN 50.0 %). The features of b recognise them best (linear probe 90.0 %)" in text


def test_who_is_not_above_random_weights_or_a_baseline_is_named_with_it(tmp_path: Path) -> None:
    folders = [
        encoder(tmp_path, "a", 0.8, random=0.3, arch="a"),
        encoder(tmp_path, "b", 0.31, random=0.3, arch="b"),
        encoder(tmp_path, "c", 0.6, random=0.3, arch="c"),
        encoder(tmp_path, "baseline:thumbnail", 0.65, arch="baseline:thumbnail"),
        encoder(tmp_path, "baseline:spectrum", 0.2, arch="baseline:spectrum"),
    ]
    assert said(folders, tmp_path / "out")["Rotation"] == (
        "The features of a keep it best (R2 0.800). "
        "a: clearly above a constant guess, random weights and all baselines. "
        "b: not clearly above random weights or baseline:thumbnail. c: not clearly above baseline:thumbnail."
    )


def test_no_encoder_is_best_at_what_a_constant_guess_does_as_well(tmp_path: Path) -> None:
    folders = [encoder(tmp_path, "a", 0.015), encoder(tmp_path, "b", -0.2)]
    assert said(folders, tmp_path / "out")["Rotation"] == (
        "No encoder is clearly above a constant guess (R2 0.015 at most). None is clearly above a constant guess."
    )


def test_what_is_read_from_noise_is_neither_best_nor_a_floor(tmp_path: Path) -> None:
    folders = [
        encoder(tmp_path, "a", 0.9, noise=0.031, random=0.1, arch="a"),
        encoder(tmp_path, "b", 0.5, noise=0.019, random=0.49, random_noise=-0.04, arch="b"),
        encoder(tmp_path, "baseline:spectrum", 0.8, noise=0.5, arch="baseline:spectrum"),
    ]
    assert said(folders, tmp_path / "out")["Rotation"] == (
        "The features of b keep it (R2 0.500). They are clearly above a constant guess. Not to be trusted, because R2 "
        "on noise is not near 0: a (0.031), baseline:spectrum (0.500) and random weights of b (\N{MINUS SIGN}0.040)."
    )


def test_of_many_encoders_the_first_are_named(tmp_path: Path) -> None:
    folders = [encoder(tmp_path, f"e{n}", 0.9 - n / 10) for n in range(6)]
    folders.append(encoder(tmp_path, "low", 0.01))
    assert "e0, e1, e2 and 3 more: clearly above a constant guess." in said(folders, tmp_path / "out")["Rotation"]


def test_a_page_without_rotation_or_classes_says_nothing_and_a_name_stays_text(tmp_path: Path) -> None:
    rows = [Row("miou", 0.5, floor=0.1)]
    assert said([write_file(tmp_path / "m", scores([part(rows, task="segmentation")]))], tmp_path / "none") == {}
    name = "<script>a"
    folder = encoder(tmp_path, "x", 0.8)
    renamed = (folder / "scores.json").read_text().replace('"name": "x"', f'"name": "{name}"')
    (folder / "scores.json").write_text(renamed)
    page = comparison([folder], tmp_path / "out")
    assert "The features of <strong>&lt;script&gt;a</strong> keep it" in page.read_text(encoding="utf-8")
