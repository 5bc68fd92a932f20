"""What is written is strict JSON, whole or not there; what cannot be read is named in one sentence."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest

from equicoherence.files import Damaged
from equicoherence.finite import NotFinite
from equicoherence.json_file import read_json, read_json_lines, read_yaml, write_json

DAMAGE: dict[str, tuple[bytes, str]] = {
    "empty": (b"", "it is empty"),
    "cut off": (b'{"rows": [1, 2', "it is no JSON: Expecting ',' delimiter, line 1, column 15"),
    "binary": (b"\x80\x02\xff\x00", "it is no text"),
    "a list": (b"[1, 2]", "it holds a list where a mapping is expected"),
    "a number": (b"3", "it holds a number where a mapping is expected"),
    "null": (b"null", "it holds nothing where a mapping is expected"),
    "NaN": (b'{"value": NaN}', "it holds NaN, which is no number of JSON"),
    "an infinity": (b'{"value": -Infinity}', "it holds -Infinity, which is no number of JSON"),
    "too deep": (b"[" * 100_000, "it is nested too deeply"),
}


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_number_that_is_not_finite_is_named_with_its_key_and_nothing_is_written(tmp_path: Path, value: float) -> None:
    path = tmp_path / "results.json"
    write_json(path, {"rows": [{"value": 1.0}]})
    with pytest.raises(NotFinite, match=rf"results\.json is not written: its rows\[1\]\.value is {value}"):
        write_json(path, {"rows": [{"value": 1.0}, {"value": value}]})
    assert json.loads(path.read_text()) == {"rows": [{"value": 1.0}]}
    assert [found.name for found in tmp_path.iterdir()] == ["results.json"]


def test_what_is_written_reads_the_same(tmp_path: Path) -> None:
    value: dict[str, Any] = {"a": [1, 2.5, None, "θ"], "b": {"c": True}}
    write_json(tmp_path / "file", value)
    assert read_json(tmp_path / "file", "remove it") == value
    write_json(tmp_path / "list", [1])
    assert read_json(tmp_path / "list", "remove it", list) == [1]


@pytest.mark.parametrize("kind", DAMAGE)
def test_a_damaged_file_is_named_with_the_reason_and_what_to_do(tmp_path: Path, kind: str) -> None:
    data, reason = DAMAGE[kind]
    path = tmp_path / "results.json"
    path.write_bytes(data)
    with pytest.raises(Damaged) as refused:
        read_json(path, "remove it")
    assert str(refused.value) == f"{path} is damaged ({reason}): remove it"


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"there is no file .*nothing"):
        read_json(tmp_path / "nothing", "remove it")


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "it is empty"),
        (b"a: [1, 2\nb: 3\n", "it is no YAML: .*, line 2, column 2"),
        (b"\xff\xfe\x00", "it is no text"),
        (b"a: \x00", "it is no YAML: it holds characters that YAML does not have"),
        (b"- a\n", "it holds a list where a mapping is expected"),
        (b"!!python/object/apply:os.system [ls]", "it is no YAML: could not determine a constructor .*"),
        (b"[" * 100_000, "it is nested too deeply"),
    ],
)
def test_damaged_yaml_is_named_in_one_line(tmp_path: Path, data: bytes, reason: str) -> None:
    (tmp_path / "config.yaml").write_bytes(data)
    with pytest.raises(Damaged, match=rf"^.*config\.yaml is damaged \({reason}\): mend it$"):
        read_yaml(tmp_path / "config.yaml", "mend it")


def test_half_a_last_line_is_left_out_and_other_damage_is_named_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    path.write_bytes(b'{"step": 1}\n{"step": 2}\n{"st')
    assert read_json_lines(path, "") == [{"step": 1}, {"step": 2}]
    for damage, reason in ((b"[1]", "it is a list where"), (b"", "it is empty"), (b"\xff", "it is no text")):
        path.write_bytes(b'{"step": 1}\n' + damage + b'\n{"step": 3}\n')
        with pytest.raises(Damaged, match=rf"line 2: {reason}"):
            read_json_lines(path, "")
    path.write_bytes(b"PK\x03\x04")  # no line at all, and none that was begun
    with pytest.raises(Damaged, match="line 1"):
        read_json_lines(path, "")
