"""What an adapted encoder gained and kept, drawn and in a sentence: for its own page, and for a page of runs."""

from __future__ import annotations

from collections.abc import Sequence

from equicoherence.reporting.adaptation.adaptation import mean_text, read_compared
from equicoherence.reporting.adaptation.dumbbells import AFTER, ALONE, BEFORE, GUESS, LAYER, dumbbells
from equicoherence.reporting.adaptation.figures import Z_EQUI, FigureRow
from equicoherence.reporting.markup import Markup, element, join
from equicoherence.reporting.noise_limit import UNTRUSTED
from equicoherence.reporting.runs import Run
from equicoherence.reporting.verdict import Said
from equicoherence.training.config_file import load_config


def charts(rows: Sequence[FigureRow]) -> Markup:
    """Return a legend and the charts of rows: transformations, and classes."""
    kinds = {
        "transformations": [row for row in rows if not row.of_classes],
        "classes": [row for row in rows if row.of_classes],
    }
    drawn = [_chart(title, of_kind) for title, of_kind in kinds.items() if of_kind]
    return join([_legend(rows), element("div", *drawn, class_="grid wide")])


def adapted_verdict(run: Run) -> tuple[Said, Markup]:
    """Return the verdict on a run of `equicoherence adapt`, and its charts.

    Raises ValueError or FileNotFoundError where its configuration or its scores cannot be read.
    """
    config = load_config(run.path / "config.yaml")
    rows = read_compared(run.path, config).rows
    said: dict[str, list[str]] = {"gained": [], "kept": [], "lost": [], "not clear": [], UNTRUSTED: []}
    for row in rows:
        if row.verdict:
            text = f"{row.title} {mean_text(row.original)} → {mean_text(row.adapted.get(row.output))}"
            said[UNTRUSTED if row.noisy else "not clear" if row.unsure else row.verdict].append(text)
    changes = {verb: texts for verb, texts in said.items() if texts}
    return Said(run.name, "the original encoder", changes), charts(rows)


def _chart(title: str, rows: Sequence[FigureRow]) -> Markup:
    said = "; ".join(
        f"{row.title} {mean_text(row.original)} to {mean_text(row.adapted.get(row.output))}" for row in rows
    )
    picture = dumbbells(rows, f"Before and after, {title}: {said}.")
    caption = element("figcaption", element("strong", title), " · lines: 95 % intervals over test images")
    return element("figure", caption, picture, class_="card chart")


def _legend(rows: Sequence[FigureRow]) -> Markup:
    """Return the marks that the charts of rows have, with their names."""
    shown = {
        BEFORE: True,
        AFTER: True,
        ALONE: any(Z_EQUI in row.adapted for row in rows),
        LAYER: any(row.layer for row in rows),
        GUESS: any(row.floor is not None for row in rows),
    }
    items = [element("li", _key(mark.draw(7, 7)), mark.name) for mark, there in shown.items() if there]
    return element("ul", *items, class_="legend", aria_label="Legend")


def _key(mark: Markup) -> Markup:
    return element("svg", mark, class_="key", width="14", height="14", aria_hidden="true")
