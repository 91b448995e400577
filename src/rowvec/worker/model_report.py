"""What the listener knows of a model in the engine."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Report:
    """What is known of one model in the engine; its sizes are the files' until it is loaded."""

    dimensions: int
    max_tokens: int
    requests: int = 0
    texts: int = 0
    tokens: int = 0
    padding: int = 0
    zeros: int = 0
    seconds: float = 0
    last_use: float | None = None
    memory_of: dict[Any, int] = field(default_factory=dict)
    backend: str | None = None
    reason: str | None = None

    @property
    def loaded(self) -> bool:
        """Whether the model is in memory, however it is computed."""
        return bool(self.memory_of)

    @property
    def memory(self) -> int:
        """Bytes that it takes there."""
        return sum(self.memory_of.values())

    def note_request(self) -> None:
        """Counts a request that was answered."""
        self.requests += 1
        self.last_use = time.time()
