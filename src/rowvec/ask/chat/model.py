"""What `ask` and `cluster --summary` need of a language model, local or remote."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol


class ChatModel(Protocol):
    """Answers one prompt at a time."""

    def stream(self, prompt: str, max_tokens: int) -> Iterator[str]:
        """The answer piece by piece, at most `max_tokens` tokens; raises RowvecError."""


def answer(model: ChatModel, prompt: str, max_tokens: int) -> str:
    """The answer as a whole, without space around it."""
    return "".join(model.stream(prompt, max_tokens)).strip()
