"""What a downstream task is: settings, and a score of an encoder on a data set, with pictures to look at."""

from __future__ import annotations

import abc
import dataclasses
import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal, TypeVar, get_args, get_origin, get_type_hints

import numpy as np
import torch
from rich.console import Console
from rich.progress import track as rich_track
from torch import nn

from equicoherence.evaluation.model import FrozenModel

T = TypeVar("T")
MAY_BE_ZERO = ("train", "test", "sequences", "seed")
"""Settings in whole numbers whose 0 means all or none; others are at least 1, or what `Task.least` says."""
Track = Callable[[Sequence[T], str], Iterable[T]]
"""Goes through a sequence, showing on a bar how far; the second argument says what is done."""


@dataclass(frozen=True)
class Row:
    """One score. metric: its name; `Task.metrics` says which are better when higher. value: the score itself.

    parameter: the class, sequence or border the score is of, "" for the main figure. floor: what a constant prediction
    scores, None where that has no meaning.
    """

    metric: str
    value: float
    parameter: str = ""
    floor: float | None = None


@dataclass(frozen=True)
class TaskScore:
    """rows: the scores. pictures: title -> (H, W, 3) uint8, what the encoder's head says beside the truth.

    counts: how many samples of each split were used. input: (h, w) in pixels that tokens were taken at, None where it
    differs between samples.
    """

    rows: Sequence[Row]
    pictures: dict[str, np.ndarray] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)
    input: tuple[int, int] | None = None


class Task(abc.ABC):
    """A downstream task with its settings; subclasses are frozen dataclasses, whose fields are the settings.

    name: as commands and tables call it. kind: of the data sets it takes. metrics: name -> whether higher is better.
    least: setting -> the least whole number it may be, where that is not 1. needs: extra of the package -> modules that
    it brings and the task cannot do without. caption: what its pictures show, a sentence for people. protocol: says in
    a few words what is trained ("frozen, linear"), as tables call it.

    Raises ValueError, quoting setting and value, for a setting that is none of its choices, for a whole number below
    its least, and for another number that is not finite and above 0.
    """

    name: ClassVar[str]
    kind: ClassVar[str]
    metrics: ClassVar[dict[str, bool]]
    least: ClassVar[dict[str, int]] = {}
    needs: ClassVar[dict[str, tuple[str, ...]]] = {}
    caption: ClassVar[str]

    def __post_init__(self) -> None:
        hints = get_type_hints(type(self))
        for setting in dataclasses.fields(self):  # type: ignore[arg-type]
            name, hint, value = setting.name, hints[setting.name], getattr(self, setting.name)
            if get_origin(hint) is Literal and value not in get_args(hint):
                raise ValueError(f"{name} must be {' or '.join(map(repr, get_args(hint)))}, got {value!r}")
            if hint in (int, float) and (isinstance(value, bool) or not isinstance(value, (int, hint))):
                raise ValueError(f"{name} must be a {'whole ' if hint is int else ''}number, got {value!r}")
            low = self.least.get(name, 0 if name in MAY_BE_ZERO else 1)
            if hint is int and value < low:
                raise ValueError(f"{name} must be at least {low}, got {value}")
            if hint is float and not (math.isfinite(value) and value > 0):
                raise ValueError(f"{name} must be finite and above 0, got {value}")

    @property
    @abc.abstractmethod
    def protocol(self) -> str: ...

    @abc.abstractmethod
    def score(self, model: FrozenModel, train: Any, test: Any, track: Track) -> TaskScore:
        """Score an encoder. train, test: both splits of a data set of this kind; train is None where it has none.

        Seeds are part of the settings; torch's global generators are the caller's to keep. ``model`` is left unchanged.
        Raises ValueError where encoder and task do not fit; `BadImage` where a sample cannot be read.
        """


def check_trained(head: nn.Module) -> None:
    """Raise ValueError where a head's weights are not finite."""
    numbers = [value for value in head.state_dict().values() if value.is_floating_point()]
    if not torch.stack([value.isfinite().all() for value in numbers]).all():
        raise ValueError("weights of the head are not finite: the training diverged; lower its rate")


def show_bar(sequence: Sequence[T], what: str) -> Iterable[T]:
    """Go through a sequence with a bar on standard error: the `Track` of the command line."""
    console = Console(stderr=True)
    return rich_track(sequence, what, console=console, transient=True, disable=not console.is_terminal)


def no_bar(sequence: Sequence[T], what: str) -> Iterable[T]:
    """Go through a sequence, showing nothing."""
    return sequence


def spread(count: int, limit: int) -> list[int]:
    """Return up to ``limit`` numbers below ``count``, evenly spread; all where ``limit`` is 0."""
    if not limit or limit >= count:
        return list(range(count))
    return np.linspace(0, count - 1, limit).round().astype(int).tolist()
