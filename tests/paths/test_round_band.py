"""A round band of frequencies: what lies in it is shown exactly, what does not is gone, whatever the turn."""

import math

import numpy as np
import pytest
import torch

from equicoherence.paths import Pyramid, Rotation, Scale, State, render, sampling
from equicoherence.paths.central import base_state
from equicoherence.paths.outputs import Numbers, Output
from equicoherence.paths.round_band import FLAT, OUTPUT, SOURCE, band_of, pitch, render_round
from equicoherence.paths.sampling import centres, projected

SHARE, SIZE = 0.66, 48


def waves(height, width, across, down):
    """Return an image of a wave, ``across`` and ``down`` cycles a pixel."""
    y, x = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    wave = 0.5 + 0.4 * torch.cos(2 * math.pi * (across * (x + 0.5) + down * (y + 0.5)))
    return (wave * 255).round().byte().expand(1, 3, height, width)


def shown(images, state, aspect=1.0):
    base = base_state(torch.tensor([aspect]), SHARE)
    pitches = pitch(base.geometry, images.shape[2:], SIZE)
    whole = base if state is None else base.then(state)
    band = band_of(pitches, torch.ones(1, 2))
    return render_round(images, base, state, band, size=SIZE), whole.geometry, float(band)


@pytest.mark.parametrize("degrees", [-45.0, -10.0, 0.0, 30.0])
@pytest.mark.parametrize("side", [63, 64])
def test_a_wave_within_the_band_is_shown_as_it_is(side, degrees):
    across, down = 0.1, -0.07
    made, matrix, _ = shown(waves(side, side, across, down), Rotation().state(torch.tensor([[degrees]])))
    points = (projected(matrix, centres(SIZE, matrix.device))[0][0] + 1) * side / 2
    wave = 0.5 + 0.4 * torch.cos(2 * math.pi * (across * points[..., 0] + down * points[..., 1]))
    middle = slice(SIZE // 4, -SIZE // 4)  # at the sides the wave is mirrored, and so no wave any more
    assert (made[0, :, middle, middle] - wave[middle, middle]).abs().max() < 1.5 / 255
    assert torch.equal((made * 255).round() / 255, made)


@pytest.mark.parametrize(("across", "down"), [(0.45, 0.45), (0.42, 0.0), (0.3, 0.3)])
def test_what_lies_beyond_the_band_is_gone_in_the_corners_too(across, down):
    for degrees in (0.0, 20.0):
        made, _, band = shown(waves(64, 64, across, down), Rotation().state(torch.tensor([[degrees]])))
        assert band <= SOURCE * 64 * SHARE / SIZE + 1e-6
        assert (made[0, 0, 8:-8, 8:-8] - 0.5).abs().max() < 2.5 / 255


def test_a_squashed_photograph_is_shown_as_it_was_before():
    """A wave of a photograph of 80 x 64 pixels, squashed to 64 x 64."""
    turn = Rotation().state(torch.tensor([[25.0]]))
    squashed, _, band = shown(waves(64, 64, 0.1 * 80 / 64, 0.05), turn, aspect=80 / 64)
    base = base_state(torch.tensor([80 / 64]), SHARE)
    assert band == pytest.approx(float(SOURCE * pitch(base.geometry, (64, 64), SIZE).amin()))
    points = projected(base.then(turn).geometry, centres(SIZE, squashed.device))[0][0]
    x, y = (points[..., 0] + 1) * 40, (points[..., 1] + 1) * 32
    wave = 0.5 + 0.4 * torch.cos(2 * math.pi * (0.1 * x + 0.05 * y))
    assert (squashed[0, 0, 12:-12, 12:-12] - wave[12:-12, 12:-12]).abs().max() < 1.5 / 255


def test_the_band_ends_at_the_grid_of_whichever_is_coarser():
    half, two = torch.full((1, 2), 0.5), torch.full((1, 2), 2.0)
    assert band_of(two, torch.ones(1, 2)).item() == OUTPUT
    assert band_of(half, torch.ones(1, 2)).item() == pytest.approx(SOURCE / 2)
    assert band_of(half, half).item() == pytest.approx(SOURCE / 4)  # enlarged: two pixels are one of the photograph
    assert band_of(half, two).item() == band_of(half, torch.ones(1, 2)).item()
    assert 0 < FLAT < 1


def test_a_pixel_covers_what_the_map_says_of_it():
    theta = torch.tensor([[0.5], [-0.5], [0.0]])
    turned = Rotation().state(torch.full((3, 1), 33.0))
    covered = pitch(Scale().state(theta).then(turned).geometry, (32, 64), 16)
    assert torch.allclose(covered, torch.tensor([4.0, 2.0]) * torch.exp2(-theta))


@pytest.mark.parametrize("tilt", [0.0, 0.1])
def test_quintic_splines_are_read_as_their_formula_says(tilt):
    """By the compiled kernel, and as an accelerator reads them."""
    generator, size = torch.Generator().manual_seed(0), 6
    knots = torch.rand(2, 3, 12, 14, generator=generator) * 255  # of 7 x 9 pixels: two more before them, three after
    maps = torch.tensor([[[0.7, 0.2, 0.1], [-0.3, 0.6, 0], [tilt, 0, 1]]]).expand(2, 3, 3)
    base = State.identity(2).replace(geometry=maps, affine=not tilt)
    pyramid = Pyramid(knots[:, :, 2:-3, 2:-3], ((7, 9, 2),), knots, spline=True)
    found = render(pyramid, base, size=size)
    places = (projected(maps, centres(size, maps.device))[0] + 1) * torch.tensor([9, 7]) / 2 - 0.5
    places = places.clamp_min(0).minimum(torch.tensor([8.0, 6.0]))
    numbers = Numbers.of([Output(base, None, found)])
    points, level, _ = sampling.places(pyramid, numbers, size, "content")
    on_accelerator = sampling.read_atlas(pyramid, points, level).view(2, 3, size, size) / 255
    for b, j, i in np.ndindex(2, size, size):
        x, y = places[b, j, i].tolist()
        taps = [(k, m) for k in range(int(x) - 2, int(x) + 4) for m in range(int(y) - 2, int(y) + 4)]
        wanted = sum(spline(x - k) * spline(y - m) * knots[b, :, m + 2, k + 2] for k, m in taps) / 255
        assert torch.allclose(found[b, :, j, i], wanted, atol=1e-5)
        assert torch.allclose(on_accelerator[b, :, j, i], wanted, atol=1e-5)


def test_neither_floats_nor_autocast_nor_other_images_change_an_image():
    images = torch.randint(0, 256, (5, 3, 40, 50), generator=torch.Generator().manual_seed(1), dtype=torch.uint8)
    turned = Rotation().state(torch.linspace(-40, 40, 5)[:, None])
    base, band = base_state(torch.ones(5), SHARE), torch.linspace(0.1, 0.3, 5)
    made = render_round(images, base, turned, band, size=16)
    assert made.std() > 0.01
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(render_round(images, base, turned, band, size=16), made)
    assert (render_round(images / 255, base, turned, band, size=16) - made).abs().max() < 1.01 / 255
    for i in (0, 4):
        one = base_state(torch.ones(1), SHARE), Rotation().state(torch.tensor([[20.0 * i - 40]]))
        assert (render_round(images[i : i + 1], *one, band[i : i + 1], size=16) - made[i]).abs().max() < 1.01 / 255


def spline(x, degree=5):
    """Return a B-spline at ``x`` by the recursion that leads from one degree to the next."""
    if degree == 0:
        return float(-0.5 <= x < 0.5)
    half = (degree + 1) / 2
    return ((half + x) * spline(x + 0.5, degree - 1) + (half - x) * spline(x - 0.5, degree - 1)) / degree
