"""The verdict as a chart and a sentence: what an encoder gained, and whether it kept the classes. Pure functions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from equicoherence.evaluation.transformation import NOISE, transformation_of
from equicoherence.reporting import bar_plot
from equicoherence.reporting.adaptation.figures import POINT, R2_POINT
from equicoherence.reporting.markup import Markup, element, join
from equicoherence.reporting.names import data_name, heading, metric_name
from equicoherence.reporting.noise_limit import UNTRUSTED, is_noisy, share_of_limit
from equicoherence.reporting.summary import IMAGES, PLACE, REPEATS, RUNS, Score, distinct, random_scores, select, spread
from equicoherence.reporting.tables import number

TITLES = {
    "rotation, side": "rotation sign",
    "knn": "k-NN",
    "linear": "linear probe",
}
SIDE = "rotation, side"
ROW = 340  # width of the groups of bars that stand in one picture, about: as wide as the screen of a telephone
CLASSES = ("knn", "linear")
SPREADS = {
    RUNS: "from the smallest to the largest of the seeds",
    IMAGES: "95 % intervals over test images",
    REPEATS: "from the smallest to the largest of the probe's repeats",
}


@dataclass(frozen=True)
class BarGroup:
    """One group of bars.

    title: its name.
    scores, random: name -> its score, and that of random weights.
    noise, noise_random: name -> its R2 on noise of this transformation that is farthest from 0, and that of random
        weights; only where it is not near 0.
    """

    title: str
    of_classes: bool
    scores: Mapping[str, Score]
    random: Mapping[str, Score]
    noise: Mapping[str, Score] = field(default_factory=dict)
    noise_random: Mapping[str, Score] = field(default_factory=dict)


def main_figures(
    entries: Sequence[Score], sources: Mapping[str, Sequence[str]], tasks: Sequence[str] = CLASSES
) -> list[BarGroup]:
    """Return the figures of a verdict, those of transformations first: of the backbone, by the main probe, no leak.

    sources: name -> where its random weights stand, see `random_scores`. tasks: those beside the transformation that
    have figures here, where higher is better, up to 1.
    """
    found, names, controls = [], list(sources), random_scores(entries, sources)
    own = [entry for entry in select(entries, control="", parameter="") if entry.main and entry.name in names]
    for task in ("transformation", *tasks):
        chosen = [entry for entry in select(own, task=task) if _shown(entry)]
        for first in ("border", "representation"):
            if values := distinct(chosen, first):
                chosen = select(chosen, **{first: values[0]})
        several = len({entry.data for entry in chosen}) > 1
        for key in dict.fromkeys(entry.key(PLACE) for entry in chosen):
            scores = {entry.name: entry for entry in chosen if entry.key(PLACE) == key}
            one = next(iter(scores.values()))
            random = {name: controls[name, *key] for name in scores if (name, *key) in controls}
            title = _title(one) + (f", {data_name(one.data)}" if several else "")
            of_noise = [entry for entry in select(entries, metric=NOISE) if _belongs(entry, one)]
            noise = _worst((entry.name, entry) for entry in select(of_noise, control=""))
            noise_random = _worst((name, entry) for (name, *_), entry in random_scores(of_noise, sources).items())
            found.append(BarGroup(title, task != "transformation", scores, random, noise, noise_random))
    return found


def _worst(of_noise: Iterable[tuple[str, Score]]) -> dict[str, Score]:
    """Return for each name its R2 on noise that is farthest from 0, where one is not near 0."""
    found: dict[str, Score] = {}
    for name, entry in of_noise:
        if is_noisy(entry):
            found[name] = max(entry, found.get(name, entry), key=share_of_limit)
    return found


def verdict_chart(figures: Sequence[BarGroup], names: Sequence[str]) -> Markup:
    """Return the chart: a group of bars for each figure, with the spread and the floors of each bar.

    Some groups are one picture each. The pictures stand beside each other, or below each other on a narrow screen.
    """
    shown = [score for figure in figures for score in figure.scores.values()]
    ends = [end for score in shown for end in (score.mean, spread(score)[0], *(score.floors or ()))]
    lowest = min([0.0, *ends])
    count = bar_plot.fitting(len(names), ROW)
    parts = [figures[start : start + count] for start in range(0, len(figures), count)]
    room = (ROW - bar_plot.MARGIN) / min(count, len(figures))
    pictures = [_row_of_bars(part, names, lowest, bar_plot.MARGIN + room * len(part)) for part in parts]
    kinds = [kind for kind in SPREADS if any(spread(score)[2] == kind for score in shown)]
    whiskers = f"Whiskers: {'; '.join(SPREADS[kind] for kind in kinds)}." if kinds else "All bars are single values."
    single = sum(not spread(score)[2] for score in shown)
    if kinds and single:
        whiskers += f" {single} of {len(shown)} bars are single values, without a whisker."
    note = (
        "Rotation, translation, scale, color: R² of a probe on frozen features. Rotation sign: accuracy of left or "
        f"right. Other tasks: accuracy, or the score that is named. {whiskers}"
    )
    return join([element("div", *pictures, class_="verdict"), element("p", note, class_="quiet small")])


def _row_of_bars(figures: Sequence[BarGroup], names: Sequence[str], lowest: float, width: float) -> Markup:
    """Return one picture of some groups of bars. width: its width beside the other pictures, in its units."""
    described = [
        f"{name}: " + ", ".join(f"{f.title} {number(f.scores[name].mean, f.scores[name].metric)}"
                                for f in figures if name in f.scores)
        for name in names
    ]  # fmt: skip
    label = f"Bar chart of what each encoder keeps. {'; '.join(described)}."
    series = [[_bar(figure, name) for figure in figures] for name in names]
    titles = [figure.title for figure in figures]
    picture = bar_plot.bars(titles, series, label, lowest, axis="R² or accuracy", width=width)
    return element("div", picture, style=f"--wide: {width:.0f}")


@dataclass(frozen=True)
class Said:
    """The verdict on one name. against: the reference. changes: verb -> scores, before and after."""

    name: str
    against: str
    changes: Mapping[str, Sequence[str]]


def verdicts(figures: Sequence[BarGroup], names: Sequence[str], reference: str | None) -> list[Said]:
    """Return for each name what it gained and kept against the reference, or against random weights if None.

    A change larger than `POINT` or `R2_POINT` counts if the whiskers of both do not overlap. A smaller change is none,
    and classes that are no worse are kept. A transformation is not to be trusted where R2 on noise is not near 0.
    """
    found, against = [], "random weights" if reference is None else reference
    for name in names:
        if name == reference:
            continue
        said: dict[str, list[str]] = {"gained": [], "kept": [], "lost": [], "not clear": [], UNTRUSTED: []}
        for figure in figures:
            own = figure.scores.get(name)
            other = figure.random.get(name) if reference is None else figure.scores.get(reference)
            if own is not None and other is not None:
                text = f"{figure.title} {number(other.mean, own.metric)} → {number(own.mean, own.metric)}"
                before = figure.noise_random.get(name) if reference is None else figure.noise.get(reference)
                noisy = [entry for entry in (figure.noise.get(name), before) if entry is not None]
                if noisy:
                    worst = max(noisy, key=share_of_limit)
                    whose = name if worst is figure.noise.get(name) else against
                    said[UNTRUSTED].append(f"{text} (R2 on noise of {whose}: {number(worst.mean)})")
                else:
                    said[change_of(own, other, figure.of_classes)].append(text)
        if any(said.values()):
            changes = {verb: texts for verb, texts in said.items() if texts}
            found.append(Said(name, against, changes))
    return found


def change_of(own: Score, other: Score, of_classes: bool) -> str:
    """Return the verb of the change from another score to a score; see `verdicts`."""
    margin = POINT if of_classes else R2_POINT
    (low, high, _), (least, most, _) = spread(own), spread(other)
    if abs(own.mean - other.mean) <= margin:
        return "kept"
    if low > most:
        return "gained"
    if high < least:
        return "lost"
    return "kept" if of_classes and own.mean > other.mean else "not clear"


def _belongs(noise: Score, score: Score) -> bool:
    """Return whether an R2 on noise is of the transformation, representation and probe of a score."""
    fields = ("task", "data", "representation", "probe")
    return noise.key(fields) == score.key(fields) and transformation_of(noise.target) == transformation_of(score.target)


def _shown(entry: Score) -> bool:
    if entry.task == "transformation":
        signed = entry.target == SIDE or (entry.metric == "r2" and ", " not in entry.target)
        return signed and entry.border != "zeros"
    return bool(entry.higher) and entry.mean <= 1 and entry.at is None


def _title(entry: Score) -> str:
    """Return a figure as people call it."""
    if entry.task == "transformation":
        return TITLES.get(entry.target, entry.target)
    name = TITLES.get(entry.task, heading(entry.task))
    return (
        name
        if entry.metric == "top1"
        else " ".join(part for part in (name, entry.target, metric_name(entry.metric)) if part)
    )


def _bar(figure: BarGroup, name: str) -> bar_plot.Bar | None:
    score = figure.scores.get(name)
    return None if score is None else score_bar(score, figure.random.get(name), figure.title)


def score_bar(score: Score, random: Score | None, title: str) -> bar_plot.Bar:
    """Return a score as a bar with its spread and its floors. random: that of random weights."""
    low, high, kind = spread(score)
    floors = {"random": random.mean if random else None, "constant": score.floors[1] if score.floors else None}
    known = {floor: value for floor, value in floors.items() if value is not None}
    text = f"{score.name}, {title}: {number(score.mean, score.metric)}"
    text += f" ({number(low, score.metric)} to {number(high, score.metric)})" if kind else ""
    text += "".join(f"; {floor} {number(value, score.metric)}" for floor, value in known.items())
    return bar_plot.Bar(score.mean, low, high, known, text)
