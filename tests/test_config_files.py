"""A configuration goes in as it came out: a run's config.yaml, a short file, or a run that goes on by itself."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from equicoherence.cli import main
from equicoherence.methods import METHODS
from equicoherence.recipes import RECIPES, recipe
from equicoherence.recipes.from_file import config_of_file, named_config
from equicoherence.training import AugmentationConfig, ViewsConfig
from equicoherence.training.config_file import load_config, save_config, to_dict
from equicoherence.training.run import check_run
from equicoherence.training.views_config import POSES
from tests.small import picture_folder, small_config

BASELINES = ("sie", "equimod", "augself", "essl", "ser", "stl")  # without the task
WITH_TASK = [name for name in RECIPES if name.partition("-")[0] not in (*BASELINES, "adapt")]


def write(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


def test_what_a_run_wrote_trains_the_same_run(tmp_path: Path) -> None:
    config = small_config(picture_folder(tmp_path / "data", 12), max_steps=1)
    save_config(config, tmp_path / "c.yaml")
    assert main(["pretrain", str(tmp_path / "c.yaml"), "--out", str(tmp_path / "a")]) == 0
    assert main(["pretrain", str(tmp_path / "a" / "config.yaml"), "--out", str(tmp_path / "b")]) == 0
    assert load_config(tmp_path / "a" / "config.yaml") == load_config(tmp_path / "b" / "config.yaml") == config
    assert (tmp_path / "a" / "model.safetensors").read_bytes() == (tmp_path / "b" / "model.safetensors").read_bytes()
    options = ["--seed", "3", "--name", "other", "--out", str(tmp_path / "c")]  # changes, as beside a recipe
    assert main(["pretrain", str(tmp_path / "a" / "config.yaml"), *options]) == 0
    changed = load_config(str(tmp_path / "c" / "config.yaml"))
    assert (changed.seed, changed.name, changed.d) == (3, "other", 16)


def test_a_short_file_is_its_recipe_but_for_what_it_names(tmp_path: Path) -> None:
    text = "recipe: vicreg-tiny\nseed: 4\noptim:\n  lr: 1e-3\nmethod:\n  variance: 2\nviews:\n  first: {blur: 0.5}\n"
    found, wanted = to_dict(config_of_file(write(tmp_path / "s.yaml", text))), to_dict(recipe("vicreg-tiny"))
    wanted["seed"], wanted["optim"]["lr"] = 4, 1e-3
    wanted["method"]["variance"], wanted["views"]["first"]["blur"] = 2.0, 0.5
    assert found == wanted


def test_parts_of_a_recipe_are_replaced_as_a_whole_where_they_are_others(tmp_path: Path) -> None:
    file = write(tmp_path / "s.yaml", "recipe: vicreg-tiny\nmethod: {kind: BYOL, output: 9}\nencoder: {args: {}}\n")
    found = config_of_file(file)
    assert METHODS[type(found.method)].__name__ == "BYOL"
    assert to_dict(found)["method"]["output"] == 9
    assert (found.encoder.name, found.encoder.args) == (recipe("vicreg-tiny").encoder.name, {})
    assert config_of_file(write(file, "recipe: simclr-tiny\ncoherence: null\n")).coherence is None
    assert config_of_file(write(file, "recipe: simclr-tiny\n"), plain=True) == recipe("simclr-tiny").plain()


@pytest.mark.parametrize("name", list(RECIPES))
def test_every_recipe_comes_back_out_of_its_file(name: str, tmp_path: Path) -> None:
    save_config(recipe(name), tmp_path / "c.yaml")
    assert config_of_file(tmp_path / "c.yaml") == named_config(name)
    assert config_of_file(write(tmp_path / "s.yaml", f"recipe: {name}\n")) == recipe(name)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("recipe: vicreg-tinny\n", "recipe 'vicreg-tinny' is unknown; is it 'vicreg-tiny'?"),
        ("recipe: [vicreg-tiny]\n", "recipe cannot be ['vicreg-tiny']; the name of one is expected"),
        ("optim:\n  batchsize: 3\n", "field 'optim.batchsize' is unknown; is it 'optim.batch_size'?"),
        ("views: {first: {blurr: 1}}\n", "field 'views.first.blurr' is unknown; is it 'views.first.blur'?"),
        ("coherance: null\n", "field 'coherance' is unknown; is it 'coherence'?"),
        ("recipe: vicreg-tiny\nmethod: {kind: VICreg}\n", "method.kind 'VICreg' is unknown; is it 'VICReg'?"),
        ("method: {temperature: 1}\n", "field 'method.temperature' is unknown; choose one of method.invariance"),
        ("optim: {epochs: 2.5}\n", "optim.epochs cannot be 2.5; a whole number is expected"),
        ("optim: {lr: fast}\n", "optim.lr cannot be 'fast'; a number is expected"),
        ("compile: 1\n", "compile cannot be 1; true or false is expected"),
        ("precision: fp8\n", "precision cannot be 'fp8'; one of auto, fp32, bf16, fp16 is expected"),
        ("coherence: none\n", "coherence cannot be 'none'; a mapping or null is expected"),
        ("views: {first: {sigma: [1]}}\n", "sigma cannot be [1]; a list of 2 values, each a number is expected"),
        ("data: 3\n", "data cannot be 3; a text is expected"),
        ("views: [1]\n", "views cannot be [1]; a mapping is expected"),
        ("views: {flip: both}\n", "views.flip cannot be 'both'; one of shared, independent, none is expected"),
        ("views: {first: {flip: 0}}\n", "views.first.flip is 0.0, views.second.flip is 0.5; give all of them one"),
        ("views: {crops: 2, crop: {flip: 1}}\n", "views.crop.flip is 1.0; give all of them one probability, or --vi"),
        ("optim: {batch_size: 0}\n", "optim.batch_size must be at least 1, got 0"),
        ("a: b: c\n", "is damaged (it is no YAML: mapping values are not allowed here, line 1, column 5)"),
        ("vicreg-tiny\n", "is damaged (it holds a text where a mapping is expected): give a run's config.yaml"),
    ],
)
def test_a_file_that_is_none_is_named_with_the_key_in_one_line(
    text: str, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = write(tmp_path / "s.yaml", text)
    assert main(["pretrain", str(file), "--out", str(tmp_path / "run")]) == 2
    errors = capsys.readouterr().err
    assert str(file) in errors
    assert said in errors
    assert len(errors.splitlines()) == 1
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["none.yaml"], "there is no file none.yaml: give a run's config.yaml, or a file"),
        (["--resume"], "say with --out which run to continue"),
        (["--resume", "--out", "nowhere"], "nowhere holds no run to resume (no config.yaml)"),
        (["--out", "nowhere"], "pretrain needs a recipe as its first argument"),
    ],
)
def test_what_is_missing_is_said(
    arguments: list[str], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["pretrain", *arguments]) == 2
    assert said in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_views_of_one_image_share_their_flip_but_for_what_is_as_published() -> None:
    for name in RECIPES:
        views = recipe(name).views
        assert views.flip == ("independent" if name.endswith("-paper") and views.path != POSES else "shared"), name
    apart = AugmentationConfig(flip=0.25)
    assert ViewsConfig(first=apart, flip="independent").first != ViewsConfig(crop=apart).first


@pytest.mark.parametrize("name", [name for name in WITH_TASK if name.endswith("-paper")])
def test_the_loss_of_a_published_recipe_sees_g_and_its_task_has_black_corners_and_decodes_by_convolutions(
    name: str,
) -> None:
    views, task = recipe(name).views, recipe(name).coherence
    assert task is not None
    assert (views.path, views.invariant, views.border) == ("se2", "path", "zeros")
    assert (task.decoder, task.states, task.share) == ("conv", 2, 1.0)


@pytest.mark.parametrize("name", [name for name in WITH_TASK if name.endswith(("-tiny", "-small"))])
def test_in_tiny_and_small_recipes_the_loss_of_the_method_does_not_see_g_and_views_have_no_black_corners(
    name: str,
) -> None:
    views, task = recipe(name).views, recipe(name).coherence
    assert task is not None
    assert (views.path, views.invariant, views.border) == ("se2", "base", "content")
    assert task.decoder == "render+cross-attention"


def test_a_run_of_before_is_not_resumed_with_what_is_the_default_now(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = small_config(tmp_path / "data")
    run = tmp_path / "run"
    run.mkdir()
    save_config(config, run / "config.yaml")
    check_run(config, run, resume=True)
    values = yaml.safe_load((run / "config.yaml").read_text())
    del values["views"]["flip"]
    write(run / "config.yaml", yaml.safe_dump(values))
    assert main(["pretrain", "--resume", "--out", str(run)]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "config.yaml: it does not say views.flip: another version of equicoherence wrote it; add what" in line
    write(run / "config.yaml", yaml.safe_dump({**values, "views": {**values["views"], "flip": "independent"}}))
    check_run(config_of_file(run / "config.yaml"), run, resume=True)
    with pytest.raises(ValueError, match=r"another configuration.*views.flip: 'independent' -> 'shared'"):
        check_run(config, run, resume=True)
    assert load_config(run / "config.yaml").views.flip == "independent"


def test_a_file_of_a_persons_own_is_not_written_over(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = tmp_path / "run"
    run.mkdir()
    file = write(run / "config.yaml", "recipe: simclr-tiny\n# mine\n")
    data = str(picture_folder(tmp_path / "data", 12))
    few = ["--data", data, "--max-steps", "1", "--optim.batch-size", "8", "--views.source", "32"]
    assert main(["pretrain", str(file), "--out", str(run), *few]) == 2
    assert "holds other things, such as config.yaml; give another --out" in capsys.readouterr().err
    assert file.read_text() == "recipe: simclr-tiny\n# mine\n"
    assert main(["pretrain", str(file), "--out", str(tmp_path / "new"), *few]) == 0
    assert yaml.safe_load((tmp_path / "new" / "config.yaml").read_text())["name"] == "simclr-tiny"


def test_epochs_of_a_file_stand_in_place_of_the_recipes_steps(tmp_path):
    path = tmp_path / "adapt.yaml"
    path.write_text("recipe: adapt-tiny\noptim: {epochs: 3}\n")
    assert (config_of_file(path).max_steps, config_of_file(path).optim.epochs) == (0, 3)
    path.write_text("recipe: adapt-tiny\noptim: {epochs: 3}\nmax_steps: 7\n")
    assert config_of_file(path).max_steps == 7
