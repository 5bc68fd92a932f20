"""What commands end with: few rows, which say how many others there are."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from equicoherence.evaluation.task import Row
from equicoherence.reporting.short_table import ROWS, distrusted, print_runs, print_short, short_grid
from equicoherence.reporting.summary import summarise_scores
from tests.reporting.scored import part, scores, write_file

PROBES = ["mlp", "linear", "attentive"]
MINUS, DASH = "\N{MINUS SIGN}", "\N{EN DASH}"


def turned(*rows: Row, **about: Any) -> dict[str, Any]:
    return part(rows, task="transformation", protocol="frozen, probes of pairs", probe_order=PROBES, **about)


def r2(value: float, target: str = "rotation", read: str = "backbone", **about: Any) -> Row:
    more = {"border": "content", "probe": "mlp", "floor": 0.0, "metric": "r2"} | about
    return Row(more.pop("metric"), value, target=target, representation=read, **more)


def table(found: dict[str, list[dict[str, Any]]]) -> tuple[list[str], list[list[str]], int]:
    grid, more = short_grid(summarise_scores(found), list(found))
    return [str(t) for t in grid.header], [[str(cell.content) for cell in row] for row in grid.cells], more


def test_of_one_name_each_representation_is_a_column_and_of_several_each_name() -> None:
    rows = [r2(0.5), r2(0.6, read="z_equi"), r2(0.9, probe="linear"), r2(0.1, border="zeros"), r2(0.3, parameter="x")]
    one = scores([turned(*rows), turned(r2(0.2), control="random")])
    two = scores([turned(r2(0.4), r2(0.7, read="z_equi"))], "b")
    header, found, _ = table({"a": [one]})
    assert header == ["score", "backbone", "z_equi", "random weights", "constant"]
    assert found == [["rotation R2", "0.500", "0.600", "0.200", "0.000"]]
    header, found, _ = table({"a": [one], "b": [two]})
    assert header == ["score", "a", "b", "random weights", "constant"]
    assert found == [["rotation R2", "0.500", "0.400", "0.200", "0.000"]]


def test_rotation_alone_has_all_three_scores_and_noise_is_one_row_that_warns() -> None:
    rows = [
        r2(0.5), r2(0.6, "rotation, absolute"), r2(0.8, "rotation, side", metric="accuracy", floor=0.5),
        r2(0.3, "translation"), r2(0.2, "translation, absolute"), r2(0.7, "translation, side", metric="accuracy"),
        r2(0.001, metric="noise_r2"), r2(-0.04, "rotation, absolute", metric="noise_r2"),
    ]  # fmt: skip
    _, found, more = table({"a": [scores([turned(*rows)])]})
    assert [row[0] for row in found] == [
        "rotation R2", "absolute rotation R2", "rotation sign accuracy", "translation R2",
        "R2 on noise (should be 0), the worst",
    ]  # fmt: skip
    assert found[-1] == ["R2 on noise (should be 0), the worst", f"{MINUS}0.040", DASH]
    assert more == 0
    _, found, _ = table({"a": [scores([turned(r2(0.5), r2(0.03, metric="noise_r2"))])]})
    assert found[-1][1] == "0.030 (!)"
    both = r2(-0.07, "rotation, absolute", metric="noise_r2"), r2(0.04, "scale", metric="noise_r2")
    _, found, _ = table({"a": [scores([turned(r2(0.5), *both)])]})
    assert found[-1][1] == "0.040 (!)"
    entries = summarise_scores({"a": [scores([turned(r2(0.5), *both)])]})
    told = "(!) R2 on noise is not near 0: do not trust the scores of rotation and scale of backbone."
    assert distrusted(entries, ["a"]) == told


DEFAULTS = ("rotation", "translation", "scale", "color", "blur", "se2", "all")


def by_default() -> list[dict[str, Any]]:
    """Return the parts of an encoder whose images were transformed in all default ways, each with all its figures."""
    rows = []
    for name in DEFAULTS:
        rows.append(r2(0.5, name))
        if name not in ("scale", "color", "blur"):
            rows += [r2(0.6, f"{name}, absolute"), r2(0.7, f"{name}, side", metric="accuracy", floor=0.5)]
    rows.append(r2(0.01, metric="noise_r2"))
    return [turned(*rows), part([Row("top1", 0.5)]), part([Row("top1", 0.6)], task="linear", protocol="frozen")]


def test_the_first_score_of_each_task_has_a_row_beside_all_default_transformations() -> None:
    _, found, more = table({"a": [scores(by_default())]})
    assert [row[0] for row in found] == [
        "rotation R2", "absolute rotation R2", "rotation sign accuracy", *(f"{name} R2" for name in DEFAULTS[1:]),
        "knn top-1", "linear top-1", "R2 on noise (should be 0), the worst",
    ]  # fmt: skip
    assert (len(found), more) == (ROWS, 0)
    retrieved = part([Row("mrr", 0.6)], task="retrieval", protocol="frozen, cosine")
    _, found, more = table({"a": [scores([*by_default(), retrieved])]})
    assert [row[0] for row in found][-5:-1] == ["se2 R2", "knn top-1", "linear top-1", "retrieval MRR"]
    assert (len(found), more) == (ROWS, 1)


def test_what_reads_patch_tokens_stands_in_the_first_column() -> None:
    parts = [
        part([Row("top1", 0.5, representation="backbone"), Row("top1", 0.4, representation="z_equi")]),
        part([Row("miou", 0.3)], task="segmentation", protocol="frozen, linear", data="camvid"),
    ]
    header, found, _ = table({"a": [scores(parts)]})
    assert header == ["score", "backbone", "z_equi"]
    assert found == [["knn top-1 on shapes", "50.0 %", "40.0 %"], ["segmentation mIoU on camvid", "0.300", DASH]]


def test_protocols_of_one_task_are_named() -> None:
    parts = [part([Row("top1", 0.5)]), part([Row("top1", 0.6)], protocol="fine-tuned")]
    _, found, _ = table({"a": [scores(parts)]})
    assert found == [["knn top-1, frozen, 20 neighbours", "50.0 %"], ["knn top-1, fine-tuned", "60.0 %"]]


def test_what_does_not_fit_is_counted_and_a_folder_without_scores_is_named(tmp_path: Path) -> None:
    rows = [r2(0.5, f"path {number}") for number in range(ROWS + 3)]
    run = write_file(tmp_path / "run", scores([turned(*rows)]))
    console = Console(width=90, record=True, file=io.StringIO())
    print_runs({"a": [run]}, console)
    text = console.export_text()
    assert text.count(" R2 ") == ROWS
    assert "3 more main scores are in scores.json, and on the page." in text
    print_short({"a": [scores([turned(*rows)])]}, console, on_page=False)
    assert "3 more main scores are in scores.json.\n" in console.export_text()
    print_short({"a": [scores([turned(*rows[: ROWS + 1])])]}, console, on_page=False)
    assert "1 more main score is in scores.json.\n" in console.export_text()
    with pytest.raises(FileNotFoundError, match=r"empty has no scores.json; score it: equicoherence evaluate"):
        print_runs({"a": [tmp_path / "empty"]}, console)
