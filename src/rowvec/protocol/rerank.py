"""Reranking in the form that Cohere and Jina share: bodies to requests, scores to bodies."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from rowvec.errors import InvalidRequest
from rowvec.protocol import request
from rowvec.protocol.large_request import Body
from rowvec.protocol.openai import Terms, common, known_fields
from rowvec.protocol.reply import Form
from rowvec.protocol.request import Request

ARRAY = "documents"
_KEYS = frozenset({"model", "query", "documents", "top_n", "return_documents", "user", "kwargs"})


def rerank_request(body: Body, terms: Terms, *, max_input_bytes: int) -> tuple[Request, Form]:
    """The request in the body of POST /v1/rerank, and how it is answered.

    Raises as `request.parse` does.
    """
    fields = known_fields(body, _KEYS)
    documents = _documents(fields.get("documents"))
    parsed = request.from_fields(
        {
            "model": fields.get("model"),
            "query": fields.get("query"),
            "inputs": documents,
            "kwargs": _kwargs(fields),
            **common(fields, terms, "rerank"),
        },
        max_input_bytes=max_input_bytes,
    )
    returned = fields.get("return_documents", False)
    if not isinstance(returned, bool):
        raise InvalidRequest("return_documents must be true or false")
    answers = _Answers(parsed.model, documents if returned else None)
    return parsed, Form(scores=answers.scores)


def _documents(given: object) -> list[Any]:
    if not isinstance(given, list) or not given:
        raise InvalidRequest("documents must be a list with at least one text")
    texts = [each.get("text") if isinstance(each, dict) else each for each in given]
    if None in texts:
        raise InvalidRequest("the input is not a text", input_number=texts.index(None) + 1)
    return texts


def _kwargs(fields: Mapping[str, object]) -> Any:
    kwargs = fields.get("kwargs", {})
    if not isinstance(kwargs, dict) or "top_n" not in fields:
        return kwargs
    if "top_k" in kwargs:
        raise InvalidRequest("top_n and top_k are the same: give one of them")
    top_n = fields["top_n"]
    if isinstance(top_n, bool) or not isinstance(top_n, int) or top_n < 1:
        raise InvalidRequest("top_n must be a whole number, at least 1")
    return {**kwargs, "top_k": top_n}


@dataclass(frozen=True)
class _Answers:
    """Writes scores; with the documents, where they were asked for."""

    model: str
    documents: Sequence[str] | None

    def scores(self, found: Sequence[Mapping[str, Any]], tokens: int) -> Iterator[bytes]:
        """A list of results; the usage counts the tokens of every pair, before truncation."""
        results = [self._result(each["ordinality"] - 1, each["score"]) for each in found]
        usage = {"prompt_tokens": tokens, "total_tokens": tokens}
        answer = {"object": "list", "model": self.model, "usage": usage, "results": results}
        yield orjson.dumps(answer)

    def _result(self, index: int, score: float) -> dict[str, Any]:
        result = {"index": index, "relevance_score": score}
        if self.documents is None:
            return result
        return {**result, "document": {"text": self.documents[index]}}
