"""The pages in a real browser: search, similar rows, failures, recall, small and dark screens."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Literal

import httpx
import pytest
from playwright.sync_api import Browser, Page, Response, expect

from rowvec.embedded.postgres import PostgresCluster
from support.commands import run_rowvec
from support.pages import serving, token_of, viewer_of
from support.places import blocks_of
from support.postgres import Database
from support.workers import Worker, filled_template

ROWS = 40


Serve = Callable[..., str]


@pytest.fixture(scope="module")
def source(cluster: PostgresCluster, _template: str, worker: Worker) -> Iterator[Database]:
    """A filled table with an index, a map and an empty neighbour; tests leave it as it is.

    The model refused two of its rows, and two titles are code.
    """
    with filled_template(cluster, _template, "pages", worker) as database:
        with database.connect() as connection:
            connection.execute("CREATE TABLE notes (id int PRIMARY KEY, title text, body text)")
            connection.execute(
                "INSERT INTO notes"
                " SELECT i, 'note ' || i, 'body of note ' || i || repeat(' and on', 200)"
                f" FROM generate_series(1, {ROWS}) AS i"
            )
            connection.execute(
                "INSERT INTO notes VALUES (100, '<script>alert(1)</script>', 'refuse me'),"
                " (101, 'also', 'refuse me too')"
            )
            connection.execute(
                "UPDATE notes SET title = '<img src=x onerror=alert(1)>' WHERE id = 7"
            )
            connection.execute("SELECT rowvec.create_embedding('notes', 'refusing', 'body')")
        # As processes: playwright holds the event loop of this one.
        run_rowvec("backfill", "notes", ROWVEC_DSN=database.dsn)
        indexed = run_rowvec("index", "notes", ROWVEC_DSN=database.dsn)
        assert indexed.returncode == 0, indexed.stderr
        with database.connect() as connection:
            connection.execute("CREATE TABLE empty (id int PRIMARY KEY, body text)")
            connection.execute("SELECT rowvec.create_embedding('empty', 'stand-in-small', 'body')")
            # As `rowvec map` leaves it.
            connection.execute(
                "SELECT rowvec._create_derived(1, 'map', 'x real NOT NULL, y real NOT NULL')"
            )
            connection.execute("INSERT INTO notes_map SELECT id, cos(id), sin(id) FROM notes")
        yield database


@pytest.fixture(scope="module")
def viewer(source: Database) -> Iterator[str]:
    """A role that may read what has an embedding."""
    with viewer_of(source) as role:
        yield role


@pytest.fixture(scope="module")
def url(source: Database, viewer: str) -> Iterator[str]:
    """Where `rowvec ui` runs for all tests."""
    with serving(source.dsn, "--role", viewer) as url:
        yield url


@pytest.fixture
def serve(source: Database, viewer: str) -> Iterator[Serve]:
    """Starts `rowvec ui` as a test wants it."""
    with ExitStack() as stack:
        yield lambda *arguments: stack.enter_context(
            serving(source.dsn, "--role", viewer, *arguments)
        )


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A tab that fails the test for an error in the console or a request to another host."""
    context = browser.new_context()
    page = context.new_page()
    wrong: list[str] = []
    page.on("console", lambda m: wrong.append(m.text) if m.type in {"error", "warning"} else None)
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on(
        "request",
        lambda r: None if r.url.startswith(("http://127.0.0.1:", "data:")) else wrong.append(r.url),
    )
    yield page
    context.close()
    assert not wrong


def test_search_shows_rows_scores_and_the_sql_that_found_them(
    source: Database, url: str, page: Page
) -> None:
    page.goto(url)
    page.get_by_role("link", name="notes").click()
    expect(page.get_by_role("searchbox")).to_be_visible()
    page.wait_for_load_state()
    page.keyboard.press("/")
    page.keyboard.type("body of note 7")
    page.get_by_label("where").fill("id < 20")
    page.get_by_label("rows", exact=True).fill("5")
    page.keyboard.press("Enter")
    expect(page.locator(".results > li")).to_have_count(5)
    expect(page.locator(".results > li").first.locator(".score span")).to_have_text(
        re.compile(r"^-?\d\.\d{3}$")
    )
    page.get_by_text("SQL", exact=True).click()
    statement = page.locator(".code code").inner_text()
    with source.connect() as connection:
        keys = [str(row[0]) for row in connection.execute(statement.encode()).fetchall()]
    shown = page.locator("dl > div:has(dt:text-is('id')) dd").all_inner_texts()
    assert shown == keys
    assert all(int(key) < 20 for key in keys)


