"""A comparison of encoders as a Markdown table of its main scores."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from equicoherence.reporting.comparison.encoders import encoder_grid
from equicoherence.reporting.comparison.evaluated import unlike
from equicoherence.reporting.comparison.lines import Group, columns, members, score_lines, seeds_of
from equicoherence.reporting.comparison.texts import COMPARISON_GUIDE, arrowed, guide_of, lines_grid, title_of
from equicoherence.reporting.names import data_name, task_name
from equicoherence.reporting.origin import INPUT, SAMPLES, Taken, joined_variants, settings_taken
from equicoherence.reporting.tables import plain

SIZES = ("pixels", "steps")  # settings that tell a short run from a long one


def render_markdown(groups: Sequence[Group]) -> str:
    """Return all figures that are of no parameter as one table, and below it what they are of."""
    evaluated, (common, encoders) = members(groups), encoder_grid(groups)
    place = {
        "task": lambda entry: task_name(entry.task),
        "protocol": lambda entry: entry.protocol,
        "data": lambda entry: data_name(entry.data),
        "metric": arrowed,
    }
    shown = [line for line in score_lines(groups) if not line.about.parameter]
    scores = lines_grid(shown, seeds_of(groups), columns(groups), place).markdown()
    used = joined_variants(settings_taken(part for each in evaluated for part in each.parts))
    lists = {
        "Sizes of what was scored:": [sizes for taken, fields in used.items() if (sizes := _sizes(taken, fields))],
        "To note:": unlike(evaluated),
    }
    parts = [f"# {plain(title_of(groups))}", guide_of(COMPARISON_GUIDE, shown), scores]
    for title, entries in lists.items():
        parts += [title, "\n".join(f"- {plain(entry)}" for entry in entries)] if entries else []
    parts += ["## Encoders", plain(common), encoders.markdown()]
    return "\n\n".join(part for part in parts if part) + "\n"


def _sizes(taken: Taken, fields: Mapping[str, list[str]]) -> str:
    """Return the sizes of a task on a data set, "" if none is known."""
    said = {field: " / ".join(values) for field, values in fields.items()}
    own = [f"input {said[INPUT]} px"] if INPUT in said else []
    own += [f"{field} {said[field]}" for field in SIZES if field in said]
    counts = ", ".join(
        f"{field.removeprefix(SAMPLES)} {text}" for field, text in said.items() if field.startswith(SAMPLES)
    )
    own += [f"samples: {counts}"] if counts else []
    return f"{task_name(taken.task)}, {taken.on}: {'; '.join(own)}" if own else ""
