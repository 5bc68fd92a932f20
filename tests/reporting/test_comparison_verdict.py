"""What a comparison's page says at its top: who is best, above which floors, and whose score is not to be trusted."""

from __future__ import annotations

import html
import re
from collections.abc import Sequence
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
    arch: str | None = None,
    data: str = "shapes",
) -> Path:
    """Write the scores of an encoder as `evaluate` does; those that are None were not taken.

    random, random_noise: of its random weights. Without an arch, no other encoder has them.
    """
    parts: list[dict[str, Any]] = []
    for control, value, of_noise, ends in (("", turn, noise, interval), ("random", random, random_noise, None)):
        if value is not None:
            rows = [Row("r2", value, interval=ends, **TURN)]
            if of_noise is not None:
                rows.append(Row(NOISE, of_noise, **TURN | {"floor": None}))
            about = {
                "task": "transformation",
                "variant": "rotation",
                "metrics": {"r2": True, NOISE: True},
                "data": data,
            }
            parts.append(part(rows, **about, control=control))
    for task, value in (("knn", knn), ("linear", linear)):
        if value is not None:
            parts.append(part([Row("top1", value, representation="backbone", floor=0.1)], task=task, data=data))
    folder = place / f"{name.replace(':', '-')}-{data}"
    return write_file(
        folder, scores(parts, name, arch=arch or (name if name.startswith("baseline:") else f"vit_{name}"))
    )


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
    assert said(folders, tmp_path / "out") == {
        "Rotation": "The features of a keep it best (R2 0.800) and are clearly above a constant guess. "
        "b is clearly above these, too.",
        "Classes": "The features of b recognise them best (k-NN 70.0 %; linear probe 90.0 %) and are clearly above a "
        "constant guess. a is clearly above these, too.",
    }


