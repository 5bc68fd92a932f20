"""The verdict: which figures it is made of, when a change counts, and what stands on its bars."""

from __future__ import annotations

import dataclasses
import re

import pytest

from equicoherence.evaluation.transformation import NOISE
from equicoherence.reporting.summary import IMAGES, REPEATS, RUNS, Score, spread
from equicoherence.reporting.verdict import BarGroup, main_figures, verdict_chart, verdicts

TURN = Score(
    *("plain", "transformation", "pictures", "frozen", "rotation", "content", "backbone", "mlp", "r2", "", ""),
    mean=0.5, std=None, low=0.5, high=0.5, n=1, over=RUNS, floors=(-0.01, 0.0), main=True, higher=True,
)  # fmt: skip
BOTH = {"plain": ["plain"], "ours": ["ours"]}
KNN = dataclasses.replace(TURN, task="knn", target="", border="", probe="", metric="top1", floors=(0.05, 0.1))


def test_the_figures_are_those_without_a_leak_of_the_backbone_transformations_first() -> None:
    entries = [
        KNN,
        TURN,
        dataclasses.replace(TURN, target="translation"),
        dataclasses.replace(TURN, target="rotation, side", metric="accuracy"),
        dataclasses.replace(TURN, target="rotation, absolute"),
        dataclasses.replace(TURN, border="zeros"),
        dataclasses.replace(TURN, representation="z_equi"),
        dataclasses.replace(TURN, probe="linear", main=False),
        dataclasses.replace(TURN, control="random", mean=0.25, name="plain"),
    ]
    figures = main_figures(entries, {"plain": ["plain"]})
    assert [figure.title for figure in figures] == ["rotation", "translation", "rotation sign", "k-NN"]
    assert [{n: each.mean for n, each in figure.random.items()} for figure in figures] == [{"plain": 0.25}, {}, {}, {}]


def test_random_weights_are_those_of_the_same_architecture_its_own_first() -> None:
    random = [
        dataclasses.replace(TURN, control="random", name=name, mean=mean) for name, mean in (("a", 0.1), ("b", 0.2))
    ]
    entries = [*random, *(dataclasses.replace(TURN, name=name) for name in "abcd")]
    (figure,) = main_figures(entries, {"a": ["a", "b"], "b": ["b", "a"], "c": ["c", "b"], "d": ["d"]})
    assert {name: each.mean for name, each in figure.random.items()} == {"a": 0.1, "b": 0.2, "c": 0.2}


@pytest.mark.parametrize(
    ("before", "after", "verb"),
    [
        ((0.5, 0.48, 0.52), (0.6, 0.57, 0.63), "gained"),
        ((0.5, 0.48, 0.58), (0.6, 0.57, 0.63), "not clear"),
        ((0.5, 0.48, 0.52), (0.4, 0.37, 0.43), "lost"),
        ((0.5, 0.5, 0.5), (0.515, 0.515, 0.515), "kept"),
    ],
)
def test_a_change_counts_where_whiskers_do_not_meet_and_it_is_no_small_one(before, after, verb) -> None:
    one, other = (
        dataclasses.replace(TURN, name=name, mean=mean, low=low, high=high, n=2)
        for name, (mean, low, high) in (("plain", before), ("ours", after))
    )
    figures = main_figures([one, other], BOTH)
    (said,) = verdicts(figures, ["plain", "ours"], "plain")
    assert (said.name, said.against) == ("ours", "plain")
    assert said.changes == {verb: [f"rotation {before[0]:.3f} → {after[0]:.3f}"]}


def test_a_point_of_the_classes_is_kept_and_more_is_not() -> None:
    worse = [dataclasses.replace(KNN, name="ours", mean=mean, low=mean, high=mean) for mean in (0.492, 0.485)]
    found = [verdicts(main_figures([KNN, each], BOTH), ["ours"], "plain")[0].changes for each in worse]
    assert [list(changes) for changes in found] == [["kept"], ["lost"]]
    better = dataclasses.replace(KNN, name="ours", mean=0.55, low=0.45, high=0.65, n=2)
    (said,) = verdicts(main_figures([KNN, better], BOTH), ["ours"], "plain")
    assert list(said.changes) == ["kept"], "more, within the spread, is no loss"


