"""The page of a comparison: its order, its names, its pictures, and what the table says of sizes."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from equicoherence.evaluation.registry import all_tasks
from equicoherence.evaluation.task import Row
from equicoherence.reporting.comparison.page import comparison
from equicoherence.reporting.names import DATA_NAMES, METRIC_NAMES, data_name, heading, metric_name
from equicoherence.sets import DECLARATIONS
from tests.reporting.scored import SEGMENTATION, Write, change_parts, part, scores, table_of, write_file


def sections(page: Path) -> dict[str, str]:
    """Return the HTML of each section of a page by its title."""
    found = re.findall(r"<section .*?<h2[^>]*>(.*?)</h2>(.*?)</section>", page.read_text(encoding="utf-8"), re.DOTALL)
    return dict(found)


def tables(page: Path) -> list[tuple[str, str]]:
    """Return caption and HTML of each table of a page."""
    found = re.findall(r"<table>(.*?)</table>", page.read_text(encoding="utf-8"), re.DOTALL)
    return [(re.findall("<caption>(.*?)</caption>", table)[0], table) for table in found]


def headings(page: Path) -> list[str]:
    """Return the titles of the columns of the first table."""
    return re.findall(r'<th scope="col"[^>]*>(.*?)</th>', tables(page)[0][1])


def test_the_summary_is_first_and_the_encoders_are_last(write: Write, tmp_path: Path) -> None:
    page = sections(comparison([write("a", 0.4), write("b", 0.7)], tmp_path / "out"))
    assert list(page) == ["Summary", "Segmentation", "Encoders"]
    assert "mIoU" in page["Summary"]
    assert "error" not in page["Summary"], "the first metric alone"
    assert "error" in page["Segmentation"]
    for shown in ("0.400", "<strong>0.700</strong>", "0.100", "0.050", "CamVid"):
        assert shown in page["Summary"]


def test_the_summary_begins_with_a_chart_of_what_is_better_when_higher(write: Write, tmp_path: Path) -> None:
    text = sections(comparison([write("a", 0.4), write("b", 0.7)], tmp_path / "out"))["Summary"]
    told = re.findall('data-tip="(.*?)"', text)
    assert told == [
        "a, Segmentation mIoU: 0.400; random 0.100; constant 0.050",
        "b, Segmentation mIoU: 0.700; random 0.100; constant 0.050",
    ]
    assert text.index("data-tip") < text.index("<table")


@pytest.mark.parametrize(("count", "names"), [(2, "e0 · e1 (2 encoders,"), (5, "e0 · e1 · e2 · 2 more (5 encoders,")])
def test_the_subtitle_names_the_encoders(write: Write, tmp_path: Path, count: int, names: str) -> None:
    out = comparison([write(f"e{number}") for number in range(count)], tmp_path / "out")
    assert "<h1>Comparison</h1>" in out.read_text(encoding="utf-8")
    assert f'<p class="subtitle">{names}' in out.read_text(encoding="utf-8")


def test_the_title_of_a_page_of_one_encoder_is_its_name(write: Write, tmp_path: Path) -> None:
    out = comparison([write("a")], tmp_path / "out")
    assert "<h1>a</h1>" in out.read_text(encoding="utf-8")
    assert '<p class="subtitle">1 encoder, evaluated 2026-03-14</p>' in out.read_text(encoding="utf-8")
    assert out.with_suffix(".md").read_text(encoding="utf-8").startswith("# a\n")


def test_a_score_follows_its_name_at_once_and_what_all_rows_share_is_in_the_caption(tmp_path: Path) -> None:
    rows = [Row("top1", 0.5, representation=read) for read in ("backbone", "z_equi")]
    first, other = part(rows), part([Row("miou", 0.3)], **SEGMENTATION)
    one = comparison([write_file(tmp_path / "a", scores([first]))], tmp_path / "one")
    assert headings(one) == ["score", "a", "constant"]
    caption, text = tables(one)[0]
    assert caption == "The main scores of each task, k-NN, shapes"
    assert text.count("<small>backbone</small>") == text.count("<small>z_equi</small>") == 1
    both = comparison([write_file(tmp_path / "b", scores([first, other]))], tmp_path / "both")
    caption, text = tables(both)[0]
    assert caption == "The main scores of each task"
    assert "<small>k-NN · shapes · z_equi</small>" in text


def test_scores_with_a_border_that_leaks_are_behind_a_click(tmp_path: Path) -> None:
    about: dict[str, Any] = {"target": "rotation", "representation": "backbone", "probe": "mlp"}
    rows = [Row("r2", value, border=border, **about) for border, value in (("zeros", 0.9), ("content", 0.5))]
    turned = part(rows, task="transformation", probe_order=["mlp"])
    page = comparison([write_file(tmp_path / "a", scores([turned]))], tmp_path / "out")
    seen = sections(page)["Summary"]
    assert seen.index("0.500") < seen.index("1 score with border “zeros”") < seen.index("0.900")
    assert seen.index("<details>") < seen.index("0.900")


def test_what_is_the_same_for_all_encoders_is_said_once(write: Write, tmp_path: Path) -> None:
    runs = [write("a"), write("b")]
    change_parts(runs[1], lambda part: part.update(machine={"cores": 8}))
    about = sections(comparison(runs, tmp_path / "out"))["Encoders"]
    assert "The same for all: date 2026-03-14; versions torch 2.11.0." in about
    assert about.count("2026-03-14") == about.count("torch 2.11.0") == 1
    header = re.findall(r'<th scope="col">(.*?)</th>', about)
    assert header == ["name", "seed", "architecture", "pretrained at", "weights", "machine"]
    assert "cores 2" in about
    assert "cores 8" in about


def test_what_does_not_beat_the_constant_is_not_bold(write: Write, tmp_path: Path) -> None:
    comparison([write("a", 0.02, 0.01), write("b", 0.04, None)], tmp_path / "out")
    _, miou, error = table_of(tmp_path / "out")
    assert miou[4:] == ["0.020", "0.040", "0.010", "0.050"]
    assert error[4:] == ["8.980", "**8.960**", "8.990", "12.500"]


def test_means_that_are_printed_alike_are_bold_together_but_not_when_all_are(write: Write, tmp_path: Path) -> None:
    comparison([write("a", 0.70001), write("b", 0.70002)], tmp_path / "out")
    assert table_of(tmp_path / "out")[1][4:] == ["**0.700**", "**0.700**", "0.100", "0.050"]
    comparison([write("c", 0.70001, 0.7)], tmp_path / "out")
    assert table_of(tmp_path / "out")[1][4:] == ["0.700", "0.700", "0.050"]


def test_what_pictures_show_is_said_once_a_task(write: Write, tmp_path: Path) -> None:
    text = sections(comparison([write("a"), write("b")], tmp_path / "out"))["Segmentation"]
    assert text.count("What is &lt;seen&gt;.") == 1
    assert text.index("What is &lt;seen&gt;.") < text.index("<h3>Pictures")


def test_strips_take_the_width_of_the_page_and_other_pictures_do_not(write: Write, tmp_path: Path) -> None:
    run = write("a")
    for height, kind in ((223, "shot"), (222, "shot wide"), (134, "shot wide"), (133, "shot across")):
        Image.fromarray(np.zeros((height, 401, 3), np.uint8)).save(run / "pictures" / "0.png")
        text = comparison([run], tmp_path / "out").read_text(encoding="utf-8")
        assert re.findall('<figure class="(.*?)">', text) == ["shot", "shot", kind, "shot"]


def test_small_pictures_are_magnified_a_whole_number_of_times(write: Write, tmp_path: Path) -> None:
    run = write("a", random=None)
    for width, shown in ((32, 'class="pixels" width="128"'), (70, 'class="pixels" width="210"'), (120, "")):
        Image.fromarray(np.zeros((30, width, 3), np.uint8)).save(run / "pictures" / "0.png")
        text = comparison([run], tmp_path / "out").read_text(encoding="utf-8")
        assert re.findall('alt="frame &lt;7&gt;, a" ?(.*?)>', text) == [shown]


def test_a_small_strip_stays_beside_others(write: Write, tmp_path: Path) -> None:
    run = write("a")
    Image.fromarray(np.zeros((64, 200, 3), np.uint8)).save(run / "pictures" / "0.png")
    assert "shot across" not in comparison([run], tmp_path / "out").read_text(encoding="utf-8")


def test_the_table_is_followed_by_the_sizes_it_was_taken_at(write: Write, tmp_path: Path) -> None:
    run = write("a")
    change_parts(run, lambda part: part["settings"].update(steps=500))
    comparison([run], tmp_path / "out")
    text = (tmp_path / "out" / "comparison.md").read_text(encoding="utf-8")
    sizes = "input 64 x 96 px; pixels 64; steps 500; samples: train 367"
    assert f"- segmentation, frozen, linear on CamVid: {sizes}\n" in text


def test_inputs_of_several_sizes_are_not_told(write: Write, tmp_path: Path) -> None:
    run = write("a")
    change_parts(run, lambda part: part.update(input=None))
    assert "input, pixels" not in comparison([run], tmp_path / "out").read_text(encoding="utf-8")


def test_ids_are_shown_as_people_write_them(write: Write, tmp_path: Path) -> None:
    run = write("a")
    change_parts(run, lambda part: part.update(data="davis_2016"))
    out = comparison([run], tmp_path / "out")
    for file in (out, out.with_suffix(".md")):
        assert "DAVIS-2016" in file.read_text(encoding="utf-8")
        assert "davis_2016" not in file.read_text(encoding="utf-8")
        assert "miou" not in file.read_text(encoding="utf-8")
    assert (data_name("mine"), metric_name("mine"), heading("mine")) == ("mine", "mine", "Mine")


def test_every_data_set_and_metric_has_a_name() -> None:
    plain = {"photographs", "accuracy", "log10", "delta1", "delta2", "delta3"}  # read well as they are
    assert {declaration.name for declaration in DECLARATIONS} - DATA_NAMES.keys() <= plain
    assert {metric for task in all_tasks().values() for metric in task.metrics} - METRIC_NAMES.keys() <= plain


def test_points_of_curves_are_drawn_with_all_encoders_in_one_picture(tmp_path: Path) -> None:
    runs = []
    for name, level in (("a", 0.9), ("b", 0.5)):
        rows = [Row("retrieved", level, representation="backbone", floor=0.1)]
        rows += [
            Row(metric, level - at / 1000, representation="backbone", floor=0.1, parameter=f"{at}", at=at)
            for metric in ("retrieved", "cosine")
            for at in (0, 90)
        ]
        about = {"task": "rotation-curve", "protocol": "frozen, nothing trained"}
        parts = [part(rows, **about), part([replace(row, value=0.2) for row in rows], **about, control="random")]
        runs.append(write_file(tmp_path / name, scores(parts, name)))
    text = sections(comparison(runs, tmp_path / "out"))["Rotation-curve"]
    assert "If you want invariance (satellite, microscopy, inspection), look for" in text
    legend = re.findall(r"</svg>([^<]*)</li>", text)
    assert legend == ["a", "b", "random weights", "constant guess (floor)"]
    alts = re.findall('aria-label="(Curve of .*?)"', text)
    assert len(alts) == 2
    assert alts[0] == (
        "Curve of retrieved among all, backbone, over degrees. a: 0 0.900, 90 0.810; b: 0 0.500, 90 0.410; "
        "random weights: 0 0.200, 90 0.200."
    )
    assert text.index(alts[1]) < text.index("Scores, rotation-curve") < text.index("One by one")


def test_a_border_that_all_rows_share_is_in_the_caption_and_one_that_differs_is_in_the_rows(tmp_path: Path) -> None:
    about: dict[str, Any] = {"target": "rotation", "representation": "backbone", "probe": "mlp"}
    rows = [Row("r2", value, border=border, **about) for border, value in (("zeros", 0.9), ("content", 0.5))]
    turned = part(rows, task="transformation", probe_order=["mlp"])
    page = comparison([write_file(tmp_path / "a", scores([turned, part([Row("top1", 0.5)])]))], tmp_path / "out")
    (clean, text), (leaks, _), *_ = tables(page)
    assert clean.endswith("border content"), "k-NN has no border"
    assert leaks.endswith("border zeros")
    assert text.count("content") == 1, "in the caption alone"
    turned = part([*rows, replace(rows[0], border="reflection")], task="transformation", probe_order=["mlp"])
    page = comparison([write_file(tmp_path / "b", scores([turned], "b"))], tmp_path / "both")
    caption, text = tables(page)[0]
    assert "border" not in caption
    assert "<small>border content</small>" in text
    assert "<small>border reflection</small>" in text
