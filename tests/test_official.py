"""The comparison with official code says what it would compare, compares what it is given, fails on a difference."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch

EXPERIMENTS = Path(__file__).resolve().parents[1] / "experiments"
KOLEO = """
import a_module_that_is_nowhere
import torch

class KoLeoLoss:
    def __call__(self, x):
        x = x / x.norm(dim=1, keepdim=True)
        return -(torch.cdist(x, x).fill_diagonal_(9).amin(dim=1)).log().mean() {more}
"""
HEAD = """
import a_module_that_is_nowhere as nowhere

class DINOHead(nowhere.Head):
    pass
"""
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
SILOG = """
import torch
from ...models.builder import LOSSES

@LOSSES.register_module()
class SigLoss:
    def __init__(self, loss_weight):
        self.weight = loss_weight

    def __call__(self, predicted, truth):
        error = (predicted[truth > 0] / truth[truth > 0]).log()
        return 1.001 * self.weight * (error.var() + 0.15 * error.mean() ** 2).sqrt()
"""
CLASS = """
import torch.distributed as dist

class DINOLoss:
    def __init__(self, prototypes):
        raise ModuleNotFoundError("none", name="cv2")
"""
STAND_INS = {
    "dinov2/loss/dino_clstoken_loss.py": CLASS,
    "dinov2/loss/ibot_patch_loss.py": CLASS.replace("DINOLoss", "iBOTPatchLoss"),
    "dinov2/loss/koleo_loss.py": KOLEO.format(more=""),
    "dinov2/layers/dino_head.py": HEAD,
    "dinov2/eval/depth/models/losses/gradientloss.py": GRADIENT,
    "dinov2/eval/depth/models/losses/sigloss.py": SILOG,
}
SCRIPT = """
import sys
from torch.utils.data import DataLoader
import torch
import its.own as own

print(own.NUMBER)
if __name__ == "__main__":
    weights = torch.nn.Linear(3, 2).to("cuda:0").weight
    batches = list(DataLoader(torch.arange(4), batch_size=2, num_workers=9))
    total = torch.stack(batches).to("cuda:1").cuda().sum().double().to(torch.float32)
    torch.save([sys.argv, weights.device.type, float(total), str(total.dtype)], "found.pt")
