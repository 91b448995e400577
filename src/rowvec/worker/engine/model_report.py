"""What the listener knows of a model in the engine."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, field

from rowvec.models.backends.variant import AUTOMATIC, Backend, Variant
from rowvec.worker.engine.messages import Computed, Loaded

# A text of so few tokens counts as short; a model that computes one in so little time as brief.
FEW_TOKENS = 32
BRIEF_SECONDS = 0.01


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
    briefest: float = math.inf
    memory_of: dict[Variant, int] = field(default_factory=dict)
    backend: Backend | None = None
    reason: str | None = None
    device: str | None = None

    @property
    def loaded(self) -> bool:
        """Whether the model is in memory, however it is computed."""
        return bool(self.memory_of)

    @property
    def memory(self) -> int:
        """Bytes that it takes there."""
        return sum(self.memory_of.values())

    @property
    def is_brief(self) -> bool:
        """Whether it is loaded, and a short text has been seen to take a few milliseconds."""
        return self.loaded and self.briefest <= BRIEF_SECONDS

    def note_request(self) -> None:
        """Counts a request that was answered."""
        self.requests += 1
        self.last_use = time.time()

    def note_batch(self, batch: Computed) -> None:
        """Counts a batch that the engine computed."""
        self.texts += batch.texts
        self.tokens += batch.tokens
        self.padding += batch.padding
        self.seconds += batch.seconds
        self.zeros += batch.zeros
        if batch.texts == 1 and batch.tokens <= FEW_TOKENS:
            self.briefest = min(self.briefest, batch.seconds)

    def note_loaded(self, loaded: Loaded) -> None:
        """The engine has it, and knows it better than its files did."""
        self.dimensions, self.max_tokens = loaded.dimensions, loaded.max_tokens
        self.memory_of[loaded.variant] = loaded.memory
        if loaded.variant == AUTOMATIC:
            self.backend, self.reason = loaded.backend, loaded.reason
            self.device = loaded.device

    def note_dropped(self, variant: Variant) -> None:
        """Notes that the engine unloaded the model."""
        self.memory_of.pop(variant, None)
        self.briefest = math.inf

    def note_death(self) -> None:
        """The next engine has no model yet."""
        self.memory_of.clear()
        self.briefest = math.inf
