"""The page of an evaluation in a browser: the slider of the angle, and its tables on a telephone."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from equicoherence.reporting.comparison.page import comparison
from tests.reporting.browsing import Seen, fits
from tests.reporting.conftest import write_rotated
from tests.reporting.scored import write_scores

if TYPE_CHECKING:
    from playwright.sync_api import Browser


@pytest.fixture(scope="module")
def rotated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a page that compares two encoders by scores and rotated images, of which one has z_equi."""
    place, nearest = tmp_path_factory.mktemp("rotated"), np.broadcast_to(np.arange(5), (2, 3, 5))
    other = nearest.copy()
    other[1, 2] = [6, 1, 5, 3, 0]
    folders = [
        write_rotated(write_scores(place, "a"), backbone=other, z_equi=nearest),
        write_rotated(write_scores(place, "b"), backbone=nearest),
    ]
    return comparison(folders, place / "out")


@pytest.mark.parametrize(("width", "scheme"), [(1400, "light"), (390, "dark")])
def test_a_slider_rotates_an_image_and_shows_the_nearest_and_the_patches_of_each_encoder(
    browser: Browser, rotated: Path, width: int, scheme: Any
) -> None:
    ready = '[data-turn][data-shown="0/0/backbone"]'
    seen = Seen(browser, rotated, ready, viewport={"width": width, "height": 900}, color_scheme=scheme)
    part = seen.page.locator("[data-turn]")
    assert part.locator(".view strong").all_inner_texts() == ["a", "b"]

    def levels(canvas: str) -> list[int]:
        return part.locator(f"canvas.{canvas}").evaluate_all(
            "all => all.map(c => c.getContext('2d').getImageData(c.width / 2, c.width / 2, 1, 1).data[0])"
        )

    assert levels("shown") == pytest.approx([20], abs=2)
    part.locator(".samples button").nth(1).click()
    slider = part.locator("input[type=range]")
    slider.scroll_into_view_if_needed()
    box = slider.bounding_box()
    assert box is not None
    seen.page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    seen.page.mouse.down()
    seen.page.mouse.move(box["x"] + box["width"] - 3, box["y"] + box["height"] / 2, steps=4)
    seen.page.mouse.up()
    seen.page.wait_for_selector('[data-turn][data-shown="1/20/backbone"]')
    assert part.locator(".place").inner_text() == "20°"
    assert levels("shown") == pytest.approx([130], abs=2)
    assert levels("patches") == [130, 130], "every pixel is kept"
    assert levels("near") == pytest.approx([180, 30, 150, 90, 0, 0, 30, 60, 90, 120], abs=2)
    told = ["3 of 5 as upright, 3 of its class", "5 of 5 as upright, 2 of its class"]
    assert part.locator(".agree").all_inner_texts() == told
    part.locator(".reads button", has_text="z_equi").click()
    seen.page.wait_for_selector('[data-turn][data-shown="1/20/z_equi"]')
    assert part.locator(".agree").all_inner_texts() == [told[1], "has no z_equi"]
    assert seen.page.evaluate("document.documentElement.scrollWidth") == width
    assert seen.problems == []
    seen.page.close()


def test_a_grid_of_one_token_is_said_and_not_drawn(browser: Browser, tmp_path: Path) -> None:
    folders = []
    for name, side in (("a", 1), ("b", 4)):
        tokens = np.full((2, 3, side, side, 3), 70, np.uint8)
        folders.append(write_rotated(write_scores(tmp_path, name), tokens=tokens))
    seen = Seen(browser, comparison(folders, tmp_path / "out"), '[data-turn][data-shown="0/0/backbone"]')
    for number, (drawn, said) in enumerate([(False, True), (True, False)]):
        view = seen.page.locator("[data-turn] .view").nth(number)
        assert view.locator("canvas.patches").is_visible() is drawn
        assert view.get_by_text("one token only").is_visible() is said
    assert seen.problems == []
    seen.page.close()


def test_a_telephone_shows_scores_of_an_evaluation_without_a_scroll(browser: Browser, rotated: Path) -> None:
    seen = Seen(browser, rotated, '[data-turn][data-shown="0/0/backbone"]', viewport={"width": 390, "height": 800})
    tables = seen.page.locator("table:visible", has_text="mIoU").all()
    assert len(tables) == 2, "the summary's, and the task's"
    for table in tables:
        assert table.locator("thead th").all_inner_texts()[1:3] == ["a", "b"]
        assert fits(table, scores=2)
    assert seen.problems == []
    seen.page.close()
