"""What is read of each way of adapting an encoder: the rows of the page about dense tasks and other images."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from adapt_ways import BESIDE, REPRESENTATIONS

from equicoherence.downstream.representation import Read
from equicoherence.reporting.adaptation.adaptation import ORIGINAL, Adaptation

MIDDLE_LAYERS = "no training: middle layers"


@dataclass(frozen=True)
class Reading:
    """A row of the table.

    way: the encoder. read: what of it, as the table calls it.
    classes: whose scores of classes hold those of the row, as the representation ``pooled``.
    """

    way: str
    read: str
    classes: str
    pooled: Read

    @property
    def name(self) -> str:
        """What its scores are called by."""
        return f"{self.way} {self.read}"


@dataclass(frozen=True)
class Kept:
    """What adapt.py has kept of a way of adapting.

    weights: digest of those of the adapted encoder.
    frozen: whether it leaves the encoder as it is, and trains a head.
    """

    weights: str
    frozen: bool

    @classmethod
    def of(cls, way: Adaptation) -> Kept:
        """Return it of an adaptation."""
        return cls(way.scores[1]["weights"], way.run.frozen)


def readings(ways: Mapping[str, bool]) -> list[Reading]:
    """Return the rows of ways of adapting; the original is read from the first that leaves the encoder as it is.

    ways: name -> whether it leaves the encoder as it is.
    """
    rows = []
    heads: tuple[Read, ...] = ("joined", "z_equi")
    if frozen := [way for way, is_frozen in ways.items() if is_frozen]:
        rows.append(Reading(ORIGINAL, REPRESENTATIONS["backbone"], frozen[0], "backbone"))
        rows.append(Reading(MIDDLE_LAYERS, BESIDE, MIDDLE_LAYERS, "backbone"))
    for way, is_frozen in ways.items():
        reads = heads if is_frozen else ("backbone",)
        rows += [Reading(way, REPRESENTATIONS[read], way, read) for read in reads]
    return rows
