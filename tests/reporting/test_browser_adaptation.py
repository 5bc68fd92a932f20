"""The charts of an adaptation on the screen of a telephone, in headless Chromium."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING

from equicoherence.reporting.adaptation.charts import charts
from equicoherence.reporting.adaptation.figures import FigureRow
from equicoherence.reporting.markup import section
from equicoherence.reporting.summary import RUNS, Score
from equicoherence.reporting.template import fill
from tests.reporting.browsing import Seen

if TYPE_CHECKING:
    from playwright.sync_api import Browser

TITLES = {
    "absolute translation R2": "r2",
    "translation sign accuracy": "accuracy",
    "linear, a_folder_of_some_images (check)": "top1",
}
BEFORE = Score(
    *("a", "transformation", "pictures", "frozen", "rotation", "content", "backbone", "mlp", "r2", "", ""),
    mean=-0.1, std=None, low=-0.1, high=-0.1, n=1, over=RUNS, floors=(0.0, 0.0), main=True, higher=True,
    interval=(-0.3, 0.1),
)  # fmt: skip


def test_the_charts_of_an_adaptation_fit_a_telephone_and_can_be_read(browser: Browser, tmp_path: Path) -> None:
    after = dataclasses.replace(BEFORE, mean=0.9, interval=(0.8, 1.0))
    rows = [
        FigureRow(title, metric, BEFORE, None, "", {"backbone": after}, "backbone") for title, metric in TITLES.items()
    ]
    page = tmp_path / "page.html"
    page.write_text(fill("a, adapted", "", {"chart": "Chart"}, "", section("chart", "Chart", charts(rows))))
    seen = Seen(browser, page, ready=".chart svg", viewport={"width": 390, "height": 800})
    assert seen.page.evaluate("document.documentElement.scrollWidth") == 390
    drawn = seen.page.locator(".chart")
    assert drawn.count() == 2
    outside = """e => { const frame = e.getBoundingClientRect();
        return e.scrollWidth > e.clientWidth || [...e.querySelectorAll("text, .bar")].some(
            (part) => part.getBoundingClientRect().right > frame.right
                || part.getBoundingClientRect().left < frame.left); }"""
    assert [chart.evaluate(outside) for chart in drawn.all()] == [False, False]
    letters = seen.page.locator(".chart text").evaluate_all(
        "all => all.map(e => parseFloat(getComputedStyle(e).fontSize) * e.getScreenCTM().a)"
    )
    assert min(letters) >= 8, "a drawing that is made small cannot be read"
    assert seen.problems == []
    seen.page.close()
