"""One self-contained HTML page about one or several runs: nothing is fetched, everything is inside."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from equicoherence.errors import refusing
from equicoherence.files import alone_at, write_aside
from equicoherence.reporting.card import card_section
from equicoherence.reporting.explorer.explorer import explorer_section
from equicoherence.reporting.explorer.gather import gather
from equicoherence.reporting.explorer.turned_section import gallery, turned_section
from equicoherence.reporting.markup import join
from equicoherence.reporting.origin import dates_of
from equicoherence.reporting.provenance import configuration_section, provenance_section
from equicoherence.reporting.runs import ADAPT_PAGE, Run, group_by_name, read_run
from equicoherence.reporting.scores import every_score_section, score_sections
from equicoherence.reporting.tables import MISSING
from equicoherence.reporting.template import fill
from equicoherence.reporting.training import training_section

CONTENTS = {
    "card": "Verdict",
    "path": "The path",
    "turn": "Rotation",
    "transformation": "Equivariance",
    "others": "Other tasks",
    "training": "Training",
    "numbers": "All numbers",
    "configuration": "Configuration",
    "provenance": "Provenance",
}
TITLE = 60  # letters of the names that fit into the title
RUNS_GUIDE = (
    "Each run trained an image encoder without labels. Its embedding has two parts: z_inv should not depend on how an "
    "image was transformed, as far as the method's own loss sees it, and z_equi should. The backbone is the encoder "
    "before that split. In the auxiliary task, decoders reconstruct the intermediate states from z_equi of two views. "
    "The slider shows how well they do. The curves show the training. The R² charts show how well a probe predicts a "
    "transformation from the frozen encoder. The table of other tasks shows what else the features are good for. Runs "
    f"with the same name are seeds of one recipe and are averaged. A dash ({MISSING}) means: not measured."
)


def report(runs: Sequence[Path], out: Path | None = None) -> Path:
    """Write one HTML page that shows and compares runs; return where it is.

    runs: run directories, one or more; those with the same ``name`` are taken as seeds of one recipe. out: the file to
    write, by default ``report.html`` in the first run. Where a run lacks a part, the page says
    how to get it.

    Raises ValueError for no run or an ``out`` that is a folder, FileNotFoundError for a path that is no run directory.
    """
    paths = list({Path(path).resolve(): Path(path) for path in runs}.values())  # one run named twice is one seed
    with refusing():
        if not paths:
            raise ValueError(f"no run to report on (runs={runs!r}); give one or more run directories")
        read = [read_run(path) for path in paths]
        out = paths[0] / "report.html" if out is None else Path(out)
        if out.is_dir():
            raise ValueError(f"{str(out)!r} is a folder; give the file to write, such as {str(out / 'report.html')!r}")
    with alone_at(out, "writes"):
        # a name read from JSON may hold half of a surrogate pair, which UTF-8 cannot say
        write_aside(out, render_runs(read).encode("utf-8", errors="replace"))
    return out


def render_runs(runs: Sequence[Run]) -> str:
    """Return the page as HTML."""
    groups = group_by_name(runs)
    found = gather(groups)
    sections = (score_sections, training_section, every_score_section, configuration_section, provenance_section)
    front = (
        card_section(groups, found.scenes),
        explorer_section(found.scenes, found.remarks, found.notes),
        turned_section(list(map(gallery, found.turns))),
    )
    dates = dates_of(run.scores for run in runs if run.scores)
    seeds = f"{len(runs)} runs of {len(groups)} recipes" if len(groups) > 1 else f"{len(runs)} run"
    seeds += "s" if len(groups) == 1 < len(runs) else ""
    adapted = any(run.adapted for run in runs)
    evaluated = f"evaluated {dates}" if dates else f"evaluated in {ADAPT_PAGE}" if adapted else "not evaluated yet"
    title, subtitle = " · ".join(groups), f"{seeds}, {evaluated}"
    if len(title) > TITLE:
        title = f"{len(groups)} recipes side by side" if len(groups) > 1 else title
    contents = {anchor: text for anchor, text in CONTENTS.items() if anchor != "turn" or found.turns}
    return fill(title, subtitle, contents, RUNS_GUIDE, join([*front, *(part(groups) for part in sections)]))
