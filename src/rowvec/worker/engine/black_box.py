"""What the engine works on at the moment, readable by the listener after the engine's death.

Memory that both processes share, since a process that is killed sends no last message. It holds
fingerprints, not texts.
"""

from __future__ import annotations

import hashlib
import mmap
import struct
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Literal

# Texts tokenised on the engine's loop, texts in the tokenising threads, and behind these places one
# for each batch, by its number.
Place = Literal["inline", "thread", "long"] | int

_NAMED: tuple[Place, ...] = ("inline", "thread", "long")

FINGERPRINT_BYTES = 16

# Of a larger batch the rest stays unsuspected.
_MOST = 4096

_COUNT = struct.Struct("<I")
_PLACE_BYTES = _COUNT.size + _MOST * FINGERPRINT_BYTES


def fingerprint(salt: bytes, model: str, prompt: str, text: str) -> bytes:
    """Identifies a text where it must not be kept; it cannot be guessed without the salt."""
    mine = hashlib.blake2b(digest_size=FINGERPRINT_BYTES, key=salt)
    mine.update(f"{model}\0{prompt}\0{text}".encode(errors="surrogatepass"))
    return mine.digest()


class BlackBox:
    """One for an engine: it notes, the listener reads. A place is noted by one thread only."""

    def __init__(self, descriptor: int) -> None:
        self._memory = mmap.mmap(descriptor, 0)

    @property
    def batches(self) -> int:
        """How many batches there are places for."""
        return len(self._memory) // _PLACE_BYTES - len(_NAMED)

    @contextmanager
    def noted(self, place: Place, fingerprints: Sequence[bytes]) -> Iterator[None]:
        """Keeps these fingerprints while the block runs, and none once it has ended."""
        number = len(_NAMED) + place if isinstance(place, int) else _NAMED.index(place)
        start = number * _PLACE_BYTES
        held = b"".join(fingerprints[:_MOST])
        self._memory[start + _COUNT.size : start + _COUNT.size + len(held)] = held
        _COUNT.pack_into(self._memory, start, len(held) // FINGERPRINT_BYTES)
        try:
            yield
        finally:
            _COUNT.pack_into(self._memory, start, 0)

    def read(self) -> list[list[bytes]]:
        """What is noted in each place."""
        found = []
        for start in range(0, len(self._memory), _PLACE_BYTES):
            (count,) = _COUNT.unpack_from(self._memory, start)
            first = start + _COUNT.size
            found.append(
                [
                    self._memory[at : at + FINGERPRINT_BYTES]
                    for at in range(first, first + count * FINGERPRINT_BYTES, FINGERPRINT_BYTES)
                ]
            )
        return found

    def close(self) -> None:
        """Gives the memory back."""
        self._memory.close()


@contextmanager
def shared_memory(batches: int) -> Iterator[int]:
    """The descriptor of memory for one BlackBox, empty, gone with those who hold it."""
    with tempfile.TemporaryFile() as file:
        file.truncate(_PLACE_BYTES * (len(_NAMED) + batches))
        yield file.fileno()
