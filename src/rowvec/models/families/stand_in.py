"""The stand-in: vectors derived from a hash, for tests and benchmarks."""

from __future__ import annotations

import re
from typing import ClassVar

from rowvec.errors import ConfigError
from rowvec.models.description import Description
from rowvec.models.embedder import Embedder
from rowvec.models.family import Entry, Family, Keys
from rowvec.models.spec import ModelSpec

# What happens at a text that one of these finds.
_PATTERNS = ("refuse", "die", "hang", "nan", "zero")


class StandIn(Family):
    """No model at all; its keys say how it behaves."""

    keys: ClassVar[Keys] = {
        "dimensions": int,
        "max_tokens": int,
        "delay_ms_per_text": (int, float),
        "load_ms": (int, float),
        "memory_tokens": int,
        "revision": str,
        **dict.fromkeys(_PATTERNS, str),
    }
    has_folder: ClassVar[bool] = False

    @classmethod
    def describe(cls, entry: Entry) -> Description:
        """What the keys say."""
        options = entry.options
        for key in ("dimensions", "max_tokens"):
            if options.get(key, 1) < 1:
                raise ConfigError(f"{key} must be at least 1")
        for key in _PATTERNS:
            try:
                re.compile(options.get(key, ""))
            except re.error as exc:
                raise ConfigError(f"{key} is no regular expression: {exc}") from exc
        return Description(
            name=entry.name,
            dimensions=options.get("dimensions", 384),
            max_tokens=options.get("max_tokens", 256),
            normalizes=True,
            revision=entry.revision,
        )

    @classmethod
    def load(cls, spec: ModelSpec) -> Embedder:
        """At once."""
        from rowvec.models import stand_in  # noqa: PLC0415  # as every family: only to compute

        options = {key: value for key, value in spec.options.items() if key != "revision"}
        return stand_in.StandIn(revision=spec.description.revision, **options)
