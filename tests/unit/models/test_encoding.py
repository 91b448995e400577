"""kwargs against a model: what changes its vectors, and every refusal."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from rowvec.errors import InvalidRequest, NotSupported, RowvecError
from rowvec.models.description import Description
from rowvec.models.encoding import Encoding, prompt_for, resolve

PLAIN = Description("plain", 384, 256, revision="abc")
E5 = replace(PLAIN, prompts={"query": "query: ", "passage": "passage: "}, normalizes=True)
INSTRUCTOR = replace(PLAIN, takes_instruction=True)
SPARSE = replace(PLAIN, name="splade", gives="sparse vector")


@pytest.mark.parametrize(
    ("model", "kwargs", "expected"),
    [
        (PLAIN, {}, Encoding()),
        (PLAIN, {"prompt": None, "truncate_dim": None}, Encoding()),
        (PLAIN, {"batch_size": 8, "timeout_ms": 10, "device": "cpu"}, Encoding()),
        (PLAIN, {"revision": "abc"}, Encoding()),
        (PLAIN, {"prompt": "x "}, Encoding(prompt="x ")),
        (PLAIN, {"truncate_dim": 64}, Encoding(truncate_dim=64)),
        (PLAIN, {"truncate_dim": 384}, Encoding()),
        (PLAIN, {"normalize": True}, Encoding(normalize=True)),
        (PLAIN, {"on_truncate": "error"}, Encoding(on_truncate="error")),
        (E5, {}, Encoding()),
        (E5, {"normalize": True}, Encoding()),
        (E5, {"truncate_dim": 64}, Encoding(truncate_dim=64, normalize=True)),
        (E5, {"input_type": "query"}, Encoding(prompt="query: ")),
        (E5, {"input_type": "document"}, Encoding(prompt="passage: ")),
        (E5, {"prompt_name": "passage"}, Encoding(prompt="passage: ")),
        (PLAIN, {"input_type": "query"}, Encoding()),
        (replace(E5, default_prompt="query: "), {}, Encoding(prompt="query: ")),
        (replace(E5, default_prompt="query: "), {"prompt": ""}, Encoding()),
        (INSTRUCTOR, {"instruction": "Represent: "}, Encoding(prompt="Represent: ")),
        (SPARSE, {"prompt": "x "}, Encoding(prompt="x ")),
    ],
)
def test_what_changes_the_vector(
    model: Description, kwargs: dict[str, Any], expected: Encoding
) -> None:
    assert resolve(kwargs, model) == expected


@pytest.mark.parametrize(
    ("model", "kwargs", "error", "message"),
    [
        (PLAIN, {"promt": "x"}, InvalidRequest, "unknown kwargs: 'promt'"),
        (PLAIN, {"prompt": 1}, InvalidRequest, "prompt must be a text"),
        (PLAIN, {"prompt": "a", "input_type": "query"}, InvalidRequest, "exclude each other"),
        (PLAIN, {"prompt_name": "query"}, InvalidRequest, "plain has no prompt of that name"),
        (PLAIN, {"input_type": "passage"}, InvalidRequest, "must be query or document"),
        (PLAIN, {"instruction": "x"}, NotSupported, "plain takes no instruction"),
        (PLAIN, {"device": "cuda"}, NotSupported, "the worker has no device 'cuda'"),
        (PLAIN, {"revision": "def"}, InvalidRequest, "pins revision abc of plain"),
        (PLAIN, {"truncate_dim": 385}, InvalidRequest, "truncate_dim 385 is more than the 384"),
        (PLAIN, {"truncate_dim": 0}, InvalidRequest, "must be a whole number, at least 1"),
        (PLAIN, {"truncate_dim": True}, InvalidRequest, "must be a whole number, at least 1"),
        (PLAIN, {"normalize": 1}, InvalidRequest, "normalize must be true or false"),
        (PLAIN, {"on_truncate": "mean"}, InvalidRequest, "on_truncate must be truncate or error"),
        (SPARSE, {"truncate_dim": 8}, InvalidRequest, "splade gives a sparse vector, so truncate"),
        (SPARSE, {"normalize": True}, InvalidRequest, "so normalize has no meaning"),
        (
            INSTRUCTOR, {"instruction": "a", "prompt": "b"}, InvalidRequest,
            "prompt and instruction exclude each other",
        ),
    ],
)  # fmt: skip
def test_a_refusal_is_one_sentence(
    model: Description, kwargs: dict[str, Any], error: type[RowvecError], message: str
) -> None:
    with pytest.raises(error) as raised:
        resolve(kwargs, model)
    assert message in str(raised.value)


def test_a_placeholder_before_the_prompt_is_no_prompt() -> None:
    """The library saves an empty `document` beside the `passage` that the author wrote."""
    prompts = {"query": "", "document": "", "passage": "passage: "}
    assert prompt_for(prompts, "document") == "passage: "
    assert prompt_for(prompts, "query") == ""
