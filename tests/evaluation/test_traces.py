"""Rendered pairs tell nothing by how they were read: noise without content tells no angle."""

import pytest
import torch

from equicoherence.evaluation.baselines import Spectrum
from equicoherence.evaluation.model import load_model
from equicoherence.evaluation.task import no_bar
from equicoherence.evaluation.transformation.noise import NoisePairs, as_photographs, leaves_noise, noise_images
from equicoherence.evaluation.transformation.pairs import ImagePairs
from equicoherence.evaluation.transformation.regression import noise_rows
from equicoherence.evaluation.transformation.task import TransformationRegression
from equicoherence.paths import Pyramid, Rotation, named_path, render
from equicoherence.paths.central import base_state
from equicoherence.paths.pair_images import base_share, draw_pair_image, least_pitch
from equicoherence.ridge import r2_score, ridge_probe


def directions():
    """Return (512, 12) patterns on the bins of `Spectrum`: four rings, each in all and in its 4-fold directions.

    A few numbers, so that a regression on a few hundred images finds no more than there is.
    """
    down, across = torch.meshgrid((torch.arange(32) + 0.5) / 32 - 0.5, (torch.arange(16) + 0.5) / 32, indexing="ij")
    radius, angle = torch.hypot(down, across), torch.atan2(down, across)
    rings = [(radius > low) & (radius <= low + 0.12) for low in (0.1, 0.22, 0.34, 0.46)]
    patterns = [ring * wave for ring in rings for wave in (1 + 0 * angle, torch.cos(4 * angle), torch.sin(4 * angle))]
    return torch.stack(patterns, dim=-1).flatten(0, 1)


def read_from_spectra(draw, side, source, size, counts=(300, 300)):
    """Return R2 of the angle and of its absolute value, by a ridge regression on the spectra of turned noise."""
    generator, parts = torch.Generator().manual_seed(0), []
    for seed, (count, draws) in enumerate(zip(counts, (4, 2))):
        images = as_photographs(noise_images(count, side, seed), source)
        angles = Rotation().sample(draws * count, generator)
        spectra = torch.cat([Spectrum()(draw(images, turn, size)) for turn in angles.split(count)])
        parts.append((spectra @ directions(), torch.cat([angles, angles.abs()], dim=1)))
    (train, target), (test, truth) = parts
    predicted = [ridge_probe(train, column, test, draws=4) for column in target.split(1, dim=1)]
    return r2_score(torch.cat(predicted, dim=1), truth).tolist()


def as_evaluated(images, angles, size):
    return draw_pair_image(images, Rotation(), angles, base_share("rotation"), size)


def bilinear(images, angles, size):
    return without_round_band(images, Rotation(), angles, base_share("rotation"), size)


def without_round_band(images, path, theta, share, size, *_):
    """Render as `draw_pair_image` does, but read bilinearly."""
    state = None if theta is None else path.state(theta)
    return render(Pyramid.build(images.images, size), base_state(images.aspect, share), state, size=size)


def noise_row():
    """Return R2 on noise of rotation and of its absolute value, as a table has them, of the spectrum baseline."""
    model = load_model("baseline:spectrum", size=64)
    task = TransformationRegression(transformations=("rotation",), probes=("linear",))
    rows = list(noise_rows(task, NoisePairs(model, 64, (200, 200), keep_tokens=False), "rotation", no_bar))
    assert [row.target for row in rows] == ["rotation", "rotation, absolute"]
    return [row.value for row in rows]


@pytest.mark.parametrize(("side", "source", "size"), [(64, 64, 64), (64, 96, 64)])
def test_spectra_of_turned_noise_tell_no_angle(side, source, size):
    signed, absolute = read_from_spectra(as_evaluated, side, source, size)
    assert -0.06 <= signed <= 0.02, signed  # below 0 is what chance gives a regression that finds nothing
    assert -0.06 <= absolute <= 0.05, absolute


def test_read_bilinearly_they_do():
    """So the test above can fail."""
    _, absolute = read_from_spectra(bilinear, 64, 64, 64)
    assert absolute > 0.5


