"""PostgresML's splitters: the library's own answers."""

from __future__ import annotations

from typing import Any

import langchain_text_splitters
import pytest

from rowvec.chunking.splitters import split
from rowvec.errors import RequestTooLarge

TEXT = "# Title\n\nIt was the best of times, it was the worst of times.\n\n" * 3


@pytest.mark.parametrize(
    ("splitter", "class_name", "kwargs"),
    [
        ("character", "CharacterTextSplitter", {"separator": " ", "chunk_size": 40}),
        ("latex", "LatexTextSplitter", {"chunk_size": 50}),
        ("markdown", "MarkdownTextSplitter", {"chunk_size": 70}),
        ("python", "PythonCodeTextSplitter", {"chunk_size": 60, "keep_separator": "end"}),
        ("recursive_character", "RecursiveCharacterTextSplitter", {"chunk_size": 30}),
        ("recursive_character", "RecursiveCharacterTextSplitter", {"chunk_size": 3}),
        ("recursive_character", "RecursiveCharacterTextSplitter",
         {"chunk_size": 40, "separators": [", ", ""], "strip_whitespace": False}),
    ],
)  # fmt: skip
def test_the_library_is_asked_as_postgresml_asked_it(
    splitter: str, class_name: str, kwargs: dict[str, Any]
) -> None:
    given = {**kwargs, "chunk_overlap": 2}
    own = getattr(langchain_text_splitters, class_name)(**given)
    assert split(splitter, TEXT, given) == own.split_text(TEXT) != []


def test_without_arguments_as_in_its_documentation() -> None:
    assert split("recursive_character", "test", {}) == ["test"]
    assert split("markdown", "# Some test", {"chunk_size": None}) == ["# Some test"]


def test_chunks_that_repeat_a_long_text_over_and_over() -> None:
    kwargs = {"chunk_size": 100_000, "chunk_overlap": 99_999, "separators": [""]}
    with pytest.raises(RequestTooLarge, match="would repeat the text 100000 times"):
        split("recursive_character", "a" * 200_000, kwargs)
    assert split("recursive_character", "ab cd", {"chunk_size": 2, "chunk_overlap": 2})
