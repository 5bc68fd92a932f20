"""The command: exit statuses, errors that say what to do, and the whole way from pictures to page."""

import dataclasses
import json
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import docstring_parser
import pytest

from equicoherence.cli import main
from equicoherence.coherence import CoherenceConfig
from equicoherence.commands import known_commands, recipes
from equicoherence.comparing import compare
from equicoherence.data.source import BadImage
from equicoherence.evaluation.store import FILE, read_scores
from equicoherence.methods import METHODS
from equicoherence.methods.simclr import SimCLR
from equicoherence.recipes import RECIPES, recipe
from equicoherence.reporting.short_table import short_grid
from equicoherence.reporting.summary import summarise_scores
from equicoherence.training.config import PretrainConfig
from equicoherence.training.encoder_config import EncoderConfig
from equicoherence.training.optim_config import OptimConfig
from equicoherence.training.views_config import AugmentationConfig, ViewsConfig
from tests.small import picture_folder, small_config


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return picture_folder(tmp_path_factory.mktemp("pictures") / "data")


TINY = ["--optim.batch-size", "16", "--max-steps", "2", "--views.source", "32", "--log-every", "1", "--threads", "1"]


def test_an_option_of_the_task_beside_no_task_is_refused(capsys):
    assert main(["pretrain", "vicreg-tiny", "--no-coherence", "--coherence.weight", "2", "--data", "objects"]) == 2
    assert "--no-coherence leaves the task out, and --coherence.weight is of the task" in capsys.readouterr().err


def test_pretrain_evaluate_report_from_the_command_line(data, tmp_path, capsys):
    run = str(tmp_path / "run")
    assert main(["pretrain", "vicreg-tiny", "--data", str(data), "--out", run, "--seed", "3", *TINY]) == 0
    few = ["--tasks", "transformation,knn", "--transformations", "rotation", "--probes", "linear", "--images", "30"]
    assert main(["evaluate", run, *few]) == 0
    assert "rotation" in capsys.readouterr().out
    assert json.loads((tmp_path / "run" / FILE).read_text())["seed"] == 3
    for wrong, quoted in (
        (["--size", "64"], "--size is for models that are no runs"),
        (["--random-weights"], "--random-weights is for timm's models"),
        (["--arch", "resnet18"], "--arch is for weights files"),
        (["--tasks", "linear", "--limit", "1"], "linear needs at least 2"),
        (["--tasks", "knn", "--bad-image-tolerance", "2"], "from 0 to 1, got 2"),
    ):
        assert main(["evaluate", run, *wrong]) == 2
        assert quoted in capsys.readouterr().err
    assert main(["report", run]) == 0
    page = (tmp_path / "run" / "report.html").read_text()
    assert "vicreg-tiny" in page
    assert "http://" not in page.replace("http://www.w3.org", "")
    assert "on data: limit" in page


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
        (["pretrain", "vicreg-tiny", "--optim.lrr", "1"], "option '--optim.lrr' is unknown; is it '--optim.lr'?"),
        (["pretrain", "vicreg-tiny", "--optim.lt", "1"], "option '--optim.lt' is unknown; is it '--optim.lr'?"),
        (
            ["pretrain", "vicreg-tiny", "--optim.weigth-decay", "1"],
            "option '--optim.weigth-decay' is unknown; is it '--optim.weight-decay'?",
        ),
        (
            ["pretrain", "vicreg-tiny", "--optim.betas", ".9", ".95"],
            "option '--optim.betas' is unknown; `equicoherence pretrain vicreg-tiny --help` describes",
        ),
        (["pretrain", "vicreg-tiny", "--epochs", "3"], "option '--epochs' is unknown; is it '--optim.epochs'?"),
        (
            ["pretrain", "vicreg-tiny", "--views.path", "rotatoin"],
            "views.path 'rotatoin' is unknown; is it 'rotation'?",
        ),
        (["pretrain", "vicreg-tiny", "--views.path", "betwen"], "is it 'between'?"),
        (
            ["pretrain", "vicreg-tiny", "--views.path", "se2+between"],
            "views.path cannot be 'se2+between': between stands alone, and not in a sum",
        ),
        (["pretrain", "vicreg-tiny", "--views.path", "se2+betwen"], "views.path 'betwen' is unknown; choose one of"),
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


def test_a_damaged_image_is_no_bug(capsys, monkeypatch):
    def damaged(_):
        raise BadImage("train/00.png", "truncated")

    monkeypatch.setattr(recipes, "run", damaged)
    assert main(["recipes"]) == 1
    assert capsys.readouterr().err == "failed: train/00.png: truncated\n"


def test_the_usage_names_every_command(capsys):
    assert main(["--help"]) == 0
    shown = capsys.readouterr().out
    assert all(f"\n  {command} " in shown for command in known_commands())


