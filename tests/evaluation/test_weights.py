"""Weights files fit their architecture whole, or say what does not; options that do nothing are refused."""

import pickle
from typing import Any

import pytest
import timm
import torch

from equicoherence.evaluation import load_model
from equicoherence.models import Encoder
from equicoherence.models.weights import load_weights
from equicoherence.training.checkpoint import save_tensors

ARCH = "vit_tiny_patch16_224"


def _vit(depth):
    torch.manual_seed(depth)
    return Encoder(ARCH, {"img_size": 32, "depth": depth, "embed_dim": 24, "num_heads": 3}).model


def test_weights_files_load_under_any_prefix(tmp_path):
    source = load_model("timm:resnet18", random_weights=True)
    weights = {f"backbone.{k}": v + 1 for k, v in source.encoder.model.state_dict().items()}
    torch.save({"state_dict": weights}, tmp_path / "w.pt")
    loaded = load_model(tmp_path / "w.pt", arch="resnet18").encoder.model.state_dict()
    assert all(torch.equal(tensor, weights[f"backbone.{name}"]) for name, tensor in loaded.items())


def test_a_weights_file_needs_its_architecture(run):
    with pytest.raises(ValueError, match="--arch"):
        load_model(run / "model.safetensors")
    with pytest.raises(ValueError, match="does not fit"):
        load_model(run / "model.safetensors", arch="resnet18")


def test_a_deeper_model_does_not_load_into_a_shallower_one(tmp_path):
    save_tensors(_vit(3).state_dict(), tmp_path / "deep.safetensors")
    with pytest.raises(ValueError, match=r"12 of its tensors have no place in it \(blocks\.2\."):
        load_weights(_vit(2), tmp_path / "deep.safetensors")


def test_heads_beside_the_encoder_under_its_prefix_are_listed_and_left_out(tmp_path, capsys):
    heads = {"projection_head.0.weight": torch.zeros(4, 24), "prototypes.weight": torch.zeros(8, 4)}  # SwAV's names
    torch.save({f"module.{k}": v for k, v in {**_vit(2).state_dict(), **heads}.items()}, tmp_path / "w.pt")
    load_weights(_vit(2), tmp_path / "w.pt")
    said = "2 tensors of pretraining are not loaded (projection_head.0.weight, prototypes.weight)"
    assert said in capsys.readouterr().err
    torch.save({**_vit(2).state_dict(), "norm_pre.weight": torch.ones(24)}, tmp_path / "w.pt")
    with pytest.raises(ValueError, match=r"1 of its tensors have no place in it \(norm_pre\.weight\)"):
        load_weights(_vit(2), tmp_path / "w.pt")  # features would depend on it


def test_a_classifier_is_left_out_and_a_head_beside_the_encoder_is_named(tmp_path, capsys):
    weights = _vit(2).state_dict()
    save_tensors(
        {**weights, "head.weight": torch.zeros(5, 24), "head.bias": torch.zeros(5)}, tmp_path / "w.safetensors"
    )
    target = _vit(2)
    with torch.no_grad():
        target.cls_token += 1  # type: ignore[operator]
    load_weights(target, tmp_path / "w.safetensors")
    assert all(torch.equal(tensor, weights[name]) for name, tensor in target.state_dict().items())
    assert capsys.readouterr().err == ""
    prefixed = {f"backbone.{name}": tensor for name, tensor in weights.items()}
    torch.save({**prefixed, "projection.weight": torch.zeros(2)}, tmp_path / "w.pt")
    load_weights(target, tmp_path / "w.pt")
    assert "1 tensors outside 'backbone.' are not loaded (projection.weight)" in capsys.readouterr().err


def test_damaged_files_and_what_is_no_tensor_are_wrong_use(tmp_path, copied):
    (tmp_path / "w.safetensors").write_bytes(b"\x20\0\0\0\0\0\0\0no header")
    with pytest.raises(ValueError, match="cannot be read as weights"):
        load_weights(_vit(2), tmp_path / "w.safetensors")
    weights = _vit(2).state_dict()
    torch.save({**weights, "cls_token": 3, 0: torch.zeros(1)}, tmp_path / "w.pt")
    with pytest.raises(ValueError, match=r"cls_token \(int, no tensor\).*have no place in it \(0\)"):
        load_weights(_vit(2), tmp_path / "w.pt")
    run = copied()
    (run / "model.safetensors").write_bytes((run / "model.safetensors").read_bytes()[:-100])
    with pytest.raises(ValueError, match=r"copied.model\.safetensors is damaged"):
        load_model(run)


def _whole(path, form):
    if form == "safetensors":
        save_tensors(_vit(2).state_dict(), path)
    else:
        torch.save(_vit(2).state_dict(), path, _use_new_zipfile_serialization=form == "zip")
    return path.read_bytes()


@pytest.mark.parametrize("form", ["safetensors", "zip", "pickle"])
@pytest.mark.parametrize("kept", [12, 2000, -100])
def test_a_file_that_is_cut_short_is_named_and_no_one_is_told_to_execute_it(tmp_path, form, kept):
    path = tmp_path / "w.pth"
    path.write_bytes(_whole(path, form)[:kept])
    for arch in (ARCH, None):
        with pytest.raises(ValueError, match=r"w\.pth cannot be read as weights: it begins as a .* damaged") as refusal:
            load_model(path, arch=arch)
        assert "weights_only" not in str(refusal.value)
        assert "\n" not in str(refusal.value)


