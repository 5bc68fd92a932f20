"""What a release holds, for a terminal and as rows of a table."""

from __future__ import annotations

from collections.abc import Sequence

from equicoherence.releases.manifest import Figure, Weights

HEADER = ("name", "architecture", "pixels", "parameters", "data", "configuration", "steps", "seed", "licence", "MB")


def rows_of(release: Sequence[Weights]) -> tuple[list[str], list[list[str]]]:
    """Return the titles of the columns, and a row for each weights.

    After the fixed columns comes the first figure of each task that any of them has: of what the task reads first.
    Figures that were measured with other numbers of images stand in columns of their own.
    """
    firsts = {weights.name: _first_figures(weights) for weights in release}
    titles = list(dict.fromkeys(title for first in firsts.values() for title in first))
    rows = []
    for weights in release:
        about = (weights.name, weights.architecture, weights.size, f"{weights.parameters / 1e6:,.2f} M", weights.data)
        trained = (weights.configuration, weights.steps, weights.seed, _licence(weights))
        figures = (firsts[weights.name].get(title, "\N{EN DASH}") for title in titles)
        rows.append([*map(str, (*about, *trained)), f"{weights.bytes / 1e6:,.1f}", *figures])
    return [*HEADER, *titles], rows


def description(weights: Weights) -> str:
    """Return what weights are, in a few lines of text."""
    size, parameters = f"{weights.bytes / 1e6:,.1f} MB", f"{weights.parameters / 1e6:,.2f} M parameters"
    figures = "; ".join(f"{title} {text}" for title, text in _first_figures(weights).items())
    return f"""{weights.name}
    {weights.architecture}, {weights.size} px, {parameters}, {size}, licence {_licence(weights)}
    configuration {weights.configuration!r} on {weights.data}, {weights.steps} steps, seed {weights.seed}
    {figures or "no scores"}"""


def _licence(weights: Weights) -> str:
    return weights.license or "none given"


def _first_figures(weights: Weights) -> dict[str, str]:
    """Return the first figure of each task, by what it is of."""
    first: dict[str, Figure] = {}
    for figure in weights.scores:
        first.setdefault(figure.task, figure)
    return {f"{each.score}, {each.reads} ({each.images})": each.text for each in first.values()}
