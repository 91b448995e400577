"""By OpenAI's own client and by LangChain."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import openai
import pytest
from langchain_openai import OpenAIEmbeddings

from rowvec.models.families.stand_in import derived_vector
from support.http_worker import Client, StartHttpWorker


@pytest.fixture
def official(client: Client) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{client.url}/v1", api_key="any", max_retries=0) as official:
        yield official


def test_openais_client_embeds(official: openai.OpenAI) -> None:
    """It asks for base64 by itself, and decodes it."""
    answer = official.embeddings.create(model="stand-in", input=["one", "two words", "one"])
    assert (answer.object, answer.model) == ("list", "stand-in")
    assert (answer.usage.prompt_tokens, answer.usage.total_tokens) == (4, 4)
    for n, (item, text) in enumerate(zip(answer.data, ("one", "two words", "one"), strict=True)):
        assert (item.object, item.index) == ("embedding", n)
        assert (np.array(item.embedding, np.float32) == derived_vector(text, 8)).all()


@pytest.mark.parametrize("encoding_format", ["float", "base64"])
def test_openais_client_embeds_in_either_format(
    official: openai.OpenAI, encoding_format: Any
) -> None:
    answer = official.embeddings.create(
        model="nickname", input="one", dimensions=4, encoding_format=encoding_format, user="me"
    )
    vector: Any = answer.data[0].embedding
    if encoding_format == "base64":
        vector = np.frombuffer(base64.b64decode(vector), "<f4")
    expected = derived_vector("one", 8)[:4]
    assert np.allclose(vector, expected / np.linalg.norm(expected), atol=1e-6)


def test_openais_client_lists_models(official: openai.OpenAI) -> None:
    assert [model.id for model in official.models.list()] == ["stand-in", "refusing", "slow"]


def test_openais_client_tells_errors_apart(official: openai.OpenAI) -> None:
    with pytest.raises(openai.NotFoundError, match="no 'gpt-9'") as missing:
        official.embeddings.create(model="gpt-9", input="x")
    assert missing.value.code == "model_not_found"
    assert "stand-in" in str(missing.value), "the hint lists what there is"
    with pytest.raises(openai.BadRequestError, match="input 2"):
        official.embeddings.create(model="refusing", input=["fine", "please refuse me"])
    with pytest.raises(openai.APIStatusError) as late:
        official.embeddings.create(
            model="slow", input="late", extra_headers={"X-Rowvec-Timeout-Ms": "20"}
        )
    assert late.value.status_code == 408


def test_openais_client_is_told_that_its_key_is_wrong(
    start_http_worker: StartHttpWorker, tmp_path: Path
) -> None:
    keys = tmp_path / "keys"
    keys.write_text("key-one\n")
    client = start_http_worker("--api-key-file", str(keys))
    with (
        openai.OpenAI(base_url=f"{client.url}/v1", api_key="wrong", max_retries=0) as official,
        pytest.raises(openai.AuthenticationError, match="no valid API key"),
    ):
        official.models.list()


def test_langchain_embeds(client: Client) -> None:
    # By the names that its documentation gives, which are aliases.
    embeddings = OpenAIEmbeddings(
        model="stand-in",
        base_url=f"{client.url}/v1",  # type: ignore[call-arg]
        api_key="any",
        check_embedding_ctx_length=False,
    )
    vectors = embeddings.embed_documents(["one", "two"])
    assert (np.array(vectors[1], np.float32) == derived_vector("two", 8)).all()
    assert embeddings.embed_query("one") == vectors[0]
