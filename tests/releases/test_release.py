"""The command that makes a release: from finished and scored runs alone, and what is fetched of it is the run."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest
import timm
import torch

from equicoherence import load_model
from equicoherence.cli import main
from equicoherence.errors import Refused
from equicoherence.evaluation import evaluate
from tests.releases.server import serving

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def making(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """Return the module of the command."""
    monkeypatch.syspath_prepend(ROOT / "experiments")
    import release_weights  # pyright: ignore[reportMissingImports]

    return release_weights


@torch.no_grad()
def test_a_run_is_released_fetched_and_gives_the_same_features(
    copied: Callable[[], Path],
    folder: Path,
    making: ModuleType,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    run, out, page = copied(), tmp_path / "release", tmp_path / "page.md"
    evaluate(run, tasks=["knn"], data=str(folder), settings={"knn": {"limit": 40}})
    page.write_text("# Weights\n\n<!-- weights: begin -->\nold\n<!-- weights: end -->\n\nAfter.\n")
    given = ["release_weights.py", f"small-1={run}", "--out", str(out), "--license", "mit", "--page", str(page)]
    monkeypatch.setattr("sys.argv", given)
    making.main()
    capsys.readouterr()
    (about,) = json.loads((out / "manifest.json").read_text())["weights"]
    assert (about["name"], about["architecture"], about["size"], about["data"]) == ("small-1", "resnet18", 32, "data")
    assert (about["configuration"], about["steps"], about["seed"], about["license"]) == ("small", 2, 0, "mit")
    parameters = sum(p.numel() for p in load_model(run).encoder.model.parameters())
    assert about["parameters"] == parameters
    assert {path.name for path in out.iterdir()} == {
        *("manifest.json", "README.md"),
        *(file["file"] for file in about["files"]),
    }
    assert all((out / file["file"]).stat().st_size == file["bytes"] for file in about["files"])
    (part,) = (p for p in json.loads((run / "scores.json").read_text())["parts"].values() if not p["control"])
    (backbone,) = (r["value"] for r in part["rows"] if r["representation"] == "backbone" and r["metric"] == "top1")
    assert [f["value"] for f in about["scores"] if f["reads"] == "backbone"] == [backbone]
    text = page.read_text()
    assert text.startswith("# Weights\n\n<!-- weights: begin -->\n\n| name |")
    assert text.endswith("\n\n<!-- weights: end -->\n\nAfter.\n")
    assert f"| {backbone * 100:.1f} % |" in text
    assert all(file["sha256"] in text for file in about["files"])
    assert "old" not in text
    assert not [path for path in out.iterdir() if str(tmp_path).encode() in path.read_bytes()]

    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.chdir(tmp_path)
    with serving() as server:
        server.files = {path.name: path.read_bytes() for path in out.iterdir()}
        assert main(["weights", "small-1", "--from", server.url]) == 0
    (command,) = re.findall(r"equicoherence (evaluate \S+)", capsys.readouterr().out)
    images = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    wanted, found = load_model(run).represent(images)[0], load_model("small-1").represent(images)[0]
    assert {"backbone", "z_equi"} <= set(wanted) == set(found)
    assert all(torch.equal(wanted[name], found[name]) for name in wanted)
    encoder = load_model(run).encoder
    model = timm.create_model("local-dir:small-1", pretrained=True).eval()
    assert torch.allclose(model((images - encoder.mean) / encoder.std), wanted["backbone"], atol=1e-6)
    asked = ["--data", str(folder), "--tasks", "knn", "--limit", "40", "--out", "scores"]
    assert main([*command.split(), *asked]) == 0
    (same,) = (
        r["value"]
        for p in json.loads(Path("scores/scores.json").read_text())["parts"].values()
        for r in p["rows"]
        if not p["control"] and r["representation"] == "backbone" and r["metric"] == "top1"
    )
    assert same == backbone


def test_a_run_that_is_not_finished_not_scored_or_changed_is_refused(
    copied: Callable[[], Path], run: Path, folder: Path, making: ModuleType, tmp_path: Path
) -> None:
    own, out = copied(), tmp_path / "release"
    with pytest.raises(Refused, match=r"has no scores\.json; score it: equicoherence evaluate"):
        making.release({"small": own}, out)
    evaluate(own, tasks=["knn"], data=str(folder), settings={"knn": {"limit": 40}})
    text = (own / "scores.json").read_text()
    weights = json.loads(text)["weights"]
    (own / "scores.json").write_text(text.replace(weights, "0" * len(weights)))
    with pytest.raises(Refused, match="are of other weights; score it again"):
        making.release({"small": own}, out)
    (own / "scores.json").write_text(text)
    (own / "samples.npz").unlink()
    with pytest.raises(Refused, match=r"is not finished; go on with it: equicoherence pretrain --resume --out"):
        making.release({"small": own}, out)
    with pytest.raises(Refused, match="is not a run directory"):
        making.release({"small": tmp_path / "gone"}, out)
    assert not out.exists()
    out.symlink_to("gone")
    with pytest.raises(Refused, match="release is a link"):
        making.release({"small": run}, out)
    out.unlink()
    out.mkdir()
    (out / "file").write_text("of my own")
    with pytest.raises(Refused, match="release exists; give another --out"):
        making.release({"small": run}, out)


def test_names_come_from_folders_and_no_two_are_the_same(making: ModuleType) -> None:
    assert making._named(["runs/+ render, [P1]-seed0", "b=runs/x"]) == {
        "render-p1-seed0": Path("runs/+ render, [P1]-seed0"),
        "b": Path("runs/x"),
    }
    with pytest.raises(ValueError, match="two runs are called x"):
        making._named(["runs/x", "other/x"])
    for text in ("", "b="):
        with pytest.raises(ValueError, match=f"^'{text}' names no run; give RUN or NAME=RUN$"):
            making._named([text])


def test_a_folder_that_exists_is_a_run_whatever_its_name_holds(
    making: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert making._named(["runs/lr=0.1"]) == {"runs/lr": Path("0.1")}
    (tmp_path / "runs" / "lr=0.1").mkdir(parents=True)
    assert making._named(["runs/lr=0.1", "b=runs/lr=0.1"]) == {
        "lr-0-1": Path("runs/lr=0.1"),
        "b": Path("runs/lr=0.1"),
    }


@pytest.mark.parametrize("name", ["a/b", "my run", "", "..", "\xe9", "a" * 190])
def test_a_name_that_cannot_be_fetched_is_refused_before_runs_are_read(
    making: ModuleType, tmp_path: Path, name: str
) -> None:
    with pytest.raises(Refused, match=r"is refused: it may have at most 200 letters"):
        making.release({"small": tmp_path / "gone", name: tmp_path / "gone"}, tmp_path / "release")
    assert list(tmp_path.iterdir()) == []


def test_a_page_without_marks_is_refused_before_runs_are_read(
    making: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    page, out = tmp_path / "page.md", tmp_path / "release"
    command = ["release_weights.py", f"a={tmp_path / 'gone'}", "--out", str(out), "--page", str(page)]
    for sentence in (f"there is no page {page}", f"{page} has no one block of lines"):
        monkeypatch.setattr("sys.argv", command)
        with pytest.raises(SystemExit):
            making.main()
        assert sentence in capsys.readouterr().err
        page.write_text("no block")
    assert list(tmp_path.iterdir()) == [page]


def test_the_block_of_weights_is_on_the_page_of_models(making: ModuleType, tmp_path: Path) -> None:
    page = tmp_path / "models.md"
    page.write_text((ROOT / "docs" / "models.md").read_text(encoding="utf-8"), encoding="utf-8")
    making.write_block("new", page, making.BLOCK)
    assert "<!-- weights: begin -->\n\nnew\n\n<!-- weights: end -->" in page.read_text(encoding="utf-8")
    page.write_text("no block")
    with pytest.raises(ValueError, match="has no one block"):
        making.write_block("new", page, making.BLOCK)
