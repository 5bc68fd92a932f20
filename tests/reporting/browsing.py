"""A page as a person sees it, in headless Chromium."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Locator, Page

NAMES = "chromium", "chromium-browser", "google-chrome"
EXPLORER = '[data-explorer][data-shown="0/1"]'  # opens at the first state that the runs decode
CHROMIUM = next((found for found in map(shutil.which, NAMES) if found), None)


def fits(table: Locator, scores: int) -> bool:
    """Tell whether the caption and the first scores of each row are seen without a scroll to the right."""
    return table.evaluate(
        """(table, scores) => {
            const right = (e) => e.getBoundingClientRect().right, rows = [...table.tBodies[0].rows];
            const seen = [table.caption, ...rows.flatMap((row) => [...row.cells].slice(1, 1 + scores))];
            const wrapped = table.caption.scrollWidth <= table.caption.clientWidth;
            return wrapped && seen.length > 1 && seen.every((e) => right(e) <= right(table.parentElement));
        }""",
        scores,
    )


class Seen:
    """A page as a person sees it. problems: what its script complained of."""

    def __init__(self, browser: Browser, file: Path, ready: str = EXPLORER, **options: Any) -> None:
        self.problems: list[str] = []
        self.page: Page = browser.new_page(**options)
        self.page.on("pageerror", lambda error: self.problems.append(str(error)))
        self.page.on("console", lambda message: self.problems.append(message.text))
        self.page.on("request", lambda asked: self.problems.append(asked.url[:80]) if asked.url[:4] == "http" else None)
        self.page.goto(file.as_uri())
        self.page.wait_for_selector(ready)

    def at(self, place: str) -> None:
        """Wait until the slider's part shows an image and a place."""
        self.page.wait_for_selector(f'[data-explorer][data-shown="{place}"]')

    @property
    def slider(self) -> Locator:
        return self.page.locator("[data-explorer] input[type=range]")

    def pixels(self, canvas: str, index: int = 0) -> np.ndarray:
        """Return what a canvas shows, (S, S, 3)."""
        found = self.page.locator(f"[data-explorer] canvas.{canvas}").nth(index).evaluate(
            "c => [c.width, ...c.getContext('2d').getImageData(0, 0, c.width, c.height).data]"
        )  # fmt: skip
        return np.array(found[1:], np.int64).reshape(found[0], found[0], 4)[..., :3]
