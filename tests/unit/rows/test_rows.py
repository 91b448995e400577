"""Rows out of CSV and JSON: broken ones by line, those behind them intact, nothing unbounded."""

from __future__ import annotations

import gzip
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rowvec.errors import BadRow
from rowvec.rows import csv_rows, json_rows, reading
from rowvec.rows.csv_rows import read_csv
from rowvec.rows.json_rows import read_json, read_ndjson
from rowvec.rows.reading import Place

Reader = Callable[..., Any]


def rows_and_bad(reader: Reader, text: str | bytes, **how: Any) -> tuple[list[Any], list[str]]:
    bad: list[str] = []
    content = text.encode() if isinstance(text, str) else text
    stream = io.BufferedReader(io.BytesIO(content))
    rows = list(reader(stream, Place("x"), on_bad=lambda each: bad.append(str(each)), **how))
    return rows, bad


@pytest.mark.parametrize(
    ("text", "cells", "bad"),
    [
        ("a,b\n1,2\n3\n5,6\n", [["1", "2"], ["5", "6"]], ["line 3 of x has 1 cells, its header 2"]),
        ("a,b\n1,2,3\n5,6\n", [["5", "6"]], ["line 2 of x has 3 cells, its header 2"]),
        ('a,b\n1,"two\nlines"\n3,4\n', [["1", "two\nlines"], ["3", "4"]], []),
        (
            'a,b\n1,"open\n3,4\n5,6\n',
            [["3", "4"], ["5", "6"]],
            ["line 2 of x is not valid CSV: unexpected end of data"],
        ),
        (
            'a,b\n1,"open\n3,4\n5,"6"\n7,8\n',
            [["3", "4"], ["5", "6"], ["7", "8"]],
            ["line 2 of x is not valid CSV: ',' expected after '\"'"],
        ),
        ("a,b\n\n1,\n", [["1", None]], []),
        ("\ufeffa,b\r\n1,2\r\n", [["1", "2"]], []),
        ("a,a\n1,2\n", [["1", "2"]], []),
        ("", [], []),
        ("a,b\n", [], []),
    ],
)
def test_csv(text: str, cells: list[list[str | None]], bad: list[str]) -> None:
    rows, said = rows_and_bad(read_csv, text)
    assert [list(row.values()) for row in rows] == cells
    assert said == bad


def test_csv_that_is_not_utf8_names_the_line_and_another_encoding_reads_it() -> None:
    text = "a\nZürich\nBern\n".encode("cp1252")
    assert rows_and_bad(read_csv, text) == ([{"a": "Bern"}], ["line 2 of x is not valid utf-8"])
    assert rows_and_bad(read_csv, text, encoding="cp1252")[0][0] == {"a": "Zürich"}
    with pytest.raises(BadRow, match="UTF-16"):
        rows_and_bad(read_csv, "a\nb\n".encode("utf-16"))


@given(
    st.lists(
        st.lists(st.text(st.characters(exclude_categories=["Cs"])), min_size=2, max_size=2),
        max_size=5,
    )
)
def test_csv_comes_back_as_it_was_written(cells: list[list[str]]) -> None:
    import csv  # noqa: PLC0415

    text = io.StringIO(newline="")
    csv.writer(text).writerows([["a", "b"], *cells])
    rows, bad = rows_and_bad(read_csv, text.getvalue())
    assert bad == []
    assert [list(row.values()) for row in rows] == [[c or None for c in row] for row in cells]


OBJECTS = [{"a": 1, "b": "x"}, {"a": 2.5, "c": [1, {"d": None}]}, {"é": 'ü\n\\u0041 " ]}'}]


@pytest.mark.parametrize("indent", [None, 2])
@pytest.mark.parametrize("chunk", [1, 2, 7, 1 << 18])
def test_json_as_an_array_and_one_after_the_other(
    monkeypatch: pytest.MonkeyPatch, indent: int | None, chunk: int
) -> None:
    monkeypatch.setattr(json_rows, "_CHUNK_BYTES", chunk)
    array = json.dumps(OBJECTS * 20, indent=indent, ensure_ascii=False)
    assert rows_and_bad(read_json, array) == (OBJECTS * 20, [])
    values = "\n".join(json.dumps(each, indent=indent) for each in OBJECTS * 20)
    assert rows_and_bad(read_json, values) == (OBJECTS * 20, [])


