"""`adapt`: an encoder that exists is trained, scored before and after, and one table says what it gained and kept."""

from __future__ import annotations

import dataclasses
import json
import re
import shlex
import shutil
from pathlib import Path
from typing import Any

import pytest
import timm
from safetensors.torch import save_file

from equicoherence import adapt
from equicoherence.adapting import Adapted
from equicoherence.adapting.adaptation import next_command
from equicoherence.adapting.asked import Asked, default_out
from equicoherence.adapting.start_config import start_config
from equicoherence.cli import main
from equicoherence.commands.adapt import AdaptOptions, CommonAdaptOptions
from equicoherence.data import ImageSource, Split, open_images
from equicoherence.evaluation import evaluate
from equicoherence.evaluation.store import FILE, read_scores
from equicoherence.evaluation.suites import NEIGHBOURS, SUITES, Suite
from equicoherence.evaluation.transformation import NOISE
from equicoherence.model_card import model_card
from equicoherence.recipes import RECIPES, recipe
from equicoherence.reporting.adaptation.adaptation import read_adaptation
from equicoherence.reporting.adaptation.charts import adapted_verdict
from equicoherence.reporting.adaptation.figures import FigureRow, NoiseRow
from equicoherence.reporting.adaptation.page import PAGE, TABLE
from equicoherence.reporting.explorer.rotated_file import read_rotated
from equicoherence.reporting.names import target_name
from equicoherence.reporting.page import report
from equicoherence.reporting.runs import read_run
from equicoherence.reporting.summary import Score
from equicoherence.reporting.tables import Cell, number
from equicoherence.training import EncoderConfig, OptimConfig, PretrainConfig, load_config, pretrain
from equicoherence.training.config_file import save_config
from equicoherence.training.start import started
from tests.reporting.scored import change_parts
from tests.small import picture_folder, small_config
from tests.test_advice import stop_after

VIT = {"img_size": 32, "patch_size": 8, "embed_dim": 16, "depth": 2, "num_heads": 2}
MEANS = {"class_token": False, "global_pool": "avg", "fc_norm": False}
FEW = {"images": 10, "limit": 20}
NAMES = ["original", "adapted", "original-check", "adapted-check"]


def few_steps(data: Path, model: Path) -> PretrainConfig:
    """Return what `adapt MODEL --data DATA` trains with, of two steps."""
    config, _ = start_config("adapt-tiny", str(model))
    return dataclasses.replace(
        config, optim=OptimConfig(batch_size=16), data=str(data), max_steps=2, log_every=1, threads=1
    )


