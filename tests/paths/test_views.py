"""Two views and the states between them."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from equicoherence.paths import (
    SE2,
    Blur,
    ColorJitter,
    Compose,
    PathViews,
    Pyramid,
    ResizedCrop,
    Rotation,
    Scale,
    Solarize,
    State,
    Views,
    augmentation,
    render,
    renderer,
    threads,
)

from .pictures import shown, smooth, textured

STILL = ResizedCrop((1.0, 1.0), (1.0, 1.0), flip=0.0)  # the whole image as it is


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def everything(views: Views) -> Tensor:
    return torch.cat([views.v1, views.v2, views.targets.flatten(0, 1)])


def full(size: int = 32, **settings: object) -> PathViews:
    path = Compose(SE2(), Scale(), ColorJitter(), Blur())
    return PathViews(augmentation(), augmentation(solarize=0.3), path, size=size, **settings)  # type: ignore[arg-type]


def test_shapes_types_and_range() -> None:
    views = full()(textured(6, 48), seeded())
    assert views.v1.shape == views.v2.shape == (6, 3, 32, 32)
    assert views.targets.shape == (6, 2, 3, 32, 32)
    assert views.theta.shape == (6, 9)
    assert views.positions == (1 / 3, 2 / 3)
    values = everything(views)
    assert values.dtype == torch.float32
    assert 0 <= float(values.min()) < float(values.max()) <= 1


def test_the_generator_alone_decides() -> None:
    images = textured(6, 48)
    assert torch.equal(everything(full()(images, seeded(1))), everything(full()(images, seeded(1))))
    assert not torch.equal(everything(full()(images, seeded(1))), everything(full()(images, seeded(2))))


def test_the_number_of_threads_changes_no_bit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(renderer, "PIXELS", 2**14)  # several chunks, so that threads have something to share
    images = (textured(24, 48) * 255).byte()
    shared = everything(full()(images, seeded()))
    torch.set_num_threads(1)
    try:
        assert torch.equal(shared, everything(full()(images, seeded())))
    finally:
        torch.set_num_threads(2)
    assert torch.get_num_threads() == 2


def test_images_do_not_depend_on_the_rest_of_their_chunk(monkeypatch: pytest.MonkeyPatch) -> None:
    images = (textured(24, 96) * 255).byte()
    together = everything(full()(images, seeded()))
    monkeypatch.setattr(renderer, "PIXELS", 1)
    assert float((together - everything(full()(images, seeded()))).abs().max()) < 1e-5


def test_each_thread_of_the_renderer_keeps_to_itself() -> None:
    counts: list[int] = []

    def work(piece: int) -> None:
        torch.rand(2**18).add_(1)  # the first operator that could be shared
        counts.append(torch.get_num_threads())

    threads.for_each(work, range(8))
    assert counts == [1] * 8
    assert torch.get_num_threads() == 2


def test_an_error_in_a_thread_reaches_the_caller() -> None:
    def work(piece: int) -> None:
        raise RuntimeError(f"piece {piece} failed")

    with pytest.raises(RuntimeError, match="piece 0 failed"):
        threads.for_each(work, range(4))


def test_uint8_and_float_sources_agree() -> None:
    images = (textured(6, 96) * 255).byte()
    from_bytes, from_floats = full()(images, seeded()), full()(images.float() / 255, seeded())
    assert float((everything(from_bytes) - everything(from_floats)).abs().mean()) < 1e-3  # solarize may flip a level
    difference = (from_bytes.v1 - from_floats.v1).abs()
    assert float(difference.max()) < 3 / 255  # shrunk copies of bytes are bytes


def test_the_states_are_the_path_at_their_positions() -> None:
    images = smooth(4, 64)
    views = PathViews(STILL, STILL, Rotation(), size=64, positions=(0.0, 0.5, 1.0))(images, seeded())
    assert torch.allclose(views.v1, images, atol=1e-5)
    assert torch.allclose(views.targets[:, 0], images, atol=1e-5)
    assert torch.allclose(views.targets[:, 2], views.v2, atol=1e-6)
    for image, angle, half, end in zip(images, views.theta[:, 0].tolist(), views.targets[:, 1], views.v2):
        assert torch.allclose(half, shown(image[None], Rotation(), [angle / 2])[0], atol=1e-5)
        assert torch.allclose(end, shown(image[None], Rotation(), [angle])[0], atol=1e-5)


def test_all_outputs_at_once_are_the_same_as_one_by_one() -> None:
    images, generator = textured(9, 96), seeded(5)
    first, second, path = augmentation(), augmentation(), Compose(SE2(), Scale((-1, 1)), ColorJitter(), Blur())
    views = PathViews(first, second, path, size=32, flip="independent")(images, generator)
    again = seeded(5)
    pyramid = Pyramid.build(images, 32)
    a, base = first.state(first.sample(9, again)), second.state(second.sample(9, again))
    theta = path.sample(9, again)
    assert torch.equal(theta, views.theta)
    assert torch.allclose(render(pyramid, a, size=32), views.v1, atol=1e-5)
    assert torch.allclose(render(pyramid, base, path.state(theta), size=32), views.v2, atol=1e-5)
    for target, t in zip(views.targets.unbind(dim=1), views.positions):
        assert torch.allclose(render(pyramid, base, path.state(path.at(theta, t)), size=32), target, atol=1e-5)


def test_without_a_path_view_2_is_the_base_image() -> None:
    views = PathViews(STILL, STILL, size=64)(smooth(3, 64), seeded())
    assert views.targets.shape == (3, 0, 3, 64, 64)
    assert views.theta.shape == (3, 0)
    assert torch.allclose(views.v2, smooth(3, 64), atol=1e-5)


def test_an_empty_batch_gives_empty_views() -> None:
    views = full()(torch.zeros(0, 3, 48, 48, dtype=torch.uint8), seeded())
    assert views.v1.shape == (0, 3, 32, 32)
    assert views.targets.shape == (0, 2, 3, 32, 32)


def disc(height: int, width: int) -> Tensor:
    """Return a white disc, 0.6 times as wide as the shorter side, in true pixels."""
    y, x = torch.meshgrid(torch.arange(height) + 0.5 - height / 2, torch.arange(width) + 0.5 - width / 2, indexing="ij")
    return ((x**2 + y**2).sqrt() < 0.3 * min(height, width)).float().expand(1, 3, height, width)


@pytest.mark.parametrize(("height", "width"), [(96, 144), (128, 96)])
def test_circles_stay_circles_in_images_squashed_to_squares(height: int, width: int) -> None:
    squashed = torch.nn.functional.interpolate(disc(height, width), (96, 96), mode="bilinear", antialias=True)
    crop = ResizedCrop((0.6, 0.6), (1.0, 1.0), flip=0.0)  # square in true pixels
    aspect = torch.full((16,), width / height)
    views = PathViews(crop, crop, size=96)(squashed.expand(16, -1, -1, -1), seeded(), aspect)
    spread = []
    for image in views.v1[:, 0]:
        rows, columns = image.sum(dim=1), image.sum(dim=0)
        if float(rows[[0, -1]].max()) < 1 and float(columns[[0, -1]].max()) < 1:  # the disc is whole
            spread.append(float((columns > 0.5).sum() / (rows > 0.5).sum()))
    assert len(spread) > 2
    assert all(0.93 < ratio < 1.07 for ratio in spread)


def test_contrast_turns_about_the_mean_of_the_base_image_in_every_state() -> None:
    # the states shift the base image, whose two halves differ: a mean of their own pixels would move the color
    images = torch.full((1, 3, 64, 64), 0.2)
    images[..., 32:] = 0.6
    shift = SE2((0.0, 0.0), (80.0, 80.0), (0.0, 0.0))
    second = Compose(STILL, ColorJitter(0.0, (0.5, 0.5), 0.0, 0.0))
    views = PathViews(STILL, second, shift, size=64, positions=(0.5,))(images, seeded())
    expected = 0.4 + 1.5 * (images - 0.4)
    for state in (views.targets[:, 0], views.v2):
        values = state.unique()
        assert float(values.min()) == pytest.approx(float(expected.min()), abs=1e-4)
        assert float(values.max()) == pytest.approx(float(expected.max()), abs=1e-4)


def test_colors_and_contrast_of_a_crop_come_from_the_crop() -> None:
    images = torch.full((1, 3, 64, 64), 0.2)
    images[..., 32:] = 0.6
    right = ResizedCrop().state(torch.tensor([[0.5, 0.0, -0.6931472, 0.0, 0.0]]))
    flat = ColorJitter(contrast=(-1.0, 0.0)).state(torch.tensor([[0.0, -1.0, 0.0, 0.0]]))
    pyramid = Pyramid.build(images, 32)
    assert torch.allclose(pyramid.mean(right.geometry), torch.full((1, 3), 0.6), atol=1e-5)
    seen = render(pyramid, right.then(flat), size=32)
    assert float((seen - 0.6).abs().max()) < 1e-3  # torchvision's luma digits sum to 0.9999


def test_each_solarize_and_blur_is_per_sample() -> None:
    images = smooth(3, 32)
    state = Compose(Blur(), Solarize()).state(torch.tensor([[0.0, 0.0], [2.0, 0.0], [0.0, 0.5]]))
    seen = render(Pyramid.build(images, 32), State.identity(3), state, size=32)
    assert torch.allclose(seen[0], images[0], atol=1e-5)
    assert torch.allclose(seen[1], shown(images[1:2], Blur(), [2.0])[0], atol=1e-5)
    assert torch.allclose(seen[2], torch.where(images[2] >= 0.5, 1 - images[2], images[2]), atol=1e-4)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: full(size=0), "got 0"),
        (lambda: full(positions=(0.5, 1.5)), r"got \(0.5, 1.5\)"),
        (lambda: full(border="wrap"), "border 'wrap' is unknown"),
        (lambda: full()(torch.zeros(2, 1, 8, 8), seeded()), r"of 2 channels or more, got \(2, 1, 8, 8\)"),
        (lambda: full()(torch.zeros(2, 3, 8, 8, dtype=torch.int64), seeded()), "got torch.int64"),
    ],
)
def test_bad_input_is_quoted(make, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()


def test_many_states_are_each_what_they_are_alone():
    images = torch.randint(0, 256, (40, 3, 64, 64), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    positions = tuple(k / 13 for k in range(1, 13))
    many = PathViews(augmentation(), augmentation(), Scale((-2.0, 2.0)), size=32, positions=positions)
    last = PathViews(augmentation(), augmentation(), Scale((-2.0, 2.0)), size=32, positions=positions[-1:])
    a, b = (make(images, torch.Generator().manual_seed(1)).targets[:, -1] for make in (many, last))
    assert (a - b).abs().max() < 1e-5


def test_views_can_be_made_in_inference_mode():
    images = torch.randint(0, 256, (200, 3, 24, 24), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    make = PathViews(augmentation(), augmentation(), SE2(), size=16)
    expected = make(images, torch.Generator().manual_seed(1))
    with torch.inference_mode():
        found = make(images, torch.Generator().manual_seed(1))
    assert torch.equal(found.targets, expected.targets)


@pytest.mark.parametrize("change", [lambda x: x.float(), lambda x: (x / 255 - 0.45) / 0.225])
def test_float_images_out_of_range_are_refused_with_their_range(change):
    images = torch.randint(256, (2, 3, 32, 32), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    views = PathViews(augmentation(), augmentation(), size=16)
    with pytest.raises(ValueError, match=r"must lie in \[0, 1\], but these lie in \[-?[\d.]+, [\d.]+\]"):
        views(change(images), torch.Generator())