def test_similar_rows_leave_out_the_row_itself(url: str, page: Page) -> None:
    page.goto(url + "embedding/1?q=note&k=3")
    page.get_by_role("link", name="Similar rows").first.click()
    expect(page.locator(".results > li")).to_have_count(10)
    key = page.locator("p > code").first.inner_text()
    assert key not in page.locator("dl > div:has(dt:text-is('id')) dd").all_inner_texts()


def test_failures_are_listed_with_their_reasons(url: str, page: Page) -> None:
    page.goto(url)
    page.get_by_role("link", name="2 failed").click()
    expect(page.locator("tbody tr")).to_have_count(2)
    expect(page.locator("tbody tr").first).to_contain_text("22023")


def test_recall_against_probes_is_a_chart(url: str, page: Page) -> None:
    page.goto(url + "embedding/1/recall")
    expect(page.locator("svg.chart polyline.curve")).to_have_count(1)
    assert page.locator("svg.chart circle").count() == page.locator("tbody tr").count() > 0


def test_what_was_typed_wrong_stays_beside_the_sentence(url: str, browser: Browser) -> None:
    page = browser.new_page()  # the browser's console reports the status 422
    page.goto(f"{url}embedding/1?q=note&filter=id+%3D%3D%3D&token={token_of(url)}")
    expect(page.get_by_role("alert")).to_be_visible()
    expect(page.get_by_label("where")).to_have_value("id ===")
    page.close()


PAGES = {
    "embeddings": "",
    "search": "embedding/1?q=note",
    "nothing-found": "embedding/1?q=note&filter=false&token={token}",
    "failures": "embedding/1/failures",
    "recall": "embedding/1/recall",
    "map": "embedding/1/map",
    "no-map": "embedding/2/map",
    "score": "score",
}


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_pages_fit_and_are_readable(
    *, url: str, page: Page,
    artifacts: Path, scheme: Literal["light", "dark"],
) -> None:  # fmt: skip
    page.emulate_media(color_scheme=scheme)
    for width in (360, 1440):
        page.set_viewport_size({"width": width, "height": 800})
        for name, path in PAGES.items():
            page.goto(url + path.format(token=token_of(url)))
            page.wait_for_load_state("networkidle")
            if name == "score":
                colour(page, "A row. Another thing. What nobody knows.")
            page.screenshot(path=artifacts / f"{name}-{width}-{scheme}.png", full_page=True)
            assert page.evaluate("document.documentElement.scrollWidth") <= width, path
            paper, ink = page.evaluate(
                "(({backgroundColor, color}) => [backgroundColor, color])"
                "(getComputedStyle(document.body))"
            )
            assert contrast(paper, ink) >= 7, path


def contrast(one: str, other: str) -> float:
    """The ratio of WCAG 2.2, https://www.w3.org/TR/WCAG22/#dfn-contrast-ratio."""

    def luminance(color: str) -> float:
        channels = [int(c) / 255 for c in re.findall(r"\d+", color)[:3]]
        red, green, blue = (
            c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels
        )
        return 0.2126 * red + 0.7152 * green + 0.0722 * blue

    bright, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (bright + 0.05) / (dark + 0.05)


def test_by_keyboard_every_stop_is_seen(url: str, page: Page) -> None:
    page.set_viewport_size({"width": 1440, "height": 800})
    page.goto(url + "embedding/1?q=note&k=2")
    page.keyboard.press("Tab")
    skip = page.get_by_role("link", name="Skip to content")
    expect(skip).to_be_focused()
    expect(skip).to_be_in_viewport()
    stops = []
    for _ in range(10):
        page.keyboard.press("Tab")
        name, ring = page.evaluate(
            "(e => [e.name || e.textContent.trim(), getComputedStyle(e).outlineStyle])"
            "(document.activeElement)"
        )
        stops.append(name)
        assert ring == "solid", name
    assert stops[-4:] == ["q", "filter", "k", "Search"]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_fields_and_bars_stand_out(
    *, url: str, page: Page, scheme: Literal["light", "dark"]
) -> None:
    """What is no text has three to one: WCAG 2.2, https://www.w3.org/TR/WCAG22/#non-text-contrast."""
    page.emulate_media(color_scheme=scheme)
    page.goto(url + "embedding/1?q=note")
    edge, inside = page.evaluate(
        "(({borderTopColor, backgroundColor}) => [borderTopColor, backgroundColor])"
        "(getComputedStyle(document.querySelector('input[type=search]')))"
    )
    assert contrast(edge, inside) >= 3


def test_text_of_rows_is_never_markup(url: str, page: Page) -> None:
    page.goto(f"{url}embedding/1?q=note&filter=id%3D7&token={token_of(url)}")
    expect(page.get_by_text("<img src=x onerror=alert(1)>")).to_be_visible()


