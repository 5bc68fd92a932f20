"""What a task of an evaluation is: settings, and a score of an encoder on a data set.

Nothing heavy is imported here or by the modules that declare tasks: `equicoherence tasks` lists them at once. What
scores is imported when `Task.score` is called.
"""

from __future__ import annotations

import abc
import dataclasses
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Literal, TypeVar, get_args, get_origin, get_type_hints

from equicoherence.finite import NotFinite

if TYPE_CHECKING:
    import numpy as np

    from equicoherence.evaluation.model import FrozenModel

T = TypeVar("T")
MAY_BE_ZERO = ("train", "test", "sequences", "sources", "views", "seed")
"""Settings in whole numbers whose 0 means all or none; others are at least 1, or what `Task.least` says."""
Track = Callable[[Sequence[T], str], Iterable[T]]
"""Goes through a sequence, showing on a bar how far; the second argument says what is done."""
IMAGES, POSES = "given images", "given poses"
"""Kinds of data that ``--data`` names: any images, and objects in poses; all other kinds are found in ``--sets``."""


@dataclass(frozen=True)
class Row:
    """One score: the schema of a row of ``scores.json``.

    metric: its name; `Task.metrics` says which are better when higher.
    value: the score itself, finite.
    target: what is predicted, where a task predicts several things ("rotation", "color"); else "".
    border: what lies beyond a transformed image, where that differs between rows; else "".
    representation: what is read ("backbone", "z_equi"); "" for tasks that read the encoder's patch tokens.
    probe: how it is read ("mlp"), where that differs between rows; else "".
    parameter: the class, sequence or parameter that the score is of; "" for the main figure.
    repeat: number of the probe's seed, from 0.
    floor: what a constant prediction scores, None where that has no meaning.
    chance: what a random guess scores, where that is another number; else None.
    interval: the middle 95 % of what it would be on test images drawn anew (bootstrap), None where that is not said.
    tokens: patch tokens that were read of each image, 0 where that is not said.
    at: where it lies on the task's axis, for a point of a curve, which ``parameter`` names; else None.

    Raises `NotFinite` for a number that is not.
    """

    metric: str
    value: float
    _: KW_ONLY
    target: str = ""
    border: str = ""
    representation: str = ""
    probe: str = ""
    parameter: str = ""
    repeat: int = 0
    floor: float | None = None
    chance: float | None = None
    interval: tuple[float, float] | None = None
    tokens: int = 0
    at: float | None = None

    def __post_init__(self) -> None:
        numbers = {name: getattr(self, name) for name in ("value", "floor", "chance", "at")}
        for name, number in [*numbers.items(), *(("interval", end) for end in self.interval or ())]:
            if number is not None and not math.isfinite(number):
                what = " ".join(
                    part for part in (self.representation, self.target, self.parameter, self.metric) if part
                )
                raise NotFinite(
                    f"the {name} of {what} is {number}, which is no score: the features or the head are not finite"
                )


@dataclass(frozen=True)
class TaskScore:
    """What a task found.

    rows: the scores.
    pictures: title -> (H, W, 3) uint8, what the encoder's head predicts beside the truth.
    counts: how many samples of each split were used.
    input: (h, w) in pixels that tokens were taken at, None where it differs between samples.
    """

    rows: Sequence[Row]
    pictures: dict[str, np.ndarray] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)
    input: tuple[int, int] | None = None