def test_each_page_that_recipes_names_is_in_the_repository_which_its_last_line_says(capsys):
    assert main(["recipes"]) == 0
    shown = capsys.readouterr().out
    pages = set(re.findall(r"docs/[\w./-]+\.md", shown))
    assert {f"docs/results/{name}.md" for name in ("methods", "vicreg-tiny-imagenet-10000-steps")} <= pages
    assert [page for page in pages if not (Path(__file__).parents[1] / page).is_file()] == []
    last = shown.splitlines()[-1]
    assert last.startswith("Pages in docs/ are in the source repository")


@pytest.mark.parametrize(
    ("name", "command"),
    [
        ("vicreg-tiny", "equicoherence pretrain vicreg-tiny --data DIR"),
        ("adapt-small", "equicoherence adapt MODEL --recipe adapt-small --data DIR"),
    ],
)
def test_a_recipe_is_described_with_the_command_that_uses_it(name, command, capsys):
    assert main(["recipes", name]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert "\n".join(lines).startswith(f"{name}: {RECIPES[name]}\n")
    assert command in lines
    assert {"hardware", "time", "scores"} <= {line.partition(":")[0] for line in lines}


@pytest.mark.parametrize("command", ["recipes", "tasks", "weights"])
def test_a_name_that_need_not_be_given_stands_in_brackets(command, capsys):
    assert main([command, "--help"]) == 0
    after = "--from FOLDER|URL" if command == "weights" else ""
    assert f"usage: equicoherence {command} [-h] [NAME] {after}".rstrip() in capsys.readouterr().out


def test_help_and_recipes_exit_with_0(capsys):
    assert main(["--help"]) == 0
    assert main(["recipes"]) == 0
    assert main(["pretrain", "vicreg-tiny", "--help"]) == 0
    assert "vicreg-tiny" in capsys.readouterr().out


def test_help_shows_first_what_one_changes_first_with_the_values_of_the_recipe(capsys):
    assert main(["pretrain", "simclr-tiny", "--help"]) == 0
    assert capsys.readouterr().out.startswith("The defaults below are those of simclr-tiny.\n")
    for wanted in ("--help", "--help-all"):  # without a recipe: those of one, which is named first
        assert main(["pretrain", wanted]) == 0
        line, _, rest = capsys.readouterr().out.partition("\n")
        assert line.startswith("No recipe is given, so the defaults below are those of vicreg-tiny.")
        assert re.search(
            r"--coherence.share (\{None\}\|)?FLOAT .*?\(default: 0.5\)", " ".join(rest.replace("│", "").split())
        )
    assert main(["pretrain", "vicreg-tiny", "--no-coherence", "--help"]) == 0
    first = capsys.readouterr().out
    options = set(re.findall(r"^\W*(--[a-z][\w.-]*)", first, flags=re.MULTILINE))
    assert options == {
        "--data",
        "--out",
        "--resume",
        "--seed",
        "--max-steps",
        "--precision",
        "--track",
        "--optim.epochs",
        "--optim.batch-size",
        "--optim.lr",
        "--encoder.name",
        "--encoder.weights",
        "--views.size",
        "--views.path",
        "--coherence.decoder",
        "--coherence.share",
    }
    assert re.search(r"--optim.lr FLOAT .*?\(default: 0.002\)", " ".join(first.split()))
    assert "--help-all" in first
    assert main(["pretrain", "vicreg-tiny", "--help-all"]) == 0
    every = capsys.readouterr().out
    assert options < set(re.findall(r"--[a-z][\w.-]*", every))
    for name in recipe("vicreg-tiny").encoder.args:
        option = rf"--encoder.args.{name.replace('_', '-')} .*?timm's own argument {name} of this encoder. \(default:"
        assert re.search(option, " ".join(every.replace("│", "").split()))


CONFIGS = (PretrainConfig, EncoderConfig, AugmentationConfig, ViewsConfig, OptimConfig, CoherenceConfig, *METHODS)


@pytest.mark.parametrize("config", CONFIGS, ids=lambda config: config.__name__)
def test_every_field_of_a_configuration_is_described(config):
    described = {
        part.arg_name: part.description
        for each in reversed([c for c in config.__mro__ if dataclasses.is_dataclass(c)])  # of a parent's fields there
        for part in docstring_parser.parse(each.__doc__ or "").params
    }
    assert [each.name for each in dataclasses.fields(config)] == list(described)
    assert all(described.values())


def test_a_broken_run_exits_with_1(data, tmp_path, capsys):
    out = str(tmp_path / "run")
    broken = ["--optim.lr", "1e30", "--precision", "fp32", *TINY, "--max-steps", "6"]
    assert main(["pretrain", "vicreg-tiny", "--data", str(data), "--out", out, *broken]) == 1
    assert "at step" in capsys.readouterr().err


def test_the_command_itself_exits_with_2_and_130(data, tmp_path):
    def start(*arguments):
        command = [sys.executable, "-m", "equicoherence", *arguments]
        return subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=tmp_path)

    train = ["pretrain", "simclr-tiny", "--data", str(data), *TINY]
    wrong = start(*train, "--optim.batch-size", "4800")
    long = start(*train, "--out", "long", "--max-steps", "100000", "--optim.epochs", "100000")
    metrics = tmp_path / "long" / "metrics.jsonl"
    while long.poll() is None and not (metrics.is_file() and metrics.stat().st_size):
        time.sleep(0.05)
    long.send_signal(signal.SIGINT)
    for process, status, said in ((wrong, 2, "4800"), (long, 130, "--resume")):
        _, errors = process.communicate(timeout=120)
        assert (process.returncode, said in errors) == (status, True), errors
        assert "Traceback" not in errors