"""


@pytest.fixture
def official(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(EXPERIMENTS)
    import official  # pyright: ignore[reportMissingImports]

    return official


@pytest.fixture
def code(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(EXPERIMENTS)
    import official_code  # pyright: ignore[reportMissingImports]

    return official_code


@pytest.fixture
def stand_in(tmp_path: Path) -> Path:
    """Return a folder with files where DINOv2 has its own: written for this test from the formulas."""
    for name, text in STAND_INS.items():
        path = tmp_path / name
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
    lines = [line for line in capsys.readouterr().out.splitlines() if "give --" not in line]
    assert len(lines) == sum(comparison.original == "dinov2" for comparison in official.COMPARISONS)
    assert any(line.startswith("KoLeo: equal, ") for line in lines)
    assert any(line.startswith("DINOv2's gradient loss of depths: equal, ") for line in lines)
    assert any(line.startswith("DINOv2's first loss of depths: apart as declared, 1.") for line in lines)
    needs = [line.split("needs the module ")[1] for line in lines if "skipped" in line]
    assert needs == [
        "cv2, install opencv-python-headless",
        "a_module_that_is_nowhere, install a_module_that_is_nowhere",
    ]


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("dinov2/loss/koleo_loss.py", KOLEO.format(more="* 1.01"), "KoLeo: NOT EQUAL, "),
        (  # further than is declared
            "dinov2/eval/depth/models/losses/sigloss.py",
            SILOG.replace("1.001", "1.01"),
            "DINOv2's first loss of depths: NOT EQUAL, ",
        ),
    ],
)
def test_a_difference_is_the_exit_status(
    official: Any, stand_in: Path, name: str, text: str, says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (stand_in / name).write_text(text)
    assert official.main(["--dinov2", str(stand_in)]) == 1
    assert says in capsys.readouterr().out


def test_a_folder_of_something_else_is_refused(
    official: Any, stand_in: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for arguments, message in (
        (
            ["--dinov2", str(stand_in), "--sie", str(stand_in)],
            f"--sie {stand_in} has no src/models.py, eval_prediction_errors.py, eval_MRR_Hk.py; "
            "give a checkout of facebookresearch/SIE",
        ),
        (["--dinov2", str(stand_in)], "has no KoLeoLoss; give a checkout of facebookresearch/dinov2"),
    ):
        (stand_in / "dinov2/loss/koleo_loss.py").write_text("KoLeo = 1")
        with pytest.raises(SystemExit) as stopped:
            official.main(arguments)
        assert stopped.value.code == 2
        printed = capsys.readouterr()
        assert message in printed.err
        assert "--sie" not in arguments or not printed.out, "something was compared before all folders were checked"


def test_a_missing_file_is_named_and_the_others_are_compared(
    official: Any, stand_in: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    missing = "dinov2/eval/depth/models/losses/gradientloss.py"
    other = stand_in / "dinov2/loss/ibot_patch_loss.py"
    (stand_in / missing).unlink()
    other.unlink()
    harmless = CLASS.partition("raise")[0] + "pass"
    (stand_in / "dinov2/loss/dino_clstoken_loss.py").write_text(harmless)
    assert official.main(["--dinov2", str(stand_in)]) == 0
    lines = capsys.readouterr().out.splitlines()
    lacking = f"skipped; {stand_in} has no {missing}, facebookresearch/dinov2 has it"
    assert f"DINOv2's gradient loss of depths: {lacking}" in lines
    (line,) = (line for line in lines if line.startswith("DINOv2's losses, and Sinkhorn-Knopp: skipped; "))
    assert line.endswith(f"{other} is missing, facebookresearch/dinov2 has it")
    assert any(line.startswith("DINOv2's first loss of depths: apart as declared, ") for line in lines)


def test_a_definition_comes_with_what_it_names_alone(code: Any, tmp_path: Path) -> None:
    path = tmp_path / "theirs.py"
    path.write_text(
        "import a_module_that_is_nowhere, math\n"
        "from .beside import registry, BASE\n"
        "try:\n    from nowhere_at_all import root\n"
        "except ImportError:\n    def root(x):\n        return math.sqrt(x)\n"
        "SCALE = 2\n"
        "SCALE += 1\n"
        "@registry.add\nclass Wanted(BASE):\n    def run(self, x):\n        return SCALE * root(x) + args.more\n"
        "class Other(a_module_that_is_nowhere.Base):\n    pass\n"
        "if __name__ == '__main__':\n    args = a_module_that_is_nowhere.parse()\n"
    )
    before = set(sys.modules)
    registry, args = type("", (), {"add": staticmethod(lambda kind: kind)}), type("", (), {"more": 0.5})
    found = code.definitions(path, "Wanted", registry=registry, BASE=object, args=args)
    assert found.Wanted().run(16) == 12.5
    assert set(sys.modules) == before
    with pytest.raises(ModuleNotFoundError, match="a_module_that_is_nowhere"):
        code.definitions(path, "Other")
    with pytest.raises(LookupError, match="has no Missing"):
        code.definitions(path, "Missing")


def test_a_whole_script_runs_on_the_cpu_and_leaves_nothing_behind(
    code: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    script, here = tmp_path / "script.py", tmp_path / "here"
    script.write_text(SCRIPT)
    here.mkdir()
    own = ModuleType("its.own")
    own.NUMBER = 3  # type: ignore[attr-defined]
    folder, moves, before = Path.cwd(), (torch.Tensor.to, torch.nn.Module.cuda), list(sys.argv)
    code.run_script(script, ["--some"], here, {"its": ModuleType("its"), "its.own": own})
    assert torch.load(here / "found.pt") == [[str(script), "--some"], "cpu", 6.0, "torch.float32"]
    assert capsys.readouterr().out == ""
    assert (Path.cwd(), (torch.Tensor.to, torch.nn.Module.cuda), sys.argv) == (folder, moves, before)
    assert "its.own" not in sys.modules
