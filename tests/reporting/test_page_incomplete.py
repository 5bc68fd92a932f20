"""What the page says of parts that are missing or broken, and which runs are refused."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from equicoherence.reporting.page import report
from tests.reporting.html_page import Page

WriteRun = Callable[..., Path]  # the fixture of conftest.py


REMEDIES = {"metrics.jsonl": "pretrain", "samples.npz": "pretrain", "scores.json": "evaluate"}


@pytest.mark.parametrize("part", REMEDIES)
def test_a_missing_part_is_named_with_the_way_to_get_it(write_run: WriteRun, part: str) -> None:
    run = write_run(parts=tuple(REMEDIES.keys() - {part}), lines=3, repeats=1)
    text = Page(report([run])).text
    assert re.findall(r"(\S+) is missing; equicoherence (\w+)", text) == [(part, REMEDIES[part])]


def test_broken_parts_are_named_with_the_way_to_get_them_anew(write_run: WriteRun) -> None:
    run = write_run(parts=())
    for file in REMEDIES:
        (run / file).write_bytes(b"PK\x03\x04 not what it should be")
    text = Page(report([run])).text
    for file, remedy in REMEDIES.items():
        assert re.search(rf"{file} is damaged \(.*?\); equicoherence {remedy}", text)


def test_a_run_of_adapt_names_the_page_that_has_its_scores(write_run: WriteRun) -> None:
    run = write_run(parts=("metrics.jsonl", "samples.npz"))
    (run / "adapt.html").touch()
    text = report([run]).read_text()
    assert "1 run, evaluated in adapt.html" in text
    assert "<code>adapt.html</code> in its folder has its scores; they cannot be drawn here: " in text
    assert "adapt.html in its folder has the scores before and after" in text
    assert "There is no verdict yet" not in text


def test_a_run_that_has_only_begun_gives_a_page_without_numbers(write_run: WriteRun) -> None:
    text = Page(report([write_run(parts=())])).text
    assert "not evaluated yet" in text
    assert not re.search(r"\d\.\d\d\d", text)


def test_a_path_that_is_no_run_is_refused_with_its_name(write_run: WriteRun, tmp_path: Path) -> None:
    write_run()
    with pytest.raises(FileNotFoundError, match=r"nowhere' is not a run directory: it is not a folder"):
        report([tmp_path / "nowhere"])
    with pytest.raises(FileNotFoundError, match=r"is not a run directory: it holds no config.yaml"):
        report([tmp_path / "run", tmp_path])
    with pytest.raises(ValueError, match="give one or more run directories"):
        report([])
    with pytest.raises(ValueError, match="is a folder; give the file to write"):
        report([tmp_path / "run"], tmp_path)


def test_a_configuration_that_is_no_mapping_is_refused(write_run: WriteRun) -> None:
    run = write_run()
    (run / "config.yaml").write_text("- only\n- a list\n")
    with pytest.raises(ValueError, match=r"config.yaml is damaged \(it holds a list where a mapping is expected\)"):
        report([run])
