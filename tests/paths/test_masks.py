"""Masks of patch tokens: exact counts, in blocks."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from equicoherence.paths.masks import Masking, Masks, block_masks, host_generator
from tests.host import no_waiting


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def masked_neighbours(masks: Tensor, grid: tuple[int, int]) -> float:
    """Return how many of the four neighbours of a masked token are masked, on average."""
    masks = masks.view(-1, 1, *grid).float()
    kernel = torch.tensor([[0.0, 1.0, 0.0], [1.0, 0.0, 1.0], [0.0, 1.0, 0.0]])
    return float((F.conv2d(masks, kernel[None, None], padding=1) * masks).sum() / masks.sum())


@pytest.mark.parametrize("grid", [(14, 14), (4, 4), (7, 16), (1, 9)])
@pytest.mark.parametrize("ratio", [(0.1, 0.5), (0.3, 0.3), (0.0, 1.0)])
@pytest.mark.parametrize(("probability", "masked"), [(0.0, 0), (0.5, 32), (0.3, 20), (1.0, 65)])
def test_counts_are_exact(grid, ratio, probability, masked):
    tokens, low, high = grid[0] * grid[1], *ratio
    masks = block_masks(Masking(grid, probability, ratio), 65, seeded())
    assert masks.shape == (65, tokens)
    found = masks.sum(dim=1).sort(descending=True).values[:masked].flip(0).double()  # those masked, rising
    assert int(masks.sum()) == int(found.sum())
    place = torch.arange(masked) / max(1, masked)
    assert bool((found >= ((low + (high - low) * place) * tokens - 0.51)).all())
    assert bool((found <= ((low + (high - low) * (place + 1 / max(1, masked))) * tokens + 0.51)).all())


def test_which_samples_are_masked_is_random_and_no_order_remains():
    counts = torch.stack([block_masks(Masking((14, 14)), 64, seeded(s)).sum(dim=1) for s in range(50)]).float()
    often = (counts > 0).float().mean(dim=0)
    assert 0.2 < float(often.min()) < float(often.max()) < 0.8
    assert abs(float(counts[:, :32].mean() - counts[:, 32:].mean())) < 3


def test_masked_tokens_lie_in_blocks():
    masks = block_masks(Masking((14, 14), 1.0), 256, seeded())
    scattered = torch.stack([mask[torch.randperm(196, generator=seeded(i))] for i, mask in enumerate(masks)])
    assert masked_neighbours(scattered, (14, 14)) < 1.5
    assert masked_neighbours(masks, (14, 14)) > 3


def test_one_rectangle_has_the_asked_aspect():
    lying = block_masks(Masking((14, 14), 1.0, (0.1, 0.1), (0.3, 0.4)), 200, seeded()).view(-1, 14, 14)
    standing = block_masks(Masking((14, 14), 1.0, (0.1, 0.1), (2.5, 3.3)), 200, seeded()).view(-1, 14, 14)
    for masks, flatter in ((lying, True), (standing, False)):
        along, across = (masks[:, :, 1:] & masks[:, :, :-1]).sum(), (masks[:, 1:] & masks[:, :-1]).sum()
        assert (along > 1.1 * across) if flatter else (across > 1.1 * along)


def test_no_side_of_the_image_is_preferred():
    often = block_masks(Masking((8, 8), 1.0, (0.3, 0.3)), 4000, seeded()).float().mean(dim=0).view(8, 8)
    for turned in (often.flip(0), often.flip(1), often.T):
        assert torch.allclose(often, turned, atol=0.05)
    assert float(often.min()) > 0.05  # rectangles within the image reach its corners less often


def test_the_generator_alone_decides():
    generator = seeded(1)
    first, second = (block_masks(Masking((14, 14)), 32, generator) for _ in range(2))
    assert torch.equal(first, block_masks(Masking((14, 14)), 32, seeded(1)))
    assert not torch.equal(first, second)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_the_generator_of_a_gpu_decides_too():
    generators = [torch.Generator("cuda").manual_seed(1) for _ in range(2)]
    first, again = (block_masks(Masking((14, 14)), 32, generator) for generator in generators)
    assert torch.equal(first, again)
    assert not torch.equal(first, block_masks(Masking((14, 14)), 32, generators[0]))
    with no_waiting():
        masks = Masks.of(block_masks(Masking((14, 14)), 32, generators[0]).view(2, 16, -1), "cuda")
    assert masks.indices.device.type == "cuda"
    assert int(masks.tokens.sum()) == len(masks.indices)


def test_a_generator_of_the_host_is_used_as_it_is():
    generator = seeded()
    assert host_generator(generator) is generator


def test_indices_and_weights_speak_of_the_masked_tokens():
    tokens = torch.zeros(2, 3, 4, dtype=torch.bool)
    tokens[0, 1, [0, 3]] = True
    tokens[1, 2, 1] = True
    masks = Masks.of(tokens)
    assert masks.indices.tolist() == [4, 7, 21]
    assert masks.weights.tolist() == [0.5, 0.5, 1.0]
    assert torch.equal(masks.tokens, tokens)


def test_every_masked_sample_view_weighs_one():
    masks = Masks.of(block_masks(Masking((14, 14)), 64, seeded()).view(2, 32, -1))
    assert int(masks.tokens.any(dim=-1).sum()) == 32
    assert float(masks.weights.sum()) == pytest.approx(32)
    assert bool(masks.tokens.flatten()[masks.indices].all())
    assert len(masks.indices.unique()) == int(masks.tokens.sum())


def test_an_empty_batch_has_empty_masks():
    masks = Masks.of(block_masks(Masking((14, 14)), 0, seeded()).view(2, 0, 196))
    assert masks.indices.shape == masks.weights.shape == (0,)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Masking((0, 14)), r"got \(0, 14\)"),
        (lambda: Masking((14, 14), 1.5), "got 1.5"),
        (lambda: Masking((14, 14), ratio=(0.5, 0.1)), r"got \(0.5, 0.1\)"),
        (lambda: Masking((14, 14), aspect=(0.0, 1.0)), r"got \(0.0, 1.0\)"),
        (lambda: Masks.of(torch.zeros(4, 16, dtype=torch.bool)), r"got \(4, 16\) torch.bool"),
        (lambda: Masks.of(torch.zeros(2, 4, 16)), "torch.float32"),
    ],
)
def test_bad_input_is_quoted(make, message):
    with pytest.raises(ValueError, match=message):
        make()