@pytest.fixture(scope="module")
def model(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return an encoder that exists: a run of one step."""
    encoder = EncoderConfig("vit_tiny_patch16_224", VIT | MEANS)
    return pretrain(small_config(folder, encoder=encoder, max_steps=1), tmp_path_factory.mktemp("model") / "vit")


@pytest.fixture(scope="module")
def done(folder: Path, model: Path, tmp_path_factory: pytest.TempPathFactory) -> Adapted:
    out = tmp_path_factory.mktemp("adapted")
    other = picture_folder(out / "other", per_class=12)
    return adapt(model, data=folder, out=out / "run", recipe=few_steps(folder, model), check=other, **FEW)


def test_an_encoder_that_stands_still_scores_as_it_did_and_z_equi_beside_it_is_told(done: Adapted) -> None:
    titles = [row.title for row in done.rows]
    assert titles[:2] == ["rotation R2", "absolute rotation R2"]
    assert titles[-4:] == ["k-NN, data", "linear, data", "k-NN, other (check)", "linear, other (check)"]
    for row in done.rows:
        assert row.original is not None
        assert row.adapted["backbone"].mean == pytest.approx(row.original.mean, abs=1e-5), row.title
        assert row.output == "joined"
        assert row.change == row.adapted["joined"].mean - row.original.mean


@pytest.mark.parametrize(
    ("model", "folder"),
    [
        ("hf-hub:someone/small.v2@main", "adapt-tiny-small.v2"),
        ("timm:hf-hub:someone/small", "adapt-tiny-small"),
        ("hf_hub:someone/small@a/branch", "adapt-tiny-small"),
        ("timm:resnet18", "adapt-tiny-resnet18"),
        ("d/w.pth@resnet18", "adapt-tiny-resnet18"),
        ("local-dir:d/exported", "adapt-tiny-exported"),
    ],
)
def test_a_run_is_named_after_its_model_and_not_after_a_revision(model: str, folder: str) -> None:
    assert default_out("adapt-tiny", model) == Path("runs") / folder


def test_its_card_has_the_table_and_says_that_the_encoder_is_the_original(done: Adapted, tmp_path: Path) -> None:
    config, widths = load_config(done.run / "config.yaml"), {"backbone": 16, "z_equi": 512, "joined": 528}
    text = model_card(done.run, config, "hf-hub:someone/adapted", parameters=1, widths=widths)
    assert "Its weights are those of vit, unchanged: nothing of the encoder was trained" in text
    assert (done.run / TABLE).read_text().splitlines()[2] in text  # the head of the table
    for row in done.rows:
        assert f"| {row.title} | " in text
    assert "concatenated with z_equi" in text
    assert "not scored" not in text
    assert str(done.run.parent) not in text

    (tmp_path / "adapt.yaml").write_text("")
    for file in ("config.yaml", "metrics.jsonl"):
        shutil.copy(done.run / file, tmp_path)
    text = model_card(tmp_path, config, "hf-hub:someone/adapted", parameters=1, widths=widths)
    assert "The scores before and after the adaptation are not complete yet." in text


def test_the_layers_that_z_equi_is_computed_from_are_scored_too(done: Adapted) -> None:
    task, parts = load_config(done.run / "config.yaml").coherence, read_scores(done.run / "adapt" / "original" / FILE)
    (layers,) = (part for part in parts["parts"].values() if part["task"] == "layers")
    assert task is not None
    assert layers["settings"]["also"] == list(task.layers) != []


def test_the_original_is_scored_as_evaluate_scores_it(done: Adapted, model: Path, folder: Path) -> None:
    settings = {"transformations": ("scale",), "borders": ("content",), "probes": ("mlp",), "train": 10, "test": 4}
    tasks, every = ["transformation", "knn"], {"transformation": settings, "knn": {"limit": 20}}
    # read at the pixels that the adapted run reads its images at, as the model's own run does
    scores = evaluate(model, tasks=tasks, data=folder, settings=every, controls=False, out=done.run / "own")
    found = {
        row["target"] or row["metric"]: row["value"]
        for part in scores["parts"].values()
        for row in part["rows"]
        if row["representation"] == "backbone" and row["metric"] in ("r2", "top1")
    }
    original = {row.title: row.original.mean for row in done.rows if row.original is not None}
    assert original["scale R2"] == pytest.approx(found["scale"], abs=1e-5)
    assert original["k-NN, data"] == pytest.approx(found["top1"])


def test_the_page_and_the_printed_table_say_the_same(
    done: Adapted, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    scored = {name: (done.run / "adapt" / name / FILE).stat().st_mtime_ns for name in NAMES}
    assert main(["adapt", "--resume", "--out", str(done.run)]) == 0
    printed = capsys.readouterr().out
    page, table = ((done.run / name).read_text(encoding="utf-8") for name in (PAGE, TABLE))
    for text in (
        "gained, lost: the adapted encoder scores more, or less",
        "Training: ",
        "2 steps, 32 images seen",
        "The encoder is frozen. adapted is [original | z_equi]",
        "Training received neither the transformation parameters between the views nor the class labels of images.",
    ):
        assert all(text in each for each in (printed, page, table)), text
    for text in ("z_equi alone", "constant guess (floor)", '<a href="#turn">Rotation</a>', "effective rank, z_equi"):
        assert text in page, text
    assert "effective rank, z_inv" not in page, "the encoder is frozen"
    assert "http://" not in page.replace("http://www.w3.org", "")
    assert all(row.said in printed for row in done.rows)
    assert printed.splitlines()[-1] == (
        f"next: equicoherence embed {done.run} --data {folder} --features joined --out features.npz"
    )
    assert scored == {name: (done.run / "adapt" / name / FILE).stat().st_mtime_ns for name in NAMES}


def test_the_rotated_images_are_those_of_the_original_and_of_the_adapted_encoder(done: Adapted) -> None:
    page = (done.run / PAGE).read_text(encoding="utf-8")
    (data,) = re.findall(r'data-turn>.*?application/json">(.*?)</script>', page, re.DOTALL)
    kept, z_equi = (run["backbone"] for run in json.loads(data)["runs"])
    names = re.findall(r'<div class="view">\s*<p><strong>(.*?)</strong>', page)
    assert names == ["original and adapted: backbone", "adapted: z_equi"], "the encoder is frozen"
    assert kept == read_rotated(done.run / "adapt" / "original")["runs"][""]["backbone"]
    assert z_equi == read_rotated(done.run / "adapt" / "adapted")["runs"][""]["z_equi"]


def test_the_page_of_a_run_draws_what_it_gained(done: Adapted, tmp_path: Path) -> None:
    text = report([done.run], tmp_path / "page.html").read_text(encoding="utf-8")
    assert "</strong> against the original encoder:" in text
    for row in done.rows:
        assert f"{row.title}, original: " in text
        assert f"{row.title}, z_equi alone: " in text
        after, before = row.adapted[row.output], row.original
        assert before is not None
        assert f"{row.title} {number(before.mean, row.metric)} → {number(after.mean, row.metric)}" in text
    assert "There is no verdict yet" not in text


@pytest.mark.parametrize("split", ["", "val"])
def test_the_command_that_is_advised_next_writes_features(
    split: str, done: Adapted, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    run = Path(shutil.copytree(done.run, tmp_path / "run"))
    data = folder
    if split:
        data = tmp_path / "split images"
        for side in ("train", "val"):
            picture_folder(data / side, per_class=2)
        save_config(dataclasses.replace(load_config(run / "config.yaml"), data=str(data)), run / "config.yaml")
    command = shlex.split(next_command(run).removeprefix("next: equicoherence "))
    assert command[3] == str(data)
    assert command[4:6] == (["--split", split] if split else ["--features", "joined"])
    assert main(command) == 0
    assert (tmp_path / "features.npz").is_file()


def test_scoring_goes_on_where_it_was_interrupted(
    done: Adapted, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = Path(shutil.copytree(done.run, tmp_path / "run"))
    (run / PAGE).unlink()
    file = run / "adapt" / "adapted" / FILE
    scores = json.loads(file.read_text())
    (removed,) = (name for name in scores["parts"] if name.startswith("transformation blur"))
    wanted = scores["parts"].pop(removed)
    file.write_text(json.dumps(scores))
    assert main(["adapt", "--resume", "--out", str(run)]) == 0
    said = capsys.readouterr().err
    assert [line for line in said.splitlines() if line.startswith("[") and "kept" not in line] == [
        line for line in said.splitlines() if "transformation blur" in line and f"{run}" in line
    ]
    again = json.loads(file.read_text())["parts"][removed]
    assert [row["value"] for row in again["rows"]] == pytest.approx([row["value"] for row in wanted["rows"]], abs=1e-4)
    assert (run / PAGE).is_file()


def test_interrupted_training_goes_on_by_the_command_it_ends_with(
    folder: Path, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "run"
    stop_after(1, monkeypatch)
    with pytest.raises(
        KeyboardInterrupt, match=f"go on with: equicoherence adapt --resume --out {re.escape(str(out))}"
    ):
        adapt(model, data=folder, out=out, recipe=few_steps(folder, model), **FEW)
    assert not (out / "adapt").exists()
    assert capsys.readouterr().err.count("held out: ") == 1, "the images are described once"
    with pytest.raises(ValueError, match="adapt --resume: say with --out"):
        adapt(resume=True)
    with pytest.raises(FileExistsError, match="go on with it: equicoherence adapt --resume"):
        adapt(model, data=folder, out=out, recipe=few_steps(folder, model))


@pytest.mark.parametrize(
    ("arguments", "quoted"),
    [
        ([], "adapt needs an encoder first"),
        (["MODEL"], "adapt needs images: give them with --data DIR"),
        (["MODEL", "--data", "DATA", "--recipe", "adapt-tinny"], "is it 'adapt-tiny'?"),
        (["no-model", "--data", "DATA"], "model 'no-model' is none of what MODEL is: a run directory, timm:NAME"),
        (["resnet18", "--data", "DATA"], "model 'resnet18': is it timm:resnet18? MODEL is a run directory"),
        (
            ["MODEL", "--data", "THREE"],
            "holds 3 images: 1 held out (a fifth by a hash of their names), 2 left to train on, which is too few",
        ),
        (["MODEL", "--data", "no/such"], "nothing at 'no/such'"),
        (["MODEL", "--data", "DATA", "--check", "no/such"], "nothing at 'no/such'"),
        (["MODEL", "--data", "DATA", "--check", "PLAIN"], "needs labelled images"),
        (
            ["MODEL", "--data", "DATA", "--optim.batch-size", "16", "--views.size", "30"],
            "multiples of 8 fit, such as 24 or 32",
        ),
        (["MODEL", "--data", "DATA", "--images", "4"], "images must be a whole number, at least 5, got 4"),
        (["MODEL", "--data", "DATA", "--limit", "0"], "limit must be a whole number, at least 2, got 0"),
        (["MODEL", "--data", "DATA", "--out", "DATA"], "holds other things"),
        (["MODEL", "--data", "DATA"], "38 images do not fill one batch of 64"),
        (["--resume", "--out", "MODEL"], "holds no adaptation to resume (no adapt.yaml)"),
        (["--resume"], "say with --out which run to continue"),
        (["MODEL", "--data", "DATA", "--chekc", "x"], "--check"),
        (["MODEL", "--data", "DATA", "--no-coherence"], "adapt always has the task, so it takes no --no-coherence"),
    ],
)
def test_what_cannot_be_adapted_is_refused_in_a_sentence_before_training(
    arguments: list[str],
    quoted: str,
    folder: Path,
    model: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    made = tmp_path / "made"
    picture_folder(made / "three", per_class=2)
    (made / "three" / "disc" / "000.png").unlink()
    shutil.copytree(folder / "disc", made / "plain")
    places = {"MODEL": model, "DATA": folder, "THREE": made / "three", "PLAIN": made / "plain"}
    assert main(["adapt", *(str(places.get(word, word)) for word in arguments)]) == 2
    captured = capsys.readouterr()
    assert quoted in captured.err + captured.out
    assert [path.name for path in tmp_path.iterdir()] == ["made"]


def test_the_images_are_opened_once_for_the_command_and_its_plan(
    folder: Path, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    sides = []

    def counted(path: str, split: Split) -> ImageSource:
        sides.append(split)
        return open_images(path, split)

    monkeypatch.setattr("equicoherence.adapting.plan.open_images", counted)
    data = shutil.copytree(folder, tmp_path / "data")
    inside = ["--out", str(data / "run"), "--optim.batch-size", "16"]
    assert main(["adapt", str(model), "--data", str(data), *inside]) == 2
    assert "is inside the data set" in capsys.readouterr().err, "which the plan alone refuses"
    assert sides.count("train") == 1


def test_views_get_a_size_that_fits_the_model(model: Path, tmp_path: Path) -> None:
    sizes = {}
    for name, arch, args in (
        ("vit14", "vit_small_patch14_dinov2", {"depth": 1, "embed_dim": 12, "num_heads": 2}),
        ("cnn", "resnet18", {"layers": [1, 1, 1, 1], "channels": [8, 8, 8, 8]}),
    ):
        built = timm.create_model(arch, num_classes=0, **args)
        folder = tmp_path / name
        folder.mkdir()
        save_file(built.state_dict(), folder / "model.safetensors")
        config = {"architecture": arch, "num_classes": 0, "model_args": args, "pretrained_cfg": built.pretrained_cfg}
        (folder / "config.json").write_text(json.dumps(config))
        for start in ("adapt-tiny", "adapt-small"):
            views = start_config(start, str(folder))[0].views
            sizes[name, start] = views.size, views.source
    assert sizes == {
        ("vit14", "adapt-tiny"): (98, 112),
        ("vit14", "adapt-small"): (518, 592),
        ("cnn", "adapt-tiny"): (96, 110),
        ("cnn", "adapt-small"): (224, 256),
    }
    assert start_config("adapt-tiny", str(model))[0].views.size == 32  # the model's own, which is smaller
    assert start_config("adapt-tiny", str(model), size=64)[0].views.source == 73


@pytest.fixture
def resnet(tmp_path: Path) -> str:
    """Return a weights file with its architecture."""
    save_file(timm.create_model("resnet18").state_dict(), tmp_path / "weights.safetensors")
    return f"{tmp_path / 'weights.safetensors'}@resnet18"


def test_options_of_the_encoder_stand(
    resnet: str, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []
    monkeypatch.setattr("equicoherence.adapting.adaptation.adapt_with", lambda config, out, **_: asked.append(config))
    options = ["--encoder.args.drop-path-rate", ".1", "--encoder.mean", ".4", ".5", ".6", "--encoder.train", "all"]
    options += ["--optim.batch-size", "16"]
    assert main(["adapt", resnet, "--data", str(folder), "--out", str(tmp_path / "run"), *options]) == 0
    (config,) = asked
    encoder = started(config)[0].encoder  # which is what config.yaml says
    assert (encoder.name, encoder.args["drop_path_rate"], encoder.mean) == ("resnet18", 0.1, (0.4, 0.5, 0.6))
    assert config.coherence.layers == ()  # all of the encoder is trained, so its output is read


def test_a_name_that_the_weights_are_not_of_is_refused(
    resnet: str, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run, few = tmp_path / "run", ["--optim.batch-size", "16"]
    assert main(["adapt", resnet, "--data", str(folder), "--out", str(run), "--encoder.name", "resnet34", *few]) == 2
    assert "encoder.name is resnet34, but encoder.weights" in capsys.readouterr().err
    assert not run.exists()


@pytest.mark.parametrize("layers", [["2,1"], ["2,", "1"], ["2", "1"]])
def test_layers_are_given_with_commas_or_spaces(
    layers: list[str], resnet: str, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []
    monkeypatch.setattr("equicoherence.adapting.adaptation.adapt_with", lambda config, out, **_: asked.append(config))
    options = ["--coherence.layers", *layers, "--optim.batch-size", "16"]
    assert main(["adapt", resnet, "--data", str(folder), "--out", str(tmp_path / "run"), *options]) == 0
    assert asked[0].coherence.layers == (2, 1)


def test_images_are_refused_before_the_encoder_is_read(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    weights = tmp_path / "damaged.pth"
    weights.touch()
    shutil.copytree(folder / "disc", tmp_path / "plain")
    command = ["adapt", f"{weights}@resnet18", "--data", str(folder), "--out", str(tmp_path / "run")]
    for options, said in (
        ([], "38 images do not fill one batch of 64"),
        (["--optim.batch-size", "16", "--check", str(tmp_path / "plain")], "needs labelled images"),
        (["--optim.batch-size", "16"], "damaged.pth cannot be read as weights"),
    ):
        assert main([*command, *options]) == 2
        assert said in capsys.readouterr().err


def test_recipes_start_from_what_is_given_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert {name for name in RECIPES if name.startswith("adapt-")} == {"adapt-tiny", "adapt-small", "adapt-large"}
    assert main(["pretrain", "adapt-tiny", "--out", str(tmp_path / "run")]) == 2
    assert "so say which: --encoder.weights MODEL, or `equicoherence adapt MODEL`" in capsys.readouterr().err


def _described(shown: str) -> dict[str, str]:
    """Return option -> what a help says of it."""
    named = re.split(r"^\W{2}(--[a-z][\w.-]*)[^\n]*", shown, flags=re.MULTILINE)[1:]
    return {option: " ".join(text.split()) for option, text in zip(named[::2], named[1::2])}


def test_the_options_of_the_help_are_options(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["adapt", "--help"]) == 0
    shown = _described(capsys.readouterr().out)
    own, common = (len(dataclasses.fields(options)) for options in (AdaptOptions, CommonAdaptOptions))
    assert len(shown) == own + common - 1  # of which one holds the others
    assert main(["adapt", "--help-all"]) == 0
    assert shown.keys() < _described(capsys.readouterr().out).keys()


def test_help_all_describes_every_field_with_the_values_of_the_recipe(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["pretrain", "adapt-small", "--help-all"]) == 0
    trained = _described(capsys.readouterr().out)
    assert main(["adapt", "timm:resnet18", "--recipe", "adapt-small", "--help-all"]) == 0
    adapted = _described(capsys.readouterr().out)
    own = {"--recipe", "--check", "--images", "--limit"}
    assert adapted.keys() - trained.keys() == own
    assert trained.keys() <= adapted.keys()
    assert all(re.sub(r"\(default: .*?\)", "", text).strip() for text in adapted.values())
    assert {name for name in trained if adapted[name] != trained[name]} <= {"--out", "--resume"}
    for option, default in (("--images", Asked.images), ("--limit", Asked.limit)):
        assert adapted[option].endswith(f"(default: {default})")


def test_the_help_says_the_defaults_of_the_recipes(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["adapt", "--help"]) == 0
    text = capsys.readouterr().out
    assert "None" not in text
    flat = re.sub(r"[│\s]+", " ", text)
    tiny, small, large = (recipe(f"adapt-{size}") for size in ("tiny", "small", "large"))
    assert (small.max_steps, large.max_steps, large.optim.batch_size) == (0, 0, tiny.optim.batch_size)
    rates = f"{tiny.optim.lr}, adapt-small {small.optim.lr}, adapt-large {large.optim.lr}"
    for option, default in (
        ("--encoder.train", tiny.encoder.train),
        ("--max-steps", f"{tiny.max_steps} in adapt-tiny, else those of all epochs"),
        ("--views.size", f"about {tiny.views.size} in adapt-tiny, else the model's own"),
        ("--optim.lr", rates),
        ("--optim.batch-size", f"{tiny.optim.batch_size}, adapt-small {small.optim.batch_size}"),
        ("--watch", tiny.watch),
    ):
        assert f"(default: {default})" in flat.split(f" {option} ")[1].split(" --")[0], option


def score(mean: float, interval: tuple[float, float] | None = None, target: str = "") -> Score:
    place = ("knn", "data", "", target, "", "backbone", "", "top1", "", "")
    return Score("", *place, mean, None, mean, mean, 1, "repeats", None, True, True, None, interval)


@pytest.mark.parametrize(
    ("metric", "before", "after", "verdict", "unsure"),
    [
        ("top1", score(0.5), score(0.509), "kept", False),
        ("top1", score(0.5), score(0.489), "lost", False),
        ("top1", score(0.5, (0.48, 0.52)), score(0.489, (0.47, 0.51)), "lost", True),
        ("top1", score(0.5, (0.495, 0.505)), score(0.489, (0.47, 0.51)), "lost", True),
        ("top1", score(0.5, (0.495, 0.505)), score(0.489, (0.485, 0.493)), "lost", False),
        ("accuracy", score(0.5, (0.5, 0.5)), score(0.571, (0.5, 0.75)), "gained", True),
        ("r2", score(-0.5), score(-0.3), "kept", False),
        ("r2", score(0.1), score(0.085), "kept", False),
        ("r2", score(0.1, (0.0, 0.2)), score(0.3, (0.25, 0.35)), "gained", False),
        ("r2", score(0.1), None, "", False),
    ],
)
def test_a_verdict_follows_the_rule_that_the_caption_says(
    metric: str, before: Score, after: Score | None, verdict: str, unsure: bool
) -> None:
    row = FigureRow("", metric, before, None, "", {} if after is None else {"backbone": after}, "backbone")
    assert (row.verdict, row.unsure) == (verdict, unsure)


def test_a_suite_says_that_it_scores_features_that_stayed_as_they_were(
    done: Adapted, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(SUITES, "small", Suite("small", {"knn": {"limit": 20}}, [NEIGHBOURS]))
    given = ["--data", str(folder), "--suite", "small", "--no-controls", "--out", str(tmp_path)]
    assert main(["evaluate", str(done.run), *given]) == 0
    assert "suite small scores the encoder's own features, which were not trained" in capsys.readouterr().err


def test_an_earlier_layer_that_has_more_is_told_and_so_are_traces_of_the_rendering() -> None:
    row = FigureRow("", "r2", score(0.1), score(0.5), "layer 2", {"backbone": score(0.4)}, "backbone")
    assert row.behind_layer
    assert not dataclasses.replace(row, layer=score(0.41)).behind_layer


def test_the_verdict_on_what_noise_shows_is_that_it_is_not_to_be_trusted(done: Adapted, tmp_path: Path) -> None:
    run = shutil.copytree(done.run, tmp_path / "run")

    def on_noise(folder: str, found: dict[str, float]) -> None:
        def change(each: dict[str, Any]) -> None:
            for row in each["rows"]:
                if row["metric"] == NOISE:
                    row["value"] = found.get(row["target"], 0.0)

        change_parts(run / "adapt" / folder, change)

    on_noise("original", {"rotation, absolute": 0.04})
    on_noise("adapted", {"scale": 0.066})
    found = read_adaptation(run)
    noisy = [row for row in found.rows if row.title.startswith("scale")]
    assert [row.said for row in noisy] == ["not to be trusted"]
    assert all(row.said in {row.verdict, f"{row.verdict}?"} for row in found.rows if row not in noisy)
    bold = {str(row[0]) for row in found.grid().rows if any(isinstance(cell, Cell) and cell.best for cell in row)}
    assert bold == {row.title for row in found.rows if row not in noisy}
    said, _ = adapted_verdict(read_run(run))
    (text,) = said.changes["not to be trusted"]
    assert text.startswith("scale R2 ")
    assert not any("scale" in text for verb, texts in said.changes.items() if verb[:3] != "not" for text in texts)


@pytest.mark.parametrize(
    ("target", "before", "after", "near"),
    [
        ("rotation", 0.02, -0.02, True),
        ("rotation, absolute", 0.0, 0.05, True),
        ("scale", 0.0, 0.021, False),
        ("scale", -0.021, 0.0, False),
    ],
)
def test_r2_on_noise_is_near_zero_within_the_limit_of_its_target(
    target: str, before: float, after: float, near: bool
) -> None:
    one, other = (dataclasses.replace(score(mean, target=target), metric=NOISE) for mean in (before, after))
    assert NoiseRow("", one, None, {"joined": other}, "joined").near_zero == near


def test_a_warning_names_the_transformation_that_noise_shows_and_no_other(done: Adapted) -> None:
    found = read_adaptation(done.run)
    targets = ("rotation", "rotation, absolute", "translation", "translation, absolute", "scale")
    assert [row.title for row in found.noise] == [f"{target_name(target)} R2 on noise" for target in targets]

    def at(target: str, mean: float) -> Score:
        return dataclasses.replace(score(mean, target=target), metric=NOISE)

    rows = [
        NoiseRow(f"{target} R2 on noise", at(target, first), at(target, layer), {"joined": at(target, after)}, "joined")
        for target, first, layer, after in (("rotation", 0.001, 0.003, -0.002), ("scale", -0.001, 0.142, 0.066))
    ]
    found = dataclasses.replace(found, noise=rows)
    warning = found.warning()
    assert "not for scale (best layer 0.142, adapted 0.066)" in warning
    assert "do not trust the scores of scale there; all others stand" in warning
    assert "rotation" not in warning
    table = found.grid().rows[-2:]
    shown = [[str(cell.content if isinstance(cell, Cell) else cell) for cell in row] for row in table]
    assert [row[1:3] + row[-1:] for row in shown] == [
        ["0.001", "0.003", "near 0"],
        ["\N{MINUS SIGN}0.001", "0.142 (!)", "not 0"],
    ]
    assert found.warning() in found.caption()
    assert not dataclasses.replace(found, noise=rows[:1]).warning()
