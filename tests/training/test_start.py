"""A run starts from an encoder that exists: with its features, and without it once it has a checkpoint of its own."""

from __future__ import annotations

import dataclasses
import shutil

import pytest
import timm
import torch
import yaml
from safetensors.torch import load_file, save_file

from equicoherence.cli import main
from equicoherence.errors import RefusedMissing, RefusedValue
from equicoherence.evaluation import load_model
from equicoherence.exporting import export
from equicoherence.methods.dino import DINOConfig
from equicoherence.recipes.from_file import config_of_file
from equicoherence.training import EncoderConfig, build_learner, load_run, pretrain
from equicoherence.training.run import other_results
from equicoherence.training.start import read_start, started, started_or_begun
from tests.small import picture_folder, small_config

MEAN, STD = (0.3, 0.4, 0.5), (0.2, 0.25, 0.3)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return picture_folder(tmp_path_factory.mktemp("pictures") / "data")


@pytest.fixture(scope="module")
def run(data, tmp_path_factory):
    config = small_config(data, max_steps=2)
    encoder = dataclasses.replace(config.encoder, mean=MEAN, std=STD)
    return pretrain(dataclasses.replace(config, encoder=encoder), tmp_path_factory.mktemp("runs") / "run")


@pytest.fixture(scope="module")
def exported(run, tmp_path_factory):
    """Return a run's exports, as a folder of timm and as a torch file."""
    folder = tmp_path_factory.mktemp("exports")
    return export(run, "timm", folder / "timm"), export(run, "torch", folder / "encoder.pt")


def weights_of(arch, path, **args):
    torch.manual_seed(3)
    model = timm.create_model(arch, num_classes=0, **args)
    for name, tensor in model.state_dict().items():
        if name.endswith("running_mean"):
            tensor.add_(0.1)  # which those of a fresh model are not
    save_file(model.state_dict(), path)
    return path


def starting(config, model, size=32, **encoder):
    views = dataclasses.replace(config.views, size=size, source=size)
    encoder = EncoderConfig(**{"name": "", "weights": str(model), **encoder})
    return dataclasses.replace(config, encoder=encoder, views=views)


def assert_same_features(config, model, **options):
    config, start = started(config)
    size = config.views.size
    encoder = build_learner(config, start=start).encoder.eval()
    images = torch.rand(2, 3, size, size, generator=torch.Generator().manual_seed(1))
    wanted = load_model(model, **options).encoder
    with torch.no_grad():
        assert torch.equal(encoder(images).patches, wanted(images).patches)
    assert torch.equal(encoder.mean, wanted.mean)
    assert torch.equal(encoder.std, wanted.std)
    return config


def test_a_run_is_started_from(run, data):
    config = assert_same_features(starting(small_config(data), run), run)
    own = load_run(run)[0].encoder
    assert dataclasses.replace(config.encoder, weights="", fingerprint="") == own
    assert_same_features(starting(small_config(data), run, size=48), run)


def test_exports_are_started_from(exported, data):
    folder, file = exported
    for model in (f"local-dir:{folder}", f"timm:local-dir:{folder}", str(folder)):
        config = assert_same_features(starting(small_config(data), model), f"timm:local-dir:{folder}")
        assert (config.encoder.name, config.encoder.mean) == ("resnet18", MEAN)  # needs no folder any more
    assert_same_features(starting(small_config(data), file), file)


@pytest.mark.parametrize(("arch", "size"), [("resnet18", 64), ("vit_tiny_patch16_224", 48)])
def test_a_weights_file_is_started_from_at_the_size_of_the_views(arch, size, data, tmp_path, capsys):
    file = weights_of(arch, tmp_path / "w.safetensors")
    config = starting(small_config(data), f"{file}@{arch}", size)
    found = assert_same_features(config, file, arch=arch, size=size)
    resampled = "position embeddings are resampled from a grid of 14 x 14 to 3 x 3" in capsys.readouterr().err
    assert resampled == (size == 48)
    assert started(starting(small_config(data), file, size, name=arch))[0].encoder.fingerprint == (
        found.encoder.fingerprint
    )


def test_what_is_read_already_is_read_again_for_an_encoder_of_another_size_alone(data, tmp_path):
    for arch, args, again in (
        ("resnet18", {"layers": [1, 1, 1, 1], "channels": [8, 8, 8, 8]}, False),
        ("vit_tiny_patch16_224", {"depth": 1, "embed_dim": 24, "num_heads": 3}, True),
    ):
        model = f"{weights_of(arch, tmp_path / arch, **args)}@{arch}"
        config, read = starting(small_config(data), model, 48, args=args), read_start(model, None, "", args)
        found, encoder = started(config, read)
        assert (encoder is not read.encoder) == again
        alone, other = started(config)
        assert found == alone
        images = torch.rand(2, 3, 48, 48, generator=torch.Generator().manual_seed(1))
        with torch.no_grad():
            assert torch.equal(encoder.eval()(images).patches, other.eval()(images).patches)