class Task(abc.ABC):
    """A task with its settings; subclasses are frozen dataclasses, whose fields are the settings.

    name: as commands and tables call it.
    order: place among all tasks.
    revision: raised with every change of the protocol, so that old scores are not taken for new ones.
    kind: of the data that it takes.
    metrics: name -> whether higher is better; the first that a target has is its main figure.
    probe_order: of probes, as one reads them; the first that a target has gives its main figure.
    least: setting -> the least whole number it may be, where that is not 1.
    needs: extra of the package -> modules that it brings and the task cannot do without.
    caption: what its pictures show, a sentence for people.
    by_default: whether it is scored where no task is named; by its name, or with ``all``, it always is.
    axis: what `Row.at` of its scores is, as the axis of a plot says it; "" where they are no curves.
    advice: how to read its scores, for people who have never seen them.
    protocol: what is trained, in a few words ("frozen, linear"), as tables call it.

    Raises ValueError, quoting setting and value, for a setting that is none of its choices, for a whole number below
    its least, and for another number that is not finite and above 0.
    """

    name: ClassVar[str]
    order: ClassVar[int] = 100
    revision: ClassVar[int] = 1
    kind: ClassVar[str]
    metrics: ClassVar[dict[str, bool]]
    probe_order: ClassVar[tuple[str, ...]] = ()
    least: ClassVar[dict[str, int]] = {}
    needs: ClassVar[dict[str, tuple[str, ...]]] = {}
    caption: ClassVar[str] = ""
    by_default: ClassVar[bool] = True
    axis: ClassVar[str] = ""
    advice: ClassVar[str] = ""

    def __post_init__(self) -> None:
        hints = get_type_hints(type(self))
        for setting in dataclasses.fields(self):  # type: ignore[arg-type]
            self._check(setting.name, hints[setting.name], getattr(self, setting.name))

    def _check(self, name: str, hint: Any, value: Any) -> None:
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

    @property
    def variant(self) -> str:
        """Tell the parts of a task apart, "" where it has one."""
        return ""

    def parts(self) -> Sequence[Task]:
        """Return the tasks that are scored and kept apart from each other, itself alone by default."""
        return (self,)

    def obstacle(self, train: Any, test: Any) -> str:
        """Return why the task cannot be scored on these splits, "" where it can. Cheap: no image is decoded.

        train, test: as for `score`, but of the kind of given images sources in place of loaders.
        """
        return ""

    def unfit(self, model: FrozenModel) -> str:
        """Return why an encoder cannot be scored by the task, "" where it can: a suite then leaves the task out."""
        return ""

    def of_control(self) -> Task:
        """Return the task that random weights are scored with beside an encoder, itself by default."""
        return self

    @abc.abstractmethod
    def score(self, model: FrozenModel, train: Any, test: Any, track: Track) -> TaskScore:
        """Score an encoder.

        model: left unchanged, but for `FrozenModel.memo`.
        train, test: both splits of a data set of this kind; train is None where it has none. Of the kinds `IMAGES`
            and `POSES` they are a `Loader` each.

        Seeds are part of the settings; torch's global generators are the caller's to keep.
        Raises ValueError where encoder and task do not fit; `BadImage` where a sample cannot be read.
        """


def settings_of(task: type[Task]) -> dict[str, Any]:
    """Return the settings of a task with their types."""
    return {name: hint for name, hint in get_type_hints(task).items() if get_origin(hint) is not ClassVar}


def main_rows(part: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the main figures among the rows of a part of ``scores.json``: one rule for every table.

    They are of no parameter. Of each target, border and representation they are of the first metric, in the task's
    order, and of that the first probe.
    """
    metrics, probes = list(part["metrics"]), list(part["probe_order"])
    groups: dict[tuple[str, ...], list[dict[str, Any]]] = {}
    for row in part["rows"]:
        if not row["parameter"]:
            groups.setdefault((row["target"], row["border"], row["representation"]), []).append(row)

    def rank(row: Mapping[str, Any]) -> tuple[int, int]:
        return metrics.index(row["metric"]), probes.index(row["probe"]) if row["probe"] in probes else len(probes)

    return [row for rows in groups.values() for row in rows if rank(row) == min(map(rank, rows))]


def show_bar(sequence: Sequence[T], what: str) -> Iterable[T]:
    """Go through a sequence with a bar on standard error: the `Track` of the command line."""
    from rich.console import Console
    from rich.progress import track

    console = Console(stderr=True)
    shown = console.is_terminal and not console.is_jupyter  # rich needs another package to draw one in a notebook
    return track(sequence, what, console=console, transient=True, disable=not shown)


def no_bar(sequence: Sequence[T], what: str) -> Iterable[T]:
    """Go through a sequence, showing nothing."""
    return sequence


def spread(count: int, limit: int) -> list[int]:
    """Return up to ``limit`` numbers below ``count``, evenly spread; all where ``limit`` is 0."""
    if not limit or limit >= count:
        return list(range(count))
    import numpy as np

    return np.linspace(0, count - 1, limit).round().astype(int).tolist()
