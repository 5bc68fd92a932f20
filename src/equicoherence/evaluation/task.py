"""What a task of an evaluation is: its settings, and the score of an encoder on a data set.

Neither this module nor those that declare tasks import heavy packages, so `equicoherence tasks` lists them at once. The
scoring code is imported when `Task.score` is called.
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
    from equicoherence.evaluation.frozen_model import FrozenModel
    from equicoherence.evaluation.picture import Picture

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

    metric: its name; `Task.metrics` says whether higher is better.
    value: the score itself, finite.
    target: what is predicted, if a task predicts several things ("rotation", "color"); else "".
    border: what a transformed image shows beyond its edge, if rows differ in it; else "".
    representation: which features are used ("backbone", "z_equi"); "" for tasks on the encoder's patch tokens.
    probe: the kind of probe ("mlp"), if rows differ in it; else "".
    parameter: the class, sequence or parameter of the score; "" for the main score.
    repeat: number of the seed of the probe, from 0.
    floor: the score of a constant prediction; None if that has no meaning.
    chance: the score of a random guess, if it differs from the floor; else None.
    interval: 95 % bootstrap interval over test images; None if there is none.
    tokens: number of patch tokens per image; 0 if unknown.
    at: position on the axis of the task, for a point of a curve, which ``parameter`` names; else None.

    Raises `NotFinite` for a number that is not finite.
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
    """The result of a task.

    rows: the scores.
    pictures: title -> what is shown of a sample.
    counts: number of samples of each split.
    input: (h, w) of the input in pixels; None if it differs between samples.
    """

    rows: Sequence[Row]
    pictures: dict[str, Picture] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)
    input: tuple[int, int] | None = None


class Task(abc.ABC):
    """A task with its settings; subclasses are frozen dataclasses, whose fields are the settings.

    name: in commands and tables.
    order: position among all tasks.
    revision: raised with every change of the protocol, so that old scores are not taken for new ones.
    kind: of its data.
    metrics: name -> whether higher is better; the first one that a target has is its main score.
    unranked: those of them where neither is better, such as the cells of a confusion matrix.
    probe_order: order of the probes; the first one that a target has gives its main score.
    least: setting -> smallest allowed integer, if it is not 1.
    needs: extra of the package -> modules of it that the task requires.
    caption: one sentence about its pictures.
    by_default: whether it is scored if no task is named; with its name or ``all`` it always is.
    axis: title of the axis of `Row.at`; "" for tasks without curves.
    advice: how to read its scores, for readers who have never seen them.
    protocol: what is trained, in a few words ("frozen, linear"), for tables.

    Raises ValueError, quoting setting and value, for a setting that is not among its choices, for an integer below its
    least, and for any other number that is not finite and positive.
    """

    name: ClassVar[str]
    order: ClassVar[int] = 100
    revision: ClassVar[int] = 1
    kind: ClassVar[str]
    metrics: ClassVar[dict[str, bool]]
    unranked: ClassVar[tuple[str, ...]] = ()
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
    def trains_encoder(self) -> bool:
        """Whether the encoder is trained with the head, which tasks with such a protocol have as a setting."""
        return getattr(self, "encoder", "frozen") == "fine-tuned"

    @property
    def variant(self) -> str:
        """Name of this part of a task; "" if it has only one."""
        return ""

    def parts(self) -> Sequence[Task]:
        """Return the tasks that are scored and kept apart from each other, itself alone by default."""
        return (self,)

    def obstacle(self, train: Any, test: Any) -> str:
        """Return why the task cannot be scored on these splits, "" if it can. Cheap: no image is decoded.

        train, test: as for `score`, but of the kind of given images sources in place of loaders.
        """
        return ""

    def unfit(self, model: FrozenModel) -> str:
        """Return why an encoder cannot be scored by the task, "" if it can: a suite then leaves the task out."""
        return ""

    def of_control(self) -> Task:
        """Return the task that random weights are scored with beside an encoder, itself by default."""
        return self

    @abc.abstractmethod
    def score(self, model: FrozenModel, train: Any, test: Any, track: Track) -> TaskScore:
        """Score an encoder.

        model: left unchanged, but for `FrozenModel.memo`.
        train, test: both splits of a data set of this kind; train is None if it has none. Of the kinds `IMAGES`
            and `POSES` they are a `Loader` each.

        Seeds are part of the settings; torch's global generators are the caller's to keep.
        Raises ValueError where encoder and task do not fit; `BadImage` where a sample cannot be read.
        """


def settings_of(task: type[Task]) -> dict[str, Any]:
    """Return the settings of a task with their types."""
    return {name: hint for name, hint in get_type_hints(task).items() if get_origin(hint) is not ClassVar}


def main_rows(part: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the main scores among the rows of a part of ``scores.json``: the one rule of all tables.

    They have no parameter. For each target, border and representation they have the first metric, in the order of the
    task, and of that the first probe.
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
    """Return up to ``limit`` numbers below ``count``, evenly spread; all if ``limit`` is 0."""
    if not limit or limit >= count:
        return list(range(count))
    import numpy as np

    return np.linspace(0, count - 1, limit).round().astype(int).tolist()
