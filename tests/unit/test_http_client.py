"""The HTTP client: where a secret may travel, what is asked at all, and what it may cost."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpcore2 as httpcore
import pytest
from pydantic import SecretStr

from rowvec.ask.chat.endpoint import EndpointChat
from rowvec.backoff import backoff
from rowvec.errors import ConfigError, InvalidRequest, RowvecError
from rowvec.http_client import (
    Answer,
    AnswerTooLarge,
    Bounds,
    Link,
    NoAnswer,
    Site,
    is_public,
    send,
)
from rowvec.load.json_api import JsonApi

BOUNDS = Bounds(silence_seconds=5, total_seconds=5, answer_bytes=1000)
KEY = "Bearer of the tests"
SECRETS = {"Authorization": KEY, "Cookie": "session=1", "X-Api-Key": KEY}


@dataclass
class Web:
    """All hosts of one test: what each URL answers, and what it was asked with."""

    port: int = 0
    answers: dict[str, tuple[int, dict[str, str], bytes]] = field(default_factory=dict)
    asked: list[tuple[str, dict[str, str]]] = field(default_factory=list)

    def redirect(self, url: str, to: str, status: int = 302) -> None:
        self.answers[url] = (status, {"Location": to}, b"")

    def page(self, url: str, value: Any) -> None:
        self.answers[url] = (200, {}, json.dumps(value).encode())

    @property
    def urls(self) -> list[str]:
        return [url for url, _ in self.asked]


@pytest.fixture
def web(monkeypatch: pytest.MonkeyPatch) -> Iterator[Web]:
    """A proxy that answers for every host itself, so that public addresses can be named here."""
    web = Web()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            url = self.path if "://" in self.path else f"http://{self.headers['Host']}{self.path}"
            web.asked.append((url, dict(self.headers.items())))
            status, headers, body = web.answers.get(url, (404, {}, b""))
            self.send_response(status)
            for name, value in {**headers, "Content-Length": str(len(body))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.do_GET()

        def log_message(self, *_: object) -> None:
            """Quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    web.port = server.server_port
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{web.port}")
    monkeypatch.setenv("no_proxy", "127.0.0.1,localhost")
    yield web
    server.shutdown()
    thread.join()
    server.server_close()


def read(url: str, headers: dict[str, str] | None = None) -> tuple[int, bytes]:
    site = Site(url, SECRETS if headers is None else headers, BOUNDS)
    with site.get(site.page(url)) as answer:
        return answer.status, answer.read()


def carried(headers: dict[str, str]) -> set[str]:
    return {name for name in headers if name.title() in SECRETS}


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_to_another_origin_carries_no_header_of_the_users(web: Web, status: int) -> None:
    web.redirect("http://1.1.1.1/rows", "http://9.9.9.9/rows", status)
    web.page("http://9.9.9.9/rows", [])
    assert read("http://1.1.1.1/rows") == (200, b"[]")
    assert web.urls == ["http://1.1.1.1/rows", "http://9.9.9.9/rows"]
    assert carried(web.asked[0][1]) == set(SECRETS)
    assert carried(web.asked[1][1]) == set()


def test_another_port_is_another_origin(web: Web) -> None:
    web.redirect("http://1.1.1.1/", "http://1.1.1.1:8080/")
    read("http://1.1.1.1/")
    assert carried(web.asked[1][1]) == set()


def test_within_the_origin_the_headers_stay(web: Web) -> None:
    web.redirect("http://1.1.1.1/", "/rows")
    web.redirect("http://1.1.1.1/rows", "http://1.1.1.1:80/all")
    read("http://1.1.1.1/")
    assert [carried(headers) for _, headers in web.asked] == [set(SECRETS)] * 3


def test_who_was_led_away_brings_nothing_back(web: Web) -> None:
    """Another host could else choose what is asked in the user's name."""
    web.redirect("http://1.1.1.1/", "http://9.9.9.9/")
    web.redirect("http://9.9.9.9/", "http://1.1.1.1/delete")
    read("http://1.1.1.1/")
    assert web.urls[-1] == "http://1.1.1.1/delete"
    assert carried(web.asked[-1][1]) == set()


