"""Vectors of texts that were asked for before, in memory, the least recently used forgotten."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from dataclasses import dataclass, fields
from operator import attrgetter

from rowvec.models.encoding import Encoding

# What an entry costs beside its vector: key, dictionary, objects.
_OVERHEAD_BYTES = 300

# Fields of an encoding that no vector depends on. `on_truncate` says whether there is one.
NOT_IN_KEY = frozenset({"on_truncate"})
_in_key = attrgetter(*(f.name for f in fields(Encoding) if f.name not in NOT_IN_KEY))


@dataclass(frozen=True, slots=True)
class Cached:
    """A vector as float32 bytes, and the tokens of its text before truncation."""

    vector: bytes
    tokens: int


class VectorCache:
    """Bounded by bytes. Keeps no text: a key is a hash of all that the vector depends on."""

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self.bytes = 0
        self.hits = 0
        self.misses = 0
        self._entries: OrderedDict[bytes, Cached] = OrderedDict()

    def get(self, key: bytes) -> Cached | None:
        """The entry of a key, now the most recently used."""
        found = self._entries.get(key)
        if found is None:
            self.misses += 1
        else:
            self.hits += 1
            self._entries.move_to_end(key)
        return found

    def put(self, key: bytes, entry: Cached) -> None:
        """Remembers an entry, and forgets old ones to stay within the bytes."""
        old = self._entries.pop(key, None)
        if old is not None:
            self.bytes -= _size(old)
        self._entries[key] = entry
        self.bytes += _size(entry)
        while self.bytes > self._max_bytes:
            _, forgotten = self._entries.popitem(last=False)
            self.bytes -= _size(forgotten)


def _size(entry: Cached) -> int:
    return len(entry.vector) + _OVERHEAD_BYTES


class KeyMaker:
    """Keys of texts under one operation, model and encoding; what all share is hashed once.

    An image in base64 is also a text, hence the operation.
    """

    def __init__(self, op: str, model: str, revision: str | None, encoding: Encoding) -> None:
        self._hash = hashlib.blake2b(digest_size=16)
        shared = (op, model, revision, *_in_key(encoding))
        self._hash.update(repr(shared).encode(errors="surrogatepass") + b"\0")

    def key(self, text: str) -> bytes:
        """The key of a text."""
        mine = self._hash.copy()
        mine.update(text.encode())
        return mine.digest()
