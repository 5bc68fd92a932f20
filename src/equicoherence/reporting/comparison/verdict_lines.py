"""What to take from a comparison, in sentences: who keeps the most rotation, who recognises classes best. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from equicoherence.reporting.comparison.encoders import first_few
from equicoherence.reporting.comparison.lines import RANDOM
from equicoherence.reporting.comparison.standings import CONSTANT, TURN, Judged, Standing, judge
from equicoherence.reporting.markup import Markup, element, join
from equicoherence.reporting.noise_limit import UNTRUSTED
from equicoherence.reporting.summary import Score
from equicoherence.reporting.tables import number
from equicoherence.reporting.verdict import CLASSES, BarGroup

GROUPS = 3  # of encoders that are told apart in full


@dataclass(frozen=True)
class Takeaway:
    """What the scores of one topic show. topic: such as rotation. sentences: whole ones, in reading order."""

    topic: str
    sentences: Sequence[Markup]


def takeaways(figures: Sequence[BarGroup], names: Sequence[str], baselines: Sequence[str]) -> list[Takeaway]:
    """Return what to take from the figures of a verdict: of rotation, and of classes, as far as they were scored.

    A score is above or below another as in `verdicts`: by more than a margin, and the whiskers do not overlap. An
    encoder whose R2 on noise is not near 0 is not compared.

    names: encoders. baselines: those of `names` that are baselines without weights, which are floors.
    """
    encoders = [name for name in names if name not in baselines]
    of_turn = [each for each in figures if _one(each).target == TURN and _one(each).metric == "r2"]
    of_classes = [each for each in figures if _one(each).task in CLASSES]
    found = []
    for topic, verb, chosen in (("Rotation", "keep it", of_turn), ("Classes", "recognise them", of_classes)):
        all_judged = [judge(figure, encoders, baselines) for figure in chosen]
        judged = [each for each in all_judged if each.trusted]
        tops = [_top(each, verb) for each in judged]
        said, noise = [*_first(judged, tops), *_others(judged, tops)], _not_trusted(all_judged)
        left_out = any(each.left_out for each in all_judged)  # whom "all others" does not mean is said before it
        if sentences := [*noise, *said] if left_out else [*said, *noise]:
            found.append(Takeaway(topic, sentences))
    return found


@dataclass(frozen=True)
class _Top:
    """The sentence that comes first of a figure.

    before, values, after: its text, with the values in brackets.
    names: encoders of which it says all. reached: the floors that it says they are above.
    all_below, none_above: the floors that it says all encoders are below, or none is above.
    """

    before: Markup
    values: str
    after: str = ""
    names: Sequence[str] = ()
    reached: str = ""
    all_below: Sequence[str] = ()
    none_above: Sequence[str] = ()


def _top(judged: Judged, verb: str) -> _Top:
    """Return the first sentence: who is best, if the best is clearly above all of its floors, or what none is above."""
    (first, top), *_ = judged.trusted.items()
    standing, value = judged.standings[first], f"{judged.label} {number(top.mean, top.metric)}"
    if len(judged.trusted) == 1 and standing.failed:
        return _Top(join([_bold([first]), f" is {_failed(standing, judged)}"]), value, names=[first])
    all_below, none_above = _shared(judged)
    if all_below or none_above:
        return _Top(_of_all(judged, all_below, none_above), f"highest {value}", "", (), "", all_below, none_above)
    if standing.failed:
        text = join([_bold([first]), " has the highest score"])
        return _Top(text, value, f", but is {_failed(standing, judged)}", [first])
    best = [name for name in judged.alike() if not judged.standings[name].failed]
    how = "" if len(judged.trusted) == 1 else " best" if len(best) == 1 else " best, without a clear difference"
    values = ", ".join(first_few([number(judged.trusted[name].mean, top.metric) for name in best]))
    shared = [floor for floor in standing.above if all(floor in judged.standings[name].above for name in best)]
    reached = _floors(shared, judged, "and") if shared else ""
    text = join(["The features of ", _bold(best), f" {verb}{how}"])
    after = f" and are clearly above {reached}" if reached else ""
    return _Top(text, f"{judged.label} {values}", after, best, reached)


def _shared(judged: Judged) -> tuple[list[str], list[str]]:
    """Return the floors that all encoders are clearly below, and others that none is clearly above.

    Some of several baselines are not among them: a sentence on all encoders could not say which.
    """
    standings, all_below, none_above = judged.standings.values(), [], []
    for floors in ([CONSTANT], [RANDOM], judged.baselines):
        below = [floor for floor in floors if all(floor in each.below for each in standings)]
        failed = [floor for floor in floors if all(floor in each.failed for each in standings)]
        if below == failed and len(failed) in (1, len(floors)):
            all_below += failed
        elif len(failed) in (1, len(floors)):
            none_above += failed
    return all_below, none_above


def _of_all(judged: Judged, all_below: Sequence[str], none_above: Sequence[str]) -> Markup:
    other = "other " if judged.left_out else ""
    not_above = f"clearly above {_floors(none_above, judged, 'or')}" if none_above else ""
    if not all_below:
        return join([f"No {other}encoder is {not_above}"])
    who = f"All {other}encoders" if judged.complete else _bold([*judged.trusted])
    below = f" are clearly below {_floors(all_below, judged, 'and')}"
    return join([who, below, f", and none is {not_above}" if not_above else ""])


def _first(judged: Sequence[Judged], tops: Sequence[_Top]) -> list[Markup]:
    """Return the first sentences of figures, those that are alike as one."""
    values: dict[tuple[Markup, str], list[str]] = {}
    for top in tops:
        values.setdefault((top.before, top.after), []).append(top.values)
    return [join([before, f" ({'; '.join(texts)})", after, "."]) for (before, after), texts in values.items()]


def _others(judged: Sequence[Judged], tops: Sequence[_Top]) -> list[Markup]:
    """Return what the first sentences leave to say of encoders. Who is below a floor comes before who is near one."""
    reached = tops[0].reached if len({top.reached for top in tops}) == 1 else ""
    groups: dict[tuple[int, str], dict[str, list[str]]] = {}
    for brief in (False, True):
        groups = {}
        for each, top in zip(judged, tops):
            for name in each.trusted:
                if name not in top.names and (text := _left_to_say(each, top, name, reached, brief)):
                    groups.setdefault(text, {}).setdefault(name, []).append(each.label)
        if len(groups) <= GROUPS:
            break
    found = []
    for (_, text), names in sorted(groups.items(), key=lambda item: item[0][0]):
        who, many = _who(judged, tops, names)
        found.append(join([who, f" {'are' if many else 'is'} {text}."]))
    return found


def _who(judged: Sequence[Judged], tops: Sequence[_Top], names: Mapping[str, Sequence[str]]) -> tuple[Markup, bool]:
    """Return encoders as the subject of a sentence, and whether they are several. names: each with its figures."""
    trusted = dict.fromkeys(name for each in judged for name in each.trusted)
    figures = {name: [each.label for each in judged if name in each.trusted] for name in trusted}
    done = {name for name in figures if all(name in top.names for top in tops)}
    all_left = names == {name: labels for name, labels in figures.items() if name not in done}
    if all_left and len(names) > 1 and all(each.complete for each in judged):
        return join(["All others" if done or any(each.left_out for each in judged) else "All"]), True
    details = ["" if labels == figures[name] else f" ({', '.join(labels)})" for name, labels in names.items()]
    return _bold([*names], details), len(names) > 1


def _left_to_say(judged: Judged, top: _Top, name: str, reached: str, brief: bool) -> tuple[int, str] | None:
    """Return how an encoder stands to its floors, beside what the first sentence says, and its rank among sentences.

    reached: the floors that all first sentences say the best are above.
    brief: leave out what it is near where it is below another, and how many baselines it is below or near.
    """
    standing = judged.standings[name]
    below, near = (
        _beside(floors, told, judged)
        for floors, told in ((standing.below, top.all_below), (standing.near, top.none_above))
    )
    if below or near:
        return 1 if below else 2, _failed(Standing((), below, () if brief and below else near), judged, brief)
    if standing.failed or not standing.above:
        return None
    floors = _floors(standing.above, judged, "and")
    return (0, "clearly above these, too") if floors == reached else (3, f"clearly above {floors}")


def _beside(floors: Sequence[str], told: Sequence[str], judged: Judged) -> list[str]:
    """Return floors without those that are told. Baselines stay together, so that their number is right."""
    if (set(floors) - set(told)) & set(judged.baselines):
        told = [floor for floor in told if floor not in judged.baselines]
    return [floor for floor in floors if floor not in told]


def _failed(standing: Standing, judged: Judged, brief: bool = False) -> str:
    """Return what an encoder is below, and what it is not above, as a sentence says it."""
    below, near = standing.below, standing.near
    texts = [f"clearly below {_floors(below, judged, 'and', brief)}"] if below else []
    if near:
        rest = [floor for floor in judged.baselines if floor not in below]
        floors = _floors(near, judged, "or", brief, rest)
        texts.append(f"not clearly above {floors}")
    return ", and ".join(texts)


def _floors(
    floors: Sequence[str], judged: Judged, last: str, brief: bool = False, rest: Sequence[str] | None = None
) -> str:
    """Return floors as a sentence lists them; several baselines as all, or as how many.

    last: the word before the last. brief: do not count baselines. rest: the baselines that were not named before.
    """
    rest = [*judged.baselines] if rest is None else rest
    several = [floor for floor in floors if floor in judged.baselines]
    names = [floor for floor in floors if floor not in several]
    kind = "trusted baseline" if judged.noisy_baseline else "baseline"
    if len(several) == len(rest) > 1:
        other = "other " if len(rest) < len(judged.baselines) else ""
        names.append(f"any {other}{kind}" if last == "or" else f"all {other}{kind}s")
    elif several and brief and len(judged.baselines) > 1:
        names.append("some baselines")
    elif len(several) > 1:
        names.append(f"{len(several)} of {len(judged.baselines)} {kind}s")
    else:
        names += several
    return _listed(names, last)


def _not_trusted(judged: Sequence[Judged]) -> list[Markup]:
    """Return whose R2 on noise is not near 0, with the data where figures are of several."""
    noisy = [(name, each.data, score) for each in judged for name, score in each.noisy.items()]
    if not noisy:
        return []
    details = [f" ({f'{data}, ' if data else ''}{number(score.mean)})" for _, data, score in noisy]
    said = f"{UNTRUSTED.capitalize()}, because R2 on noise is not near 0: "
    return [join([said, _bold([name for name, _, _ in noisy], details), "."])]


def _bold(names: Sequence[str], details: Sequence[str] | None = None) -> Markup:
    """Return names in bold, the first of many, as a sentence lists them. details: what stands behind each."""
    shown = [join([element("strong", name), detail]) for name, detail in zip(names, details or [""] * len(names))]
    return Markup(_listed(first_few(shown), "and"))


def _listed(texts: Sequence[str], last: str) -> str:
    return f"{', '.join(texts[:-1])} {last} {texts[-1]}" if len(texts) > 1 else texts[0]


def _one(figure: BarGroup) -> Score:
    return next(iter(figure.scores.values()))
