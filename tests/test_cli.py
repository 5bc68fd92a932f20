"""The command: exit statuses, errors that say what to do, and the whole way from pictures to page."""

import json

import pytest

from equicoherence.cli import main
from equicoherence.compare import compare, score_rows, score_table, summary
from equicoherence.evaluation import TransformationConfig
from tests.small import picture_folder, small_config


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return picture_folder(tmp_path_factory.mktemp("pictures") / "data")


TINY = ["--optim.batch-size", "16", "--max-steps", "2", "--views.source", "32", "--log-every", "1", "--threads", "1"]


def test_pretrain_evaluate_report_from_the_command_line(data, tmp_path, capsys):
    run = str(tmp_path / "run")
    assert main(["pretrain", "vicreg-tiny", "--data", str(data), "--out", run, "--seed", "3", *TINY]) == 0
    few = ["--tasks", "transformation,knn", "--transformations", "rotation", "--probes", "linear", "--images", "30"]
    assert main(["evaluate", run, *few]) == 0
    assert json.loads((tmp_path / "run" / "results.json").read_text())["seed"] == 3
    assert main(["report", run]) == 0
    page = (tmp_path / "run" / "report.html").read_text()
    assert "vicreg-tiny" in page
    assert "http://" not in page.replace("http://www.w3.org", "")
    assert "rotation" in capsys.readouterr().out


def test_no_coherence_gives_the_plain_method(data, tmp_path):
    out = tmp_path / "plain"
    assert main(["pretrain", "simclr-tiny", "--no-coherence", "--data", str(data), "--out", str(out), *TINY]) == 0
    assert "reconstruction" not in (out / "metrics.jsonl").read_text()
    assert "name: simclr-tiny-plain" in (out / "config.yaml").read_text()


@pytest.mark.parametrize(
    ("arguments", "quoted"),
    [
        ([], ""),
        (["pretrian"], "pretrian"),
        (["pretrain"], "vicreg-tiny"),
        (["pretrain", "vicreg-tinny"], "vicreg-tinny"),
        (["pretrain", "vicreg-tiny", "--optim.lrr", "1"], "lrr"),
        (["pretrain", "vicreg-tiny", "--data", "no/such/folder"], "no/such/folder"),
        (["evaluate"], "timm:NAME"),
        (["evaluate", "no-such-model"], "no-such-model"),
        (["report", "no-such-run"], "no-such-run"),
        (["compare", "vicreg-tiny:bare"], "vicreg-tiny:bare"),
    ],
)
def test_wrong_use_exits_with_2_and_quotes_what_was_wrong(arguments, quoted, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(arguments) == 2
    captured = capsys.readouterr()
    assert quoted in captured.err + captured.out


def test_help_and_recipes_exit_with_0(capsys):
    assert main(["--help"]) == 0
    assert main(["recipes"]) == 0
    assert main(["pretrain", "vicreg-tiny", "--help"]) == 0
    assert "vicreg-tiny" in capsys.readouterr().out


def test_a_broken_run_exits_with_1(data, tmp_path, capsys):
    out = str(tmp_path / "run")
    broken = ["--optim.lr", "1e30", "--precision", "fp32", *TINY, "--max-steps", "6"]
    assert main(["pretrain", "vicreg-tiny", "--data", str(data), "--out", out, *broken]) == 1
    assert "at step" in capsys.readouterr().err


def test_compare_keeps_what_is_done_and_refuses_another_configuration(data, tmp_path):
    few = TransformationConfig(("rotation",), ("content",), ("linear",), train=30, test=9)
    config = small_config(data, max_steps=2)
    arguments = {"seeds": (0, 1), "tasks": ("transformation",), "transformation": few, "controls": False}
    runs = compare({"ours": config, "plain": config.plain()}, tmp_path, **arguments)
    assert [run.name for run in runs["ours"]] == ["ours-seed0", "ours-seed1"]
    before = (runs["ours"][0] / "model.safetensors").stat().st_mtime_ns
    compare({"ours": config}, tmp_path, **arguments)
    assert (runs["ours"][0] / "model.safetensors").stat().st_mtime_ns == before
    entries = summary(runs)
    assert {e["n"] for e in entries if e["name"] == "ours"} == {2}
    assert score_table(entries, list(runs), probe="linear").row_count == 4  # backbone, z_inv, z_equi, z
    with pytest.raises(ValueError, match="another configuration"):
        compare({"ours": small_config(data, max_steps=2, d=32)}, tmp_path, **arguments)


def test_every_model_keeps_its_own_random_floor():
    fields = {"task": "knn", "metric": "top1", "representation": "backbone", "n": 1, "std": None}
    blank = {"transformation": "", "border": "", "probe": "", "parameter": ""}
    entries = [
        {**fields, **blank, "name": name, "control": control, "mean": mean}
        for name, control, mean in (("a", "", 0.5), ("a", "random", 0.1), ("b", "", 0.6), ("b", "random", 0.2))
    ]
    header, rows = score_rows(entries, ["a", "b"])
    assert header[2:] == ["a", "b", "a, random", "b, random"]
    assert rows[0][2:] == ["50.0 %", "60.0 %", "10.0 %", "20.0 %"]
