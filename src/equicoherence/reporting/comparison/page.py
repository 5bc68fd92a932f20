"""A comparison of encoders: a Markdown table, and a page."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from equicoherence.errors import refusing
from equicoherence.evaluation.registry import all_tasks
from equicoherence.evaluation.store import FILE
from equicoherence.files import write_aside
from equicoherence.models.prefixes import is_baseline
from equicoherence.reporting.comparison.encoders import counted, encoder_grid, named
from equicoherence.reporting.comparison.evaluated import Evaluated, read_evaluated, unlike
from equicoherence.reporting.comparison.lines import (
    Group,
    Line,
    columns,
    control_column,
    group,
    members,
    random_columns,
    score_lines,
    seeds_of,
)
from equicoherence.reporting.comparison.markdown import render_markdown
from equicoherence.reporting.comparison.pictures import picture_panels
from equicoherence.reporting.comparison.texts import COMPARISON_GUIDE, Place, guide_of, page_table, score_name, title_of
from equicoherence.reporting.comparison.verdict_lines import takeaways
from equicoherence.reporting.curve_panels import advice, curve_panels
from equicoherence.reporting.markup import Markup, details, element, join, note, section
from equicoherence.reporting.names import data_name, heading, task_name
from equicoherence.reporting.origin import dates_of, joined_variants, settings_taken
from equicoherence.reporting.summary import Score, distinct
from equicoherence.reporting.tables import MISSING, Grid
from equicoherence.reporting.template import fill
from equicoherence.reporting.training import legend
from equicoherence.reporting.verdict import main_figures, verdict_chart

LEAKS = "zeros"  # the border whose black corners show the angle


def comparison(folders: Sequence[Path], out: Path) -> Path:
    """Write ``out/comparison.md`` and ``out/comparison.html`` on encoders' scores; return the page.

    folders: each with a ``scores.json``, as `equicoherence evaluate` writes it; those of one ``name`` and ``config``
        are taken as seeds of one recipe.

    Raises ValueError for no folder, for an ``out`` that is a file, where ``scores.json`` is damaged, and where two
    folders hold the same score of the same weights; FileNotFoundError where there is none.
    """
    paths = list({Path(path).resolve(): Path(path) for path in folders}.values())
    with refusing():
        if not paths:
            raise ValueError(f"no scores to compare (folders={folders!r}); give one or more folders with a {FILE}")
        if out.is_file():
            raise ValueError(f"{str(out)!r} is a file; give the folder to write comparison.md and comparison.html to")
        groups = group([read_evaluated(path) for path in paths])
    out.mkdir(parents=True, exist_ok=True)
    # a name read from JSON may hold half of a surrogate pair, which UTF-8 cannot say
    write_aside(out / "comparison.md", render_markdown(groups).encode("utf-8", errors="replace"))
    page = out / "comparison.html"
    write_aside(page, render_comparison(groups).encode("utf-8", errors="replace"))
    return page


def render_comparison(groups: Sequence[Group]) -> str:
    """Return the page as HTML: the main figures, each task, and what the encoders are."""
    evaluated, lines = members(groups), score_lines(groups)
    scored = dict.fromkeys(part["task"] for each in evaluated for part in each.parts)  # some have pictures alone
    tasks = dict.fromkeys([*(line.about.task for line in lines), *scored])
    anchors = {task: f"task-{number}" for number, task in enumerate(tasks)}
    from equicoherence.reporting.explorer.rotated_section import rotated_section  # needs torch, as mistakes do not

    rotation = rotated_section({of.label: [each.folder for each in of.members] for of in groups})
    sections = [_summary(groups, evaluated, lines), rotation]
    for task, anchor in anchors.items():
        of_task = [line for line in lines if line.about.task == task]
        sections.append(section(anchor, heading(task), *_task(groups, evaluated, task, of_task)))
    common, encoders = encoder_grid(groups)
    about = [element("p", common) if common else "", encoders.html(counted(groups))]
    sections.append(section("encoders", "Encoders", *about))
    tasks_shown = {anchor: heading(task) for task, anchor in anchors.items()}
    contents = {"summary": "Summary", **({"turn": "Rotation"} if rotation else {}), **tasks_shown}
    contents["encoders"] = "Encoders"
    dates = dates_of(each.about for each in evaluated)
    subtitle = f"{counted(groups)}{f', evaluated {dates}' if dates else ''}"
    subtitle = f"{named(groups)} ({subtitle})" if len(groups) > 1 else subtitle
    return fill(title_of(groups), subtitle, contents, guide_of(COMPARISON_GUIDE, lines), join(sections))


def _summary(groups: Sequence[Group], evaluated: Sequence[Evaluated], lines: Sequence[Line]) -> Markup:
    """Return the section with the main figures: what they show, drawn and as a table, and remarks."""
    main = [line for line in lines if line.main]
    protocols = {(line.about.task, line.about.protocol) for line in main}
    several = len(protocols) > len({task for task, _ in protocols})
    place: Place = {
        "task": lambda entry: heading(entry.task),
        "data": lambda entry: data_name(entry.data),
        "protocol": lambda entry: entry.protocol if several else "",
    }
    tables = _tables(main, groups, "The main scores of each task", score_name, place)
    remarks = [note(remark) for remark in unlike(evaluated)]
    names, entries = [each.label for each in groups], [entry for line in lines for entry in line.entries.values()]
    sources = {each.label: [control_column(groups, each)] for each in groups}
    others = [task for task in distinct(entries, "task") if task != "transformation" and not _has_axis(task)]
    figures = main_figures(entries, sources, others)
    floors = [kind for kind, there in (("random", any(f.random for f in figures)), ("constant", True)) if there]
    chart = [legend(names, floors), verdict_chart(figures, names)] if figures else []
    baselines = [each.label for each in groups if is_baseline(each.arch)]
    said = [
        element("p", element("strong", f"{each.topic}."), " ", Markup(" ").join(each.sentences), class_="says")
        for each in takeaways(figures, names, baselines)
    ]
    return section("summary", "Summary", *said, *chart, *tables, *remarks)


def _tables(
    lines: Sequence[Line],
    groups: Sequence[Group],
    caption: str,
    heads: Callable[[Score], str],
    place: Place,
) -> list[Markup]:
    """Return a table of scores, see `page_table`, and behind a click those of a border that leaks the parameters."""
    leaks = [line for line in lines if line.about.border == LEAKS]
    clean = [line for line in lines if line.about.border != LEAKS]
    seeds, shown = seeds_of(groups), columns(groups)
    tables = [page_table(clean, seeds, shown, caption, heads, place)] if clean else []
    if leaks:
        title = f"{_scores(leaks)} with border “{LEAKS}”: black corners leak the parameters"
        tables.append(details(title, page_table(leaks, seeds, shown, caption, heads, place)))
    return tables


def _scores(lines: Sequence[Line]) -> str:
    return f"{len(lines)} score{'s' if len(lines) > 1 else ''}"


def _has_axis(task: str) -> bool:
    declared = all_tasks().get(task)
    return declared is not None and bool(declared.axis)  # it has plots of its own


def _task(groups: Sequence[Group], evaluated: Sequence[Evaluated], task: str, lines: Sequence[Line]) -> list[Markup]:
    """Return how a task is read, its curves, its tables, its settings, and its pictures."""
    shown, parts = columns(groups), []
    place: Place = {"data": lambda entry: data_name(entry.data), "protocol": lambda entry: entry.protocol}
    whole = [line for line in lines if not line.about.parameter]
    finer = [line for line in lines if line.about.parameter]
    parts += _tables(whole, groups, f"Scores, {task_name(task)}", score_name, place)
    if finer:
        title = f"One by one: {_scores(finer)} of classes, sequences or parameters"
        caption = f"Scores one by one, {task_name(task)}"
        parts.append(details(title, *_tables(finer, groups, caption, _of_parameter, place)))
    by_column = {column: [line.entries[column] for line in lines if column in line.entries] for column in shown}
    parts = [*advice(task), *curve_panels(by_column, random_columns(groups), task), *parts]
    settings = _settings_grid(evaluated, task).html(f"Settings and counts, {task_name(task)}")
    return [*parts, details("Settings and counts", settings), *picture_panels(groups, shown, task)]


def _settings_grid(evaluated: Sequence[Evaluated], task: str) -> Grid:
    """Return a row for each setting and count of a task, a column for each protocol and data set."""
    parts = [part for each in evaluated for part in each.parts if part["task"] == task]
    used = {taken.on: fields for taken, fields in joined_variants(settings_taken(parts)).items()}
    fields = dict.fromkeys(field for values in used.values() for field in values)
    rows = [[field, *(" / ".join(values.get(field, [MISSING])) for values in used.values())] for field in fields]
    return Grid(["", *used], rows)


def _of_parameter(entry: Score) -> str:
    return f"{entry.parameter}: {score_name(entry)}"
