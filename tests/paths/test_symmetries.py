"""The eight symmetries of the square, of pixels and of tokens."""

import pytest
import torch

from equicoherence.paths.symmetries import SYMMETRIES, show_symmetries, undo_symmetries


def test_the_first_four_are_quarter_turns_and_the_others_those_of_the_mirror_image():
    images = torch.rand(SYMMETRIES, 3, 5, 5, generator=torch.Generator().manual_seed(0))
    shown = show_symmetries(images, torch.arange(SYMMETRIES))
    for number, (image, found) in enumerate(zip(images, shown)):
        begin = image if number < 4 else image.flip(-1)
        assert torch.equal(found, torch.rot90(begin, number % 4, (-2, -1)))


def test_they_are_closed_and_all_differ():
    image = torch.arange(16.0).view(1, 1, 4, 4).expand(SYMMETRIES, -1, -1, -1)
    once = show_symmetries(image, torch.arange(SYMMETRIES))
    known = {tuple(each.flatten().tolist()) for each in once}
    assert len(known) == SYMMETRIES
    for number in range(SYMMETRIES):
        twice = show_symmetries(once, torch.full((SYMMETRIES,), number))
        assert {tuple(each.flatten().tolist()) for each in twice} == known


def test_tokens_are_put_back_where_the_pixels_were():
    generator = torch.Generator().manual_seed(0)
    maps, numbers = torch.rand(20, 3, 4, 4, generator=generator), torch.randint(8, (20,), generator=generator)
    tokens = show_symmetries(maps, numbers).flatten(2).transpose(1, 2)
    assert torch.equal(undo_symmetries(tokens, numbers), maps.flatten(2).transpose(1, 2))


def test_tokens_of_no_square_are_refused():
    with pytest.raises(ValueError, match="of a square grid, got 12 tokens"):
        undo_symmetries(torch.zeros(2, 12, 3), torch.zeros(2, dtype=torch.long))
