"""The main scores in a few rows for a terminal: the last output of `evaluate`, `compare` and `quickstart`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from equicoherence.evaluation.transformation import ABSOLUTE, NOISE, SIDE, transformation_of
from equicoherence.reporting.main_figures import read_runs
from equicoherence.reporting.names import metric_name, target_name
from equicoherence.reporting.noise_limit import noisy_transformations, share_of_limit
from equicoherence.reporting.summary import Score, distinct, joint_floors, select, summarise_scores
from equicoherence.reporting.tables import MISSING, NUMBER, Cell, Grid, floor_cell, number, with_deviation

if TYPE_CHECKING:
    from rich.console import Console

ROWS = 12
INDEX = ("task", "data", "protocol", "target", "metric")
DETAILED = "rotation"  # the one transformation that has all three figures here: R2, of absolute values, and the sign
SUMS = ("se2", "all")  # several transformations at once, which have a row only where there is room
FIRST = ("border", "probe")


def short_grid(entries: Sequence[Score], names: Sequence[str]) -> tuple[Grid, int]:
    """Return at most `ROWS` main scores, and how many were left out.

    The first score of each task has a row, as far as there is room; `SUMS` come last. Several names have one column
    each, for the backbone; a single name has one column for each representation. Scores of patch tokens are in the
    first column. Scores are of the first border and probe. All R2 on noise are one row, with the value farthest
    from 0, as a share of its limit; (!) marks those of which `distrusted` says more.
    """
    mine = [e for e in entries if not e.parameter and (e.main or e.metric == NOISE)]
    own = _own(entries)
    reads = [read for read in distinct(own, "representation") if read] or [""]
    columns = _columns(own, names)
    random = [e for e in _first(select(mine, control="random")) if e.representation in ("", reads[0])]
    has_floors = any(entry.floors for entry in own)
    shown = [e for e in _sorted(own) if (e.name, e.representation or reads[0]) in columns]
    keys = list(dict.fromkeys(e.key(INDEX) for e in shown if e.metric != NOISE and not _is_detail(e)))
    limit = ROWS - any(e.metric == NOISE for e in own)
    with_data = len(distinct(own, "data")) > 1
    protocols = {task: distinct(select(own, task=task), "protocol") for task in distinct(own, "task")}
    rows = []
    for key in _most_wanted(keys, limit):
        found = {(e.name, e.representation or reads[0]): e for e in own if e.key(INDEX) == key}
        others = _random([e for e in random if e.key(INDEX) == key], random)
        one = next(iter(found.values()))
        floors = [floor_cell(joint_floors(found.values()), one.metric)] if has_floors else []
        rows.append(
            [
                _title(one, with_data, len(protocols[one.task]) > 1),
                *(_cell(found.get(c)) for c in columns),
                *others,
                *floors,
            ]
        )
    if limit < ROWS:
        noise = [_noise(own, column) for column in columns]
        title = "R2 on noise (should be 0), the worst"
        rows.append([title, *noise, *_random([], random), *([Cell(MISSING)] * has_floors)])
    titles = [name for name, _ in columns] if len(names) > 1 else [read or "patch tokens" for _, read in columns]
    header = ["score", *titles, *(["random weights"] if random else []), *(["constant"] if has_floors else [])]
    return Grid(header, rows), max(0, len(keys) - limit)


def print_short(scores: Mapping[str, Sequence[Mapping[str, Any]]], console: Console, on_page: bool) -> None:
    """Print `short_grid`.

    scores: name -> the content of the ``scores.json`` of each of its runs.
    on_page: whether a page is written that shows all scores.
    """
    entries = summarise_scores(scores)
    grid, more = short_grid(entries, list(scores))
    console.print(grid.rich())
    if marked := distrusted(entries, list(scores)):
        console.print(marked, highlight=False, markup=False)
    if more:
        also = ", and on the page" if on_page else ""
        what = "score is" if more == 1 else "scores are"
        console.print(f"{more} more main {what} in scores.json{also}.", highlight=False)


def print_runs(runs: Mapping[str, Sequence[Path]], console: Console) -> None:
    """Print `short_grid` of the scored folders of each name, of which a page is written."""
    print_short(read_runs(runs), console, on_page=True)


def _is_detail(entry: Score) -> bool:
    """Return whether a score is of absolute values or signs of another transformation than `DETAILED`."""
    name = transformation_of(entry.target)
    return name != DETAILED and entry.target in (f"{name}, {ABSOLUTE}", f"{name}, {SIDE}")


def _most_wanted(keys: Sequence[tuple[str, ...]], count: int) -> list[tuple[str, ...]]:
    """Return the values of `INDEX` of the rows to show, in the order given: the first of each task, last the `SUMS`."""
    task, target = INDEX.index("task"), INDEX.index("target")
    first = {key[task]: key for key in reversed(keys)}
    ranks = [0 if first[key[task]] == key else 2 if key[target] in SUMS else 1 for key in keys]
    chosen = sorted(range(len(keys)), key=ranks.__getitem__)[:count]
    return [keys[place] for place in sorted(chosen)]


def _first(entries: Sequence[Score]) -> list[Score]:
    """Return the entries of the first border and the first probe that a task's target has."""
    kept: dict[tuple[str, ...], Score] = {}
    order = {field: distinct(entries, field) for field in FIRST}
    for entry in sorted(entries, key=lambda e: [order[field].index(getattr(e, field)) for field in FIRST]):
        kept.setdefault((entry.name, entry.representation, *entry.key(INDEX)), entry)
    return list(kept.values())


