"""The table of main figures: its rows and columns, and where it says that its numbers come from."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from equicoherence.evaluation.task import Row
from equicoherence.reporting.main_figures import score_grid, score_markdown
from equicoherence.reporting.summary import summarise_scores
from equicoherence.reporting.tables import Cell, Grid
from tests.reporting.scored import part, scores, write_file

PROBES = ["mlp", "linear", "attentive"]


def turned(*rows: Row, **about: Any) -> dict[str, Any]:
    return part(rows, task="transformation", protocol="frozen, probes of pairs", probe_order=PROBES, **about)


def table(found: dict[str, list[dict[str, Any]]]) -> tuple[list[str], list[list[str]]]:
    grid = score_grid(summarise_scores(found), list(found))
    return [str(title) for title in grid.header], [[str(cell.content) for cell in row] for row in grid.cells]


def test_a_row_is_a_main_figure_and_a_column_is_a_name_random_weights_or_a_constant() -> None:
    rows = [
        Row("r2", 0.5, target="se2", border="content", representation="backbone", probe="mlp", floor=-0.01),
        Row("r2", 0.4, target="se2", border="content", representation="backbone", probe="linear", floor=-0.01),
        Row("r2", 0.9, target="se2", border="content", representation="backbone", probe="mlp", parameter="angle"),
    ]
    random = [Row("r2", 0.2, target="se2", border="content", representation="backbone", probe="mlp", floor=-0.01)]
    header, found = table({"a": [scores([turned(*rows), turned(*random, control="random")])]})
    assert header == ["score", "reads", "a", "random", "constant"]
    assert found == [["transformation se2 R2 (content)", "backbone", "0.500", "0.200", "\N{MINUS SIGN}0.010"]]


@pytest.mark.parametrize("target", ["rotation", "a path of my own"])
def test_a_transformation_of_one_parameter_is_a_row_whatever_its_name(target: str) -> None:
    _, rows = table({"a": [scores([turned(Row("r2", 0.5, target=target, border="content", probe="mlp"))])]})
    assert [row[0] for row in rows] == [f"transformation {target} R2 (content)"]


def test_the_signed_value_the_absolute_value_and_the_sign_are_three_rows() -> None:
    place = {"border": "content", "representation": "backbone", "probe": "mlp"}
    rows = [
        Row("r2", 0.0, target="rotation", floor=0.0, **place),
        Row("r2", 0.75, target="rotation, absolute", floor=0.0, **place),
        Row("accuracy", 0.5, target="rotation, side", floor=0.5, **place),
    ]
    _, found = table({"a": [scores([turned(*rows)])]})
    assert [[row[0], *row[2:]] for row in found] == [
        ["transformation rotation R2 (content)", "0.000", "0.000"],
        ["transformation absolute rotation R2 (content)", "0.750", "0.000"],
        ["transformation rotation sign accuracy (content)", "0.500", "0.500"],
    ]


def test_tasks_of_all_kinds_stand_in_one_table_in_their_order() -> None:
    parts = [
        part([Row("miou", 0.3), Row("accuracy", 0.8), Row("iou", 0.1, parameter="road")], task="segmentation",
             protocol="frozen, linear", data="camvid"),
        part([Row("r2", 0.6, target="color", representation="z", probe="mlp"), Row("top1", 0.5, target="class",
              representation="z", probe="mlp")], task="pose", protocol="frozen, probes of views", probe_order=PROBES),
        part([Row("top1", 0.25, representation="z")]),
    ]  # fmt: skip
    _, rows = table({"a": [scores(parts)]})
    assert rows == [
        ["knn top-1 on shapes", "z", "25.0 %"],
        ["pose color R2 on shapes", "z", "0.600"],
        ["pose class top-1 on shapes", "z", "50.0 %"],
        ["segmentation mIoU on camvid", "patch tokens", "0.300"],
    ]


def test_data_protocol_and_probe_are_named_only_where_there_are_several() -> None:
    plain = part([Row("top1", 0.5, representation="z", probe="mlp")])
    other = part([Row("top1", 0.6, representation="z", probe="linear")], protocol="fine-tuned")
    assert table({"a": [scores([plain])]})[1] == [["knn top-1", "z", "50.0 %"]]
    assert table({"a": [scores([plain, other])]})[1] == [
        ["knn top-1, frozen, 20 neighbours", "z (mlp)", "50.0 %"],
        ["knn top-1, fine-tuned", "z (linear)", "60.0 %"],
    ]


def test_a_probe_that_is_the_main_one_of_one_encoder_is_shown_for_all() -> None:
    both = turned(*(Row("r2", v, target="t", representation="z", probe=p) for p, v in (("mlp", 0.7), ("linear", 0.5))))
    one = turned(Row("r2", 0.6, target="t", representation="z", probe="linear"))
    _, rows = table({"a": [scores([both])], "b": [scores([one], "b")]})
    assert [row[1:] for row in rows] == [["z (mlp)", "0.700", "\N{EN DASH}"], ["z (linear)", "0.500", "0.600"]]


def test_every_model_keeps_its_own_random_floor() -> None:
    found = {
        name: [
            scores(
                [
                    part([Row("top1", own, representation="backbone")]),
                    part([Row("top1", random, representation="backbone")], control="random"),
                ],
                name,
            )
        ]
        for name, own, random in (("a", 0.5, 0.1), ("b", 0.6, 0.2))
    }
    header, rows = table(found)
    assert header[2:] == ["a", "b", "a, random", "b, random"]
    assert rows[0][2:] == ["50.0 %", "60.0 %", "10.0 %", "20.0 %"]


def test_a_spread_has_the_unit_of_its_mean() -> None:
    runs = [scores([part([Row("top1", v)]), turned(Row("r2", v, target="t", probe="mlp"))]) for v in (0.45, 0.55)]
    _, rows = table({"a": runs})
    assert {row[2] for row in rows} == {"50.0 % ±7.1", "0.500 ±.071"}


def test_the_markdown_table_says_every_date_machine_and_version(tmp_path: Path) -> None:
    runs = []
    for seed, (date, machine, torch) in enumerate((("2026-01-02", "old", "2.11"), ("2026-01-01", "new", "2.12"))):
        said = {"date": date, "machine": {"processor": machine}, "versions": {"torch": torch, "timm": "1.0"}}
        content = scores([part([Row("top1", 0.5, representation="backbone")], **said)], seed=seed)
        runs.append(write_file(tmp_path / str(seed), content))
    line, _, header, *_ = score_markdown({"a": runs}).splitlines()
    assert line == (
        "2026-01-01 / 2026-01-02, processor old / new, torch 2.11 / 2.12, timm 1.0; seeds 0, 1; data shapes."
    )
    assert header == "| score | reads | a |"


def test_a_table_is_the_same_in_every_form_and_names_stay_text() -> None:
    grid = Grid(["[red]a|b", "n"], [["[bold]x", Cell("0.5", "number", best=True, remark="2 runs")]])
    console = Console(width=60, record=True, file=io.StringIO())
    console.print(grid.rich())
    printed = console.export_text()
    assert "[red]a|b" in printed
    assert "[bold]x" in printed
    assert grid.markdown() == "| [red]a\\|b | n |\n| --- | --- |\n| [bold]x | **0.5** |"
    assert '<td class="number"><strong>0.5</strong><small>2 runs</small></td>' in grid.html("caption")
