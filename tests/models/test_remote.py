"""Remote models, against a small HTTP server: form, limits, retries, and what each refusal is."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import SecretStr

from rowvec.errors import (
    BackendFailed,
    ConfigError,
    InvalidRequest,
    ModelError,
    Overloaded,
    RowvecError,
)
from rowvec.models.embedder import Embedder
from rowvec.models.endpoint import Endpoint, EndpointLimits
from rowvec.models.families.remote import Remote, RemoteEmbedder
from rowvec.models.families.stand_in import derived_vector
from rowvec.models.family import Entry
from rowvec.models.spec import ModelSpec
from support.endpoints import Endpoint as Server


@dataclass
class FakeClock:
    """Time that passes only when somebody sleeps."""

    now: float = 1000.0
    slept: list[float] = field(default_factory=list)

    def time(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def remote(server: Server, clock: FakeClock) -> Callable[..., RemoteEmbedder]:
    def make(limits: EndpointLimits | None = None, **given: Any) -> RemoteEmbedder:
        endpoint = Endpoint(
            f"{server.url}/embeddings", SecretStr("a key"), limits or EndpointLimits(),
            clock=clock.time, sleep=clock.sleep,
        )  # fmt: skip
        given = {"model": "m", "dimensions": 8, "max_tokens": 100, "parallel_requests": 1, **given}
        return RemoteEmbedder(endpoint, **given)

    return make


def embed(model: Embedder, texts: list[str], prompt: str = "") -> np.ndarray:
    return model.forward(model.tokenize(texts, prompt))


def expected(texts: list[str], dimensions: int = 8) -> np.ndarray:
    return np.stack([derived_vector(text, dimensions) for text in texts])


def test_vectors_come_in_the_order_of_the_texts(
    server: Server, remote: Callable[..., RemoteEmbedder]
) -> None:
    texts = ["one", "two", "/etc/passwd", ""]
    np.testing.assert_allclose(embed(remote(), texts), expected(texts))
    assert server.asked == [{"path": "/v1/embeddings", "model": "m", "input": texts}]
    assert server.keys == ["Bearer a key"]


def test_a_prompt_stands_before_the_text(
    server: Server, remote: Callable[..., RemoteEmbedder]
) -> None:
    embed(remote(), ["one"], "query: ")
    assert server.asked[0]["input"] == ["query: one"]


def test_a_batch_is_cut_as_the_endpoint_wants(
    server: Server, remote: Callable[..., RemoteEmbedder]
) -> None:
    texts = [str(n) for n in range(7)]
    np.testing.assert_allclose(embed(remote(batch_texts=3), texts), expected(texts))
    assert [len(body["input"]) for body in server.asked] == [3, 3, 1]


def test_dimensions_are_asked_for_where_the_list_says_so(
    server: Server, remote: Callable[..., RemoteEmbedder]
) -> None:
    model = remote(dimensions=4, request_dimensions=True)
    assert embed(model, ["one"]).shape == (1, 4)
    assert server.asked[0]["dimensions"] == 4


def test_base64_is_understood(server: Server, remote: Callable[..., RemoteEmbedder]) -> None:
    packed = base64.b64encode(derived_vector("one", 8).tobytes()).decode()
    server.answer = lambda _: {"data": [{"index": 0, "embedding": packed}]}
    np.testing.assert_allclose(embed(remote(), ["one"]), expected(["one"]))


@pytest.mark.parametrize(("said", "waited"), [("7", 7.0), (None, 0.5)])
def test_429_is_waited_for_as_long_as_it_says(
    server: Server,
    remote: Callable[..., RemoteEmbedder],
    clock: FakeClock,
    said: str | None,
    waited: float,
) -> None:
    server.failures = [(429, {} if said is None else {"Retry-After": said}, b"{}")]
    np.testing.assert_allclose(embed(remote(), ["one"]), expected(["one"]))
    assert clock.slept == [waited]


def test_retry_after_may_be_a_date(
    server: Server, remote: Callable[..., RemoteEmbedder], clock: FakeClock
) -> None:
    from datetime import UTC, datetime, timedelta  # noqa: PLC0415  # only here

    later = datetime.now(UTC) + timedelta(seconds=40)
    server.failures = [(429, {"Retry-After": format_datetime(later, usegmt=True)}, b"")]
    embed(remote(), ["one"])
    assert 30 < clock.slept[0] <= 40


def test_waits_grow_and_end(
    server: Server, remote: Callable[..., RemoteEmbedder], clock: FakeClock
) -> None:
    server.failures = [(503, {}, b"")] * 20
    with pytest.raises(BackendFailed, match=r"^the endpoint failed \(HTTP 503\)$"):
        embed(remote(EndpointLimits(patience_seconds=10)), ["one"])
    assert clock.slept == [0.5, 1, 2, 4]


def test_a_wait_beyond_patience_is_not_begun(
    server: Server, remote: Callable[..., RemoteEmbedder], clock: FakeClock
) -> None:
    server.failures = [(429, {"Retry-After": "3600"}, b"")]
    with pytest.raises(Overloaded, match="for now"):
        embed(remote(), ["one"])
    assert clock.slept == []


def test_requests_keep_their_distance(
    remote: Callable[..., RemoteEmbedder], clock: FakeClock
) -> None:
    embed(remote(EndpointLimits(requests_per_minute=30), batch_texts=1), ["one", "two", "three"])
    assert clock.slept == [2, 2]


@pytest.mark.parametrize(
    ("status", "error", "sqlstate"),
    [(400, InvalidRequest, "22023"), (401, ModelError, "F0000"), (404, ModelError, "F0000")],
)
def test_a_refusal_shows_the_code_and_never_the_text(
    server: Server,
    remote: Callable[..., RemoteEmbedder],
    status: int,
    error: type[RowvecError],
    sqlstate: str,
) -> None:
    body = {"error": {"code": "context_length_exceeded", "message": "you sent: my secret"}}
    server.failures = [(status, {}, json.dumps(body).encode())]
    with pytest.raises(error, match=rf"HTTP {status}, context_length_exceeded") as raised:
        embed(remote(), ["my secret"])
    assert "secret" not in str(raised.value)
    assert "a key" not in str(raised.value)
    assert raised.value.sqlstate == sqlstate
    assert len(server.asked) == 1


def test_a_redirect_is_not_followed(server: Server, remote: Callable[..., RemoteEmbedder]) -> None:
    """The key would go to whoever the answer names."""
    server.failures = [(307, {"Location": "http://127.0.0.1:1/elsewhere"}, b"")]
    with pytest.raises(ModelError, match="HTTP 307"):
        embed(remote(), ["one"])
    assert len(server.asked) == 1


@pytest.mark.parametrize(
    "answer",
    [
        {}, [], {"data": [{"embedding": [1] * 8}]}, {"data": []},
        {"data": [{"index": 0, "embedding": "!"}]},
        {"data": [{"index": 1, "embedding": [1] * 8}]},
    ],
)  # fmt: skip
def test_an_answer_of_another_form_is_one_sentence(
    server: Server, remote: Callable[..., RemoteEmbedder], answer: Any
) -> None:
    server.answer = lambda _: answer
    with pytest.raises(BackendFailed, match=r"^the endpoint"):
        embed(remote(), ["one"])


def test_another_dimension_is_one_sentence(remote: Callable[..., RemoteEmbedder]) -> None:
    with pytest.raises(ModelError, match="gives 8 dimensions, the list of models says 5"):
        embed(remote(dimensions=5), ["one"])


def test_nobody_there_is_one_sentence(clock: FakeClock) -> None:
    endpoint = Endpoint(
        "http://127.0.0.1:9/v1", None, EndpointLimits(patience_seconds=1),
        clock=clock.time, sleep=clock.sleep,
    )  # fmt: skip
    with pytest.raises(BackendFailed, match=r"^the endpoint does not answer: "):
        endpoint.post({})


def test_an_entry_of_the_list_is_all_it_takes(server: Server, tmp_path: Path) -> None:
    key_file = tmp_path / "key"
    key_file.write_text("from a file\n")
    options = {
        "url": server.url + "/", "model": "text-embedding-3-small", "dimensions": 8,
        "api_key_file": str(key_file), "normalized": True, "batch_texts": 2,
    }  # fmt: skip
    description = Remote.describe(Entry("openai", options=options))
    assert (description.dimensions, description.normalizes) == (8, True)
    model = Remote.load(ModelSpec(description, "remote", options=options))
    texts = ["one", "two", "three"]
    np.testing.assert_allclose(embed(model, texts), expected(texts))
    assert server.asked[0]["model"] == "text-embedding-3-small"
    assert server.keys == ["Bearer from a file"] * 2


def test_a_known_model_behind_an_endpoint_has_its_prompts() -> None:
    options = {"url": "https://x", "dimensions": 384, "model": "intfloat/e5-small"}
    prompts = Remote.describe(Entry("ours", ("ours",), options=options)).prompts
    assert prompts == {"query": "query: ", "document": "passage: "}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"dimensions": 8}, "^url is missing$"),
        ({"url": "https://x"}, "^dimensions is missing$"),
        ({"url": "file:///etc/passwd", "dimensions": 8}, "^url must begin with https://"),
        ({"url": "https://user:key@x", "dimensions": 8}, "^url must hold no user, password"),
        ({"url": "https://x", "dimensions": 0}, "^dimensions must be more than 0$"),
    ],
)
def test_a_bad_entry_is_one_sentence(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        Remote.describe(Entry("openai", options=options))
