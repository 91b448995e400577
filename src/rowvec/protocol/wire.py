"""PostgreSQL's wire protocol, version 3, as a server speaks it: bytes to messages and back.

Only the simple query protocol is read; messages of the extended one are named so that a session
can refuse them. Everything that goes out is ASCII: a client's database stores it unchecked.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum

from rowvec.errors import ProtocolError, RowvecError

PROTOCOL_3_0 = 3 << 16

_SSL_REQUEST = (1234 << 16) | 5679
_GSSENC_REQUEST = (1234 << 16) | 5680
_CANCEL_REQUEST = (1234 << 16) | 5678

# The types a client may send; a message of any other type means that we lost the thread.
_TYPES = frozenset(b"BCDEFHPQSXcdfp")

_TEXT_OID = 25
_INT16 = struct.Struct("!h")
_INT32 = struct.Struct("!i")
_COLUMN = struct.Struct("!ihihih")
_NULL = _INT32.pack(-1)

# A client needs a handful.
_MOST_PARAMETERS = 100

# Of a streamed text: what is decoded within a millisecond or two.
_PIECE_BYTES = 1 << 18


class Opening(Enum):
    """What a client may ask before it says who it is."""

    TLS = "tls"
    GSS_ENCRYPTION = "gss"


@dataclass(frozen=True)
class Startup:
    """Who connects: the version asked for and the parameters (user, client_encoding, ...)."""

    version: int
    parameters: Mapping[str, str]


@dataclass(frozen=True)
class Cancel:
    """The wish to stop what another connection runs."""

    process: int
    secret: int


@dataclass(frozen=True)
class Message:
    """One message of a client: its type byte and its body."""

    type: bytes
    body: bytes


@dataclass(frozen=True)
class TooLarge:
    """A message beyond the limit; its body was dropped as it came."""

    type: bytes
    size: int


@dataclass(frozen=True)
class Streamed:
    """A large query that arrives: `piece` gives its text, of `size` bytes, as it comes."""

    type: bytes
    size: int


class Reader:
    """Cuts a client's bytes into messages; never holds more than one limit of them and a chunk.

    `limit` bounds the body of a message. A longer one is dropped piece by piece as it arrives and
    given as TooLarge, so that the connection stays usable; unless it `is_strict`, as towards those
    who have not logged in: then it is a ProtocolError at once. A query of more than `stream_bytes`
    is given as Streamed, and in pieces.
    """

    def __init__(
        self, limit: int, *, is_strict: bool = False, stream_bytes: int | None = None
    ) -> None:
        self.limit = limit
        self.is_strict = is_strict
        self.stream_bytes = stream_bytes
        self._to_stream = 0
        self._buffer = bytearray()
        self._dropping: TooLarge | None = None
        self._to_drop = 0

    @property
    def buffered(self) -> int:
        """Bytes that no message was made of yet."""
        return len(self._buffer)

    def feed(self, data: bytes) -> None:
        """Takes what came from the client."""
        if self._to_drop:
            dropped = min(self._to_drop, len(data))
            self._to_drop -= dropped
            data = data[dropped:]
        self._buffer += data

    def opening(self) -> Opening | Startup | Cancel | None:
        """The next message before authentication, None until it is whole; raises ProtocolError.

        These have no type byte, and one beyond the limit ends the connection.
        """
        if len(self._buffer) < 4:
            return None
        (length,) = _INT32.unpack_from(self._buffer)
        if not 8 <= length <= self.limit:
            raise ProtocolError("the length of the startup packet is not credible")
        if len(self._buffer) < length:
            return None
        body = bytes(self._buffer[4:length])
        del self._buffer[:length]
        return _parse_opening(body)

    def piece(self) -> bytes | None:
        """The next bytes of a streamed text, none after its last, None until there are more.

        Raises ProtocolError where the text has no terminator.
        """
        if not self._to_stream:
            return b""
        if not self._buffer:
            return None
        with memoryview(self._buffer) as view:
            piece = bytes(view[: min(self._to_stream, _PIECE_BYTES)])
        del self._buffer[: len(piece)]
        self._to_stream -= len(piece)
        return piece if self._to_stream else query_text(piece)

    def message(self) -> Message | TooLarge | Streamed | None:
        """The next message, None until it is whole; raises ProtocolError."""
        if self._dropping is not None:
            if self._to_drop:
                return None
            dropped, self._dropping = self._dropping, None
            return dropped
        if len(self._buffer) < 5:
            return None
        if self._buffer[0] not in _TYPES:
            raise ProtocolError(f"no message has the type {self._buffer[0]}")
        (length,) = _INT32.unpack_from(self._buffer, 1)
        if length < 4:
            raise ProtocolError("the length of a message is not credible")
        kind = bytes(self._buffer[:1])
        end = length + 1
        if length - 4 > self.limit:
            if self.is_strict:
                raise ProtocolError(f"a message of {length} bytes is too large before the login")
            held = min(len(self._buffer), end)
            del self._buffer[:held]
            self._to_drop = end - held
            self._dropping = TooLarge(kind, length - 4)
            return self.message()
        if kind == b"Q" and self.stream_bytes is not None and length - 4 > self.stream_bytes:
            del self._buffer[:5]
            self._to_stream = length - 4
            return Streamed(kind, length - 5)
        if len(self._buffer) < end:
            return None
        with memoryview(self._buffer) as view:
            body = bytes(view[5:end])
        del self._buffer[:end]
        return Message(kind, body)


def _parse_opening(body: bytes) -> Opening | Startup | Cancel:
    (code,) = _INT32.unpack_from(body)
    if code == _SSL_REQUEST:
        return Opening.TLS
    if code == _GSSENC_REQUEST:
        return Opening.GSS_ENCRYPTION
    if code == _CANCEL_REQUEST:
        if len(body) != 12:
            raise ProtocolError("a cancel request has another length")
        process, secret = struct.unpack_from("!iI", body, 4)
        return Cancel(process, secret)
    if code >> 16 != 3:
        raise ProtocolError(
            f"protocol {code >> 16}.{code & 0xFFFF} is not spoken here, only version 3"
        )
    if not body.endswith(b"\0"):
        raise ProtocolError("the startup packet does not end")
    if body.count(b"\0") > 2 * _MOST_PARAMETERS:
        raise ProtocolError(f"the startup packet has more than {_MOST_PARAMETERS} parameters")
    fields = body[4:].split(b"\0")
    # name, value, name, value, ..., the empty name, and what follows the last terminator
    if len(fields) % 2 or fields[-1] or fields[-2]:
        raise ProtocolError("the startup packet is not a list of names and values")
    texts = [field.decode("utf-8", "replace") for field in fields[:-2]]
    return Startup(code, dict(zip(texts[::2], texts[1::2], strict=True)))


def query_text(body: bytes) -> bytes:
    """The bytes of a query; raises ProtocolError where its terminator is missing."""
    if not body.endswith(b"\0"):
        raise ProtocolError("the query does not end")
    return body[:-1]


def sasl_initial(body: bytes) -> tuple[str, bytes]:
    """Mechanism and first message of a SASLInitialResponse; raises ProtocolError."""
    name, zero, rest = body.partition(b"\0")
    if not zero or len(rest) < 4 or _INT32.unpack_from(rest)[0] != len(rest) - 4:
        raise ProtocolError("the first SASL message is malformed")
    return name.decode("ascii", "replace"), rest[4:]


def _message(kind: bytes, *parts: bytes) -> bytes:
    body = b"".join(parts)
    return kind + _INT32.pack(len(body) + 4) + body


def _cstring(text: str) -> bytes:
    # Backslash escapes where ASCII cannot say it; a NUL would end the field early.
    return text.encode("ascii", "backslashreplace").replace(b"\0", b"\\x00") + b"\0"


def sasl_mechanisms(*names: str) -> bytes:
    """AuthenticationSASL."""
    return _message(b"R", _INT32.pack(10), *(_cstring(n) for n in names), b"\0")


def sasl_continue(data: bytes) -> bytes:
    """AuthenticationSASLContinue."""
    return _message(b"R", _INT32.pack(11), data)


def sasl_final(data: bytes) -> bytes:
    """AuthenticationSASLFinal."""
    return _message(b"R", _INT32.pack(12), data)


AUTHENTICATION_OK = _message(b"R", _INT32.pack(0))
READY_FOR_QUERY = _message(b"Z", b"I")
EMPTY_QUERY = _message(b"I")


def negotiate_version(unknown: Sequence[str] = ()) -> bytes:
    """NegotiateProtocolVersion: 3.0 it is, without the options named."""
    return _message(
        b"v", _INT32.pack(PROTOCOL_3_0), _INT32.pack(len(unknown)), *(_cstring(n) for n in unknown)
    )


def parameter_status(name: str, value: str) -> bytes:
    """ParameterStatus."""
    return _message(b"S", _cstring(name), _cstring(value))


def backend_key_data(process: int, secret: int) -> bytes:
    """BackendKeyData: what a cancel request must contain."""
    return _message(b"K", struct.pack("!iI", process, secret))


def command_complete(tag: str) -> bytes:
    """CommandComplete."""
    return _message(b"C", _cstring(tag))


def row_description(*columns: str) -> bytes:
    """RowDescription: all columns are text."""
    parts = [_INT16.pack(len(columns))]
    for column in columns:
        parts += (_cstring(column), _COLUMN.pack(0, 0, _TEXT_OID, -1, -1, 0))
    return _message(b"T", *parts)


def data_row(values: Sequence[bytes | None]) -> bytes:
    """DataRow."""
    parts = [_INT16.pack(len(values))]
    for value in values:
        parts += (_NULL,) if value is None else (_INT32.pack(len(value)), value)
    return _message(b"D", *parts)


def error_response(error: RowvecError, *, severity: str = "ERROR") -> bytes:
    """ErrorResponse; with severity FATAL the connection ends after it."""
    fields = {"S": severity, "V": severity, "C": error.sqlstate, "M": error.message}
    # Of the other fields, dblink passes these two on.
    optional = {"D": error.detail, "H": error.hint}
    fields |= {code: value for code, value in optional.items() if value is not None}
    return _message(b"E", *(k.encode() + _cstring(v) for k, v in fields.items()), b"\0")