# Lines that together are an array of as many objects as they are lines.
SHARED = [
    b'{"a": [{}\n{}]}\n{"b": 1}, {"c": 2}\n',
    b'{"a": {"b": 1}\n, "c": 2}\n{"d": 3}, {"e": 4}\n',
    b'{"a": "x\ny"}\n{"b": 1}\n',
]


@pytest.mark.parametrize("text", SHARED)
def test_lines_that_are_parsed_together_are_objects_each(text: bytes) -> None:
    rows, bad = rows_and_bad(read_ndjson, b'{"first": 0}\n' + text + b'{"last": 9}')
    alone = [rows_and_bad(read_ndjson, line) for line in text.split(b"\n") if line]
    assert rows == [{"first": 0}, *(row for found, _ in alone for row in found), {"last": 9}]
    assert len(bad) == sum(len(each) for _, each in alone) >= 2


@given(st.lists(st.sampled_from([b'{"a": 1}', b"{}", b"", b"1", b"[", b'{"b": "\\r"}\r', b"x"])))
def test_numbers_of_lines_do_not_depend_on_the_buffer(texts: list[bytes]) -> None:
    text = b"\n".join(texts)

    def found(size: int) -> tuple[list[Any], list[str]]:
        place, bad = Place("x"), []
        stream: Any = io.BufferedReader(io.BytesIO(text), size)
        rows = read_ndjson(stream, place, on_bad=lambda each: bad.append(str(each)))
        return [(place.number, row) for row in rows], bad

    assert found(1) == found(1 << 16)


def test_broken_lines_of_json() -> None:
    text = '{"a": 1}\n\n{"a": \n[1]\n{"a": 2}\n"x"\n{"a": NaN}'
    rows, bad = rows_and_bad(read_ndjson, text)
    assert rows == [{"a": 1}, {"a": 2}]
    assert [each.partition(" of")[0] for each in bad] == ["line 3", "line 4", "line 6", "line 7"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('[{"a": 1},\n {"a": }]', "the value on line 2 of x is not valid JSON"),
        ('[{"a": 1},\n {"a": 2}', "the array in x has no end"),
        ('[{"a": 1},\n {"a": "2', "the value on line 2 of x is not valid JSON"),
        ('[{"a": NaN}]', "the value on line 1 of x is not valid JSON"),
        (b'[{"a": "\xff"}]', "x is not valid UTF-8, after line 1"),
        ("[" * 100_000, "the value on line 1 of x is not valid JSON"),
    ],
)
def test_a_broken_array(text: str | bytes, message: str) -> None:
    with pytest.raises(BadRow, match=message):
        rows_and_bad(read_json, text)


@pytest.mark.parametrize(
    ("reader", "before", "after"),
    [
        (read_csv, 'a,b\n1,2\n"', "\n3,4\n"),
        (read_csv, "a,b\n1,2\n", "\n3,4\n"),
        (read_ndjson, '{"a": "1"}\n{"a": "', '"}\n{"a": "3"}\n'),
    ],
)
def test_a_field_without_an_end_ends_at_the_limit(
    monkeypatch: pytest.MonkeyPatch, reader: Reader, before: str, after: str
) -> None:
    """Nothing is read into memory beyond the limit, and what follows is found."""
    for module in (reading, csv_rows, json_rows):
        monkeypatch.setattr(module, "MAX_ROW_BYTES", 1000)
    rows, bad = rows_and_bad(reader, before + "x" * 1_000_000 + after)
    assert "longer than" in bad[0]
    assert [row["a"] for row in rows] == ["1", "3"]


def test_a_quote_that_nobody_closes_ends_at_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (reading, csv_rows):
        monkeypatch.setattr(module, "MAX_ROW_BYTES", 1000)
    rows, bad = rows_and_bad(read_csv, 'a,b\n1,"\n' + "3,4\n" * 1000)
    assert bad == ["the record from line 2 of x on is longer than 0 MB"]
    assert len(rows) == 1000


def test_a_value_without_an_end_in_an_array(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(json_rows, "MAX_ROW_BYTES", 1000)
    monkeypatch.setattr(json_rows, "_CHUNK_BYTES", 100)
    with pytest.raises(BadRow, match="the value on line 1 of x is longer than"):
        rows_and_bad(read_json, '[{"a": "' + "x" * 1_000_000)


def test_packed_files(tmp_path: Path) -> None:
    with gzip.open(tmp_path / "a.csv.gz", "wt") as file:
        file.write("a\n1\n")
    with reading.opened(tmp_path / "a.csv.gz") as stream:
        assert list(read_csv(stream, Place("x"))) == [{"a": "1"}]
