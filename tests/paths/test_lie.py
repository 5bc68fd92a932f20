"""Logarithms and exponentials of affine maps: closed forms, SciPy's, and the laws of a group of one parameter."""

from __future__ import annotations

import math

import numpy as np
import pytest
import scipy.linalg
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from equicoherence.paths import color, geometry
from equicoherence.paths.lie import affine_logarithm, exponential
from tests.host import FromTheHost

EXACT = 1e-5
positions = st.floats(0, 1, width=32)


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def uniform(low: float, high: float, generator: torch.Generator, batch: int = 64) -> Tensor:
    return low + (high - low) * torch.rand(batch, generator=generator)


def places(seed: int = 0, batch: int = 64) -> Tensor:
    """Return maps from a crop to another, each turned by up to 80 degrees."""
    generator = seeded(seed)
    frames = []
    for _ in range(2):
        side, ratio = uniform(0.5, 1, generator, batch), uniform(-0.14, 0.14, generator, batch).exp()
        x, y = (uniform(-0.4, 0.4, generator, batch) for _ in range(2))
        box = geometry.crop(x, y, side * ratio, side / ratio, torch.zeros(batch))
        frames.append(box @ geometry.rotation(uniform(-80, 80, generator, batch)))
    return torch.linalg.inv(frames[0]) @ frames[1]


def tints(seed: int = 0, strength: float = 0.4, batch: int = 64) -> Tensor:
    """Return 4x4 maps from one jitter of colors to another."""
    generator = seeded(seed)
    maps = []
    for _ in range(2):
        bright, contrast, saturate = (1 + uniform(-strength, strength, generator, batch) for _ in range(3))
        made = color.then(color.brightness(bright), color.contrast(contrast))
        made = color.then(color.then(made, color.saturation(saturate)), color.hue(uniform(-0.1, 0.1, generator, batch)))
        mean = torch.rand(batch, 3, 1, generator=generator)
        top = torch.cat([made[..., :3], made[..., 3:] @ mean], dim=-1)
        maps.append(torch.cat([top, torch.tensor([0.0, 0, 0, 1]).expand(batch, 1, 4)], dim=1))
    return maps[1] @ torch.linalg.inv(maps[0])


@pytest.mark.filterwarnings("ignore:logm result may be inaccurate")  # SciPy's, of an error of 1e-13
@pytest.mark.parametrize("maps", [places(), tints(), tints(strength=0.8)], ids=["places", "tints", "strong tints"])
def test_the_logarithm_is_scipys_and_its_exponential_is_the_map_again(maps: Tensor) -> None:
    log, real = affine_logarithm(maps)
    assert bool(real.all())
    expected = np.stack([scipy.linalg.logm(each.double().numpy()).real for each in maps])
    assert np.abs(log.numpy() - expected).max() < EXACT
    error = (exponential(log) - maps).abs().amax(dim=(1, 2)) / maps.abs().amax(dim=(1, 2))
    assert float(error.max()) < EXACT
    assert bool((log[:, -1] == 0).all())


@pytest.mark.parametrize("size", [2, 3, 4, 6])
@pytest.mark.parametrize("norm", [1e-3, 1.0, 6.0])
def test_the_exponential_is_scipys(size: int, norm: float) -> None:
    matrices = torch.randn(16, size, size, generator=seeded())
    matrices = matrices * norm / torch.linalg.matrix_norm(matrices, 2)[:, None, None]
    expected = scipy.linalg.expm(matrices.double().numpy())
    error = np.abs(exponential(matrices).numpy() - expected).max(axis=(1, 2)) / np.abs(expected).max(axis=(1, 2))
    assert error.max() < EXACT


@given(degrees=st.floats(-175, 175, width=32))
def test_the_logarithm_of_a_turn_is_its_angle(degrees: float) -> None:
    log, real = affine_logarithm(geometry.rotation(torch.tensor([degrees])))
    angle = math.radians(degrees)
    assert bool(real.all())
    expected = torch.tensor([[[0, -angle, 0], [angle, 0, 0], [0, 0, 0]]])
    assert torch.allclose(log, expected, atol=2e-5)


@given(x=st.floats(-2, 2), y=st.floats(-2, 2), factor=st.floats(0.2, 5))
def test_the_logarithms_of_a_shift_and_of_a_scale_are_known(x: float, y: float, factor: float) -> None:
    shift = geometry.translation(torch.tensor([x]), torch.tensor([y]))
    assert torch.allclose(affine_logarithm(shift)[0], shift - torch.eye(3), atol=EXACT)
    scale = affine_logarithm(geometry.scaling(torch.tensor([factor])))[0]
    assert torch.allclose(scale, torch.diag(torch.tensor([1.0, 1, 0]))[None] * -math.log(factor), atol=EXACT)


@settings(max_examples=25)
@given(seed=st.integers(0, 10**6), s=positions, t=positions)
def test_states_of_a_path_are_a_group_of_one_parameter(seed: int, s: float, t: float) -> None:
    for maps in (places(seed, 8), tints(seed, batch=8)):
        log, _ = affine_logarithm(maps)
        within = EXACT * (1 + float(maps.abs().max()))
        assert torch.allclose(exponential(s * log) @ exponential(t * log), exponential((s + t) * log), atol=within)
        assert torch.allclose(exponential(s * log) @ exponential(-s * log), torch.eye(maps.shape[-1]), atol=within)
        assert torch.equal(exponential(0 * log), torch.eye(maps.shape[-1]).expand_as(log))


@pytest.mark.parametrize("degrees", [180.0, -180.0, 179.99, 540.0])
def test_half_a_turn_has_no_single_logarithm(degrees: float) -> None:
    log, real = affine_logarithm(geometry.rotation(torch.tensor([degrees, 10.0])))
    assert real.tolist() == [False, True]
    assert bool((log[0] == 0).all())


@pytest.mark.parametrize(
    "diagonal", [(-1.0, 1, 1), (0.0, 1, 1), (-1.0, -2, 1), (-1.0, 1, 1, 1), (0.0, 1, 1, 1), (-1.0, -2, 1, 1)]
)
def test_mirrors_and_what_loses_a_dimension_have_none(diagonal: tuple[float, ...]) -> None:
    eye = torch.eye(len(diagonal))
    log, real = affine_logarithm(torch.stack([torch.diag(torch.tensor(diagonal)), eye]))
    assert real.tolist() == [False, True]
    assert bool((log == 0).all())


def test_grayscale_has_none() -> None:
    grey = torch.eye(4)[None].clone()
    grey[:, :3, :3] = color.saturation(torch.zeros(1))[..., :3]
    assert not bool(affine_logarithm(grey)[1])


def test_gradients_of_the_exponential_are_those_of_torch() -> None:
    matrix = (torch.randn(4, 4, 4, generator=seeded(), dtype=torch.float64) / 2).requires_grad_()
    weights = torch.randn(4, 4, 4, generator=seeded(1), dtype=torch.float64)
    (ours,) = torch.autograd.grad((exponential(matrix) * weights).sum(), matrix)
    (theirs,) = torch.autograd.grad((torch.matrix_exp(matrix) * weights).sum(), matrix)
    assert torch.allclose(ours, theirs, rtol=1e-5, atol=1e-7)


def test_a_second_logarithm_sends_no_constant() -> None:
    maps = tints(), places()
    for _ in range(2):
        with FromTheHost() as made:
            for each in maps:
                affine_logarithm(each)
    assert made.count == 0
