"""PostgresML's splitters: their names, and what is refused before the library is asked."""

from __future__ import annotations

import sys
from typing import Any

import pytest

from rowvec.chunking.splitters import NAMES, split
from rowvec.errors import InvalidRequest, NotSupported

TEXT = "# Title\n\nIt was the best of times, it was the worst of times.\n\n" * 3


def test_the_names_are_those_of_postgresml() -> None:
    assert NAMES == (
        "character", "latex", "markdown", "nltk", "python", "recursive_character", "spacy"
    )  # fmt: skip


@pytest.mark.parametrize(
    ("splitter", "kwargs", "message"),
    [
        ("semantic", {}, "there is no splitter 'semantic'"),
        ("../character", {}, "there is no splitter"),
        ("character", {"separators": [","]}, "unknown kwargs of the splitter character"),
        ("character", {"length_function": "len"}, "unknown kwargs"),
        ("character", {"chunk_size": 0}, "chunk_size must be a whole number, at least 1"),
        ("character", {"chunk_size": "9"}, "chunk_size must be a whole number"),
        ("character", {"chunk_size": True}, "chunk_size must be a whole number"),
        ("character", {"chunk_size": 100}, "chunk_overlap 200 is more than chunk_size 100"),
        ("character", {"chunk_overlap": -1}, "chunk_overlap must be"),
        ("character", {"separator": 1}, "separators are texts"),
        ("character", {"keep_separator": "both"}, "keep_separator must be"),
        ("character", {"strip_whitespace": "yes"}, "strip_whitespace must be true or false"),
        ("recursive_character", {"separators": []}, "separators must be a list of 1 to 100"),
        ("recursive_character", {"separators": ["\n"] * 101}, "separators must be a list"),
        ("recursive_character", {"separators": [None]}, "separators are texts"),
        ("nltk", {"language": "../../etc"}, "language must be a name"),
        ("spacy", {"pipeline": "/etc/pipeline"}, "pipeline must be a name"),
        ("spacy", {"max_length": 0}, "max_length must be"),
    ],
)
def test_what_is_wrong_is_said(splitter: str, kwargs: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidRequest, match=message) as caught:
        split(splitter, TEXT, kwargs)
    assert caught.value.sqlstate == "22023"


def test_a_pattern_of_a_user_is_never_run() -> None:
    with pytest.raises(NotSupported, match="is_separator_regex is not supported"):
        split("character", TEXT, {"separator": "(a+)+$", "is_separator_regex": True})


@pytest.mark.parametrize(("splitter", "package"), [("nltk", "nltk"), ("spacy", "spacy")])
def test_a_package_that_is_missing(
    splitter: str, package: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(NotSupported, match=f"what the splitter {splitter} needs") as caught:
        split(splitter, TEXT, {})
    assert caught.value.hint == f"where the worker runs: pip install {package}"


def test_the_library_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "langchain_text_splitters", None)
    with pytest.raises(NotSupported) as caught:
        split("character", TEXT, {})
    assert caught.value.hint == "where the worker runs: pip install 'rowvec[pgml]'"