def test_without_a_plain_run_the_verdict_is_against_random_weights() -> None:
    entries = [TURN, dataclasses.replace(TURN, control="random", mean=0.2, low=0.2, high=0.2)]
    (said,) = verdicts(main_figures(entries, {"plain": ["plain"]}), ["plain"], None)
    assert (said.against, said.changes) == ("random weights", {"gained": ["rotation 0.200 → 0.500"]})


@pytest.mark.parametrize(("noisy", "control"), [("ours", ""), ("plain", ""), ("ours", "random")])
def test_a_transformation_that_is_read_from_noise_is_not_to_be_trusted(noisy: str, control: str) -> None:
    better = dataclasses.replace(TURN, name="ours", mean=0.7, low=0.7, high=0.7)
    moved = [dataclasses.replace(each, target="translation") for each in (TURN, better)]
    random = dataclasses.replace(better, control="random", mean=0.2, low=0.2, high=0.2)
    noise = dataclasses.replace(
        TURN, name=noisy, control=control, target="rotation, absolute", metric=NOISE, mean=0.051, main=False
    )
    entries = [TURN, better, *moved, random, dataclasses.replace(random, target="translation")]
    reference = None if control else "plain"
    first, whose = ("0.200", "random weights") if control else ("0.500", noisy)
    (said,) = verdicts(main_figures([*entries, noise], BOTH), ["ours"], reference)
    assert said.changes == {
        "gained": [f"translation {first} → 0.700"],
        "not to be trusted": [f"rotation {first} → 0.700 (R2 on noise of {whose}: 0.051)"],
    }
    of_one = dataclasses.replace(noise, target="rotation", parameter="y", mean=-0.3)  # no table reads it
    for quiet in (dataclasses.replace(noise, mean=0.049), dataclasses.replace(noise, probe="linear"), of_one):
        (said,) = verdicts(main_figures([*entries, quiet], BOTH), ["ours"], reference)
        assert list(said.changes) == ["gained"]


def test_whiskers_are_of_seeds_then_of_test_images_then_of_repeats() -> None:
    ranged = dataclasses.replace(TURN, low=0.4, high=0.6, n=2, interval=(0.3, 0.7))
    assert spread(ranged) == (0.4, 0.6, RUNS)
    assert spread(dataclasses.replace(ranged, over=REPEATS)) == (0.3, 0.7, IMAGES)
    assert spread(dataclasses.replace(ranged, over=REPEATS, interval=None)) == (0.4, 0.6, REPEATS)
    assert spread(TURN) == (0.5, 0.5, "")


def test_each_bar_has_its_spread_and_its_floors_and_says_them() -> None:
    ranged = dataclasses.replace(TURN, interval=(0.45, 0.55))
    random = dataclasses.replace(TURN, control="random", mean=0.2)
    drawn = verdict_chart([BarGroup("turn", False, {"plain": ranged}, {"plain": random})], ["plain", "absent"])
    assert re.findall('data-tip="([^"]*)"', drawn) == [
        "plain, turn: 0.500 (0.450 to 0.550); random 0.200; constant 0.000"
    ]
    assert drawn.count('class="whisker"') == 1
    assert drawn.count('class="floor"') == 2
    assert "95 % intervals over test images" in drawn
    lone = verdict_chart([BarGroup("turn", False, {"plain": TURN}, {})], ["plain"])
    assert 'class="whisker"' not in lone
    assert "All bars are single values." in lone


def test_of_several_scores_of_noise_the_one_farthest_from_its_limit_is_named() -> None:
    noise = [
        dataclasses.replace(TURN, name=name, target=target, metric=NOISE, mean=mean, main=False)
        for name, target, mean in (
            ("plain", "rotation", 0.021), ("ours", "rotation", -0.03), ("ours", "rotation, absolute", 0.055),
        )
    ]  # fmt: skip
    (said,) = verdicts(main_figures([TURN, dataclasses.replace(TURN, name="ours"), *noise], BOTH), ["ours"], "plain")
    assert said.changes == {"not to be trusted": ["rotation 0.500 → 0.500 (R2 on noise of ours: \N{MINUS SIGN}0.030)"]}
