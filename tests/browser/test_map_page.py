"""The page of `rowvec map` in a real browser: hover, click, search, keyboard, small and dark."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Browser, Page, expect

from rowvec.explore.map import html
from rowvec.explore.map.coloring import coloring
from rowvec.explore.map.neighbours import nearest
from rowvec.explore.map.points import Points

ROWS = 60
EVIL = "<img src=x onerror=alert(1)> row 7"

Open = Callable[..., Page]


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Sixty points on a circle, so that each one's place on the screen is known."""
    angles = np.arange(ROWS) * 2 * np.pi / ROWS
    vectors = np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)
    texts = [EVIL if i == 7 else f"row {i} of the circle" for i in range(ROWS)]
    colorings = [
        coloring("half", ["upper" if i < ROWS / 2 else "lower" for i in range(ROWS)]),
        coloring("number", [str(i * 1.5) for i in range(ROWS)]),
    ]
    points = Points(
        vectors[:, 0], vectors[:, 1], list(range(ROWS)), texts, colorings, nearest(vectors)
    )
    path = tmp_path_factory.mktemp("map") / "map.html"
    path.write_bytes(b"".join(html.page(points, "circle", "60 rows")))
    return path


@pytest.fixture
def open_page(
    browser: Browser, file: Path, artifacts: Path, request: pytest.FixtureRequest
) -> Iterator[Open]:
    """Opens the file; at the end nothing was asked of anybody, nothing was complained of."""
    complaints: list[str] = []
    requests: list[str] = []
    pages: list[Page] = []

    def start(width: int = 1280, height: int = 800, *, dark: bool = False) -> Page:
        context = browser.new_context(
            viewport={"width": width, "height": height}, color_scheme="dark" if dark else "light"
        )
        page = context.new_page()
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("dialog", lambda dialog: complaints.append(dialog.message))
        page.on("request", lambda request: requests.append(request.url))
        page.goto(file.as_uri())
        pages.append(page)
        return page

    yield start
    name = request.node.name.removeprefix("test_").replace("[", "-").replace("]", "")
    for number, page in enumerate(pages):
        page.screenshot(path=artifacts / f"map-{name}-{number}.png")
        page.context.close()
    assert complaints == []
    assert set(requests) <= {file.as_uri()} | {url for url in requests if url.startswith("data:")}


def place(page: Page, row: int) -> tuple[float, float]:
    """Where a row is in the window: the map keeps a margin of 28 pixels and the middle."""
    box = page.locator("#points").bounding_box()
    assert box is not None
    scale = min(box["width"] - 56, box["height"] - 56) / 2
    angle = row * 2 * np.pi / ROWS
    return (
        box["x"] + box["width"] / 2 + float(np.cos(angle)) * scale,
        box["y"] + box["height"] / 2 - float(np.sin(angle)) * scale,
    )


def test_hover_reads_a_row_and_click_lists_similar_ones(open_page: Open) -> None:
    page = open_page()
    page.mouse.move(*place(page, 20))
    expect(page.locator("#tip")).to_contain_text("row 20 of the circle")
    expect(page.locator("#tip")).to_contain_text("half: upper")
    page.mouse.click(*place(page, 20))
    expect(page.locator("#row")).to_contain_text("row 20 of the circle")
    similar = page.locator("#row .rows button")
    expect(similar).to_have_count(8)
    assert set(similar.all_inner_texts()[:2]) == {"row 19 of the circle", "row 21 of the circle"}
    similar.filter(has_text="row 19").click()
    expect(page.locator("#row p").first).to_have_text("row 19 of the circle")


def test_a_text_is_text(open_page: Open) -> None:
    page = open_page()
    page.mouse.click(*place(page, 7))
    expect(page.locator("#row p").first).to_have_text(EVIL)
    assert page.locator("#row img").count() == 0


def test_search_dims_the_others_and_lists_what_it_finds(open_page: Open) -> None:
    page = open_page()
    page.keyboard.press("/")
    page.keyboard.type("ROW 3")
    found = page.locator("#found")
    expect(found).to_contain_text("11 rows")
    page.keyboard.press("Enter")
    expect(page.locator("#row p").first).to_have_text("row 3 of the circle")
    page.mouse.move(*place(page, 20))
    expect(page.locator("#tip")).to_be_hidden()
    page.keyboard.press("Escape")
    expect(found).to_be_hidden()


def test_colours_and_the_legend(open_page: Open) -> None:
    page = open_page()
    legend = page.locator("#legend")
    expect(legend.locator("button")).to_have_count(2)
    legend.locator("button", has_text="upper").click()
    expect(legend.locator("button", has_text="lower")).to_have_attribute("aria-pressed", "false")
    page.mouse.move(*place(page, 45))
    expect(page.locator("#tip")).to_be_hidden()
    page.locator("#color").select_option(label="Colour: number")
    expect(legend).to_contain_text("88.5")
    page.mouse.move(*place(page, 44))
    expect(page.locator("#tip")).to_contain_text("number: 66.0")


def test_by_keyboard(open_page: Open) -> None:
    page = open_page()
    page.locator("#points").focus()
    page.keyboard.press("ArrowRight")
    expect(page.locator("#tip")).to_be_visible()
    page.keyboard.press("Enter")
    expect(page.locator("#row")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.locator("#row")).to_be_hidden()


def test_zoom_keeps_what_is_under_the_pointer(open_page: Open) -> None:
    page = open_page()
    at = place(page, 33)
    page.mouse.move(*at)
    page.mouse.wheel(0, -600)
    page.mouse.move(at[0] + 1, at[1])
    expect(page.locator("#tip")).to_contain_text("row 33 of the circle")


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_a_small_screen(open_page: Open, *, dark: bool) -> None:
    page = open_page(360, 740, dark=dark)
    assert page.evaluate("document.documentElement.scrollWidth") == 360
    page.mouse.click(*place(page, 20))
    expect(page.locator("#row")).to_contain_text("row 20 of the circle")
    ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert ground == ("rgb(20, 23, 26)" if dark else "rgb(251, 251, 250)")
