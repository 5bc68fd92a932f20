"""What to take from a comparison, in sentences: who keeps the most rotation, who recognises classes best. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace

from equicoherence.reporting.comparison.encoders import NAMED, first_few
from equicoherence.reporting.markup import Markup, element, join
from equicoherence.reporting.noise_limit import UNTRUSTED
from equicoherence.reporting.summary import Score
from equicoherence.reporting.tables import number
from equicoherence.reporting.verdict import CLASSES, BarGroup, change_of

TURN = "rotation"
CONSTANT, RANDOM = "a constant guess", "random weights"
NOT = "not "


@dataclass(frozen=True)
class Takeaway:
    """What the scores of one topic show. topic: such as rotation. sentences: whole ones, in reading order."""

    topic: str
    sentences: Sequence[Markup]


def takeaways(figures: Sequence[BarGroup], names: Sequence[str], baselines: Sequence[str]) -> list[Takeaway]:
    """Return what to take from the figures of a verdict: of rotation, and of classes, as far as they were scored.

    A score is above another as in `verdicts`: by more than a margin, and the whiskers do not overlap. An encoder whose
    R2 on noise is not near 0 is not compared.

    names: encoders. baselines: those of `names` that are baselines without weights, which are floors.
    """
    encoders = [name for name in names if name not in baselines]
    topics = {
        "Rotation": ("keep it", [each for each in figures if _one(each).target == TURN and _one(each).metric == "r2"]),
        "Classes": ("recognise them", [each for each in figures if _one(each).task in CLASSES]),
    }
    found = []
    for topic, (verb, of_topic) in topics.items():
        judged = [_Judged(figure, encoders, baselines) for figure in of_topic]
        said = [*_best(judged, verb), *_against_floors(judged), *_not_trusted(judged)]
        if said:
            found.append(Takeaway(topic, said))
    return found


class _Judged:
    """A figure, and which of its scores can be compared.

    label: what it is called in brackets. trusted: encoder -> its score. noisy: whose R2 on noise is not near 0.
    """

    def __init__(self, figure: BarGroup, encoders: Sequence[str], baselines: Sequence[str]) -> None:
        self.figure = figure
        self.label = figure.title if figure.of_classes else "R2" + figure.title.removeprefix(TURN)
        scored = {name: score for name, score in figure.scores.items() if name in encoders}
        self.trusted = {name: score for name, score in scored.items() if name not in figure.noise}
        self.baselines = {name: figure.scores[name] for name in baselines if name in figure.scores}
        of_random = {f"{RANDOM} of {name}": figure.noise_random[name] for name in scored if name in figure.noise_random}
        own = {name: figure.noise[name] for name in (*scored, *self.baselines) if name in figure.noise}
        self.noisy = own | of_random

    def above(self, score: Score, other: Score) -> bool:
        """Return whether a score is clearly above another."""
        return change_of(score, other, self.figure.of_classes) == "gained"

    def floors(self, name: str) -> dict[str, Score]:
        """Return what an encoder should be above, as far as it was scored and can be trusted."""
        floors = {CONSTANT: _constant(self.trusted[name])}
        floors[RANDOM] = None if name in self.figure.noise_random else self.figure.random.get(name)
        floors |= {each: score for each, score in self.baselines.items() if each not in self.figure.noise}
        return {floor: score for floor, score in floors.items() if score is not None}


def _best(judged: Sequence[_Judged], verb: str) -> list[Markup]:
    """Return who is best: all that no other is clearly above, if the best is clearly above a constant guess."""
    said: dict[Markup, list[str]] = {}
    for each in judged:
        order = sorted(each.trusted.values(), key=lambda score: -score.mean)
        if not order:
            continue
        top, guess = order[0], _constant(order[0])
        first = [score for score in order if not each.above(top, score)]
        values = ", ".join(number(score.mean, score.metric) for score in first[:NAMED])
        names = _bold([(score.name, "") for score in first])
        if guess is not None and not each.above(top, guess):
            text = join([f"No encoder is clearly above {CONSTANT}"])
            values = f"{number(top.mean, top.metric)} at most"
        elif len(order) == 1:
            text = join(["The features of ", names, f" {verb}"])
        elif len(first) == 1:
            text = join(["The features of ", names, f" {verb} best"])
        else:
            text = join(["The features of ", names, f" {verb} best, without a clear difference"])
        said.setdefault(text, []).append(f"{each.label} {values}")
    return [join([text, f" ({'; '.join(values)})."]) for text, values in said.items()]


def _against_floors(judged: Sequence[_Judged]) -> list[Markup]:
    """Return which encoders are clearly above which floors: a constant guess, random weights, baselines."""
    found: dict[str, dict[str, str]] = {}
    for each in judged:
        for name, score in each.trusted.items():
            floors = each.floors(name)
            reached = [floor for floor, other in floors.items() if not each.above(score, other)]
            if floors:
                said = f"clearly above {_named(floors, each.baselines, 'and')}"
                said = f"{NOT}clearly above {_named(reached, each.baselines, 'or')}" if reached else said
                found.setdefault(name, {})[each.label] = said
    groups: dict[str, dict[tuple[str, str], None]] = {}
    for name, texts in found.items():
        whole = len(set(texts.values())) == 1
        for label, text in texts.items():
            groups.setdefault(text, {})[name, "" if whole else f" ({label})"] = None
    if len(groups) == 1:
        (text,) = groups
        if len(found) == 1:
            return [join([f"They are {text}."])]
        return [join([f"None is {text.removeprefix(NOT)}." if text.startswith(NOT) else f"All are {text}."])]
    return [join([_bold(list(names)), f": {text}."]) for text, names in groups.items()]


def _not_trusted(judged: Sequence[_Judged]) -> list[Markup]:
    noisy = [(name, f" ({number(score.mean)})") for each in judged for name, score in each.noisy.items()]
    said = f"{UNTRUSTED.capitalize()}, because R2 on noise is not near 0: "
    return [join([said, _bold(noisy), "."])] if noisy else []


def _named(floors: Iterable[str], baselines: Collection[str], last: str) -> str:
    """Return floors as a sentence lists them. Several baselines are one where all that were scored are among them."""
    names = list(floors)
    if len(baselines) > 1 and set(baselines) <= set(names):
        names = [*(name for name in names if name not in baselines), "all baselines"]
    return _listed(names, last)


def _bold(names: Sequence[tuple[str, str]]) -> Markup:
    """Return names in bold, the first of many, as a sentence lists them. names: each with what stands behind it."""
    shown = [join([element("strong", name), detail]) for name, detail in names]
    return Markup(_listed(first_few(shown), "and"))


def _listed(texts: Sequence[str], last: str) -> str:
    return f"{', '.join(texts[:-1])} {last} {texts[-1]}" if len(texts) > 1 else texts[0]


def _constant(score: Score) -> Score | None:
    """Return the larger score of a constant prediction, which has no spread; None if there is none."""
    if score.floors is None:
        return None
    value = score.floors[1]
    return replace(score, mean=value, low=value, high=value, n=1, interval=None)


def _one(figure: BarGroup) -> Score:
    return next(iter(figure.scores.values()))
