"""Hummingbird: what the memory holds, what is found in it, and scores, beside loops that do the same one by one."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from equicoherence.data.source import UnusableData
from equicoherence.downstream.hummingbird import memory as memories
from equicoherence.downstream.hummingbird import search
from equicoherence.downstream.hummingbird.memory import PatchMemory, class_counts, rarest, remember
from equicoherence.downstream.hummingbird.search import nearest
from equicoherence.downstream.hummingbird.task import Hummingbird
from equicoherence.downstream.tokens import resize_image
from equicoherence.errors import RefusedValue
from equicoherence.evaluation.fit import reading
from equicoherence.evaluation.task import TaskScore, no_bar
from equicoherence.sets import IGNORE
from equicoherence.sets.files import resized_labels

from .colour_regions import ColourRegions, small_model


class Faint(ColourRegions):
    """Regions whose colors are hard to tell in the noise."""

    def image(self, index: int) -> np.ndarray:
        noise = np.random.default_rng(self._noise[index]).integers(0, 200, (*self._sizes[index], 3))
        return (noise + super().image(index) // 5).astype(np.uint8)


TASK = Hummingbird(pixels=32, neighbours=5)
CELL = 8  # pixels of a patch of `small_model`


def value(score: TaskScore, metric: str, parameter: str = "") -> float:
    (found,) = (row.value for row in score.rows if (row.metric, row.parameter) == (metric, parameter))
    return found


def _tokens(image: np.ndarray) -> Tensor:
    """Return the unit tokens (N, C) of an image of the small model's size."""
    pixels = torch.from_numpy(image).permute(2, 0, 1)[None].float() / 255
    with torch.no_grad(), reading(torch.device("cpu")):
        return F.normalize(small_model().encoder(pixels).patches[0].float(), dim=-1)


def _slow_shares(mask: np.ndarray, classes: int) -> list[list[float] | None]:
    """Return the shares of the classes of each patch, None where it has none."""
    found: list[list[float] | None] = []
    for top in range(0, mask.shape[0], CELL):
        for left in range(0, mask.shape[1], CELL):
            patch = mask[top : top + CELL, left : left + CELL]
            counts = [int((patch == label).sum()) for label in range(classes)]
            found.append([count / sum(counts) for count in counts] if sum(counts) else None)
    return found


def test_scores_are_those_of_a_direct_implementation() -> None:
    sizes = ((32, 32), (40, 24), (32, 32))
    train, test = Faint(7, 0, sizes=sizes), Faint(5, 1, sizes=sizes)
    score = TASK.score(small_model(), train, test, no_bar)
    known: list[tuple[Tensor, list[float]]] = []
    for index in range(len(train)):
        tokens = _tokens(resize_image(train.image(index), (32, 32)))
        shares = _slow_shares(resized_labels(train.mask(index), (32, 32)), 3)
        known += [(token, share) for token, share in zip(tokens, shares) if share is not None]
    both, true, said = np.zeros(3), np.zeros(3), np.zeros(3)
    for index in range(len(test)):
        answers = []
        for query in _tokens(resize_image(test.image(index), (32, 32))):
            best = sorted(known, key=lambda entry: -float(entry[0] @ query))[:5]
            weights = np.exp([float(token @ query) / 0.02 for token, _ in best])
            answers.append((weights[:, None] * np.array([share for _, share in best])).sum(axis=0) / weights.sum())
        truth = test.mask(index)
        grid = torch.tensor(np.array(answers).T.reshape(1, 3, 4, 4))
        predicted = F.interpolate(grid, truth.shape, mode="bilinear").argmax(dim=1)[0].numpy()
        for label in range(3):
            counted = truth != IGNORE
            both[label] += ((truth == label) & (predicted == label) & counted).sum()
            true[label] += ((truth == label) & counted).sum()
            said[label] += ((predicted == label) & counted).sum()
    union = true + said - both
    slow = both[union > 0] / union[union > 0]
    assert 0.3 < slow.mean() < 0.95
    assert value(score, "miou") == pytest.approx(slow.mean(), abs=5e-3)  # tokens are kept in half precision
    assert value(score, "accuracy") == pytest.approx(both.sum() / true.sum(), abs=5e-3)
    assert score.counts == {"train": 7, "val": 5}
    assert score.input == (32, 32)
    assert set(score.pictures) == {f"edge {index}" for index in range(5)}


