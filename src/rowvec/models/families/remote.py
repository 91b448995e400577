"""Models of an endpoint elsewhere: listed by the administrator, or not asked at all."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

from rowvec.config import read_secret
from rowvec.errors import ConfigError
from rowvec.models.description import Description
from rowvec.models.embedder import Embedder
from rowvec.models.endpoint import Endpoint, Limits, checked_url
from rowvec.models.family import Entry, Family, Keys
from rowvec.models.known_prompts import known_prompts
from rowvec.models.remote import RemoteEmbedder
from rowvec.models.spec import ModelSpec


class Remote(Family):
    """Any endpoint with OpenAI's `POST <url>/embeddings`.

    `url` and `dimensions` are demanded. `model` is its name there (default: its name here),
    `api_key_file` holds the key. `request_dimensions` sends `dimensions` along, for models that
    shorten their vectors; `normalized` says that the vectors have length 1.
    """

    keys: ClassVar[Keys] = {
        "url": str,
        "model": str,
        "api_key_file": Path,
        "dimensions": int,
        "request_dimensions": bool,
        "normalized": bool,
        "max_tokens": int,
        "batch_texts": int,
        "parallel_requests": int,
        "requests_per_minute": int,
        "timeout_seconds": (int, float),
        "patience_seconds": (int, float),
    }
    has_folder: ClassVar[bool] = False
    computes_here: ClassVar[bool] = False

    @classmethod
    def describe(cls, entry: Entry) -> Description:
        """What the keys say; nothing is asked."""
        options = entry.options
        for key in ("url", "dimensions"):
            if key not in options:
                raise ConfigError(f"{key} is missing")
        checked_url(options["url"])
        for key, value in options.items():
            if not isinstance(value, (bool, str, Path)) and value <= 0:
                raise ConfigError(f"{key} must be more than 0")
        return Description(
            name=entry.name,
            dimensions=options["dimensions"],
            max_tokens=options.get("max_tokens", 8191),
            prompts=known_prompts((*entry.names, options.get("model", ""))),
            normalizes=options.get("normalized", False),
            revision=entry.revision,
        )

    @classmethod
    def load(cls, spec: ModelSpec) -> Embedder:
        """Reads the key; the endpoint is asked for the first time when a text comes."""
        options = spec.options
        key_file = options.get("api_key_file")
        limits = {
            key: options[key]
            for key in ("timeout_seconds", "patience_seconds", "requests_per_minute")
            if key in options
        }
        rest: dict[str, Any] = {
            key: options[key]
            for key in ("batch_texts", "parallel_requests", "request_dimensions")
            if key in options
        }
        return RemoteEmbedder(
            Endpoint(
                options["url"].rstrip("/") + "/embeddings",
                read_secret(Path(key_file)) if key_file is not None else None,
                Limits(**limits),
            ),
            model=options.get("model", spec.name),
            dimensions=spec.description.dimensions,
            max_tokens=spec.description.max_tokens,
            **rest,
        )
