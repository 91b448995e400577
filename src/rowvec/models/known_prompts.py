"""Prefixes of well-known models that do not have them in their own files.

Used where a caller says `input_type`, and by `embed_query` and the jobs, never by a bare embedding
of a text: a caller who writes "passage: " by hand gets exactly that text. A prompt in the model's
own configuration, or in models.toml, goes before this table.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

_RETRIEVE = "Represent this sentence for searching relevant passages: "
_E5_INSTRUCT = (
    "Instruct: Given a web search query, retrieve relevant passages that answer the query\nQuery: "
)

# The first match in full counts, without the case. Where a prefix is absent, the model's
# authors say that texts of that side go in as they are.
_FAMILIES: tuple[tuple[str, Mapping[str, str]], ...] = (
    # Model cards of intfloat/multilingual-e5-large-instruct and intfloat/e5-mistral-7b-instruct.
    (
        r"intfloat/(multilingual-e5-large-instruct|e5-mistral-7b-instruct)",
        {"query": _E5_INSTRUCT},
    ),
    # Model cards of intfloat/e5-* and intfloat/multilingual-e5-*; arXiv 2212.03533 and 2402.05672.
    # The "unsupervised" ones use the same prefixes.
    (
        r"intfloat/(multilingual-)?e5-(small|base|large)(-v2|-unsupervised)?",
        {"query": "query: ", "document": "passage: "},
    ),
    # FlagEmbedding's README, "Model List"; bge-m3 and the multilingual gemma one differ.
    (r"BAAI/bge-(small|base|large)-en(-v1\.5)?", {"query": _RETRIEVE}),
    (
        r"BAAI/bge-(small|base|large)-zh(-v1\.5)?",
        {"query": "为这个句子生成表示以用于检索相关文章："},  # noqa: RUF001  # the model's own colon
    ),
    # Model cards of nomic-ai/nomic-embed-text-* and modernbert-embed-base, "Task prefixes".
    (
        r"nomic-ai/(nomic-embed-text-v(1|1\.5|2-moe)|modernbert-embed-base)",
        {"query": "search_query: ", "document": "search_document: "},
    ),
    # Model cards of Snowflake/snowflake-arctic-embed-*: version 2 has a prefix of its own.
    (r"Snowflake/snowflake-arctic-embed-[ml]-v2\.0", {"query": "query: "}),
    (r"Snowflake/snowflake-arctic-embed-(xs|s|m|m-long|m-v1\.5|l)", {"query": _RETRIEVE}),
    # Model cards of mixedbread-ai/mxbai-embed-large-v1 and of WhereIsAI/UAE-Large-V1 ("Prompts.C").
    (r"(mixedbread-ai/mxbai-embed-large-v1|WhereIsAI/UAE-Large-V1)", {"query": _RETRIEVE}),
    # The INSTRUCTOR README's template, "Represent the [domain] [text type] for [task objective]:".
    (
        r"hkunlp/instructor-(base|large|xl)",
        {
            "query": "Represent the question for retrieving supporting documents: ",
            "document": "Represent the document for retrieval: ",
        },
    ),
)


def known_prompts(names: Iterable[str]) -> Mapping[str, str]:
    """Prefixes by input type for a model that is known under one of its names; else none."""
    for name in names:
        for pattern, prompts in _FAMILIES:
            if re.fullmatch(pattern, name, re.IGNORECASE):
                return prompts
    return {}
