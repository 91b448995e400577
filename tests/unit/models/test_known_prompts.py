"""The table of known families: the right model, and nothing that only looks like one."""

from __future__ import annotations

import pytest

from rowvec.models.known_prompts import known_prompts

E5 = {"query": "query: ", "document": "passage: "}


@pytest.mark.parametrize(
    ("name", "query", "document"),
    [
        ("intfloat/e5-small", "query: ", "passage: "),
        ("intfloat/e5-large-v2", "query: ", "passage: "),
        ("intfloat/multilingual-e5-base", "query: ", "passage: "),
        ("intfloat/multilingual-e5-large-instruct", "Instruct: ", None),
        ("BAAI/bge-small-en-v1.5", "Represent this sentence", None),
        ("BAAI/bge-base-zh", "为这个句子", None),
        ("nomic-ai/nomic-embed-text-v1.5", "search_query: ", "search_document: "),
        ("Snowflake/snowflake-arctic-embed-l-v2.0", "query: ", None),
        ("Snowflake/snowflake-arctic-embed-m-v1.5", "Represent this sentence", None),
        ("hkunlp/instructor-xl", "Represent the question", "Represent the document"),
    ],
)
def test_a_known_model_has_its_prefixes(name: str, query: str, document: str | None) -> None:
    prompts = known_prompts([name])
    assert prompts["query"].startswith(query)
    assert prompts.get("document", None) is None or prompts["document"].startswith(document or "!")
    assert ("document" in prompts) == (document is not None)


@pytest.mark.parametrize(
    "name",
    [
        "sentence-transformers/all-MiniLM-L6-v2", "BAAI/bge-m3", "thenlper/gte-small",
        "someone/e5-small-finetuned", "my-e5-small", "sentence-transformers/gtr-t5-large",
    ],
)  # fmt: skip
def test_other_models_have_none(name: str) -> None:
    assert known_prompts([name]) == {}


def test_any_name_of_the_model_counts() -> None:
    assert known_prompts(["small", "INTFLOAT/E5-small"]) == E5