@pytest.mark.parametrize("block", [7, 600, 16_384])
def test_the_search_is_exact_whatever_its_blocks(block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(search, "BLOCK", block)
    generator = torch.Generator().manual_seed(0)
    queries, memory = torch.randn(9, 6, generator=generator), torch.randn(1500, 6, generator=generator).half()
    values, places = nearest(queries, memory, 9)
    for query, best, where in zip(queries, values, places):
        products = [float(entry.float() @ query) for entry in memory]
        slow = sorted(range(1500), key=lambda place: -products[place])[:9]
        assert where.tolist() == slow
        np.testing.assert_allclose(best, [products[place] for place in slow], rtol=1e-5)
    assert nearest(queries, memory[:4], 9)[1].shape == (9, 4)


def test_answers_do_not_depend_on_how_many_are_asked_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    generator = torch.Generator().manual_seed(0)
    tokens = F.normalize(torch.randn(50, 6, generator=generator), dim=1).half()
    memory = PatchMemory(tokens, torch.rand(50, 3, generator=generator).half(), torch.zeros(3))
    queries = torch.randn(11, 6, generator=generator)
    whole = memory.recall(queries, 4, 0.02)
    monkeypatch.setattr(memories, "QUERIES", 3)
    torch.testing.assert_close(memory.recall(queries, 4, 0.02), whole)
    assert torch.allclose(memory.recall(3 * queries, 4, 0.02), whole, atol=1e-5), "by cosine: lengths do not count"


def test_classes_are_counted_in_each_cell() -> None:
    masks = torch.randint(0, 4, (3, 12, 21), generator=torch.Generator().manual_seed(0)).byte()
    masks[masks == 3] = IGNORE
    counts = class_counts(masks, (4, 7), 3).view(3, 4, 7, 3)
    for image in range(3):
        for row in range(4):
            for column in range(7):
                cell = masks[image, 3 * row : 3 * row + 3, 3 * column : 3 * column + 3]
                assert counts[image, row, column].tolist() == [int((cell == label).sum()) for label in range(3)]


def test_patches_of_rare_classes_come_first() -> None:
    present = torch.zeros(2, 40, 3, dtype=torch.bool)
    present[:, :30, 0] = True
    present[:, 28:34, 1] = True  # two patches have both
    present[0, 33, 2] = True
    chosen, kept = rarest(present, 12, torch.Generator().manual_seed(3))
    draws = torch.rand(2, 40, generator=torch.Generator().manual_seed(3))
    for image in range(2):
        frequency = [sum(bool(present[image, n, c]) for n in range(40)) for c in range(3)]
        numbers = {}
        for n in range(40):
            if present[image, n].any():
                numbers[n] = sum(frequency[c] for c in range(3) if present[image, n, c]) * float(draws[image, n])
        assert chosen[image].tolist() == sorted(numbers, key=lambda n: numbers[n])[:12]
        assert kept[image].all()
    chosen, kept = rarest(present, 38, torch.Generator().manual_seed(3))
    assert kept.sum(dim=1).tolist() == [34, 34]
    chosen, kept = rarest(present, 40, torch.Generator())
    assert torch.equal(chosen[0], torch.arange(40))
    assert torch.equal(kept, present.any(dim=-1))


def test_the_memory_is_bounded_and_holds_no_patch_without_a_class() -> None:
    train = ColourRegions(6, 0)
    model = small_model()

    def load(index: int) -> tuple[np.ndarray, np.ndarray]:
        mask = train.mask(index)
        mask[:CELL] = IGNORE
        return train.image(index), mask

    held = remember(model.encoder, load, range(6), 3, 99, torch.Generator(), no_bar)
    assert len(held.tokens) == len(held.shares) == 6 * 12
    assert held.pixels.tolist()[:2] == [sum(int((load(i)[1] == label).sum()) for i in range(6)) for label in (0, 1)]
    torch.testing.assert_close(held.tokens.float().norm(dim=1), torch.ones(72), atol=1e-3, rtol=0)
    torch.testing.assert_close(held.shares.float().sum(dim=1), torch.ones(72), atol=1e-3, rtol=0)
    few = remember(model.encoder, load, range(6), 3, 5, torch.Generator().manual_seed(0), no_bar)
    assert len(few.tokens) == 6 * 5
    every = {tuple(token) for token in held.tokens.tolist()}
    assert all(tuple(token) in every for token in few.tokens.tolist())


def test_passes_add_crops_and_one_seed_gives_one_score() -> None:
    train, test = Faint(8, 0), Faint(6, 1)
    task = dataclasses.replace(TASK, passes=2, memory=8 * 2 * 9)
    first = task.score(small_model(), train, test, no_bar)
    torch.manual_seed(99)
    assert task.score(small_model(), train, test, no_bar).rows == first.rows
    assert dataclasses.replace(task, seed=1).score(small_model(), train, test, no_bar).rows != first.rows


def test_what_cannot_be_is_refused() -> None:
    class Blank(ColourRegions):
        def mask(self, index: int) -> np.ndarray:
            return np.full(self.image(index).shape[:2], IGNORE, dtype=np.uint8)

    with pytest.raises(RefusedValue, match=r"memory is 7, .* of each of 4 training images in each of 2 passes: .* 8$"):
        dataclasses.replace(TASK, memory=7, passes=2).score(small_model(), ColourRegions(4, 0), Blank(2, 0), no_bar)
    with pytest.raises(UnusableData, match="no pixel of the training images has a class, so there is nothing to"):
        TASK.score(small_model(), Blank(4, 0), ColourRegions(4, 1), no_bar)
    with pytest.raises(UnusableData, match="no pixel of the test images has a class"):
        TASK.score(small_model(), ColourRegions(4, 0), Blank(4, 1), no_bar)
    with pytest.raises(ValueError, match="temperature must be finite and above 0, got 0"):
        Hummingbird(temperature=0)
