"""The page of an adaptation, and its table as Markdown: ``adapt.html`` and ``adapt.md`` in the run directory."""

from __future__ import annotations

from pathlib import Path

from equicoherence.files import write_aside
from equicoherence.reporting.adaptation.adaptation import ADAPTED, ORIGINAL, SCORED, Adaptation, read_adaptation
from equicoherence.reporting.adaptation.charts import charts
from equicoherence.reporting.explorer.rotated_section import rotated_section
from equicoherence.reporting.markup import element, join, section
from equicoherence.reporting.origin import dates_of, origin_line
from equicoherence.reporting.runs import ADAPT_PAGE
from equicoherence.reporting.tables import MISSING
from equicoherence.reporting.template import fill
from equicoherence.reporting.training import training_section

PAGE, TABLE = ADAPT_PAGE, "adapt.md"
CONTENTS = {
    "table": "The table",
    "chart": "Gained against kept",
    "turn": "Rotation",
    "training": "Training",
    "origin": "How it was measured",
}
GUIDE = (
    "A pretrained encoder was adapted, so that its features keep what a transformation did to an image. The table "
    "compares it before and after, by the same protocol on the same images. R2 of a transformation: how well a probe "
    "predicts its parameters from the frozen features of an image and of its transformed copy (1 is perfect, 0 no "
    "better than a constant guess). k-NN and linear: classification accuracy. The best layer of the original, of those "
    "that z_equi is computed from and at most six at equal distances, needs no training, so it is the baseline to "
    f"beat; it is chosen for each score, on the same test images. A dash ({MISSING}) means: not measured."
)


def write_adaptation(run: Path) -> Adaptation:
    """Write ``adapt.md`` and ``adapt.html`` into a run directory; return what they say. Raises as `read_adaptation`."""
    found = read_adaptation(run)
    text = [f"# {Path(found.name).name}, before and after", found.grid().markdown(), *found.caption(), _origin(found)]
    write_aside(run / TABLE, ("\n\n".join(text) + "\n").encode("utf-8", errors="replace"))
    write_aside(run / PAGE, render_adaptation(found).encode("utf-8", errors="replace"))
    return found


def render_adaptation(found: Adaptation) -> str:
    """Return the page as HTML."""
    marked = [row.said == "lost" for row in found.rows] + [not row.near_zero for row in found.noise]
    table = found.grid().html("Before and after, with 95 % intervals over test images", marked)
    scored = found.run.path / SCORED
    rotation = rotated_section({name: [scored / name] for name in (ORIGINAL, ADAPTED)}, together=True)
    body = [
        section("table", CONTENTS["table"], table, *(element("p", line) for line in found.caption())),
        section("chart", CONTENTS["chart"], charts(found.rows)),
        rotation,
        training_section({found.run.name: [found.run]}),
        section("origin", CONTENTS["origin"], element("p", _origin(found))),
    ]
    subtitle = f"by {found.run.name}, evaluated {dates_of(found.scores)}"
    contents = {anchor: text for anchor, text in CONTENTS.items() if anchor != "turn" or rotation}
    return fill(f"{Path(found.name).name}, adapted", subtitle, contents, GUIDE, join(body))


def _origin(found: Adaptation) -> str:
    return f"{origin_line(found.scores)}."
