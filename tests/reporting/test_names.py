"""What tables call encoders."""

from __future__ import annotations

from pathlib import Path, PureWindowsPath

import pytest

from equicoherence.reporting.names import encoder_names, folder_names, shared_names, told_apart


def test_weights_files_are_called_by_their_stems_and_architectures_that_have_other_names() -> None:
    encoders = {
        ("/data/lite0.safetensors", "tf_efficientnet_lite0"): "lite0 (tf_efficientnet_lite0)",
        ("/data/lite0.safetensors@tf_efficientnet_lite0", "tf_efficientnet_lite0"): "lite0 (tf_efficientnet_lite0)",
        ("/data/resnet18.pth", "resnet18"): "resnet18",
        ("/data/resnet18.pth, layer 3 (random weights)", "resnet18"): "resnet18, layer 3 (random weights)",
        ("local-dir:/home/a/exported.1, layer 3", "resnet18"): "exported.1 (resnet18), layer 3",
        ("local-dir:/home/a/encoder", "resnet18"): "a/encoder (resnet18)",
        ("timm:local-dir:/home/b/encoder", "resnet18"): "b/encoder (resnet18)",
        ("timm:resnet18", "resnet18"): "timm:resnet18",
        ("vicreg-tiny", "resnet18"): "vicreg-tiny",
        ("baseline:spectrum", "baseline:spectrum"): "baseline:spectrum",
    }
    assert encoder_names(encoders) == encoders


def test_files_of_one_stem_are_told_apart_by_the_folders_above_them() -> None:
    encoders = {
        ("/a/first/best.pt", "best"): "a/first/best",
        ("/b/first/best.pt", "best"): "b/first/best",
        ("/b/second/best.pt", "best"): "second/best",
        ("/b/second/other.pt", "best"): "other (best)",
        ("best.pt", "best"): "best",
    }
    assert encoder_names(encoders) == encoders


def test_on_another_machine_an_encoder_is_called_by_what_it_is_loaded_by_there() -> None:
    same = {
        "/home/a/x/model.pth": "x/model.pth@resnet18",
        "/home/a/y/model.pth@resnet18": "y/model.pth@resnet18",
        "weights/b.safetensors, layer 3": "b.safetensors@resnet18, layer 3",
        "timm:local-dir:/home/a/exported": "timm:local-dir:exported",
        "/home/a/run": "run",
        "/home/a/run, layer 3": "run, layer 3",
        "timm:resnet18 (random weights)": "timm:resnet18 (random weights)",
        "hf-hub:owner/name": "hf-hub:owner/name",
        "baseline:spectrum": "baseline:spectrum",
        "vicreg-tiny": "vicreg-tiny",
    }
    found = shared_names((name, "resnet18") for name in same)
    assert {name: text for (name, _), text in found.items()} == same


@pytest.mark.parametrize(
    ("folders", "names"),
    [
        (["/home/a/old", "/home/a/new"], ["old", "new"]),
        (["/home/old/run/scores", "/home/new/run/scores"], ["old", "new"]),
        (["/a/old/0", "/a/old/1", "/a/new/0"], ["old/0", "1", "new/0"]),
        (["/a/run", "/b/run", "/b/other"], ["a/run", "b/run", "other"]),
        (["/a/b", "/a/b/b"], ["a", "b"]),
        (["/run", "/a/run"], ["run", "a/run"]),
        (["/a/b/..", "/b"], ["a", "b"]),
        (["/a/run"], ["run"]),
    ],
)
def test_folders_are_called_by_what_tells_them_apart(folders: list[str], names: list[str]) -> None:
    assert folder_names([Path(folder) for folder in folders]) == names


@pytest.mark.parametrize(
    ("folders", "names"),
    [
        (["C:/runs/a", "D:/runs/a"], ["C:", "D:"]),
        (["C:/a", "D:/a", "C:/b"], ["C:/a", "D:/a", "b"]),
        (["C:/old/run", "D:/new/run"], ["old", "new"]),
    ],
)
def test_drives_stay_in_names_where_nothing_else_tells_folders_apart(folders: list[str], names: list[str]) -> None:
    assert told_apart([PureWindowsPath(folder) for folder in folders]) == names
