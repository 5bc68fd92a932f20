"""What encoders are worth downstream, side by side: one table for people who write, one page for people who look."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from equicoherence.errors import refusing
from equicoherence.files import write_aside
from equicoherence.reporting.comparison.encoders import dates, encoders, named
from equicoherence.reporting.comparison.lines import Group, Line, columns, first_metrics, group, lines, members
from equicoherence.reporting.comparison.markdown import render_markdown
from equicoherence.reporting.comparison.names import data_name, heading, task_name
from equicoherence.reporting.comparison.pictures import pictures
from equicoherence.reporting.comparison.scores import Evaluated, Key, is_identity, read_evaluated, settings
from equicoherence.reporting.comparison.texts import GUIDE, TITLE, arrowed, counted, remarks, texts, titles
from equicoherence.reporting.markup import Cell, Markup, details, element, join, note, section, table
from equicoherence.reporting.tables import MISSING
from equicoherence.reporting.template import fill


def comparison(folders: Sequence[Path], out: Path) -> Path:
    """Write ``out/comparison.md`` and ``out/comparison.html`` on encoders' downstream scores; return the page.

    folders: each with a ``downstream.json``, and where there is one a ``results.json``, as `equicoherence evaluate`
    writes them; those of one ``name`` and ``config`` are taken as seeds of one recipe.

    Raises ValueError for no folder, for an ``out`` that is a file, where ``downstream.json`` is missing or damaged, and
    where two folders hold the same score of the same weights.
    """
    paths = list({Path(path).resolve(): Path(path) for path in folders}.values())
    with refusing():
        if not paths:
            raise ValueError(f"no scores to compare (folders={folders!r}); give a folder with a downstream.json")
        if out.is_file():
            raise ValueError(f"{str(out)!r} is a file; give the folder to write comparison.md and comparison.html to")
        groups = group([read_evaluated(path) for path in paths])
    out.mkdir(parents=True, exist_ok=True)
    # a name read from JSON may hold half of a surrogate pair, which UTF-8 cannot say
    write_aside(out / "comparison.md", render_markdown(groups).encode("utf-8", errors="replace"))
    page = out / "comparison.html"
    write_aside(page, render_page(groups).encode("utf-8", errors="replace"))
    return page


def render_page(groups: Sequence[Group]) -> str:
    """Return the page as HTML: the main figures, each task, and what the encoders are."""
    evaluated, every = members(groups), lines(groups)
    tasks = dict.fromkeys([*(line.key.task for line in every), *(taken.task for taken in settings(evaluated))])
    anchors = {task: f"task-{number}" for number, task in enumerate(tasks)}
    sections = [_summary(groups, evaluated, every)]
    for task, anchor in anchors.items():
        of_task = [line for line in every if line.key.task == task]
        sections.append(section(anchor, heading(task), *_task(groups, evaluated, task, of_task)))
    about = encoders(groups)
    common = element("p", about.common) if about.common else ""
    sections.append(section("encoders", "Encoders", common, table(counted(groups), about.header, about.rows)))
    contents = {"summary": "Summary", **{anchor: heading(task) for task, anchor in anchors.items()}}
    when = f", evaluated {dates(groups)}" if dates(groups) else ""
    subtitle = f"{named(groups)} ({counted(groups)}{when})"
    return fill(TITLE, subtitle, {**contents, "encoders": "Encoders"}, GUIDE, join(sections))


def _summary(groups: Sequence[Group], evaluated: Sequence[Evaluated], every: Sequence[Line]) -> Markup:
    """Return the section with the main figure of each task on each data set, and what is to be noted."""
    shown = columns(groups)
    rows = [
        [heading(line.key.task), _on(line.key), arrowed(line.key), *_cells(line, groups, shown)]
        for line in first_metrics(every)
    ]
    main = table("The main metric of each task", ["task", "data", "metric", *titles(groups, shown)], rows)
    return section("summary", "Summary", main, *(note(remark) for remark in remarks(evaluated)))


def _task(groups: Sequence[Group], evaluated: Sequence[Evaluated], task: str, of_task: Sequence[Line]) -> list[Markup]:
    """Return the tables of a task, its settings, and its pictures."""
    shown = columns(groups)
    parts = []
    main = [line for line in of_task if not line.key.parameter]
    finer = [line for line in of_task if line.key.parameter]
    header = ["data", "protocol", "metric", *titles(groups, shown)]

    def row(line: Line) -> list[object]:
        return [data_name(line.key.data), line.key.protocol, arrowed(line.key), *_cells(line, groups, shown)]

    if main:
        parts.append(table(f"Scores, {task_name(task)}", header, [row(line) for line in main]))
    if finer:
        rows = [[line.key.parameter, *row(line)] for line in finer]
        one_by_one = table(f"Scores one by one, {task_name(task)}", ["of", *header], rows)
        count = f"{len(finer)} score{'s' if len(finer) > 1 else ''}"
        parts.append(details(f"One by one: {count} of classes, sequences or parameters", one_by_one))
    used = {taken.on: fields for taken, fields in settings(evaluated).items() if taken.task == task}
    if used:
        fields = dict.fromkeys(field for values in used.values() for field in values if not is_identity(field))
        rows = [[field, *(" / ".join(values.get(field, [MISSING])) for values in used.values())] for field in fields]
        parts.append(
            details("Settings and counts", table(f"Settings and counts, {task_name(task)}", ["", *used], rows))
        )
    return [*parts, *pictures(groups, shown, task)]


def _on(key: Key) -> Markup:
    return join([data_name(key.data), element("small", key.protocol)])


def _cells(line: Line, groups: Sequence[Group], shown: Sequence[str]) -> list[Cell]:
    *own, floor = texts(line, groups, shown, lambda text: element("strong", text))
    return [*(Cell(text, "number") for text in own), Cell(floor, "number quiet")]
