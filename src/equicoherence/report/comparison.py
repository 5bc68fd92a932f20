"""What encoders are worth downstream, side by side: one table for people who write, one page for people who look."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from equicoherence.files import write_aside
from equicoherence.report.downstream import FOLDER, Evaluated, read_evaluated, settings, unlike
from equicoherence.report.downstream_lines import Group, Line, columns, group, lines
from equicoherence.report.downstream_pictures import pictures
from equicoherence.report.markup import Cell, Markup, details, element, join, note, section, table
from equicoherence.report.provenance import flatten
from equicoherence.report.tables import MISSING, deviation, number
from equicoherence.report.template import fill

Bold = Callable[[str], object]
CONSTANT = "constant"
DIGEST = 12  # letters of a hash that are shown
GUIDE = (
    "Each encoder is scored on each task by the same protocol. An arrow says whether a metric is better when "
    "higher (↑) or lower (↓). Encoders of one name and configuration are seeds of one recipe: their mean, ± the sample "
    "standard deviation between them. “Random weights” is the same architecture before any training, “constant” a "
    "prediction that looks at no image: what an encoder has learnt is what it scores beyond both. The best mean of a "
    f"row, random weights included, is bold, however small the difference. A dash ({MISSING}) means: not measured."
)


def comparison(folders: Sequence[Path], out: Path) -> Path:
    """Write ``out/comparison.md`` and ``out/comparison.html`` on encoders' downstream scores; return the page.

    folders: each with a ``downstream.json``, and where there is one a ``results.json``, as `equicoherence evaluate`
    writes them; those of one ``name`` and ``config`` are taken as seeds of one recipe.

    Raises ValueError for no folder, for an ``out`` that is a file, where ``downstream.json`` is missing or damaged, and
    where two folders hold the same score of the same weights.
    """
    paths = list({Path(path).resolve(): Path(path) for path in folders}.values())
    if not paths:
        raise ValueError(f"no scores to compare (folders={folders!r}); give one or more folders with a downstream.json")
    if out.is_file():
        raise ValueError(f"{str(out)!r} is a file; give the folder to write comparison.md and comparison.html to")
    groups = group([read_evaluated(path) for path in paths])
    out.mkdir(parents=True, exist_ok=True)
    # a name read from JSON may hold half of a surrogate pair, which UTF-8 cannot say
    write_aside(out / "comparison.md", render_markdown(groups).encode("utf-8", errors="replace"))
    page = out / "comparison.html"
    write_aside(page, render_page(groups).encode("utf-8", errors="replace"))
    return page


def render_markdown(groups: Sequence[Group]) -> str:
    """Return the main figures as one Markdown table, and below it what they are of."""
    evaluated, shown = _members(groups), columns(groups)
    rows = [
        [line.key.task, line.key.protocol, line.key.data, _metric(line), *_texts(line, groups, shown, "**{}**".format)]
        for line in lines(groups)
        if not line.key.parameter
    ]
    scores = _markdown_table(["task", "protocol", "data", "metric", *_titles(groups, shown), CONSTANT], rows)
    remarks = "".join(f"- {_plain(remark)}\n" for remark in _remarks(evaluated))
    about = _markdown_table(*_about(groups))
    parts = ["# Downstream scores", GUIDE, scores, remarks.rstrip(), "## Encoders", about]
    return "\n\n".join(part for part in parts if part) + "\n"


def render_page(groups: Sequence[Group]) -> str:
    """Return the page as HTML."""
    evaluated, every = _members(groups), lines(groups)
    header, rows = _about(groups)
    remarks = [note(remark) for remark in _remarks(evaluated)]
    encoders = section("encoders", "Encoders", table(_counted(groups, evaluated), header, rows), *remarks)
    tasks = list(
        dict.fromkeys([*(line.key.task for line in every), *(task for each in evaluated for task, *_ in each.settings)])
    )
    contents = {"encoders": "Encoders"} | {f"task-{number}": task for number, task in enumerate(tasks)}
    sections = [
        section(
            f"task-{number}", task, *_task(groups, evaluated, task, [line for line in every if line.key.task == task])
        )
        for number, task in enumerate(tasks)
    ]
    title = " · ".join(each.label for each in groups)
    dates = sorted({date for each in evaluated for date in _told(each.about, "date")})
    when = f", evaluated {' to '.join(dict.fromkeys((dates[0], dates[-1])))}" if dates else ""
    subtitle = f"Downstream scores of {_counted(groups, evaluated)}{when}"
    return fill(title, subtitle, contents, GUIDE, join([encoders, *sections]))


def _task(groups: Sequence[Group], evaluated: Sequence[Evaluated], task: str, of_task: Sequence[Line]) -> list[Markup]:
    """Return the tables of a task, its settings, and its pictures."""
    shown = columns(groups)
    parts = []
    main = [line for line in of_task if not line.key.parameter]
    finer = [line for line in of_task if line.key.parameter]
    header = [*_titles(groups, shown), CONSTANT]

    def cells(line: Line) -> list[Cell]:
        *own, floor = _texts(line, groups, shown, lambda text: element("strong", text))
        return [*(Cell(text, "number") for text in own), Cell(floor, "number quiet")]

    if main:
        rows = [[line.key.data, line.key.protocol, _metric(line), *cells(line)] for line in main]
        parts.append(table(f"Scores, {task}", ["data", "protocol", "metric", *header], rows))
    if finer:
        rows = [[ln.key.parameter, ln.key.data, ln.key.protocol, _metric(ln), *cells(ln)] for ln in finer]
        one_by_one = table(f"Scores one by one, {task}", ["of", "data", "protocol", "metric", *header], rows)
        parts.append(details(f"One by one: {len(finer)} scores of classes, sequences or parameters", one_by_one))
    used = {on: fields for (name, on), fields in settings(evaluated).items() if name == task}
    if used:
        fields = dict.fromkeys(field for values in used.values() for field in values if field != FOLDER)
        rows = [[field, *(" / ".join(values.get(field, [MISSING])) for values in used.values())] for field in fields]
        parts.append(details("Settings and counts", table(f"Settings and counts, {task}", ["", *used], rows)))
    return [*parts, *pictures(groups, shown, task)]


def _texts(line: Line, groups: Sequence[Group], shown: Sequence[str], bold: Bold) -> list[object]:
    """Return what stands in each column of a line, and in that of the constant prediction."""
    best, metric = line.best(), line.key.metric.split(" ")[0]
    seeds = {each.label: each.seeds for each in groups}
    texts: list[object] = []
    for column in shown:
        entry = line.entries.get(column)
        if entry is None:
            texts.append(MISSING)
            continue
        text = number(entry.mean, metric) + (f" ±{deviation(entry.std, metric)}" if entry.std is not None else "")
        text += f" ({entry.n} of {seeds[column]})" if entry.n < seeds.get(column, 0) else ""
        texts.append(bold(text) if column in best else text)
    floors = dict.fromkeys(number(value, metric) for value in line.floors or ())
    return [*texts, " to ".join(floors) or MISSING]


def _metric(line: Line) -> str:
    return f"{line.key.metric}\N{NO-BREAK SPACE}{'↑' if line.key.higher else '↓'}"


def _titles(groups: Sequence[Group], shown: Sequence[str]) -> list[str]:
    seeds = {each.label: each.seeds for each in groups}
    return [f"{column} ({seeds[column]} seeds)" if seeds.get(column, 1) > 1 else column for column in shown]


def _members(groups: Sequence[Group]) -> list[Evaluated]:
    return [each for of in groups for each in of.members]


def _remarks(evaluated: Sequence[Evaluated]) -> list[str]:
    return [*unlike(evaluated), *(remark for each in evaluated for remark in each.remarks)]


def _counted(groups: Sequence[Group], evaluated: Sequence[Evaluated]) -> str:
    count = sum(each.seeds for each in groups)
    many = f"{count} encoder{'s' if count > 1 else ''}"
    return f"{many}, {len(groups)} recipes" if 1 < len(groups) < count else many


def _about(groups: Sequence[Group]) -> tuple[list[str], list[list[str]]]:
    """Return header and rows of what each encoder is and where it was scored."""
    header = ["name", "seed", "architecture", "input", "weights", "date", "machine", "versions"]
    rows = []
    for of in groups:
        for each in of.members:
            about = each.about
            own = [of.label, str(about["seed"]), of.arch, f"{of.size} px", str(about["weights"])[:DIGEST]]
            said = (" / ".join(_told(about, field)) or MISSING for field in ("date", "machine", "versions"))
            rows.append([*own, *said])
    return header, rows


def _told(about: Mapping[str, Any], field: str) -> list[str]:
    """Return what the parts of an encoder tell of where and when they were scored; what the whole does without."""
    every = [part[field] for part in about["parts"].values() if field in part] or [about[field]] * (field in about)
    texts = (", ".join(f"{k} {v}" for k, v in flatten(x).items()) if isinstance(x, Mapping) else str(x) for x in every)
    return list(dict.fromkeys(texts))


def _markdown_table(header: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    written = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(_plain(cell) for cell in row)} |" for row in written)


def _plain(value: object) -> str:
    """Return text that stays in its cell: one line, no bar."""
    return " ".join(str(value).split()).replace("|", "\\|")