def test_positions_of_a_run_are_resampled_and_a_teacher_starts_from_the_same(data, tmp_path):
    args = {"img_size": 32, "depth": 1, "embed_dim": 24, "num_heads": 3, "patch_size": 8}
    first = small_config(data, max_steps=1, encoder=EncoderConfig("vit_tiny_patch16_224", args))
    run = pretrain(first, tmp_path / "vit")
    method = DINOConfig(prototypes=20, hidden=12, bottleneck=6)
    config, start = started(starting(small_config(data, method=method, coherence=None), run, size=64))
    assert config.encoder.args["img_size"] == 64
    learner = build_learner(config, start=start)
    held = load_file(run / "model.safetensors")
    assert learner.encoder.model.pos_embed.shape == (1, 65, 24)
    name = "blocks.0.attn.qkv.weight"
    assert torch.equal(learner.encoder.model.state_dict()[name], held[name])
    copies = [tensor for key, tensor in learner.state_dict().items() if key.endswith(name)]
    assert len(copies) == 2
    assert torch.equal(*copies)


def test_a_head_that_is_not_trained_is_left_out_and_not_missed(data, tmp_path):
    arch = "vit_base_patch16_siglip_224"  # which pools by attention
    args = {"img_size": 32, "depth": 1, "embed_dim": 24, "num_heads": 3, "patch_size": 8}
    file = weights_of(arch, tmp_path / "w.safetensors", **args)
    config, start = started(starting(small_config(data, max_steps=1), file, name=arch, args=args))
    model = build_learner(config, start=start).encoder.model
    held, taken = load_file(file), model.state_dict()
    assert {name.partition(".")[0] for name in held.keys() - taken.keys()} == {"attn_pool"}
    assert all(torch.equal(tensor, held[name]) for name, tensor in taken.items())
    run = pretrain(config, tmp_path / "run")
    method = DINOConfig(prototypes=20, hidden=12, bottleneck=6)  # which would train that head
    assert_same_features(starting(small_config(data, method=method, coherence=None), run), run)


def test_an_encoder_of_photographs_is_started_from(shared_data, data):
    file = shared_data("pretrained/efficientnet_lite0.safetensors")
    arch = "tf_efficientnet_lite0"
    config = starting(small_config(data), f"{file}@{arch}", 96)
    assert_same_features(config, file, arch=arch, size=96)


def test_a_resumed_run_needs_no_weights_and_ends_with_the_same_bits(exported, data, tmp_path):
    file = shutil.copy(exported[1], tmp_path / "encoder.pt")
    config = starting(small_config(data), file)
    whole = pretrain(config, tmp_path / "whole")
    (tmp_path / "stopped/checkpoints").mkdir(parents=True)
    for name in ("config.yaml", "metrics.jsonl", "checkpoints/step-00000004.pt"):
        shutil.copy(whole / name, tmp_path / "stopped" / name)
    known = started_or_begun(config, whole)
    file.unlink()
    assert started_or_begun(config, whole) == known == load_run(whole)[0]
    with pytest.raises(FileNotFoundError, match="is none of"):
        started_or_begun(config, tmp_path / "anew")
    stopped = pretrain(config, tmp_path / "stopped", resume=True)
    for name in ("model.safetensors", "heads.safetensors"):
        left, right = load_file(whole / name), load_file(stopped / name)
        assert left.keys() == right.keys()
        assert all(torch.equal(left[key], right[key]) for key in left)
    assert load_run(stopped)[0] == load_run(whole)[0]
    with pytest.raises(FileNotFoundError, match=r"encoder\.weights .*encoder\.pt' is none of"):
        pretrain(config, tmp_path / "anew")
    assert not (tmp_path / "anew").exists()


def test_other_weights_of_the_same_place_are_other_results_and_the_same_ones_elsewhere_are_not(data, tmp_path):
    file = weights_of("resnet18", tmp_path / "w.safetensors")
    config = started(starting(small_config(data), f"{file}@resnet18"))[0]
    moved = shutil.copy(file, tmp_path / "moved.safetensors")
    assert other_results(config, started(starting(small_config(data), f"{moved}@resnet18"))[0]) == []
    save_file({name: tensor + 1 for name, tensor in load_file(file).items()}, file)
    (line,) = other_results(config, started(starting(small_config(data), f"{file}@resnet18"))[0])
    assert line.startswith("encoder.fingerprint: ")
    with pytest.raises(ValueError, match="its weights are others now"):
        started(config)


