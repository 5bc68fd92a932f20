"""Published weights that cannot be had are told without loading torch; where a cache may hold them, nothing is said."""

import socket
import subprocess
import sys

import pytest

from equicoherence.cli import main
from equicoherence.models.published import BARE, GIVE_A_FILE, check_published
from tests.small import picture_folder


def closed_port() -> str:
    """Return an address where nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as held:
        return f"http://127.0.0.1:{held.getsockname()[1]}"


@pytest.fixture
def offline(tmp_path, monkeypatch):
    """Return a place of the Hub where nothing answers, with empty caches."""
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", closed_port())
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    return tmp_path


def test_weights_that_no_cache_holds_are_refused_where_the_hub_does_not_answer(offline):
    for name in ("resnet18", "resnet18.a1_in1k", "vit_base_patch16_clip_224"):
        with pytest.raises(RuntimeError, match=rf"of {name} cannot be had .* does not answer\); do this"):
            check_published(f"timm:{name}", "do this")
    for model in ("gcvit_tiny", "gcvit_tiny.in1k", "legacy_xception", "vit_huge_patch14_gap_224"):  # not on the Hub
        check_published(f"timm:{model}", "do this")
    for model in ("hf-hub:a/b", "timm:hf-hub:a/b", "timm:test_mambaout", "timm:vit_base_patch16_18x2_224", "runs/mine"):
        check_published(model, "do this")


@pytest.mark.parametrize(
    ("name", "place"),
    [
        ("resnet18", "hub/models--timm--resnet18.a1_in1k"),
        ("vit_base_patch16_clip_224", "hub/models--timm--vit_base_patch16_clip_224.openai"),
        ("resnet18", "torch/hub/checkpoints/resnet18.pth"),
    ],
)
def test_what_a_cache_may_hold_is_left_to_the_loading(offline, name, place):
    (offline / place).mkdir(parents=True)
    check_published(f"timm:{name}", "do this")


def test_features_of_random_weights_need_no_published_ones(offline, capsys):
    data, out = picture_folder(offline / "pictures", 2), offline / "f.npz"
    asked = ["embed", "timm:resnet18", "--data", str(data), "--out", str(out), "--size", "32"]
    assert main([*asked, "--random-weights"]) == 0
    assert out.is_file()
    assert main([*asked, "--overwrite"]) == 1
    assert "of resnet18 cannot be had (they are not in the cache, and" in (said := capsys.readouterr().err)
    assert BARE in said


@pytest.mark.parametrize(
    ("arguments", "advice"),
    [
        (["evaluate", "timm:resnet50", "--data", "pictures"], BARE),
        (["adapt", "timm:resnet50", "--data", "pictures"], GIVE_A_FILE),
        (["pretrain", "vicreg-tiny", "--encoder.weights", "timm:resnet50", "--data", "pictures"], GIVE_A_FILE),
        (
            ["pretrain", "vicreg-tiny", "--no-coherence", "--encoder.weights=timm:resnet50", "--data", "pictures"],
            GIVE_A_FILE,
        ),
    ],
)
def test_a_command_says_it_before_torch_is_loaded_and_leaves_no_folder(tmp_path, arguments, advice):
    picture_folder(tmp_path / "pictures", 2)
    code = (
        f"import os; os.environ.update(HF_ENDPOINT={closed_port()!r}, HF_HOME={str(tmp_path)!r}, "
        f"TORCH_HOME={str(tmp_path)!r}); from equicoherence.cli import main; "
        f"assert main({arguments!r}) == 1; import sys; print(*sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=tmp_path)
    assert "the published weights of resnet50 cannot be had (they are not in the cache, and" in done.stderr
    assert advice in done.stderr
    assert not {"torch", "timm"} & set(done.stdout.split())
    assert [path.name for path in tmp_path.iterdir()] == ["pictures"]


@pytest.mark.parametrize(
    ("options", "quoted"),
    [
        (["--data", "no/such"], "nothing at 'no/such'"),
        (["--data", "DATA", "--images", "3"], "images must be a whole number, at least 5, got 3"),
        (["--data", "DATA", "--out", "DATA"], "holds other things"),
        (["--data", "DATA"], "the published weights of resnet18 cannot be had"),
    ],
)
def test_the_hub_is_asked_after_all_that_the_arguments_of_adapt_show_by_themselves(offline, options, quoted, capsys):
    data = picture_folder(offline / "pictures", 2)
    assert main(["adapt", "timm:resnet18", *(str(data) if word == "DATA" else word for word in options)]) in (1, 2)
    assert quoted in (said := capsys.readouterr().err)
    assert ("cannot be had" in said) == ("cannot be had" in quoted)


def test_a_folder_that_holds_a_run_is_told_before_the_hub_is_asked(offline, capsys):
    data = picture_folder(offline / "pictures", 2)
    asked = ["pretrain", "vicreg-tiny", "--encoder.weights", "timm:resnet18", "--data", str(data), "--out", str(data)]
    assert main(asked) == 2
    assert "holds other things" in (said := capsys.readouterr().err)
    assert "cannot be had" not in said


def test_a_resumed_run_does_not_ask_the_hub_for_weights_that_its_checkpoint_has(offline, capsys):
    run = offline / "run"
    asked = ["pretrain", "--resume", "--out", str(run), "--encoder.weights", "timm:resnet18"]
    assert main(asked) == 2
    assert "cannot be had" not in capsys.readouterr().err