def _sorted(entries: Sequence[Score]) -> list[Score]:
    order = {field: distinct(entries, field) for field in ("task", "data")}
    return sorted(entries, key=lambda e: [order[field].index(getattr(e, field)) for field in order])


def _title(entry: Score, with_data: bool, with_protocol: bool) -> str:
    what = target_name(entry.target) or entry.task
    if entry.target and entry.task != "transformation":
        what = f"{entry.task} {entry.target}"
    place = (f" on {entry.data}" if with_data else "") + (f", {entry.protocol}" if with_protocol else "")
    return f"{what} {metric_name(entry.metric)}{place}"


def _cell(entry: Score | None) -> Cell:
    return Cell(MISSING if entry is None else with_deviation(entry.mean, entry.std, entry.metric), NUMBER)


def _random(found: Sequence[Score], column: Sequence[Score]) -> list[Cell]:
    """Return the cell of random weights, the range of several, where there is such a column."""
    if not column:
        return []
    texts = dict.fromkeys(number(value, e.metric) for e in found for value in (e.low, e.high)) if found else {}
    return [Cell(" to ".join(texts) or MISSING, NUMBER)]


def _noise(entries: Sequence[Score], column: tuple[str, str]) -> Cell:
    """Return the R2 on noise that is farthest from 0, marked where scores are not to be trusted."""
    of_column = [e for e in entries if (e.name, e.representation) == column and e.metric == NOISE]
    if not of_column:
        return Cell(MISSING, NUMBER)
    worst, noisy = max(of_column, key=share_of_limit), noisy_transformations(of_column)
    return Cell(number(worst.mean) + (" (!)" if noisy else ""), NUMBER)


def distrusted(entries: Sequence[Score], names: Sequence[str]) -> str:
    """Return the sentence below `short_grid` that says what (!) is about; empty where nothing is marked."""
    own = _own(entries)
    found = []
    for name, read in _columns(own, names):
        of_column = [e for e in own if (e.name, e.representation) == (name, read) and e.metric == NOISE]
        if noisy := noisy_transformations(of_column):
            found.append(f"{' and '.join(noisy)} of {read or 'patch tokens' if len(names) == 1 else name}")
    return f"(!) R2 on noise is not near 0: do not trust the scores of {', '.join(found)}." if found else ""


def _own(entries: Sequence[Score]) -> list[Score]:
    """Return the main scores and those on noise, of the first border and probe, without controls."""
    return _first(select([e for e in entries if not e.parameter and (e.main or e.metric == NOISE)], control=""))


def _columns(own: Sequence[Score], names: Sequence[str]) -> list[tuple[str, str]]:
    """Return the name and representation of each column."""
    reads = [read for read in distinct(own, "representation") if read] or [""]
    return [(name, read) for name in names for read in (reads if len(names) == 1 else reads[:1])]
