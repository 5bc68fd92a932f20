"""Matches of patch tokens by mutual nearest neighbours, and how many of them are right."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass, fields

import torch
import torch.nn.functional as F
from torch import Tensor

from equicoherence.data.source import UnusableData
from equicoherence.devices import float64
from equicoherence.evaluation.task import Row

LARGEST = 2**25  # cosines at once
Counts = dict[str, float]
"""What is counted, by the names of `COUNTS`."""


@dataclass(frozen=True)
class TruePlaces:
    """Where the tokens of first images are seen in second ones, of B pairs with N tokens each.

    first, second: (B, N) bool, tokens that are matched. places: (B, N, 2), x and y in token widths, of the first's
    tokens in the second, the first token's centre being (.5, .5). true: (B, N) bool, tokens of the first whose place is
    seen. mirrors: (B, N, 2), of their mirror images; mirrored: (B, N) bool, tokens that have one that is seen.
    """

    first: Tensor
    second: Tensor
    places: Tensor
    true: Tensor
    mirrors: Tensor
    mirrored: Tensor

    def to(self, device: torch.device) -> TruePlaces:
        """Move all to a device."""
        return TruePlaces(*(getattr(self, field.name).to(device) for field in fields(self)))

    def __getitem__(self, part: slice) -> TruePlaces:
        return TruePlaces(*(getattr(self, field.name)[part] for field in fields(self)))


@dataclass(frozen=True)
class Matches:
    """nearest: (B, N) the token of the second that is nearest to each of the first. right, wrong, at_mirror: (B, N)
    bool, mutual matches of tokens with a true place, by what they are; the last are some of the wrong ones."""

    nearest: Tensor
    right: Tensor
    wrong: Tensor
    at_mirror: Tensor


COUNTS: tuple[str, ...] = ("true", "right", "match", "still", "chance", "at_mirror", "could_mirror", "mirror_chance")
"""What `count_matches` counts: tokens with a true place; right matches; matches of such tokens; tokens whose own place
is right; the share of second tokens that would be right, summed over tokens with a true place; wrong matches at the
mirror place; wrong matches that could be there; of these the share of wrong second tokens that are there, summed."""


def mutual_nearest(first: Tensor, second: Tensor, of_first: Tensor, of_second: Tensor) -> tuple[Tensor, Tensor]:
    """Return for tokens (B, N, C) the nearest of others (B, M, C) by cosine, (B, N), and which are mutual (B, N) bool.

    of_first (B, N), of_second (B, M): bool, tokens that take part; the others are nobody's match.
    """
    cosines = F.normalize(first.float(), dim=-1) @ F.normalize(second.float(), dim=-1).mT
    cosines.masked_fill_(~(of_first[:, :, None] & of_second[:, None]), -torch.inf)
    there, back = cosines.argmax(dim=2), cosines.argmax(dim=1)
    own = torch.arange(first.shape[1], device=first.device)
    mutual = (back.gather(1, there) == own) & of_first & of_second.any(dim=1, keepdim=True)
    return there, mutual


@torch.no_grad()
def count_matches(
    first: Tensor, second: Tensor, truth: TruePlaces, width: int, within: float
) -> tuple[Tensor, Matches]:
    """Return what is counted (B, `COUNTS`) float64 of pairs of images with tokens (B, N, C), and the matches.

    width: tokens in a row. within: token widths between the place of a right match and the true place, at most.
    """
    parts = max(1, LARGEST // (first.shape[1] * second.shape[1]))
    found = [
        _count(first[i : i + parts], second[i : i + parts], truth[slice(i, i + parts)], width, within)
        for i in range(0, len(first), parts)
    ]
    counts, matches = zip(*found)
    joint = (torch.cat([getattr(each, field.name) for each in matches]) for field in fields(Matches))
    return torch.cat(counts), Matches(*joint)


def _count(first: Tensor, second: Tensor, truth: TruePlaces, width: int, within: float) -> tuple[Tensor, Matches]:
    nearest, mutual = mutual_nearest(first, second, truth.first, truth.second)
    numbers = torch.arange(first.shape[1], device=first.device)
    centres = torch.stack([numbers % width, numbers // width], dim=-1) + 0.5
    close, at_mirror = (_near(each, centres, within) & truth.second[:, None] for each in (truth.places, truth.mirrors))
    match = mutual & truth.true
    right = match & _picked(close, nearest)
    wrong = match & ~right
    apart = (truth.mirrors - truth.places).norm(dim=-1) > 2 * within
    could = wrong & truth.mirrored & apart
    confused = could & _picked(at_mirror, nearest)
    chance = truth.true * _share(close.sum(dim=2), truth.second.sum(dim=1, keepdim=True))
    mirror_chance = could * _share(at_mirror.sum(dim=2), (truth.second[:, None] & ~close).sum(dim=2))
    still = truth.true & close.diagonal(dim1=1, dim2=2)
    counted = (truth.true, right, match, still, chance, confused, could, mirror_chance)
    counts = torch.stack([float64(each).sum(dim=1) for each in counted], dim=1)
    return counts, Matches(nearest, right, wrong, confused)


def _near(places: Tensor, centres: Tensor, within: float) -> Tensor:
    """Return which centres (M, 2) are near places (B, N, 2): (B, N, M) bool."""
    every = centres.expand(len(places), -1, -1)
    return torch.cdist(places, every, compute_mode="donot_use_mm_for_euclid_dist") <= within


def _picked(table: Tensor, column: Tensor) -> Tensor:
    return table.gather(2, column[..., None])[..., 0]


def _share(part: Tensor, whole: Tensor) -> Tensor:
    return part / whole.clamp(min=1)


def match_rows(counts: Tensor, bins: Tensor, names: Sequence[str], *, mirrors: bool, tokens: int) -> list[Row]:
    """Return the figures of all pairs, and of those of each bin.

    counts: (P, `COUNTS`) of pairs. bins: (P,) the bin of each. names: of the bins; one in which a figure's
    denominator is 0 has no row of it. mirrors: whether left and right can be confused. tokens: of an image.

    ``matched`` and ``precision`` of all are the means over the bins, ``mirrored`` is that of all pairs together. Raises
    `UnusableData` where no token has a true place.
    """
    sums = torch.zeros(len(names), len(COUNTS), dtype=counts.dtype).index_add_(0, bins, counts)
    of_bins = {name: dict(zip(COUNTS, row)) for name, row in zip(names, sums.tolist())}
    every = dict(zip(COUNTS, sums.sum(dim=0).tolist()))
    if not every["true"]:
        raise UnusableData("no token of a first image is seen in the second, so there is nothing to match")

    def matched(of: Counts, name: str = "") -> Row:
        return Row("matched", of["right"] / of["true"], parameter=name, floor=of["still"] / of["true"], tokens=tokens)

    def precision(of: Counts, name: str = "") -> Row:
        floor, chance = of["still"] / of["true"], of["chance"] / of["true"]
        return Row("precision", of["right"] / of["match"], parameter=name, floor=floor, chance=chance, tokens=tokens)

    def mirrored(of: Counts, name: str = "") -> Row:
        value, chance = (of[part] / of["could_mirror"] for part in ("at_mirror", "mirror_chance"))
        return Row("mirrored", value, parameter=name, chance=chance, tokens=tokens)

    rows = []
    for figure, needed in ((matched, "true"), (precision, "match")):
        each = [figure(of, name) for name, of in of_bins.items() if of[needed]]
        rows += [_mean(each), *each] if each else []
    if mirrors and every["could_mirror"]:
        rows += [mirrored(every), *(mirrored(of, name) for name, of in of_bins.items() if of["could_mirror"])]
    return rows


def _mean(rows: Sequence[Row]) -> Row:
    """Return the mean of the rows of bins, of one metric."""

    def of(name: str) -> float | None:
        values = [getattr(row, name) for row in rows]
        return None if None in values else sum(values) / len(values)

    return dataclasses.replace(rows[0], value=of("value"), floor=of("floor"), chance=of("chance"), parameter="")
