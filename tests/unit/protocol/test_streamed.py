"""Large requests read piece by piece: the same as all at once, however they are cut."""

from __future__ import annotations

import contextlib
import gc
import json
import weakref
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rowvec.errors import InvalidRequest, InvalidText, NotARequest, RequestTooLarge, RowvecError
from rowvec.protocol.large_request import LargeTexts
from rowvec.protocol.streamed import StreamedObject

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20) | st.sampled_from(
    ['"', "\\", '\\"', "\\\\", "],[", '"inputs":[', "null", "\u2028", "\n"]
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-1000, 1000) | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=8,
)
CUTS = st.lists(st.integers(1, 9), min_size=1, max_size=10)


def ignore(_text: Any, _number: int) -> None:
    """Everything will do."""


def read(data: bytes, cuts: list[int], check: Any = ignore, **limits: int) -> dict[str, Any]:
    bounds = {"max_text_bytes": 10_000, "max_around_bytes": 10_000, **limits}
    streamed = StreamedObject("inputs", check, **bounds)
    at = turn = 0
    while at < len(data):
        size = cuts[turn % len(cuts)]
        streamed.feed(data[at : at + size])
        at, turn = at + size, turn + 1
    return streamed.finish()


@given(
    fields=st.dictionaries(TEXT.filter(lambda key: key != "inputs"), JSON, max_size=4),
    inputs=st.lists(TEXT | st.none(), max_size=6),
    place=st.integers(0, 4),
    cuts=CUTS,
    ascii_only=st.booleans(),
    indent=st.sampled_from([None, 1]),
)
def test_the_same_as_all_at_once(  # noqa: PLR0917  # one for each thing that varies
    fields: dict[str, Any],
    inputs: list[str | None],
    place: int,
    cuts: list[int],
    ascii_only: bool,  # noqa: FBT001  # Hypothesis gives it
    indent: int | None,
) -> None:
    members = list(fields.items())
    members.insert(place, ("inputs", inputs))
    data = json.dumps(dict(members), ensure_ascii=ascii_only, indent=indent).encode()
    seen: list[tuple[Any, int]] = []
    assert read(data, cuts, lambda text, number: seen.append((text, number))) == orjson.loads(data)
    assert seen == [(text, number) for number, text in enumerate(inputs, start=1)]


@given(
    data=st.binary(max_size=60)
    | st.text(alphabet='{}[]",:\\ n1ul"inputs', max_size=60).map(lambda text: text.encode()),
    cuts=CUTS,
)
def test_whatever_it_is_it_is_read_or_refused_as_all_at_once(data: bytes, cuts: list[int]) -> None:
    """What it reads is what orjson reads; what orjson does not read it refuses."""
    try:
        found = read(data, cuts)
    except RowvecError:
        return
    assert found == orjson.loads(data)


@pytest.mark.parametrize(
    ("data", "error"),
    [
        (b'{"inputs":["a",]}', NotARequest),
        (b'{"inputs":["a" "b"]}', NotARequest),
        (b'{"inputs":["a",', NotARequest),
        (b'{"inputs":["a"', NotARequest),
        (b'{"inputs":["a"]', NotARequest),
        (b'{"inputs":["a"]}}', NotARequest),
        (b'["inputs"]', NotARequest),
        (b"", NotARequest),
        (b'{"inputs":["a",1]}', InvalidRequest),
        (b'{"inputs":["a",["b"]]}', InvalidRequest),
        (b'{"inputs":["a"],"inputs":["b"]}', InvalidRequest),
        (b'{"inputs":["\\ud800"]}', InvalidText),
        (b'{"inputs":["\xff"]}', InvalidText),
        (b'{"inputs":["%b"]}' % (b"x" * 700), RequestTooLarge),
        (b'{"kwargs":"%b","inputs":["x"]}' % (b"x" * 700), RequestTooLarge),
        (b'{"inputs":["x"],"kwargs":"%b"}' % (b"x" * 700), RequestTooLarge),
    ],
)
@pytest.mark.parametrize("cuts", [[1], [7], [1000]])
def test_what_is_wrong(data: bytes, error: type[RowvecError], cuts: list[int]) -> None:
    limits = {"max_text_bytes": 100, "max_around_bytes": 500}

    def check(text: Any, _number: int) -> None:
        if not isinstance(text, str):
            raise InvalidRequest("not a text")
        if len(text) > 100:
            raise RequestTooLarge("too large")

    with pytest.raises(error):
        read(data, cuts, check, **limits)


@pytest.mark.parametrize("piece", [b"\\" * 101, b"\\\\" * 50, b"x" * 100, b'\\"' * 50])
def test_a_string_in_many_pieces_is_looked_at_once(piece: bytes) -> None:
    """Also where an escape is cut in two."""
    data = b'{"inputs":["%b","b"]}' % (piece * 1000)
    assert read(data, [len(piece)], max_text_bytes=1 << 20) == orjson.loads(data)


@pytest.mark.parametrize("end", [b'"]}', b"", b'",1]}'])
def test_megabytes_are_not_left_to_the_collector(end: bytes) -> None:
    """Nothing refers to itself, be the request right or wrong."""
    gc.disable()
    try:
        texts = LargeTexts("inputs", max_input_bytes=1000)
        left = weakref.ref(texts._object)
        with contextlib.suppress(RowvecError):
            texts.feed(b'{"inputs":["text' + end)
            texts.finish()
        del texts
        assert left() is None
    finally:
        gc.enable()
