"""The page in a browser: clicks, drags and keys of a person, in headless Chromium."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from equicoherence.reporting.comparison.page import comparison
from equicoherence.reporting.page import report
from equicoherence.reporting.runs import read_run
from equicoherence.reporting.summary import flat_rows
from tests.reporting.conftest import write_rotated, write_run_directory
from tests.reporting.scored import write_scores

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Locator, Page

MINUS = "\N{MINUS SIGN}"
NAMES = "chromium", "chromium-browser", "google-chrome"
EXPLORER = '[data-explorer][data-shown="0/1"]'  # opens at the first state that the runs decode
CHROMIUM = next((found for found in map(shutil.which, NAMES) if found), None)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Return one browser for all tests of this file."""
    playwright = pytest.importorskip("playwright.sync_api", reason="needs playwright, which the extra dev installs")
    if CHROMIUM is None:
        pytest.skip(f"needs Chromium: none of {', '.join(NAMES)} is on the PATH")
    with playwright.sync_playwright() as started:
        opened = started.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield opened
        opened.close()


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a page of two runs that kept the same views, written without their weights."""
    folder = tmp_path_factory.mktemp("page")
    names = "first", "<i>second"
    runs = [write_run_directory(folder / str(n), name=name, lines=9) for n, name in enumerate(names)]
    return report(runs, folder / "page.html")


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


@pytest.fixture(scope="module")
def seen(browser: Browser, file: Path) -> Iterator[Seen]:
    made = Seen(browser, file, viewport={"width": 1200, "height": 900})
    yield made
    made.page.close()
    assert made.problems == []


def near(shown: np.ndarray, truth: np.ndarray) -> bool:
    """Tell whether pixels are those of a picture, but for its compression."""
    return shown.shape == truth.shape and np.abs(shown - truth).mean() < 6


def test_a_drag_along_the_path_shows_state_decoded_state_error_and_theta(seen: Seen, file: Path) -> None:
    samples = read_run(file.parent / "0").samples
    assert near(seen.pixels("state"), samples["targets"][0, 0])
    assert near(seen.pixels("v1"), samples["v1"][0])
    seen.slider.scroll_into_view_if_needed()
    box = seen.slider.bounding_box()
    assert box is not None
    seen.page.mouse.move(box["x"] + 8, box["y"] + box["height"] / 2)
    seen.page.mouse.down()
    seen.page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2, steps=4)
    seen.page.mouse.up()
    seen.at("0/2")  # of u, three states and view 2: the middle
    assert near(seen.pixels("state"), samples["targets"][0, 1])
    for run in (0, 1):
        assert near(seen.pixels("decoded", run), samples["decoded"][0, 1])
    assert not near(seen.pixels("state"), samples["v2"][0]), "the pictures differ by more than their compression"
    error = np.abs(samples["decoded"][0, 1].astype(int) - samples["targets"][0, 1]).mean() / 255
    assert f"error {error:.3f}" in seen.page.locator(".who").first.inner_text()
    bright = seen.pixels("map").sum(axis=2)
    assert bright.max() > bright.min(), "the error is drawn"
    angle = f"{samples['theta'][0, 0]:.3g}".replace("-", MINUS)
    assert seen.page.locator(".theta .number b").first.inner_text() == angle


def test_keys_move_on_and_a_click_chooses_another_image(seen: Seen, file: Path) -> None:
    samples = read_run(file.parent / "0").samples
    seen.slider.focus()
    seen.page.keyboard.press("End")
    seen.at("0/4")
    assert near(seen.pixels("state"), samples["v2"][0])
    assert "elsewhere" in (seen.page.locator("figure:has(canvas.decoded)").first.get_attribute("class") or "")
    assert "the nearest place that it decodes" in seen.page.locator(".who").first.inner_text()
    seen.page.keyboard.press("ArrowLeft")
    seen.at("0/3")
    seen.page.locator("[data-explorer] .samples button").nth(2).click()
    seen.at("2/3")
    assert near(seen.pixels("state"), samples["targets"][2, 2])
    assert near(seen.pixels("v1"), samples["v1"][2])


def test_ticks_below_the_slider_show_where_a_run_decodes_and_a_click_goes_there(seen: Seen, file: Path) -> None:
    assert seen.page.locator(".ticked").all_inner_texts() == ["first, <i>second: decoded at t = 0.25, 0.50, 0.75"]
    ticks = seen.page.locator(".ticks button")
    assert ticks.count() == 3, "once for the runs that decode the same places"
    box, tick = seen.slider.bounding_box(), ticks.nth(1).bounding_box()
    assert box is not None
    assert tick is not None
    assert tick["x"] + tick["width"] / 2 == pytest.approx(box["x"] + box["width"] / 2, abs=1)
    seen.slider.focus()
    seen.page.keyboard.press("Home")
    decoded = seen.page.locator("figure:has(canvas.decoded) figcaption").first
    seen.page.wait_for_function("document.querySelector('[data-explorer]').dataset.shown.endsWith('/0')")
    assert decoded.inner_text() == "pale: decoded at t = 0.25"
    assert seen.page.locator(".place").first.inner_text() == "t = 0.00"
    ticks.nth(2).click()
    seen.page.wait_for_function("document.querySelector('[data-explorer]').dataset.shown.endsWith('/3')")
    assert decoded.inner_text() == "decoded at t = 0.75"
    assert "elsewhere" not in (seen.page.locator("figure:has(canvas.decoded)").first.get_attribute("class") or "")


def test_a_name_is_text_and_stands_once_for_each_run(seen: Seen) -> None:
    assert seen.page.locator(".who strong").all_inner_texts() == ["first", "<i>second"]
    assert seen.page.locator("canvas.v1").count() == seen.page.locator("canvas.state").count() == 1


def test_a_pointer_reads_the_values_of_curves_and_bars(seen: Seen, file: Path) -> None:
    plot = seen.page.locator("svg[data-lines]").first
    plot.scroll_into_view_if_needed()
    box = plot.bounding_box()
    assert box is not None
    seen.page.mouse.move(box["x"] + box["width"] * 0.5, box["y"] + box["height"] / 2)
    told = seen.page.locator(".tip").inner_text().splitlines()
    step = float(told[0].removeprefix("at "))
    (line,) = [each for each in read_run(file.parent / "0").metrics if each["step"] == step]
    assert told[1] == f"first: {float(format(line['loss'], '.4g')):g}"
    assert len(told) == 3
    bar = seen.page.locator("#card .bar").first
    bar.focus()
    assert seen.page.locator(".tip").inner_text() == bar.get_attribute("data-tip")
    wanted = {"target": "rotation", "border": "content", "representation": "backbone", "probe": "mlp", "control": ""}
    rows = flat_rows(read_run(file.parent / "0").scores)
    values = [row["value"] for row in rows if wanted.items() <= row.items()]
    assert (bar.get_attribute("data-tip") or "").startswith(
        f"first, rotation: {np.mean(values):.3f} ({min(values):.3f} to "
    )


def test_tables_are_sorted_by_a_click_and_filtered_by_words(seen: Seen) -> None:
    seen.page.locator("#numbers summary").click()
    table = seen.page.locator("#numbers table")
    means = table.locator("thead th", has_text="mean")
    column = 1 + [text.strip() for text in table.locator("thead th").all_inner_texts()].index(
        means.inner_text().strip()
    )

    def values() -> list[float]:
        texts = table.locator(f"tbody tr:visible > :nth-child({column})").all_inner_texts()
        return [float(text.removesuffix(" %").replace(MINUS, "-")) for text in texts]

    before = values()
    means.locator("button").click()
    assert values() == sorted(before, reverse=True) != before
    means.locator("button").click()
    assert values() == sorted(before)
    means.locator("button").click()
    assert values() == before
    seen.page.locator("#numbers input[type=search]").fill("rotation z_equi mlp content first")
    assert len(values()) == 1


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


@pytest.mark.parametrize(("width", "scheme"), [(390, "light"), (800, "dark")])
def test_the_page_fits_a_screen_and_follows_its_colors(browser: Browser, file: Path, width: int, scheme: Any) -> None:
    seen = Seen(browser, file, viewport={"width": width, "height": 800}, color_scheme=scheme)
    assert seen.page.evaluate("document.documentElement.scrollWidth") == width
    ground, card = (brightness(seen, place, "backgroundColor") for place in ("body", ".card"))
    text = brightness(seen, ".plot text", "fill")
    dark = scheme == "dark"
    assert [ground < 90, card < 90, text < 128] == [dark, dark, not dark]
    seen.slider.press("Home")
    seen.at("0/0")
    caption = seen.page.locator("figure:has(canvas.decoded) figcaption").first
    assert caption.inner_text().startswith("pale: ")
    assert not caption.evaluate("e => e.scrollWidth > e.clientWidth"), "all of it can be read"
    side = seen.page.locator("canvas.state").bounding_box()
    assert side is not None
    assert side["width"] >= 150, "32 pixels, four times as large at least"
    cut = "e => e.scrollWidth > e.clientWidth || e.getBoundingClientRect().right > innerWidth"
    for whole in seen.page.locator(".verdict, .verdict svg, .idea, .idea svg:visible").all():
        assert not whole.evaluate(cut)
    small = ".idea svg:visible text.small, .verdict text"
    letters = seen.page.locator(small).evaluate_all("all => all.map(e => e.getBoundingClientRect().height)")
    assert min(letters) >= 9, "a drawing that is made small cannot be read"
    assert seen.page.locator(".idea svg:visible").count() == 1
    assert seen.problems == []
    seen.page.close()


def test_a_telephone_shows_scores_of_an_evaluation_without_a_scroll(browser: Browser, rotated: Path) -> None:
    seen = Seen(browser, rotated, '[data-turn][data-shown="0/0/backbone"]', viewport={"width": 390, "height": 800})
    for table in seen.page.locator("table:visible", has_text="mIoU").all():
        score, frame = table.locator("td.number").first.bounding_box(), table.locator("..").bounding_box()
        assert score is not None
        assert frame is not None
        assert score["x"] + score["width"] <= frame["x"] + frame["width"]
    seen.page.close()


def brightness(seen: Seen, place: str, what: str) -> float:
    """Return the mean of red, green and blue of a color on the page, 0 to 255."""
    color = seen.page.locator(place).first.evaluate(f"e => getComputedStyle(e).{what}")
    return float(np.mean([int(part) for part in re.findall(r"\d+", color)[:3]]))