@pytest.mark.parametrize("form", ["next_url", "next", "Link"])
def test_the_next_page_of_an_api_may_be_elsewhere_and_gets_no_header(web: Web, form: str) -> None:
    body: dict[str, Any] = {"rows": [{"id": 1}]}
    headers = {}
    if form == "Link":
        headers["Link"] = '<http://9.9.9.9/2>; rel="next"'
    else:
        body[form] = "http://9.9.9.9/2"
    web.answers["http://1.1.1.1/1"] = (200, headers, json.dumps(body).encode())
    web.page("http://9.9.9.9/2", {"rows": [{"id": 2}], "next": "http://1.1.1.1/3"})
    web.page("http://1.1.1.1/3", [{"id": 3}])
    lines = [f"{name}: {value}" for name, value in SECRETS.items()]
    source = JsonApi("http://1.1.1.1/1", headers=lines).source()
    assert [row["id"] for row in source.rows(lambda bad: pytest.fail(str(bad)))] == [1, 2, 3]
    assert [carried(headers) for _, headers in web.asked] == [set(SECRETS), set(), set()]


def test_a_load_that_goes_on_elsewhere_brings_no_header(web: Web) -> None:
    """Where the last load ended is what an answer said."""
    web.page("http://9.9.9.9/2", [{"id": 2}])
    source = JsonApi("http://1.1.1.1/1", headers=[f"Authorization: {KEY}"]).source()
    assert source.begin_at is not None
    source.begin_at("http://9.9.9.9/2")
    assert list(source.rows(lambda bad: pytest.fail(str(bad)))) == [{"id": 2}]
    assert [carried(headers) for _, headers in web.asked] == [set()]


def test_a_language_model_is_not_followed_elsewhere(web: Web) -> None:
    web.redirect("http://1.1.1.1/v1/chat/completions", "http://9.9.9.9/", 307)
    chat = EndpointChat("http://1.1.1.1/v1", "tiny", SecretStr("a key"))
    with pytest.raises(ConfigError, match="leads elsewhere"):
        list(chat.stream("a prompt", 10))
    assert web.urls == ["http://1.1.1.1/v1/chat/completions"]


def test_a_relative_next_page_is_one_of_where_the_redirect_ended(web: Web) -> None:
    web.redirect("http://1.1.1.1/1", "http://9.9.9.9/a/1")
    web.page("http://9.9.9.9/a/1", {"rows": [], "next": "./2"})
    web.page("http://9.9.9.9/a/2", [{"id": 2}])
    rows = JsonApi("http://1.1.1.1/1").source().rows(lambda bad: pytest.fail(str(bad)))
    assert list(rows) == [{"id": 2}]


PRIVATE = [
    "http://127.0.0.1:{port}/", "http://localhost:{port}/", "http://127.1:{port}/",
    "http://2130706433:{port}/", "http://0x7f000001:{port}/", "http://0.0.0.0:{port}/",
    "http://[::1]:{port}/", "http://[::ffff:127.0.0.1]:{port}/", "http://[::127.0.0.1]:{port}/",
    "http://[64:ff9b::7f00:1]/", "http://[2002:7f00:1::]/", "http://10.0.0.1/",
    "http://169.254.169.254/latest/meta-data/", "http://[fe80::1]/", "http://[fd00::1]/",
    "http://100.64.0.1/", "http://224.0.0.1/",
]  # fmt: skip


@pytest.mark.parametrize("proxied", [True, False], ids=["by a proxy", "directly"])
@pytest.mark.parametrize("private", PRIVATE)
def test_an_answer_leads_to_no_private_address(
    web: Web, monkeypatch: pytest.MonkeyPatch, private: str, *, proxied: bool
) -> None:
    private = private.format(port=web.port)
    if proxied:
        monkeypatch.delenv("no_proxy")
        web.redirect("http://1.1.1.1/", private)
        with pytest.raises(InvalidRequest, match="is not public"):
            read("http://1.1.1.1/")
        assert web.urls == ["http://1.1.1.1/"]
    else:
        link = Link(private, is_trusted=False)
        monkeypatch.setenv("no_proxy", "*")
        with (
            pytest.raises(InvalidRequest, match="is not public"),
            send("GET", link, headers={}, bounds=BOUNDS),
        ):
            pytest.fail("it was asked")
        assert web.urls == []


def test_from_one_port_of_this_machine_to_another_is_no_way_either(web: Web) -> None:
    other = socket.create_server(("127.0.0.1", 0))
    with other:
        home = f"http://127.0.0.1:{web.port}"
        web.redirect(f"{home}/", f"http://127.0.0.1:{other.getsockname()[1]}/")
        with pytest.raises(InvalidRequest, match=r"is not public"):
            read(f"{home}/")
        other.settimeout(0)
        with pytest.raises(BlockingIOError):
            other.accept()


def test_the_administrator_may_name_a_private_address(web: Web) -> None:
    home = f"http://127.0.0.1:{web.port}"
    web.redirect(f"{home}/", "/rows")
    web.page(f"{home}/rows", [])
    assert read(f"{home}/") == (200, b"[]")
    assert carried(web.asked[1][1]) == set(SECRETS)