def test_a_single_encoder_is_best_of_nothing(tmp_path: Path) -> None:
    text = said([encoder(tmp_path, "a", 0.8, random=0.1)], tmp_path / "out")
    assert text == {
        "Rotation": "The features of a keep it (R2 0.800) and are clearly above a constant guess and random weights."
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
    assert said(folders, tmp_path / "out")["Rotation"].startswith(f"The features of {best} and are clearly above")


def test_a_tie_of_five_has_as_many_values_as_names(tmp_path: Path) -> None:
    folders = [encoder(tmp_path, name, 0.6 - n / 1000) for n, name in enumerate("abcde")]
    assert said(folders, tmp_path / "out")["Rotation"] == (
        "The features of a, b, c and 2 more keep it best, without a clear difference (R2 0.600, 0.599, 0.598, 2 more) "
        "and are clearly above a constant guess."
    )


def test_two_tasks_on_classes_may_have_two_best(tmp_path: Path) -> None:
    folders = [encoder(tmp_path, "a", knn=0.5, linear=0.6), encoder(tmp_path, "b", knn=0.3, linear=0.9)]
    assert said(folders, tmp_path / "out")["Classes"] == (
        "The features of a recognise them best (k-NN 50.0 %) and are clearly above a constant guess. "
        "The features of b recognise them best (linear probe 90.0 %) and are clearly above a constant guess. "
        "b (k-NN) and a (linear probe) are clearly above these, too."
    )


def test_who_is_below_or_not_above_random_weights_or_a_baseline_is_named_with_it(tmp_path: Path) -> None:
    folders = [
        encoder(tmp_path, "a", 0.8, random=0.3),
        encoder(tmp_path, "b", 0.31, random=0.3),
        encoder(tmp_path, "c", 0.64, random=0.3),
        encoder(tmp_path, "baseline:thumbnail", 0.65),
        encoder(tmp_path, "baseline:spectrum", 0.2),
    ]
    assert said(folders, tmp_path / "out")["Rotation"] == (
        "The features of a keep it best (R2 0.800) and are clearly above a constant guess, random weights and all "
        "baselines. b is clearly below baseline:thumbnail, and not clearly above random weights. "
        "c is not clearly above baseline:thumbnail."
    )


@pytest.mark.parametrize(
    ("levels", "standing"),
    [
        ((0.49, 0.50, 0.51), "not clearly above any baseline"),
        ((0.60, 0.70, 0.75), "clearly below all baselines"),
        ((0.49, 0.50, 0.60), "clearly below baseline:c, and not clearly above any other baseline"),
        ((0.20, 0.49, 0.50), "not clearly above 2 of 3 baselines"),
    ],
)
def test_several_baselines_are_counted(tmp_path: Path, levels: Sequence[float], standing: str) -> None:
    folders = [encoder(tmp_path, f"baseline:{name}", level) for name, level in zip("abc", levels)]
    folders += [encoder(tmp_path, "top", 0.8), encoder(tmp_path, "low", 0.5)]
    assert said(folders, tmp_path / "out")["Rotation"].endswith(f"low is {standing}.")


def test_no_encoder_is_best_at_what_its_random_weights_do_better(tmp_path: Path) -> None:
    folders = [encoder(tmp_path, "a", 0.231, random=0.381), encoder(tmp_path, "b", -0.009, random=0.52)]
    assert said(folders, tmp_path / "pair")["Rotation"] == (
        "All encoders are clearly below random weights (highest R2 0.231). b is not clearly above a constant guess."
    )
    assert said(folders[1:], tmp_path / "one")["Rotation"] == (
        "b is clearly below random weights, and not clearly above a constant guess (R2 \N{MINUS SIGN}0.009)."
    )


def test_no_encoder_is_best_where_none_is_above_the_baselines(tmp_path: Path) -> None:
    folders = [encoder(tmp_path, "a", 0.5, random=0.6), encoder(tmp_path, "b", 0.4, random=0.5)]
    folders += [encoder(tmp_path, "baseline:thumbnail", 0.5), encoder(tmp_path, "baseline:spectrum", 0.49)]
    assert said(folders, tmp_path / "out")["Rotation"] == (
        "All encoders are clearly below random weights, and none is clearly above any baseline (highest R2 0.500). "
        "b is clearly below all baselines."
    )


def test_the_highest_is_not_best_below_its_own_floors(tmp_path: Path) -> None:
    folders = [encoder(tmp_path, "a", 0.8, random=0.9), encoder(tmp_path, "b", 0.5, random=0.1)]
    assert said(folders, tmp_path / "out")["Rotation"] == (
        "a has the highest score (R2 0.800), but is clearly below random weights. "
        "b is clearly above a constant guess and random weights."
    )


def test_no_encoder_is_best_at_what_a_constant_guess_does_as_well(tmp_path: Path) -> None:
    folders = [encoder(tmp_path, "a", 0.015), encoder(tmp_path, "b", 0.01)]
    text = "No encoder is clearly above a constant guess (highest R2 0.015)."
    assert said(folders, tmp_path / "out")["Rotation"] == text


def test_what_is_read_from_noise_is_neither_best_nor_a_floor(tmp_path: Path) -> None:
    folders = [
        encoder(tmp_path, "a", 0.9, noise=0.031, random=0.1),
        encoder(tmp_path, "b", 0.5, noise=0.019, random=0.49, random_noise=-0.04),
        encoder(tmp_path, "baseline:spectrum", 0.8, noise=0.5),
    ]
    assert said(folders, tmp_path / "out")["Rotation"] == (
        "Not to be trusted, because R2 on noise is not near 0: a (0.031), baseline:spectrum (0.500) and random weights "
        "of b (\N{MINUS SIGN}0.040). The features of b keep it (R2 0.500) and are clearly above a constant guess."
    )


@pytest.mark.parametrize(
    ("levels", "text"),
    [
        (
            (0.8, 0.6, 0.5),
            "The features of b keep it best (R2 0.800) and are clearly above a constant guess. All others",
        ),
        ((-0.1, -0.4, -0.5), "All other encoders are clearly below a constant guess (highest R2 \N{MINUS SIGN}0.100)."),
        ((0.015, -0.4, -0.5), "No other encoder is clearly above a constant guess (highest R2 0.015)."),
    ],
)
def test_a_sentence_on_all_encoders_is_not_on_those_that_noise_leaves_out(
    tmp_path: Path, levels: Sequence[float], text: str
) -> None:
    folders = [encoder(tmp_path, "a", 0.9, noise=0.031)]
    folders += [encoder(tmp_path, name, level) for name, level in zip("bcd", levels)]
    noise = "Not to be trusted, because R2 on noise is not near 0: a (0.031). "
    assert said(folders, tmp_path / "out")["Rotation"].startswith(noise + text)


def test_a_noisy_baseline_is_not_among_all_baselines(tmp_path: Path) -> None:
    folders = [encoder(tmp_path, "a", 0.8), encoder(tmp_path, "baseline:noisy", 0.9, noise=0.1)]
    folders += [encoder(tmp_path, f"baseline:{n}", 0.2) for n in "bc"]
    text = said(folders, tmp_path / "out")["Rotation"]
    assert "and are clearly above a constant guess and all trusted baselines. Not to be trusted" in text


def test_of_several_data_sets_each_score_and_each_noise_has_its_own(tmp_path: Path) -> None:
    folders = [encoder(tmp_path, "a", 0.8, data="pets"), encoder(tmp_path, "b", 0.5, noise=0.03, data="pets")]
    folders += [encoder(tmp_path, "a", 0.7, data="cars"), encoder(tmp_path, "b", 0.9, data="cars")]
    text = said(folders, tmp_path / "out")["Rotation"]
    assert text.startswith("Not to be trusted, because R2 on noise is not near 0: b (pets, 0.030). ")
    assert "The features of a keep it (R2, pets 0.800) and" in text
    assert "The features of b keep it best (R2, cars 0.900) and" in text
    assert text.endswith("a (R2, cars) is clearly above these, too.")


def test_encoders_without_a_score_are_not_among_all(tmp_path: Path) -> None:
    folders = [encoder(tmp_path, name, value) for name, value in zip("abc", (0.8, 0.5, 0.4))]
    folders.append(encoder(tmp_path, "d", knn=0.5))
    assert said(folders, tmp_path / "out")["Rotation"].endswith("b and c are clearly above these, too.")


def test_of_many_encoders_the_first_are_named(tmp_path: Path) -> None:
    folders = [encoder(tmp_path, f"e{n}", 0.9 - n / 10) for n in range(6)]
    folders.append(encoder(tmp_path, "low", 0.01))
    assert said(folders, tmp_path / "out")["Rotation"].endswith(
        "e1, e2, e3 and 2 more are clearly above these, too. low is not clearly above a constant guess."
    )


def test_five_encoders_that_all_differ_take_four_sentences(tmp_path: Path) -> None:
    folders = [encoder(tmp_path, f"baseline:{name}", value) for name, value in zip("abc", (0.2, 0.4, 0.6))]
    values = {"top": (0.9, 0.1), "v": (0.5, 0.1), "w": (0.21, 0.1), "x": (0.41, 0.1), "y": (0.01, 0.5)}
    folders += [encoder(tmp_path, name, value, random=random) for name, (value, random) in values.items()]
    assert said(folders, tmp_path / "out")["Rotation"] == (
        "The features of top keep it best (R2 0.900) and are clearly above a constant guess, random weights and all "
        "baselines. v, x and w are clearly below some baselines. y is clearly below random weights and all baselines."
    )


def test_a_page_without_rotation_or_classes_says_nothing_and_a_name_stays_text(tmp_path: Path) -> None:
    rows = [Row("miou", 0.5, floor=0.1)]
    assert said([write_file(tmp_path / "m", scores([part(rows, task="segmentation")]))], tmp_path / "none") == {}
    name = "<script>a"
    folder = encoder(tmp_path, "x", 0.8)
    renamed = (folder / "scores.json").read_text().replace('"name": "x"', f'"name": "{name}"')
    (folder / "scores.json").write_text(renamed)
    page = comparison([folder], tmp_path / "out")
    assert "The features of <strong>&lt;script&gt;a</strong> keep it" in page.read_text(encoding="utf-8")