def test_a_filter_of_an_address_waits_for_the_button(url: str, browser: Browser) -> None:
    page = browser.new_page()  # the browser's console reports the status 403
    page.goto(url + "embedding/1?q=note&filter=id+%3C+4")
    expect(page.get_by_role("alert")).to_contain_text("press Search")
    expect(page.locator(".results > li")).to_have_count(0)
    page.get_by_role("button", name="Search").click()
    expect(page.locator(".results > li")).to_have_count(3)
    page.close()


def test_a_page_of_another_site_gets_nothing(url: str, browser: Browser) -> None:
    """As a browser does it: pictures, scripts, frames, forms and fetch, from another port too."""
    aim = f"{url}embedding/1?q=note&filter=true&token={token_of(url)}"
    body = f"""<img src="{aim}"><script src="{aim}"></script><iframe src="{aim}"></iframe>
        <iframe name="target"></iframe>
        <form method="post" action="{url}score" target="target"><input name="text"></form>
        <script>
          document.forms[0].submit();
          fetch("{aim}", {{mode: "no-cors"}});
        </script>"""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            self.wfile.write(body.encode())

        def log_message(self, *_: object) -> None:
            """Quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    evil = f"http://127.0.0.1:{server.server_port}/"
    page = browser.new_page()
    asked: set[str] = set()
    answers: set[int] = set()

    def hear(answer: Response) -> None:
        if answer.url.startswith(url):
            answers.add(answer.status)

    page.on("request", lambda r: asked.add(r.resource_type) if r.url.startswith(url) else None)
    page.on("response", hear)
    page.goto(evil)
    page.wait_for_load_state("networkidle")
    page.close()
    server.shutdown()
    thread.join()
    server.server_close()
    assert asked == {"image", "script", "document", "fetch"}
    assert answers == {403}


def test_a_password_is_asked_for(serve: Serve, tmp_path: Path) -> None:
    file = tmp_path / "password"
    file.write_text("sesame\n")
    url = serve("--password-file", str(file))
    assert httpx.get(url).status_code == 401
    assert httpx.get(url, auth=("anybody", "wrong")).status_code == 401
    assert httpx.get(url, auth=("anybody", "sesame")).status_code == 200


def test_beyond_this_machine_it_does_not_start_without_a_password() -> None:
    done = run_rowvec("ui", "--listen", "0.0.0.0:0", "--dsn", "host=/nowhere")
    assert done.returncode == 2
    assert "reaches beyond this machine" in done.stderr


def colour(page: Page, text: str) -> None:
    page.get_by_label("one pole").fill("A row.")
    page.get_by_label("the other").fill("Another thing.")
    page.get_by_label("text").fill(text)
    page.get_by_label("model").select_option("stand-in-small")
    page.get_by_role("button", name="Colour").click()
    expect(page.locator(".scored")).to_be_visible()


def test_a_text_is_coloured_between_two_poles(url: str, page: Page) -> None:
    page.goto(url + "score")
    colour(page, "A row. Another thing.")
    # The stand-in knows whole texts only: a pole of one line with several words is several texts.
    expect(page.locator(".scored span")).to_have_count(2)
    assert page.locator(".scored").inner_text() == "A row. Another thing."
    assert page.locator(".scored .s10").count() >= 1
    # Which colour is which pole.
    assert page.locator(".poles span").all_inner_texts() == ["A row.", "Another thing."]


def test_the_role_of_the_recipe_sees_what_it_was_given(source: Database) -> None:
    (command,) = [
        line for language, block in blocks_of("ui.md") if language == "sh"
        for line in block.splitlines() if line.startswith("rowvec viewer ")
    ]  # fmt: skip
    role = f"lookout_{source.name}"
    with source.connect() as connection:
        connection.execute("CREATE TABLE reviews (id int)")
        words = command.replace("lookout", role, 1).split()[1:4]
        made = run_rowvec(*words[: words.index("reviews") + 1], ROWVEC_DSN=source.dsn)
        assert made.returncode == 0, made.stderr
        with serving(source.dsn, "--role", role) as url:
            refused = httpx.get(url + "embedding/1?q=note")
            connection.execute(f"GRANT SELECT ON notes TO {role}")
            allowed = httpx.get(url + "embedding/1?q=note")
            failures = httpx.get(url + "embedding/1/failures")
        connection.execute(f"DROP OWNED BY {role}; DROP ROLE {role}")
    assert (refused.status_code, allowed.status_code) == (422, 200)
    assert "permission denied" in refused.text
    assert "22023" in failures.text