def test_a_bug_in_the_work_is_no_wrong_use(data, tmp_path, capsys, monkeypatch):
    def broken(*_):
        raise ValueError("shapes do not match")

    run = str(tmp_path / "run")
    train = ["pretrain", "simclr-tiny", "--data", str(data), *TINY]
    with monkeypatch.context() as patch:
        patch.setattr(SimCLR, "forward", broken)
        assert main([*train, "--out", str(tmp_path / "broken")]) == 1
    errors = capsys.readouterr().err
    assert "failed: shapes do not match" in errors
    assert "in broken" in errors  # where it was raised
    assert main([*train, "--out", run]) == 0
    with monkeypatch.context() as patch:
        patch.setattr("equicoherence.evaluation.classification.scoring.knn_classes", broken)
        assert main(["evaluate", run, "--tasks", "knn"]) == 1
    assert main(["evaluate", run, "--tasks", "knnn"]) == 2
    assert main([*train, "--out", run]) == 2  # in use


def test_compare_keeps_what_is_done_and_refuses_another_configuration(data, tmp_path):
    few = {"transformations": ("rotation",), "borders": ("content",), "probes": ("linear",), "train": 30, "test": 9}
    config = small_config(data, max_steps=2)
    arguments = {"seeds": (0, 1), "tasks": ("transformation",), "settings": {"transformation": few}}
    arguments |= {"controls": False, "jobs": 1}
    runs = compare({"ours": config, "plain": config.plain()}, tmp_path, **arguments)
    assert [run.name for run in runs["ours"]] == ["ours-seed0", "ours-seed1"]
    before = (runs["ours"][0] / "model.safetensors").stat().st_mtime_ns
    compare({"ours": config}, tmp_path, **arguments)
    assert (runs["ours"][0] / "model.safetensors").stat().st_mtime_ns == before
    scores = {name: [read_scores(run / FILE) for run in paths] for name, paths in runs.items()}
    assert {entry.n for entry in summarise_scores(scores) if entry.name == "ours"} == {2}
    grid, _ = short_grid(summarise_scores(scores), list(scores))
    assert [row[0] for row in grid.rows][:3] == ["rotation R2", "absolute rotation R2", "rotation sign accuracy"]
    assert len(grid.rows) == 4  # and noise
    with pytest.raises(ValueError, match="another configuration"):
        compare({"ours": small_config(data, max_steps=2, d=32)}, tmp_path, **arguments)


def test_a_large_own_size_is_said_and_one_that_is_given_is_not(tmp_path, capsys):
    data = picture_folder(tmp_path / "pictures", 8)
    asked = ["evaluate", "timm:vit_tiny_patch16_384", "--random-weights", "--no-controls", "--tasks", "knn"]
    asked += ["--data", str(data), "--out", str(tmp_path / "out")]
    assert main(asked) == 0
    assert "images are read at 384 x 384 pixels, the model's own size; --size N takes fewer" in capsys.readouterr().err
    assert main([*asked[:-1], str(tmp_path / "other"), "--size", "288"]) == 0
    said = capsys.readouterr()
    assert "are read at" not in said.err
    assert said.out.splitlines()[-1] == f"next: equicoherence report {tmp_path / 'other'}", "adapt has other weights"


def test_a_rendered_set_is_scored_by_the_tasks_on_poses(tmp_path, capsys):
    data, out = tmp_path / "set", tmp_path / "out"
    numbers = ["--views", "3", "--size", "32", "--objects", "5", "--workers", "2"]
    assert main(["render", "--meshes", "procedural", "--out", str(data), *numbers]) == 0
    assert (data / "contact_sheet.png").is_file()
    model = ["timm:resnet10t", "--random-weights", "--size", "32", "--settings", "pose.epochs=1", "--no-controls"]
    asked = ["evaluate", *model, "--tasks", "pose,retrieval"]
    assert main([*asked, "--data", str(data), "--out", str(out)]) == 0
    assert {part["task"] for part in read_scores(out / FILE)["parts"].values()} == {"pose", "retrieval"}
    assert main(["render", "--meshes", str(tmp_path / "nothing"), "--out", str(data)]) == 2
    assert main(["render", "--meshes", "procedural", "--out", str(data), "--views", "4", "--objects", "5"]) == 2
    assert main([*asked, "--data", str(tmp_path / "nothing")]) == 2
    assert "views" in capsys.readouterr().err
