"""A folder that is given as MODEL."""

from __future__ import annotations

from pathlib import Path

import pytest

from equicoherence.models.missing import meant, no_model
from equicoherence.models.model_folder import check_run_folder, with_source


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a folder of a timm model, which is the working directory."""
    (tmp_path / "encoder" / "empty").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "encoder")
    Path("config.json").write_text('{"architecture": "resnet18"}')
    Path("model.safetensors").write_text("")
    return tmp_path / "encoder"


def test_a_folder_without_a_name_is_called_by_its_own(folder: Path) -> None:
    for source in ("", "local-dir:"):
        assert with_source(f"{source}.") == with_source(f"{source}empty/..") == f"local-dir:{folder}"
        assert with_source(f"{source}../encoder") == "local-dir:../encoder"
    assert with_source("timm:local-dir:.") == f"timm:local-dir:{folder}"


@pytest.mark.parametrize("source", ["local-dir:", "timm:local-dir:"])
def test_a_folder_with_a_source_is_checked_too(folder: Path, source: str) -> None:
    for name, lack in (("nosuch", "there is no such folder"), ("empty", "it has no config.json")):
        with pytest.raises(FileNotFoundError, match=f"'{source}{name}' is not the folder of a timm model: {lack}"):
            with_source(f"{source}{name}")
    (folder / "empty" / "config.yaml").write_text("")
    with pytest.raises(
        FileNotFoundError, match=r"it has no config\.json; it is a run that timm cannot load; write empty"
    ):
        with_source(f"{source}empty")


def test_what_is_wrong_is_quoted(folder: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"^'empty' is not a run directory: it has no config\.yaml; nor"):
        with_source("empty")
    for nothing in ("", "local-dir:"):
        with pytest.raises(ValueError, match=f"^model '{nothing}' names nothing; give a run"):
            with_source(nothing)


def test_a_folder_needs_no_architecture(folder: Path) -> None:
    assert str(no_model("empty@resnet18")) == (
        "model 'empty@resnet18': 'empty' is a folder, which says itself what it is: give empty"
    )


def test_a_folder_that_is_no_run_is_not_advised_again_and_a_misspelt_one_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("pics").mkdir()
    with pytest.raises(FileNotFoundError, match=r"^pics is not a run directory: it has no config\.yaml$"):
        check_run_folder(Path("pics"))
    with pytest.raises(FileNotFoundError, match=r"^pcs is not .*: it has no config\.yaml; is it 'pics'\?$"):
        check_run_folder(Path("pcs"))


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("resnet50", "timm:resnet50"),
        ("resnet50.a1_in1k", "timm:resnet50.a1_in1k"),
        ("ResNet-50.a1_in1k", "timm:resnet50"),
        ("efficientnet-lite0", "timm:efficientnet_lite0"),
        ("runn", "'run'"),  # a path near comes before a name near
        ("resnet51", "'resnet52'"),
        ("resnet50.pth", ""),  # a file, and no name with a tag
        ("no/resnet50", ""),
        ("no-model", ""),
    ],
)
def test_what_may_have_been_meant_is_a_name_of_timm_or_a_path(tmp_path, monkeypatch, text, wanted):
    monkeypatch.chdir(tmp_path)
    for folder in ("run", "resnet52"):
        (tmp_path / folder).mkdir()
    if text.startswith(("resnet50", "ResNet", "no/")):
        (tmp_path / "resnet52").rmdir()
    assert meant(text) == wanted
