"""The encoder that is named on the command line is the one that is trained, with arguments of its own."""

from __future__ import annotations

import pytest
import yaml

from equicoherence.cli import main
from equicoherence.commands.encoder_arguments import take_encoder
from equicoherence.commands.given_values import asks_for_epochs
from equicoherence.training import EncoderConfig
from tests.small import picture_folder

START = EncoderConfig("resnet18", {"layers": [1, 1, 1, 1], "output_stride": 8}, drop_path=0.1)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return picture_folder(tmp_path_factory.mktemp("pictures") / "data", per_class=10)


@pytest.mark.parametrize("named", [["--encoder.name", "resnet50"], ["--encoder.name=resnet50"]])
def test_a_name_drops_the_recipes_arguments_and_nothing_else(named):
    rest, encoder = take_encoder([*named, "--d", "8"], START)
    assert rest == [*named, "--d", "8"]
    assert encoder.args == {}
    assert encoder.drop_path == 0.1


@pytest.mark.parametrize(
    ("given", "args"),
    [
        (["--encoder.args.output-stride", "16"], {"layers": [1, 1, 1, 1], "output_stride": 16}),
        (["--encoder.args.layers", "2", "2", "2", "2"], {"layers": [2, 2, 2, 2], "output_stride": 8}),
        (["--encoder.args.img_size=64", "--encoder.name", "x"], {"img_size": 64}),
        (["--encoder.args.class-token", "false", "--encoder.name", "x"], {"class_token": False}),
        (["--encoder.args", '{"img_size": 64, "qkv_bias": false}'], {"img_size": 64, "qkv_bias": False}),
        (["--encoder.args={}"], {}),
    ],
)
def test_arguments_are_given_one_by_one_or_all_at_once(given, args):
    assert take_encoder(["--d", "8", *given], START)[1].args == args


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        (["--encoder.args", "64"], "must be a mapping such as '{\"img_size\": 64}', got '64'"),
        (["--encoder.args", "{"], "must be a mapping"),
        (["--encoder.args.depth", "--d", "8"], "--encoder.args.depth has no value"),
        (["--encoder.args.depth", "[1"], r"--encoder.args.depth cannot be '\[1'"),
    ],
)
def test_what_is_no_argument_is_refused(given, sentence):
    with pytest.raises(ValueError, match=sentence):
        take_encoder(given, START)


def _pretrain(data, run, *more):
    options = ["--data", str(data), "--out", str(run), "--max-steps", "1", "--optim.batch-size", "4", "--threads", "1"]
    return main(["pretrain", "vicreg-tiny", *options, *more])


def test_the_first_line_says_what_is_trained_and_the_configuration_keeps_it(data, tmp_path, capsys):
    assert _pretrain(data, tmp_path / "run", "--encoder.name", "resnet18") == 0
    first = capsys.readouterr().err.splitlines()[0]
    assert first.startswith("vicreg-tiny: encoder resnet18, 11.18 million parameters, images of 32 px;")
    config = yaml.safe_load((tmp_path / "run/config.yaml").read_text())
    assert (config["encoder"]["name"], config["encoder"]["args"]) == ("resnet18", {})


def test_a_transformer_gets_the_size_of_its_images_by_an_argument(data, tmp_path, capsys):
    vit = ["--encoder.name", "vit_tiny_patch16_224"]
    assert _pretrain(data, tmp_path / "run", *vit) == 2
    assert "give --views.size 224 or --encoder.args.img-size 32" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()
    assert _pretrain(data, tmp_path / "run", *vit, "--encoder.args.img-size", "32", "--encoder.args.depth", "1") == 0


def test_epochs_alone_stand_in_place_of_a_recipes_steps():
    assert asks_for_epochs(["--optim.epochs", "3"])
    assert not asks_for_epochs(["--optim.epochs=3", "--max-steps", "4"])
    assert not asks_for_epochs([])


def test_a_size_that_the_encoder_cannot_be_built_for_is_not_advised(data, tmp_path, capsys):
    hybrid = ["--encoder.name", "vit_tiny_r_s16_p8_224", "--encoder.args.patch-size", "2", "--views.size", "36"]
    assert _pretrain(data, tmp_path / "run", *hybrid) == 2
    said = capsys.readouterr().err
    assert "give --views.size 224" in said
    assert "img-size" not in said


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--encoder.name", "pit_ti_224"], "whose 0 patch tokens are no grid"),
        (["--encoder.name", "crossvit_tiny_240"], "2 outputs of shapes"),
        (["--encoder.args.img-size", "32"], "timm cannot build resnet18 with the arguments"),
        (["--encoder.name", "resnet18", "--encoder.drop-path", "0.1"], "encoder.drop_path is 0.1, but"),
    ],
)
def test_what_cannot_be_trained_is_refused_in_one_sentence_before_it_starts(options, sentence, data, tmp_path, capsys):
    assert _pretrain(data, tmp_path / "run", *options) == 2
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 1
    assert sentence in said[0]
    assert not (tmp_path / "run").exists()
