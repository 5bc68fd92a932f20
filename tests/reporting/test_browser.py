"""The page in a browser: clicks, drags and keys of a person, in headless Chromium."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from equicoherence.evaluation.task import Row
from equicoherence.reporting.page import report
from equicoherence.reporting.runs import read_run
from equicoherence.reporting.summary import flat_rows
from tests.reporting.browsing import Seen, fits
from tests.reporting.conftest import write_run_directory
from tests.reporting.scored import part, scores, write_file

if TYPE_CHECKING:
    from playwright.sync_api import Browser

MINUS = "\N{MINUS SIGN}"


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a page of two runs that kept the same views, written without their weights."""
    folder = tmp_path_factory.mktemp("page")
    names = "first", "<i>second"
    runs = [write_run_directory(folder / str(n), name=name, lines=9) for n, name in enumerate(names)]
    return report(runs, folder / "page.html")


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
    still = min(np.abs(samples[end][0].astype(int) - samples["targets"][0, 1]).mean() / 255 for end in ("base", "v2"))
    said = f"error {error:.3f} as decoded, {still:.3f} for the nearer end of the path, unchanged"
    assert said in seen.page.locator(".who").first.inner_text()
    assert "The decoder is weak on purpose" in seen.page.locator(".scale").first.inner_text()
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
    seen.page.locator("[data-explorer][data-shown$='/0']").wait_for(state="attached")
    assert decoded.inner_text() == "pale: decoded at t = 0.25"
    assert seen.page.locator(".place").first.inner_text() == "t = 0.00"
    ticks.nth(2).click()
    seen.page.locator("[data-explorer][data-shown$='/3']").wait_for(state="attached")
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
    letters = seen.page.locator(small).evaluate_all(
        "all => all.map(e => parseFloat(getComputedStyle(e).fontSize) * e.getScreenCTM().a)"
    )  # on the screen: whatever fonts there are
    assert min(letters) >= 8, "a drawing that is made small cannot be read"
    assert seen.page.locator(".idea svg:visible").count() == 1
    assert seen.problems == []
    seen.page.close()


def test_a_telephone_shows_the_main_scores_of_two_encoders_without_a_scroll(browser: Browser, tmp_path: Path) -> None:
    runs = []
    for name in ("VICReg", "+ render and [P1], g outside, on half of the samples"):
        rows = [Row("top1", 0.5, representation=read, floor=0.1) for read in ("backbone", "z_equi")]
        about = {"data": "a_folder_of_some_images"}
        parts = [part(rows, **about), part(rows, **about, control="random")]
        runs.append(write_run_directory(tmp_path / str(len(runs)), name=name, lines=9))
        write_file(runs[-1], scores(parts, name))
    seen = Seen(browser, report(runs, tmp_path / "page.html"), viewport={"width": 390, "height": 800})
    table = seen.page.locator("#others table:visible")
    assert "a_folder_of_some_images" in table.locator("caption").inner_text()
    assert fits(table, scores=2)
    assert seen.problems == []
    seen.page.close()


def brightness(seen: Seen, place: str, what: str) -> float:
    """Return the mean of red, green and blue of a color on the page, 0 to 255."""
    color = seen.page.locator(place).first.evaluate(f"e => getComputedStyle(e).{what}")
    return float(np.mean([int(part) for part in re.findall(r"\d+", color)[:3]]))
