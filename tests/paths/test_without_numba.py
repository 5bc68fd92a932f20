"""Without numba, or with one that the kernel does not fit, torch renders the same pixels on a CPU."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator

import pytest
import torch

import equicoherence.paths
from equicoherence.paths import SE2, Blur, ColorJitter, Compose, Pyramid, Scale, State, augmentation, geometry, render
from equicoherence.paths.compiled import compiled_kernel
from equicoherence.paths.round_band import render_round
from equicoherence.paths.sampling import BORDERS, Border

from .pictures import smooth

KERNEL = "equicoherence.paths.kernel"


@pytest.fixture
def forget(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], None]]:
    """Return what makes the package look for its kernel anew, as at the start of a program."""
    compiled_kernel()  # where there is one, it is loaded: what is undone at the end is that

    def start() -> None:
        monkeypatch.delitem(sys.modules, KERNEL)
        monkeypatch.delattr(equicoherence.paths, "kernel")
        compiled_kernel.cache_clear()

    yield start
    compiled_kernel.cache_clear()


def state_of(count: int) -> tuple[State, State]:
    generator = torch.Generator().manual_seed(0)
    first, path = augmentation(), Compose(SE2(), Scale(), ColorJitter(), Blur())
    return first.state(first.sample(count, generator)), path.state(path.sample(count, generator))


def test_a_program_without_numba_imports_and_renders() -> None:
    program = (
        "import sys; sys.modules['numba'] = None\n"
        "import torch\n"
        "from equicoherence.paths import Pyramid, State, render\n"
        "images = torch.arange(75, dtype=torch.uint8).view(1, 3, 5, 5)\n"
        "made = render(Pyramid.build(images, 5), State.identity(1), size=5)\n"
        "assert torch.allclose(made * 255, images.float(), atol=1e-3)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stderr.startswith("numba is not installed; ")


def test_both_ways_have_one_horizon() -> None:
    kernel = compiled_kernel()
    assert kernel.HORIZON == geometry.HORIZON


@pytest.mark.parametrize("border", BORDERS)
def test_the_pixels_are_equal(
    border: Border,
    forget: Callable[[], None],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    images, (base, path) = (smooth(12, 96) * 255).byte(), state_of(12)
    turn, band = SE2(), torch.full((12,), 0.3)
    turned = turn.state(turn.sample(12, torch.Generator().manual_seed(1)))
    compiled = render(Pyramid.build(images, 40), base, path, size=40, border=border)
    round_band = render_round(images, State.identity(12), turned, band, size=40)
    means = Pyramid.build(images, 40).mean(base.geometry)
    assert compiled_kernel() is not None
    forget()
    monkeypatch.setitem(sys.modules, "numba", None)
    capsys.readouterr()
    pyramid = Pyramid.build(images, 40)
    found = render(pyramid, base, path, size=40, border=border)
    assert compiled_kernel() is None
    different = (found - compiled).abs() > 1 / 255
    if border == "zeros":  # pixel centres on the very edge may fall to either side
        assert float(different.float().mean()) < 1e-3
    else:
        assert not bool(different.any())
    assert torch.allclose(pyramid.mean(base.geometry), means, atol=1e-5)
    other = render_round(images, State.identity(12), turned, band, size=40)
    assert float((other - round_band).abs().max()) <= 1.01 / 255
    assert capsys.readouterr().err == (
        "numba is not installed; on a CPU torch renders the views, more slowly (pip install numba)\n"
    )


def test_a_numba_without_the_switch_that_the_kernel_sets_is_not_used(
    forget: Callable[[], None], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    options = pytest.importorskip("numba.core.options")
    forget()
    monkeypatch.delattr(options.TargetOptions, "Mapping")
    capsys.readouterr()
    assert compiled_kernel() is None
    assert compiled_kernel() is None
    said = capsys.readouterr().err
    assert said.startswith("numba does not fit: ")
    assert said.count("\n") == 1