def test_a_list_is_no_state_dict(tmp_path):
    torch.save([torch.zeros(2)], tmp_path / "w.pth")
    with pytest.raises(ValueError, match=r"w\.pth holds a list, not a state dict: save a dictionary"):
        load_model(tmp_path / "w.pth", arch=ARCH)


@pytest.mark.parametrize(
    ("config", "sentence"),
    [
        ("{", r"config\.json is damaged \(it is no JSON"),
        ("[1]", r"config\.json is damaged \(it holds a list where a mapping is expected\): export the run again"),
        ('{"architecture": "nothing"}', r"config\.json is for 'nothing', which is no model"),
        ('{"architecture": "resnet18", "model_args": [1]}', "its model_args is no mapping"),
    ],
)
def test_a_damaged_folder_of_timm_is_named(tmp_path, config, sentence):
    (tmp_path / "config.json").write_text(config)
    (tmp_path / "model.safetensors").touch()
    with pytest.raises(ValueError, match=sentence):
        load_model(f"timm:local-dir:{tmp_path}")


def test_damaged_weights_in_a_folder_of_timm_are_wrong_use(copied):
    run = copied()
    (run / "model.safetensors").write_bytes((run / "model.safetensors").read_bytes()[:-100])
    with pytest.raises(ValueError, match=f"the weights in {run} cannot be read, or do not fit its config.json"):
        load_model(f"timm:local-dir:{run}")


@pytest.mark.parametrize("name", ["junk.pth", "junk.safetensors"])
@pytest.mark.parametrize("content", [b"every good boy", b"", b"\x1f\x8b archive"])
def test_a_file_of_another_format_is_said_to_be_none_of_ours(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    for arch in ("resnet18", None):
        with pytest.raises(ValueError, match=f"{name} cannot be read as weights: .* neither a torch file nor a safet"):
            load_model(tmp_path / name, arch=arch)


def test_the_format_is_told_by_the_content_and_not_by_the_name(tmp_path):
    weights = _vit(2).state_dict()
    save_tensors(weights, tmp_path / "w.pth")
    torch.save(weights, tmp_path / "early.pth", _use_new_zipfile_serialization=False)
    for name in ("w.pth", "early.pth"):
        target = _vit(2)
        with torch.no_grad():
            target.cls_token += 1  # type: ignore[operator]
        load_weights(target, tmp_path / name)
        assert all(torch.equal(tensor, weights[key]) for key, tensor in target.state_dict().items())


def test_weights_files_never_execute_code(tmp_path):
    class Bomb:
        def __reduce__(self):
            return (open, (str(tmp_path / "executed"), "w"))

    (tmp_path / "w.pt").write_bytes(pickle.dumps(Bomb()))
    with pytest.raises(ValueError, match="cannot be read as weights"):
        load_model(tmp_path / "w.pt", arch="resnet18")
    assert not (tmp_path / "executed").exists()


def test_options_that_do_nothing_for_a_model_are_refused_by_name(run):
    given: list[dict[str, Any]] = [{"arch": "resnet18"}, {"random_weights": True}, {"size": 64}]
    for options in given:
        with pytest.raises(ValueError, match=f"--{next(iter(options)).replace('_', '-')} does not apply"):
            load_model(run, **options)
    with pytest.raises(ValueError, match="--arch does not apply"):
        load_model("timm:resnet18", arch="resnet50", random_weights=True)
    with pytest.raises(ValueError, match="--random-weights does not apply"):
        load_model(run / "model.safetensors", arch="resnet18", random_weights=True)
    with pytest.raises(ValueError, match="size is 0"):
        load_model("timm:resnet18", random_weights=True, size=0)


@pytest.mark.parametrize("name", ["checkpoint_path", "pretrained_cfg_overlay", "cache_dir", "pretrained"])
def test_the_configuration_of_a_run_makes_timm_open_no_file(copied, name, tmp_path):
    run = copied()
    config = (run / "config.yaml").read_text()
    (run / "config.yaml").write_text(config.replace("  args:\n", f"  args:\n    {name}: {tmp_path}/w.pt\n"))
    with pytest.raises(ValueError, match=f"encoder args may not hold {name}"):
        load_model(run)


@pytest.mark.parametrize(
    ("arch", "sizes"),
    [
        ("cait_xxs24_224", {"depth": 1, "depth_token_only": 1, "embed_dim": 24, "num_heads": 3}),
        ("convit_tiny", {"depth": 1, "local_up_to_layer": 1, "embed_dim": 24, "num_heads": 3}),
    ],
)
def test_positions_of_patches_alone_are_loaded_and_resampled(arch, sizes, tmp_path, capsys):
    small, large = (timm.create_model(arch, img_size=size, **sizes) for size in (32, 64))
    torch.save(small.state_dict(), tmp_path / "w.pt")
    target = timm.create_model(arch, img_size=32, **sizes)
    load_weights(target, tmp_path / "w.pt")
    assert torch.equal(target.get_parameter("pos_embed"), small.get_parameter("pos_embed"))
    assert capsys.readouterr().err == ""
    load_weights(large, tmp_path / "w.pt")
    assert large.get_parameter("pos_embed").shape[1] == 16
    assert "resampled from a grid of 2 x 2 to 4 x 4" in capsys.readouterr().err
