"""The server's half of SCRAM-SHA-256 (RFC 5802, RFC 7677), without channel binding.

libpq leaves the user name in the exchange empty, since the startup packet bore it already.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import secrets
import stringprep
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, field

from rowvec.errors import AuthenticationError, ProtocolError

MECHANISM = "SCRAM-SHA-256"

ITERATIONS = 4096

# What a client answers for the header it opened with: no binding, or "I could but you cannot".
_HEADERS = {b"n": b"n,,", b"y": b"y,,"}


@dataclass(frozen=True)
class Verifier:
    """What the server keeps of a password: enough to check one, not enough to be one."""

    salt: bytes
    iterations: int
    stored_key: bytes
    server_key: bytes

    @classmethod
    def of(
        cls, password: str, *, salt: bytes | None = None, iterations: int = ITERATIONS
    ) -> Verifier:
        """Derives the keys; costs milliseconds by design, so once at start, not per client."""
        salt = secrets.token_bytes(16) if salt is None else salt
        salted = hashlib.pbkdf2_hmac("sha256", prepared(password), salt, iterations)
        client_key = hmac.digest(salted, b"Client Key", "sha256")
        return cls(
            salt=salt,
            iterations=iterations,
            stored_key=hashlib.sha256(client_key).digest(),
            server_key=hmac.digest(salted, b"Server Key", "sha256"),
        )


def prepared(password: str) -> bytes:
    """The password as libpq sends it: SASLprep (RFC 4013), or as it is where that refuses it."""
    if password.isascii():
        return password.encode()
    mapped = "".join(
        " " if stringprep.in_table_c12(c) else c for c in password if not stringprep.in_table_b1(c)
    )
    normal = unicodedata.normalize("NFKC", mapped)
    prohibited = (
        stringprep.in_table_c12, stringprep.in_table_c21_c22, stringprep.in_table_c3,
        stringprep.in_table_c4, stringprep.in_table_c5, stringprep.in_table_c6,
        stringprep.in_table_c7, stringprep.in_table_c8, stringprep.in_table_c9,
        stringprep.in_table_a1,
    )  # fmt: skip
    right_to_left = [stringprep.in_table_d1(c) for c in normal]
    mixed = any(right_to_left) and (
        any(stringprep.in_table_d2(c) for c in normal)
        or not right_to_left[0]
        or not right_to_left[-1]
    )
    if not normal or mixed or any(test(c) for c in normal for test in prohibited):
        return password.encode()
    return normal.encode()


@dataclass
class Exchange:
    """One client's authentication: `first`, then `final`.

    Any of `verifiers` lets it in; they share salt and iterations, which are sent before the client
    shows which password it has.

    `known_user` False runs the whole exchange and fails at its end like a wrong password, so that
    no client learns which names exist.
    """

    verifiers: Sequence[Verifier]
    user: str
    known_user: bool
    nonce: str = field(default_factory=lambda: secrets.token_urlsafe(18))
    _header: bytes = field(default=b"", init=False)
    _first_bare: bytes = field(default=b"", init=False)
    _server_first: bytes = field(default=b"", init=False)

    def first(self, message: bytes) -> bytes:
        """Takes the client's first message, gives the server's; raises ProtocolError."""
        binding, _, rest = message.partition(b",")
        authorization, _, bare = rest.partition(b",")
        if binding not in _HEADERS or authorization:
            raise ProtocolError("the client asks for a channel binding or an identity of its own")
        fields = bare.split(b",")
        if len(fields) < 2 or not fields[0].startswith(b"n=") or not fields[1].startswith(b"r="):
            raise ProtocolError("the client's first SCRAM message is malformed")
        client_nonce = fields[1][2:]
        if not client_nonce:
            raise ProtocolError("the client's SCRAM nonce is empty")
        self._header = _HEADERS[binding]
        self._first_bare = bare
        salt = base64.b64encode(self._salt())
        self._server_first = b"r=%b%b,s=%b,i=%d" % (
            client_nonce, self.nonce.encode(), salt, self.verifiers[0].iterations,
        )  # fmt: skip
        return self._server_first

    def final(self, message: bytes) -> bytes:
        """Takes the client's proof, gives the server's; raises AuthenticationError."""
        without_proof, separator, encoded_proof = message.rpartition(b",p=")
        nonce = self._server_first.partition(b",")[0]
        expected = b"c=%b,%b" % (base64.b64encode(self._header), nonce)
        if not separator or without_proof != expected:
            raise ProtocolError("the client's final SCRAM message does not fit its first")
        try:
            proof = base64.b64decode(encoded_proof, validate=True)
        except binascii.Error as exc:
            raise ProtocolError("the client's SCRAM proof is not base64") from exc
        auth_message = b",".join((self._first_bare, self._server_first, without_proof))
        if len(proof) != hashlib.sha256().digest_size:
            raise ProtocolError("the client's SCRAM proof has another length")
        right = [each for each in self.verifiers if _proves(each, proof, auth_message)]
        if not (right and self.known_user):
            raise AuthenticationError(f'password authentication failed for user "{self.user}"')
        return b"v=" + base64.b64encode(hmac.digest(right[0].server_key, auth_message, "sha256"))

    def _salt(self) -> bytes:
        if self.known_user:
            return self.verifiers[0].salt
        # The same for a name each time it asks, as a real one would be.
        return hmac.digest(self.verifiers[0].server_key, self.user.encode(), "sha256")[:16]


def _proves(verifier: Verifier, proof: bytes, auth_message: bytes) -> bool:
    signature = hmac.digest(verifier.stored_key, auth_message, "sha256")
    client_key = bytes(a ^ b for a, b in zip(proof, signature, strict=True))
    return hmac.compare_digest(hashlib.sha256(client_key).digest(), verifier.stored_key)
