"""One line of the examination."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Verdict = Literal["ok", "warning", "wrong"]


@dataclass(frozen=True)
class Finding:
    """What was looked at, how it is, and where that is not well the command that helps."""

    subject: str
    verdict: Verdict
    says: str
    run: str | None = None
