"""Which texts are held to have ended the engine, and which are refused for it.

What the engine worked on when it ended is suspected, and computed alone from then on. Whoever was
alone when it ended again did it, and is refused for a while.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence

# The oldest are forgotten: a text that is forgotten is only tried again.
_MOST = 100_000


class Suspects:
    """Fingerprints of texts; no text."""

    def __init__(self, refuse_seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._refuse_seconds = refuse_seconds
        self._clock = clock
        self._suspected: OrderedDict[bytes, None] = OrderedDict()
        self._refused_until: OrderedDict[bytes, float] = OrderedDict()

    def __bool__(self) -> bool:
        """Whether any text needs to be looked at."""
        return bool(self._suspected or self._refused_until)

    @property
    def refused(self) -> int:
        """How many texts are refused at present."""
        self._expire()
        return len(self._refused_until)

    def died(self, places: Iterable[Sequence[bytes]]) -> list[bytes]:
        """Takes note of what the engine worked on when it ended; gives those refused from now."""
        convicted = []
        for fingerprints in places:
            if len(fingerprints) == 1 and fingerprints[0] in self._suspected:
                del self._suspected[fingerprints[0]]
                self._refused_until[fingerprints[0]] = self._clock() + self._refuse_seconds
                convicted.append(fingerprints[0])
                continue
            for each in fingerprints:
                self._suspected[each] = None
        for kept in (self._suspected, self._refused_until):
            while len(kept) > _MOST:
                kept.popitem(last=False)
        return convicted

    def is_refused(self, fingerprint: bytes) -> bool:
        """Whether the text is refused."""
        self._expire()
        return fingerprint in self._refused_until

    def is_suspected(self, fingerprint: bytes) -> bool:
        """Whether the text has to be computed alone."""
        return fingerprint in self._suspected

    def cleared(self, fingerprints: Iterable[bytes]) -> None:
        """These were computed, and the engine lives."""
        for fingerprint in fingerprints:
            self._suspected.pop(fingerprint, None)

    def _expire(self) -> None:
        now = self._clock()
        while self._refused_until:
            first = next(iter(self._refused_until))
            if self._refused_until[first] > now:
                return
            del self._refused_until[first]
