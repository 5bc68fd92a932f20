"""How encoders stand to their floors: a constant guess, random weights and baselines. Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

from equicoherence.reporting.comparison.lines import RANDOM
from equicoherence.reporting.summary import Score
from equicoherence.reporting.verdict import BarGroup, change_of

TURN = "rotation"
CONSTANT = "a constant guess"


@dataclass(frozen=True)
class Standing:
    """How a score stands to floors. above, below: those that it clearly is above, or below. near: all others."""

    above: Sequence[str]
    below: Sequence[str]
    near: Sequence[str]

    @property
    def failed(self) -> list[str]:
        """Return the floors that it is not clearly above."""
        return [*self.below, *self.near]


@dataclass(frozen=True)
class Judged:
    """A figure, and which of its scores can be compared.

    data: what it was scored on, empty if all figures are on the same. trusted: encoder -> its score, the best first.
    standings: encoder -> how it stands to its floors. baselines: those that are floors.
    noisy: whose R2 on noise is not near 0. left_out: whether an encoder is not compared for that.
    noisy_baseline: whether a baseline is no floor for that. complete: whether all encoders were scored.
    """

    figure: BarGroup
    data: str
    trusted: Mapping[str, Score]
    standings: Mapping[str, Standing]
    baselines: Collection[str]
    noisy: Mapping[str, Score]
    left_out: bool
    noisy_baseline: bool
    complete: bool

    def alike(self) -> list[str]:
        """Return the encoders that the best is not clearly above, the best among them."""
        top = next(iter(self.trusted.values()))
        of_classes = self.figure.of_classes
        return [name for name, score in self.trusted.items() if change_of(top, score, of_classes) != "gained"]

    @property
    def label(self) -> str:
        """Return what the score is called in brackets."""
        return self.figure.title if self.figure.of_classes else f"R2, {self.data}" if self.data else "R2"


def judge(figure: BarGroup, encoders: Sequence[str], baselines: Sequence[str]) -> Judged:
    """Return a figure with what can be compared."""
    scored = [name for name in encoders if name in figure.scores]
    order = sorted(scored, key=lambda name: -figure.scores[name].mean)
    trusted = {name: figure.scores[name] for name in order if name not in figure.noise}
    given = [name for name in baselines if name in figure.scores]
    floors = [name for name in given if name not in figure.noise]
    own = {name: figure.noise[name] for name in (*scored, *given) if name in figure.noise}
    of_random = {f"{RANDOM} of {name}": figure.noise_random[name] for name in scored if name in figure.noise_random}
    return Judged(
        figure,
        "" if figure.of_classes else figure.title.removeprefix(TURN).removeprefix(", "),
        trusted,
        {name: _standing(figure, name, floors) for name in trusted},
        floors,
        own | of_random,
        left_out=len(trusted) < len(scored),
        noisy_baseline=len(floors) < len(given),
        complete=len(scored) == len(encoders),
    )


def _standing(figure: BarGroup, name: str, baselines: Sequence[str]) -> Standing:
    """Return how an encoder stands to what it should be above, as far as that was scored and can be trusted."""
    own = figure.scores[name]
    floors = {CONSTANT: _constant(own)}
    floors[RANDOM] = None if name in figure.noise_random else figure.random.get(name)
    floors |= {each: figure.scores[each] for each in baselines}
    changes = {floor: change_of(own, score, figure.of_classes) for floor, score in floors.items() if score is not None}
    above = [floor for floor, change in changes.items() if change == "gained"]
    below = [floor for floor, change in changes.items() if change == "lost"]
    return Standing(above, below, [floor for floor in changes if floor not in (*above, *below)])


def _constant(score: Score) -> Score | None:
    """Return the larger score of a constant prediction, which has no spread; None if there is none."""
    if score.floors is None:
        return None
    value = score.floors[1]
    return replace(score, mean=value, low=value, high=value, n=1, interval=None)