def test_the_noise_row_shows_traces_where_there_are_some(monkeypatch):
    """A row that is 0 whatever the renderer does, such as one of shuffled angles, is no control."""
    assert noise_row() == pytest.approx([0, 0], abs=0.02)
    monkeypatch.setattr("equicoherence.evaluation.transformation.pairs.draw_pair_image", without_round_band)
    signed, absolute = noise_row()
    assert signed > 0.25, signed
    assert absolute > 0.9, absolute


def test_noise_is_the_same_twice_and_has_no_direction():
    images = noise_images(60, 64)
    assert torch.equal(images, noise_images.__wrapped__(60, 64))
    assert not torch.equal(images[:9], noise_images(9, 64, seed=1))
    assert images.dtype == torch.uint8
    grey = images.float().mean(dim=1)
    assert grey.std() / 255 == pytest.approx(0.2, abs=0.05)
    window = torch.hann_window(64)
    power = torch.fft.fft2((grey - grey.mean(dim=(1, 2), keepdim=True)) * window * window[:, None]).abs().square()
    f = torch.fft.fftfreq(64)
    radius, angle = torch.hypot(f[:, None], f), torch.atan2(f[:, None], f.expand(64, 64))
    ring = (radius > 0.1) & (radius < 0.25)
    along = torch.cos(2 * angle).abs() > 0.7  # nearer to an axis than to a diagonal
    mean = power.mean(dim=0) * radius.square()
    assert mean[ring & along].mean() == pytest.approx(mean[ring & ~along].mean().item(), rel=0.08)
    assert mean[ring].std() < 0.3 * mean[ring].mean()  # amplitude falls with 1/f


def test_transformations_that_noise_does_not_show():
    shown = {name: leaves_noise(named_path(name)) for name in ("rotation", "translation", "scale", "se2", "color")}
    assert shown == {"rotation": True, "translation": True, "scale": True, "se2": True, "color": False}
    assert not any(leaves_noise(named_path(name)) for name in ("blur", "all", "perspective", "se2+blur"))


def test_pairs_of_noise_are_unrelated():
    """The first image of each pair is another one than the second."""
    model = load_model("baseline:spectrum", size=16)
    pairs = NoisePairs(model, 24, (6, 5), keep_tokens=False)
    path = named_path("translation")
    train, test = pairs.base(path, 0.66, no_bar)
    still = tuple(torch.zeros(len(theta), 2) for theta in pairs.draw(path, 0))
    moved, moved_test = pairs.moved(path, still, "content", 0.66, no_bar)
    assert pairs.counts() == {"train": 6, "val": 5}
    assert torch.equal(train[0]["backbone"], moved[0]["backbone"][:6].roll(1, 0))
    assert torch.equal(test[0]["backbone"], moved_test[0]["backbone"].roll(1, 0))
    assert not torch.equal(train[0]["backbone"][0], train[0]["backbone"][1])
    again, _ = ImagePairs.base(pairs, path, 0.66, no_bar)
    assert torch.equal(again[0]["backbone"], moved[0]["backbone"][:6])


def test_a_path_that_magnifies_leaves_less_of_the_band():
    assert least_pitch(named_path("rotation")) == least_pitch(named_path("color")) == 1
    assert least_pitch(named_path("scale")) == pytest.approx(2**-0.5, abs=1e-3)


@pytest.mark.parametrize("name", ["rotation", "scale"])
def test_both_images_of_a_pair_are_equally_sharp(name):
    """The power of the finest that noise has is the same upright and at the ends of a path."""
    path, images = named_path(name), as_photographs(noise_images(48, 64), 64)
    share = base_share(name)
    ends = [torch.full((48, 1), end) for end in (path.parameters[0].low, path.parameters[0].high)]
    drawn = [draw_pair_image(images, path, theta, share, 48) for theta in (None, *ends)]
    fine = [(view[..., 1:, :] - view[..., :-1, :]).square().mean().item() for view in drawn]
    assert fine[1:] == pytest.approx([fine[0]] * 2, rel=0.1)
