"""The comparison with official code says what it would compare, compares what it is given, fails on a difference."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

EXPERIMENTS = Path(__file__).resolve().parents[1] / "experiments"
KOLEO = """
import torch

class KoLeoLoss:
    def __call__(self, x):
        x = x / x.norm(dim=1, keepdim=True)
        return -(torch.cdist(x, x).fill_diagonal_(9).amin(dim=1)).log().mean() {more}
"""
HEAD = "import a_module_that_is_nowhere"
GRADIENT = """
import torch
from ...models.builder import LOSSES

@LOSSES.register_module()
class GradientLoss:
    def __call__(self, predicted, truth):
        total = 0.0
        for step in (1, 2, 4, 6):
            p, t = predicted[::step, ::step], truth[::step, ::step]
            error = ((p + 0.001) / (t + 0.001)).log()
            error[t == 0] = torch.nan
            apart = [(error[2:] - error[:-2]).abs(), (error[:, 2:] - error[:, :-2]).abs()]
            total += sum(each.nansum() for each in apart) / (t > 0).sum()
        return total
"""


@pytest.fixture
def official(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(EXPERIMENTS)
    import official  # pyright: ignore[reportMissingImports]

    return official


@pytest.fixture
def stand_in(tmp_path: Path, official: Any) -> Path:
    """Return a folder with files where DINOv2 has its own: written for this test from the formulas."""
    texts = (KOLEO.format(more=""), HEAD, GRADIENT)
    for comparison, text in zip((c for c in official.COMPARISONS if c.original == "dinov2"), texts, strict=True):
        path = tmp_path / comparison.file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return tmp_path


def test_without_folders_it_says_what_it_would_compare(official: Any, capsys: pytest.CaptureFixture[str]) -> None:
    assert official.main([]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == len(official.COMPARISONS)
    for line, comparison in zip(lines, official.COMPARISONS):
        repository = official.ORIGINALS[comparison.original]
        wanted = f"{comparison.what}: skipped; give --{comparison.original} DIR, a checkout of {repository}"
        assert line == wanted


def test_what_is_given_is_compared(official: Any, stand_in: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert official.main(["--dinov2", str(stand_in)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert any(line.startswith("KoLeo: equal, ") for line in lines)
    assert any(line.startswith("DINOv2's gradient loss of depths: equal, ") for line in lines)
    assert any(line.endswith("needs the module a_module_that_is_nowhere, install it") for line in lines)
    assert sum("give --" in line for line in lines) == len(lines) - 3


def test_a_difference_is_the_exit_status(official: Any, stand_in: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (stand_in / "dinov2/loss/koleo_loss.py").write_text(KOLEO.format(more="* 1.01"))
    assert official.main(["--dinov2", str(stand_in)]) == 1
    assert "KoLeo: NOT EQUAL, " in capsys.readouterr().out


def test_a_folder_of_something_else_is_refused(
    official: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stopped:
        official.main(["--sie", str(tmp_path)])
    assert stopped.value.code == 2
    message = f"--sie {tmp_path} has no src/models.py; give a checkout of facebookresearch/SIE"
    assert message in capsys.readouterr().err
