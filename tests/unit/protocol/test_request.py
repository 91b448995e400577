"""Requests in JSON, and the little SQL beside them."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rowvec.errors import InvalidRequest, InvalidText, NotARequest, RequestTooLarge
from rowvec.protocol import statements
from rowvec.protocol.request import Request, parse


def ask(query: bytes | dict[str, object], encoding: str = "utf-8") -> Request:
    data = query if isinstance(query, bytes) else json.dumps(query).encode()
    return parse(data, encoding=encoding, max_input_bytes=100, max_image_bytes=100)


def embed(**fields: object) -> dict[str, object]:
    return {"v": 1, "op": "embed", "model": "m", "inputs": ["x"], **fields}


def test_a_request_with_everything() -> None:
    request = ask(
        embed(
            inputs=["a", None, ""],
            kwargs={"normalize": True},
            deadline_ms=5,
            priority="bulk",
            encoding_format="base64",
        )
    )
    assert request == Request(
        "embed", "m", ("a", None, ""), {"normalize": True}, 5, "bulk", "base64"
    )


def test_what_is_left_out_has_a_default() -> None:
    assert ask(embed(kwargs=None)) == Request("embed", "m", ("x",))
    assert ask({"v": 1, "op": "ping"}) == Request("ping")


@pytest.mark.parametrize(
    ("query", "error", "words"),
    [
        (b"select 1", NotARequest, "not SQL"),
        (b"{", NotARequest, "not valid JSON"),
        (b"[1]", NotARequest, "not SQL"),
        (b'{"v":1,"op":"ping"} trailing', NotARequest, "not valid JSON"),
        (b'{"a":' * 2000, NotARequest, "not valid JSON"),
        (b'{"v":1,"op":"ping","x":"\xff"}', InvalidText, "not valid UTF-8"),
        ({"op": "ping"}, InvalidRequest, "version"),
        ({"v": 2, "op": "ping"}, InvalidRequest, "version"),
        ({"v": 1}, InvalidRequest, "op must be one of"),
        ({"v": 1, "op": ["ping"]}, InvalidRequest, "op must be one of"),
        (embed(model=""), InvalidRequest, "model"),
        (embed(model=3), InvalidRequest, "model"),
        (embed(inputs="x"), InvalidRequest, "list"),
        (embed(inputs=["x", 3]), InvalidRequest, "input 2: the input is not a text"),
        (embed(inputs=["x", "y\0"]), InvalidText, "input 2: "),
        (embed(inputs=["x", "\ud800"]), InvalidText, "surrogate"),
        (embed(inputs=["x", "y" * 101]), RequestTooLarge, "input 2: the input has 101 bytes"),
        (embed(inputs=["\u00e9" * 51]), RequestTooLarge, "input 1: the input has 102 bytes"),
        (embed(kwargs=[]), InvalidRequest, "kwargs"),
        (embed(deadline_ms="1"), InvalidRequest, "deadline_ms"),
        (embed(deadline_ms=True), InvalidRequest, "deadline_ms"),
        (embed(priority="high"), InvalidRequest, "priority must be one of interactive, bulk"),
        (embed(encoding_format="xml"), InvalidRequest, "encoding_format"),
        (embed(prompt="p"), InvalidRequest, "unknown key in the request: 'prompt'"),
    ],
)
def test_what_is_wrong_is_said(
    query: bytes | dict[str, object], error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words) as caught:
        ask(query)
    assert type(caught.value) is error


@given(
    st.text(alphabet=st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=25)
)
def test_any_text_arrives_as_it_was(text: str) -> None:
    assert ask(embed(inputs=[text])).inputs == (text,)


@pytest.mark.parametrize(
    ("name", "codec"),
    [("LATIN1", "iso8859-1"), ("SQL_ASCII", "utf-8"), ("WIN1252", "cp1252"), ("EUC_JP", "euc_jp"),
     ("UTF8", "utf-8"), ("Unicode", "utf-8"), ("KOI8R", "koi8-r"), ("ISO_8859_5", "iso8859-5")],
)  # fmt: skip
def test_a_client_with_another_encoding_is_understood(name: str, codec: str) -> None:
    assert statements.codec(name) == codec
    text = "Stra\u00dfe" if codec in {"iso8859-1", "cp1252", "utf-8"} else "x"
    query = json.dumps(embed(inputs=[text]), ensure_ascii=False).encode(codec)
    assert ask(query, codec).inputs == (text,)


def test_bytes_that_the_encoding_does_not_have_are_refused() -> None:
    with pytest.raises(InvalidText, match="ascii"):
        ask(b'{"v":1,"op":"ping","x":"\xff"}', "ascii")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", statements.StatementResult(None)),
        (" ; ", statements.StatementResult(None)),
        ("-- nothing", statements.StatementResult(None)),
        ("SET x = 1", statements.StatementResult("SET")),
        ("set local statement_timeout to '5s';", statements.StatementResult("SET")),
        ("SET NAMES 'UTF8'", statements.StatementResult("SET", "UTF8", "utf-8")),
        (
            "set client_encoding to 'latin1'",
            statements.StatementResult("SET", "LATIN1", "iso8859-1"),
        ),
        ("SET client_encoding = DEFAULT", statements.StatementResult("SET", "UTF8", "utf-8")),
    ],
)
def test_the_sql_that_is_understood(text: str, expected: statements.StatementResult) -> None:
    assert statements.run(text) == expected


@pytest.mark.parametrize("text", ["select 1", "settle", "begin", "/* */ show x"])
def test_other_sql_is_refused(text: str) -> None:
    with pytest.raises(NotARequest):
        statements.run(text)


def test_an_encoding_that_does_not_exist_is_refused() -> None:
    with pytest.raises(InvalidRequest, match="client_encoding"):
        statements.run("SET client_encoding TO 'KLINGON'")
