"""What earlier pages of results claimed, and what today's pages have: docs/results/claims.md.

    python experiments/claims.py

Earlier figures are read from the commits that had them, so a whole clone of the repository is needed. Today's are read
from the pages as they are. Nothing is measured here. Run it when one of the pages has changed, and read the verdicts
again.
"""

from __future__ import annotations

import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pages import write_page

from equicoherence.reporting.tables import Grid

RESULTS = Path(__file__).resolve().parents[1] / "docs" / "results"
PAGE = RESULTS / "claims.md"
FIRST, QUICK, LEARNS = "80e87b2", "d01081f", "ed34c90"
"""Commits of 2026-11-21: of VICReg on photographs, of the quickstart, of what every recipe learns."""
OURS = "+ render and [P1], g outside, on half of the samples"
INDEPENDENT = "VICReg, independent flips"
RECIPE = f"{OURS}, [P1] 128 wide, of one view of each, weight .3"


@dataclass(frozen=True)
class Figures:
    """Cells of a page's first table below a heading that have the column.

    page: its name in docs/results, without its ending.
    cells: row and column of each, with the name that it is shown by.
    heading: that the table stands below; "" for the first one.
    commit: of the version; "" for today's.
    """

    page: str
    cells: Mapping[str, tuple[str, str]]
    heading: str = ""
    commit: str = ""

    def shown(self) -> str:
        """Return the figures with their source. Exits with a sentence where the page has no such cell."""
        tables = tables_of(self._text().partition(self.heading)[2] if self.heading else self._text())
        found = []
        for name, (row, column) in self.cells.items():
            values = [table[row][column] for table in tables if column in table.get(row, {})]
            if not values:
                page = f"{self.commit}:{self.page}.md" if self.commit else f"{self.page}.md"
                place = f" below {self.heading!r}" if self.heading else ""
                raise SystemExit(f"{page} has no row {row!r} with a column {column!r}{place}; name a cell that it has")
            found.append(f"{name} {values[0].partition(' [')[0]}")
        source = f"`{self.commit}:{self.page}.md`" if self.commit else f"[{self.page}]({self.page}.md)"
        return f"{'; '.join(found)} ({source})"

    def _text(self) -> str:
        if not self.commit:
            return (RESULTS / f"{self.page}.md").read_text(encoding="utf-8")
        path = f"{self.commit}:docs/results/{self.page}.md"
        run = subprocess.run(["git", "show", path], cwd=RESULTS, capture_output=True, text=True, encoding="utf-8")
        if run.returncode:
            raise SystemExit(f"git cannot show {path!r}: {run.stderr.strip()}; clone the repository with its history")
        return run.stdout


@dataclass(frozen=True)
class Claim:
    """said: in an earlier page. before, today: the figures. verdict: what is left of it."""

    said: str
    before: Figures
    today: Figures
    verdict: str


def _of(rows: Mapping[str, str], column: str) -> dict[str, tuple[str, str]]:
    return {name: (row, column) for name, row in rows.items()}


def _rendered(row: str, columns: Mapping[str, str], commit: str = "") -> Figures:
    """Return cells of one row of the quickstart's page, where the encoders are columns."""
    return Figures("quickstart", {name: (row, column) for name, column in columns.items()}, commit=commit)


