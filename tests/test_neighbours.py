"""Classes by nearest neighbours are those that a loop over images and neighbours gives."""

import math

import pytest
import torch

from equicoherence.neighbours import knn_classes, neighbours_right


def _normal(*shape: int, seed: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize(("k", "temperature"), [(1, 0.07), (7, 0.07), (7, 1.0), (500, 0.5)])
def test_votes_are_weighted_by_similarity_as_dinos(k: int, temperature: float) -> None:
    train, test, labels = _normal(60, 3, seed=0), _normal(40, 3, seed=1), torch.arange(60) * 7 % 5
    expected = []
    for image in test:
        cosines = [float(torch.cosine_similarity(image, other, dim=0)) for other in train]
        nearest = sorted(range(60), key=lambda at: -cosines[at])[:k]
        votes = [sum(math.exp(cosines[at] / temperature) for at in nearest if labels[at] == c) for c in range(5)]
        expected.append(votes.index(max(votes)))
    found = knn_classes(train, labels, test, k=k, temperature=temperature)
    assert found.tolist() == expected
    assert len(set(expected)) > 1
    assert torch.equal(knn_classes(2 * train, labels, test / 3, k=k, temperature=temperature), found)


def test_an_image_is_told_by_the_four_fifths_that_it_is_not_in() -> None:
    features, labels = _normal(25, 3, seed=2), torch.tensor([4, 9] * 12 + [4])
    part = torch.arange(25) % 5
    others = [part != part[at] for at in range(25)]
    expected = [
        bool(knn_classes(features[other], labels[other] // 9, features[at : at + 1]) == labels[at] // 9)
        for at, other in enumerate(others)
    ]
    assert neighbours_right(features, labels).tolist() == expected
