"""A comparison of encoders for people who write: its main figures as one Markdown table."""

from __future__ import annotations

from collections.abc import Sequence

from equicoherence.reporting.comparison.encoders import encoders
from equicoherence.reporting.comparison.lines import Group, columns, lines, members
from equicoherence.reporting.comparison.names import data_name, task_name
from equicoherence.reporting.comparison.scores import INPUT, SAMPLES, Taken, settings
from equicoherence.reporting.comparison.texts import GUIDE, TITLE, arrowed, remarks, texts, titles
from equicoherence.reporting.tables import markdown_table, plain

SIZES = ("pixels", "steps")  # settings that tell a short run from a long one


def render_markdown(groups: Sequence[Group]) -> str:
    """Return the main figures as one table, and below it what they are of."""
    evaluated, shown, about = members(groups), columns(groups), encoders(groups)
    rows = [
        [
            *(task_name(line.key.task), line.key.protocol, data_name(line.key.data), arrowed(line.key)),
            *texts(line, groups, shown, "**{}**".format),
        ]
        for line in lines(groups)
        if not line.key.parameter
    ]
    scores = markdown_table(["task", "protocol", "data", "metric", *titles(groups, shown)], rows)
    lists = {
        "Sizes of what was scored:": [
            sizes for taken, fields in settings(evaluated).items() if (sizes := _sizes(taken, fields))
        ],
        "To note:": remarks(evaluated),
    }
    parts = [f"# {TITLE}", GUIDE, scores]
    for title, entries in lists.items():
        parts += [title, "\n".join(f"- {plain(entry)}" for entry in entries)] if entries else []
    parts += ["## Encoders", plain(about.common), markdown_table(about.header, about.rows)]
    return "\n\n".join(part for part in parts if part) + "\n"


def _sizes(taken: Taken, fields: dict[str, list[str]]) -> str:
    """Return the sizes of a task on a data set, "" where none is known."""
    said = {field: " / ".join(values) for field, values in fields.items()}
    own = [f"input {said[INPUT]} px"] if INPUT in said else []
    own += [f"{field} {said[field]}" for field in SIZES if field in said]
    counts = ", ".join(
        f"{field.removeprefix(SAMPLES)} {text}" for field, text in said.items() if field.startswith(SAMPLES)
    )
    own += [f"samples: {counts}"] if counts else []
    return f"{task_name(taken.task)}, {taken.on}: {'; '.join(own)}" if own else ""