WITH_RENDER = {"plain": "plain", "render": "render"}
WITH_TASK = {"plain": "plain", "with the task": "with-task"}
PLAIN_AND_OURS = {"VICReg": "VICReg", "with the task": OURS}
PHOTOGRAPHS = "vicreg-tiny-imagenet"  # a page of 300 steps, which two longer ones have replaced
MIDDLE, LONG, CONV = f"{PHOTOGRAPHS}-1500-steps", f"{PHOTOGRAPHS}-10000-steps", "conv-decoder"
LITE0 = "efficientnet_lite0 (tf_efficientnet_lite0)"
SHOWN = "rotation R2, what the image shows"
PLAIN_AND_RENDER = {"VICReg": "VICReg", "render": "+ render"}
CLAIMS = (
    Claim(
        "The decoder `render` adds rotation to VICReg.",
        Figures(PHOTOGRAPHS, _of(PLAIN_AND_RENDER, "rotation, backbone"), commit=FIRST),
        Figures(CONV, _of({INDEPENDENT: INDEPENDENT, **PLAIN_AND_OURS}, SHOWN)),
        "Not shown to be larger or smaller. All arms had independent flips. A shared flip alone gives the plain method "
        "more than the whole earlier gain. The task still adds to it.",
    ),
    Claim(
        "R2 of rotation says how much of a rotation an encoder keeps.",
        Figures(PHOTOGRAPHS, _of({"VICReg": "VICReg"}, "rotation, backbone"), commit=FIRST),
        Figures(
            "equivariance",
            {
                "EfficientNet-Lite0: rotation R2": (LITE0, "rotation R2"),
                "absolute rotation R2": (LITE0, "absolute rotation R2"),
                "sign accuracy": (LITE0, "rotation sign accuracy"),
            },
        ),
        "Not by itself. An encoder that is trained with flips keeps how far, and not to which side.",
    ),
    Claim(
        "`render` reaches the oracle, which has the labels.",
        Figures(PHOTOGRAPHS, _of({"render": "+ render", "oracle": "oracle (theta as label)"}, "rotation, backbone"),
                commit=FIRST),
        Figures(MIDDLE, _of({"with the task": OURS, "oracle": "oracle (theta as label), g outside"},
                                 "rotation R2")),
        "Does not hold. The oracle is better.",
    ),
    Claim(
        "`render` loses translation.",
        Figures(PHOTOGRAPHS, _of(PLAIN_AND_RENDER, "translation, backbone"), commit=FIRST),
        Figures(MIDDLE, _of(PLAIN_AND_OURS, "translation R2")),
        "Does not hold for today's task, which has the decoder [P1] beside `render`: translation is gained.",
    ),
    Claim(
        "What helps rotation costs a little k-NN accuracy.",
        Figures(PHOTOGRAPHS, _of(PLAIN_AND_RENDER, "k-NN"), commit=FIRST),
        Figures(LONG, _of({"VICReg": "VICReg", "weight 1": OURS, "the recipe, weight .3": RECIPE}, "k-NN accuracy")),
        "Holds for weight 1, not for the recipe's .3: classes are kept, in both seeds.",
    ),
    Claim(
        "The `conv` decoder of [P2] does not add rotation.",
        Figures(PHOTOGRAPHS, _of({"VICReg": "VICReg", "conv": "+ conv [P2]"}, "rotation, backbone"), commit=FIRST),
        Figures(
            CONV,
            _of({"VICReg": "VICReg", "conv": "+ conv [P2]", "conv, g outside": "+ conv [P2], g outside"},
                SHOWN),
        ),
        "Holds, one seed. It gains translation and color.",
    ),
    Claim(
        "Black corners show the angle, so an R2 with the border `zeros` is no measure.",
        Figures(PHOTOGRAPHS, {"render: with corners": ("+ render", "backbone, `zeros`"),
                              "without": ("+ render", "rotation, backbone")},
                heading="## Trained with border `zeros`", commit=FIRST),
        Figures(CONV, {
            "conv: with corners": ("+ conv [P2], independent flips, zeros", "rotation R2, zeros"),
            "without": ("+ conv [P2], independent flips, zeros", SHOWN),
        }),
        "Holds.",
    ),
    Claim(
        "Rendered objects: the task adds rotation.",
        _rendered("rotation R2 (content), backbone", WITH_RENDER, QUICK),
        _rendered("transformation rotation R2 (content), backbone", WITH_TASK),
        "Little is left to gain with a shared flip. ± is over seeds of the probe; one seed of training does not show "
        "this difference.",
    ),
    Claim(
        "Rendered objects: no arm differs in translation.",
        _rendered("translation R2 (content), backbone", WITH_RENDER, QUICK),
        _rendered("transformation translation R2 (content), backbone", WITH_TASK),
        "Does not hold: translation is the gain.",
    ),
    Claim(
        "Rendered objects: the task costs much of the k-NN accuracy.",
        _rendered("knn top-1, backbone", WITH_RENDER, QUICK),
        _rendered("knn top-1, backbone", WITH_TASK),
        "Does not hold: the method's loss does not see g any more, and k-NN is kept.",
    ),
    Claim(
        "Every tiny recipe learns, iBOT among them (k-NN, on rendered objects).",
        Figures("learning", {"iBOT": ("ibot-tiny", "k-NN"), "random weights": ("ibot-tiny", "random encoder")},
                commit=LEARNS),
        Figures("methods", _of({"iBOT": "iBOT", "random weights": "iBOT, random weights"}, "k-NN accuracy")),
        "Does not hold on photographs, after 2.6 epochs.",
    ),
)  # fmt: skip


def tables_of(text: str) -> list[dict[str, dict[str, str]]]:
    """Return the tables of a Markdown text: row -> column -> cell, without bold.

    A second column that says which features a row is of is part of the row's name.
    """
    found = []
    for block in text.split("\n\n"):
        lines = [line for line in block.splitlines() if line.startswith("|")]
        if len(lines) > 2:
            header, _, *body = ([cell.strip().replace("**", "") for cell in line[1:-1].split("|")] for line in lines)
            names = 1 + (header[1] in ("reads", "features"))
            found.append({", ".join(row[:names]): dict(zip(header[names:], row[names:])) for row in body})
    return found


def page(claims: Sequence[Claim]) -> str:
    """Return the page."""
    body = [[each.said, each.before.shown(), each.today.shown(), each.verdict] for each in claims]
    return f"""# Earlier claims, measured again

Written by `python experiments/claims.py`, from the pages of results and their earlier versions. Machine, versions and
seeds of each figure stand on its page. `COMMIT:PAGE` is an earlier version: `git show COMMIT:docs/results/PAGE`.

The pages of 2026-11-21 were the first. Three things have changed since.

- **The measure.** Both images of a pair hold the same round band of frequencies, so the pixel grid does not show the
  angle ([traces](../traces.md)). Rotation and translation have three scores, and R2 on noise stands beside them
  ([transformation](../transformation.md)).
- **The training.** Views of an image share their flip. The method's own loss does not see g. The task has two decoders.
- **The runs.** The encoders of 2026-11-21 were not scored again: their weights are not in the repository. Today's
  figures are of new runs, so no row shows what the measure alone has changed.

{Grid(["claim", "before", "today", "what is left"], body).markdown()}
"""


if __name__ == "__main__":
    write_page(page(CLAIMS), PAGE)
    print(PAGE)