@pytest.mark.parametrize(
    ("base", "to", "message"),
    [
        ("https://1.1.1.1/", "http://1.1.1.1/", "not encrypted"),
        ("https://1.1.1.1/", "http://9.9.9.9/", "not encrypted"),
        ("http://1.1.1.1/", "file:///etc/passwd", "no web address"),
        ("http://1.1.1.1/", "ftp://9.9.9.9/", "no web address"),
        ("http://1.1.1.1/", "gopher://9.9.9.9/", "no web address"),
        ("http://1.1.1.1/", "http://user:word@9.9.9.9/", "no web address"),
        ("http://1.1.1.1/", "http://9.9.9.9:99999/", "no web address"),
        ("http://1.1.1.1/", "http://[::1", "no web address"),
    ],
)
def test_what_an_answer_must_not_lead_to(base: str, to: str, message: str) -> None:
    answer = Answer(Link(base, is_trusted=True), httpcore.Response(302), 0)
    with pytest.raises(InvalidRequest, match=message):
        answer.link(to)


def test_encryption_may_be_gained_and_is_another_origin() -> None:
    answer = Answer(Link("http://1.1.1.1/", is_trusted=True), httpcore.Response(302), 0)
    assert answer.link("https://1.1.1.1/") == Link("https://1.1.1.1/", is_trusted=False)


def test_redirects_end(web: Web) -> None:
    for n in range(10):
        web.redirect(f"http://1.1.1.1/{n}", f"/{n + 1}")
    with pytest.raises(InvalidRequest, match="more than 5 redirects"):
        read("http://1.1.1.1/0")
    assert len(web.asked) == 6


def test_an_answer_has_an_end(web: Web) -> None:
    web.answers["http://1.1.1.1/"] = (200, {}, b"x" * 1001)
    with pytest.raises(AnswerTooLarge):
        read("http://1.1.1.1/")


@pytest.fixture
def drip() -> Iterator[Callable[[bytes, bytes], str]]:
    """A server that sends a beginning, and then one piece after the other, for ever."""
    stop = threading.Event()
    threads: list[threading.Thread] = []

    def start(beginning: bytes, piece: bytes) -> str:
        listening = socket.create_server(("127.0.0.1", 0))

        def serve() -> None:
            with listening, listening.accept()[0] as client:
                client.recv(65536)
                client.sendall(beginning)
                while not stop.wait(0.05):
                    try:
                        client.sendall(piece)
                    except OSError:
                        return

        threads.append(threading.Thread(target=serve))
        threads[-1].start()
        return f"http://127.0.0.1:{listening.getsockname()[1]}/"

    yield start
    stop.set()
    for thread in threads:
        thread.join()


@pytest.mark.parametrize(
    ("beginning", "piece"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 900\r\n\r\n", b"x"),
        (b"HTTP/1.1 200 OK\r\n", b"X"),
        (b"", b""),
    ],
    ids=["body", "headers", "nothing"],
)
def test_a_request_has_an_end(
    drip: Callable[[bytes, bytes], str], beginning: bytes, piece: bytes
) -> None:
    link = Link(drip(beginning, piece), is_trusted=True)
    bounds = Bounds(silence_seconds=0.5, total_seconds=1, answer_bytes=1000)
    with (
        pytest.raises(NoAnswer),
        send("GET", link, headers={}, bounds=bounds) as answer,
    ):
        answer.read()


@pytest.mark.parametrize("value", ["a\r\nX-Other: b", "a\nb", "ключ", "a\0b"])
def test_a_header_that_cannot_be_is_not_quoted(web: Web, value: str) -> None:
    with pytest.raises(ConfigError, match=r"^the header Authorization holds") as raised:
        read("http://1.1.1.1/", {"Authorization": value})
    assert value not in str(raised.value)
    assert web.urls == []


@pytest.mark.parametrize("url", ["", "rows.json", "file:///etc/passwd", "http://", "http://a:b/"])
def test_what_is_no_url_is_one_sentence(url: str) -> None:
    with pytest.raises(RowvecError, match="is no http or https URL"):
        JsonApi(url)


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("1.1.1.1", True), ("2606:4700::1111", True), ("::ffff:1.1.1.1", True),
        ("64:ff9b::101:101", True), ("::ffff:10.0.0.1", False), ("64:ff9b::a00:1", False),
        ("fe80::1%eth0", False), ("::", False), ("255.255.255.255", False),
    ],
)  # fmt: skip
def test_which_addresses_are_public(address: str, *, expected: bool) -> None:
    assert is_public(address) is expected


def test_pauses_grow_to_a_longest() -> None:
    pauses = backoff(0.5, 3)
    assert [next(pauses) for _ in range(5)] == [0.5, 1, 2, 3, 3]