def test_a_file_of_a_recipe_takes_the_encoder_of_the_weights(exported, tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text(f"recipe: vicreg-tiny\nencoder:\n  weights: {exported[1]}\n  drop_path: 0.1\n")
    encoder = config_of_file(path).encoder
    assert encoder == EncoderConfig("", weights=str(exported[1]), drop_path=0.1)
    path.write_text(f"encoder:\n  weights: {exported[1]}\n  name: resnet18\n")
    assert config_of_file(path).encoder == EncoderConfig("resnet18", weights=str(exported[1]))


def command(data, out, model, *more):
    options = ["--data", str(data), "--out", str(out), "--max-steps", "1", "--optim.batch-size", "4", "--threads", "1"]
    return main(["pretrain", "vicreg-tiny", "--encoder.weights", str(model), *options, *more])


def test_the_command_starts_from_it_and_the_run_says_so(exported, data, tmp_path):
    out = tmp_path / "run"
    assert command(data, out, exported[1]) == 0
    encoder = yaml.safe_load((out / "config.yaml").read_text())["encoder"]
    assert (encoder["name"], encoder["weights"]) == ("resnet18", str(exported[1]))
    assert len(encoder["fingerprint"]) == 16
    assert encoder["mean"] == list(MEAN)
    exported_size = load_model(exported[1]).encoder.model.state_dict()["layer4.0.conv1.weight"].shape
    assert load_run(out)[1].encoder.model.state_dict()["layer4.0.conv1.weight"].shape == exported_size


def test_an_encoder_has_a_name_and_one_thing_to_start_from():
    with pytest.raises(ValueError, match=r"encoder\.name is empty: give a timm model's name, or what to start from"):
        EncoderConfig("")
    with pytest.raises(ValueError, match=r"encoder\.weights is timm:resnet18, and .* leave one out"):
        EncoderConfig("", weights="timm:resnet18", pretrained=True)
    config = small_config("objects", encoder=EncoderConfig("resnet18", weights="timm:resnet18"))
    with pytest.raises(ValueError, match="read it first"):
        build_learner(config)


class Danger:
    def __reduce__(self):
        return print, ("executed",)


@pytest.mark.parametrize(
    ("model", "encoder", "sentence"),
    [
        ("{d}/absent.pt@resnet18", {}, "absent.pt' of weights for resnet18"),
        ("baseline:thumbnail", {}, "'baseline:thumbnail' is none of what --encoder.weights is: a run directory, timm:"),
        ("resnet18", {}, "'resnet18': is it timm:resnet18? --encoder.weights is a run directory, timm:NAME"),
        ("{d}/resnet.safetensors", {}, "resnet.safetensors is a weights file: say which timm model it is for: /"),
        ("{d}/resnet.safetensors@resnet19", {}, "timm has no model 'resnet19'"),
        ("{d}/resnet.safetensors@resnet34", {}, "does not fit the architecture"),
        ("{d}/resnet.safetensors@resnet18", {"name": "resnet34"}, "encoder.name is resnet34, but"),
        ("{d}/damaged.safetensors@resnet18", {}, "is cut short, damaged"),
        ("{d}/danger.pt@resnet18", {}, "which could run code"),
        ("{d}/nan.safetensors@resnet18", {}, "its conv1.weight is not finite"),
        ("{d}/vit.safetensors@vit_tiny_patch16_224", {}, "views.size is 100, but"),
        ("{run}", {"args": {"layers": [1, 1, 1, 2]}}, "do not fit the encoder that the configuration asks for"),
        ("local-dir:{d}", {}, "is not the folder of a timm model: it has no config.json"),
    ],
)
def test_what_cannot_be_started_from_is_refused_in_one_sentence(
    model, encoder, sentence, run, files, data, tmp_path, capsys
):
    config = starting(small_config(data), model.format(d=files, run=run), 100, **encoder)
    with pytest.raises((RefusedValue, RefusedMissing)) as refused:
        pretrain(config, tmp_path / "run")
    assert sentence in str(refused.value)
    assert "\n" not in str(refused.value)
    assert "executed" not in capsys.readouterr().out
    assert not (tmp_path / "run").exists()


def test_the_command_refuses_in_one_line(files, data, tmp_path, capsys):
    more = ["--encoder.name", "resnet34"]
    assert command(data, tmp_path / "run", files / "resnet.safetensors@resnet18", *more) == 2
    (said,) = capsys.readouterr().err.splitlines()
    assert "encoder.name is resnet34, but encoder.weights" in said
    assert not (tmp_path / "run").exists()


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("files")
    resnet = weights_of("resnet18", folder / "resnet.safetensors")
    weights_of("vit_tiny_patch16_224", folder / "vit.safetensors")
    held = load_file(resnet)
    (folder / "damaged.safetensors").write_bytes(resnet.read_bytes()[:-100])
    save_file({**held, "conv1.weight": held["conv1.weight"] * float("nan")}, folder / "nan.safetensors")
    torch.save({"conv1.weight": Danger()}, folder / "danger.pt")
    return folder
