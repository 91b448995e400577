"""One connection from its first byte to its last: TLS, login, and then request after request."""

from __future__ import annotations

import asyncio
import logging
import secrets
import ssl
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field, replace

import rowvec
from rowvec.errors import (
    AuthenticationError,
    Cancelled,
    InvalidRequest,
    NotSupported,
    ProtocolError,
    RequestTooLarge,
    RowvecError,
    ShuttingDown,
    TooManyConnections,
)
from rowvec.protocol import reply, request, scram, statements, wire
from rowvec.protocol.large_request import LargeRequest
from rowvec.worker.listener.client_connection import Connection
from rowvec.worker.listener.passwords import Passwords
from rowvec.worker.observing import ConnectionClosed, Observed, Observer

logger = logging.getLogger(__name__)

USER = "rowvec"

# A startup packet and the messages of SCRAM are small; before the login no more may be sent.
MAX_BYTES_BEFORE_LOGIN = 10_000

_EXTENDED = b"PBEDCH"
_SYNC, _FLUSH, _FUNCTION_CALL, _QUERY, _TERMINATE, _PASSWORD = b"S", b"H", b"F", b"Q", b"X", b"p"

_PARAMETERS = {
    # Clients adapt to Postgres by its version; the worker's own stands beside it.
    "server_version": f"18.0 (rowvec {rowvec.__version__})",
    "server_encoding": "UTF8",
    "client_encoding": "UTF8",
    "DateStyle": "ISO, MDY",
    "TimeZone": "Etc/UTC",
    "integer_datetimes": "on",
    "standard_conforming_strings": "on",
}

_Message = wire.Message | wire.TooLarge | wire.Streamed

Send = Callable[[Iterator[bytes]], Awaitable[None]]
Announce = Callable[[float], None]
Answer = Callable[[request.Request, int, Send, Announce], Awaitable[None]]


@dataclass(frozen=True)
class Rules:
    """What holds for all sessions of a worker."""

    passwords: Passwords
    tls: ssl.SSLContext | None
    tls_required: bool
    max_request_bytes: int
    max_input_bytes: int
    max_image_bytes: int
    idle_timeout_seconds: float
    login_timeout_seconds: float


@dataclass(eq=False)
class ClientSession:
    """Runs one connection: `run` returns when it ended.

    `admit` is called when the client has proved who it is, and raises where there is no room;
    `cancel` when it wants to stop what another connection runs.
    """

    connection: Connection
    rules: Rules
    answer: Answer
    observer: Observer
    admit: Callable[[], None]
    cancel: Callable[[wire.Cancel], None]
    process: int
    secret: int = field(default_factory=lambda: secrets.randbits(32))
    logged_in: bool = False
    _encoding: str = "utf-8"
    _roles: tuple[str, ...] = ()
    _skipping: bool = False
    _task: asyncio.Task[None] | None = None
    # From a request's first byte read to its last byte sent; the part that can be interrupted.
    _busy: bool = False
    _computing: bool = False
    _announced: bool = False
    _stopping: bool = False
    _reason: RowvecError | None = None

    async def run(self) -> None:
        """Serves the client until it leaves, misbehaves, idles too long or the worker stops."""
        self._task = asyncio.current_task()
        try:
            async with asyncio.timeout(self.rules.login_timeout_seconds):
                accepted = await self._login()
            if accepted:
                self.connection.trust(self.rules.max_request_bytes)
                await self._serve()
        except ConnectionClosed:
            logger.debug("%s left", self.connection.peer)
        except TimeoutError:
            logger.info("%s was too slow: closed", self.connection.peer)
        except (
            ProtocolError, AuthenticationError, InvalidRequest, TooManyConnections, ShuttingDown,
        ) as exc:  # fmt: skip
            logger.info("%s: %s", self.connection.peer, exc)
            self._write_error(exc, severity="FATAL")
        finally:
            self._task = None
            await self.connection.close()

    def interrupt(self, reason: RowvecError) -> None:
        """Ends the request that is computed, if one is, with an error; the connection stays."""
        if self._computing and self._task is not None and self._reason is None:
            self._reason = reason
            self._task.cancel()

    def cancel_request(self) -> None:
        """Ends the request that runs, as its client asked from another connection."""
        self.interrupt(Cancelled("the request was cancelled by its client"))

    def stop(self) -> None:
        """Ends the session, after the request that runs.

        An idle client gets no message: its next request finds the connection closed, which clients
        that keep connections take as the sign to connect again.
        """
        self._stopping = True
        if self._task is not None and not self._busy:
            self._task.cancel()

    def client_left(self) -> None:
        """Drops whatever runs for the client."""
        if self._task is not None:
            self._task.cancel()

    async def _login(self) -> bool:
        startup = await self._startup()
        if startup is None:
            return False
        if startup.version != wire.PROTOCOL_3_0 or _options(startup):
            self.connection.write(wire.negotiate_version(_options(startup)))
        user = startup.parameters.get("user", "")
        exchange = scram.Exchange(self.rules.passwords.verifiers(), user, known_user=user == USER)
        self.connection.write(wire.sasl_mechanisms(scram.MECHANISM))
        mechanism, first = wire.sasl_initial(await self._password_message())
        if mechanism != scram.MECHANISM:
            raise ProtocolError(f"only {scram.MECHANISM} is offered")
        self.connection.write(wire.sasl_continue(exchange.first(first)))
        last = exchange.final(await self._password_message())
        self.admit()
        self.logged_in = True
        self._roles = statements.roles(startup.parameters.get("options", ""))
        self._encoding = statements.codec(startup.parameters.get("client_encoding", "UTF8"))
        self.connection.write(
            b"".join(
                (
                    wire.sasl_final(last),
                    wire.AUTHENTICATION_OK,
                    *(wire.parameter_status(k, v) for k, v in _PARAMETERS.items()),
                    wire.backend_key_data(self.process, self.secret),
                    wire.READY_FOR_QUERY,
                )
            )
        )
        return True

    async def _startup(self) -> wire.Startup | None:
        """The startup packet, after TLS where that is wanted; None where it was a cancel.

        Each kind of encryption is asked for once at most, and none once there is one.
        """
        asked: set[wire.Opening] = set()
        while True:
            opening = await self.connection.opening()
            if isinstance(opening, wire.Opening):
                if opening in asked or self.connection.encrypted:
                    raise ProtocolError("the client asks for encryption again and again")
                asked.add(opening)
            match opening:
                case wire.Opening.TLS if self.rules.tls is not None and not self.connection.local:
                    await self.connection.start_tls(self.rules.tls)
                case wire.Opening():
                    self.connection.write(b"N")
                case wire.Cancel() as cancel:
                    self.cancel(cancel)
                    return None
                case wire.Startup() as startup:
                    if self.rules.tls_required and not (
                        self.connection.encrypted or self.connection.local
                    ):
                        raise AuthenticationError(
                            "the worker takes only connections with TLS", hint="use sslmode=require"
                        )
                    return startup

    async def _password_message(self) -> bytes:
        message = await self.connection.message()
        if not isinstance(message, wire.Message) or message.type != _PASSWORD:
            raise ProtocolError("a password message was expected")
        return message.body

    async def _serve(self) -> None:
        loop = asyncio.get_running_loop()
        while not self._stopping:
            async with asyncio.timeout_at(loop.time() + self.rules.idle_timeout_seconds):
                message = await self.connection.message()
            if message.type == _TERMINATE:
                return
            self._busy = not isinstance(message, wire.Streamed)
            await self._handle(message)
            await self.connection.drain(self.rules.idle_timeout_seconds)
            self._busy = False

    async def _handle(self, message: _Message) -> None:
        if message.type == _SYNC:
            self._skipping = False
            self.connection.write(wire.READY_FOR_QUERY)
        elif self._skipping or message.type == _FLUSH:
            return
        elif message.type in (_QUERY, _FUNCTION_CALL):
            await self._query(message)
        elif message.type in _EXTENDED:
            # As Postgres does: one error, then nothing until Sync.
            self._skipping = True
            self._write_error(
                NotSupported(
                    "the worker speaks the simple query protocol only",
                    hint="send the request as the text of a query without parameters",
                )
            )

    async def _query(self, message: _Message) -> None:
        try:
            with self.observer.request("postgres") as observed:
                await self._run_query(message, observed)
        except (ShuttingDown, ProtocolError):
            raise
        except RowvecError as exc:
            self._write_error(exc)
            self.connection.write(wire.READY_FOR_QUERY)

    async def _run_query(self, message: _Message, observed: Observed) -> None:
        if isinstance(message, wire.TooLarge):
            raise RequestTooLarge(
                f"the request has {message.size} bytes,"
                f" the worker takes {self.rules.max_request_bytes}",
                hint="send fewer or shorter texts, or raise the worker's max_request_bytes",
            )
        if message.type == _FUNCTION_CALL:
            raise NotSupported("the worker has no functions to call")
        if isinstance(message, wire.Streamed):
            wanted = await self._arriving()
            self._busy = True
            observed.parsed(wanted, message.size)
            await self._answer(wanted, message.size)
            return
        text = wire.query_text(message.body)
        if not text.lstrip().startswith(b"{"):
            observed.operation = "statement"
            self._run_statement(text)
            return
        wanted = request.parse(
            text,
            encoding=self._encoding,
            max_input_bytes=self.rules.max_input_bytes,
            max_image_bytes=self.rules.max_image_bytes,
        )
        observed.parsed(wanted, len(text))
        await self._answer(wanted, len(text))

    async def _arriving(self) -> request.Request:
        """A large request, read while it comes: others are answered between its pieces.

        What is wrong with it is said when all of it has come. Raises TimeoutError where its client
        pauses for as long as an idle one may.
        """
        reading = LargeRequest(
            self._encoding,
            max_input_bytes=self.rules.max_input_bytes,
            max_image_bytes=self.rules.max_image_bytes,
        )
        error: RowvecError | None = None
        loop = asyncio.get_running_loop()
        while True:
            async with asyncio.timeout_at(loop.time() + self.rules.idle_timeout_seconds):
                piece = await self.connection.piece()
            if not piece:
                break
            try:
                if error is None:
                    reading.feed(piece)
            except RowvecError as exc:
                error = exc
            await asyncio.sleep(0)
        if error is None:
            return reading.finish()
        try:
            raise error
        finally:
            # Its traceback leads to this frame: the two would keep each other.
            error = None

    async def _answer(self, wanted: request.Request, size: int) -> None:
        self._computing = True
        self._announced = False
        self._reason = None
        if not wanted.roles:
            wanted = replace(wanted, roles=self._roles)
        try:
            await self.answer(wanted, size, self._send, self._announce)
        except asyncio.CancelledError:
            if self._reason is None or self._task is None:
                raise
            self._task.uncancel()
            raise self._reason from None
        finally:
            self._computing = False

    def _announce(self, expected: float) -> None:
        """Sends the set that comes before the rows, and says how far away they are."""
        self._announced = True
        self.connection.write(reply.ready(expected))

    async def _send(self, pieces: Iterator[bytes]) -> None:
        self._computing = False
        for number, piece in enumerate(pieces):
            announced = self._announced and number == 0
            self.connection.write(piece.removeprefix(reply.READY) if announced else piece)
            if number:
                await asyncio.sleep(0)  # each is the work of a moment
            await self.connection.drain(self.rules.idle_timeout_seconds)

    def _run_statement(self, text: bytes) -> None:
        """An empty query, or SET; raises NotARequest for any other."""
        result = statements.run(text.decode("utf-8", "replace"))
        if result.codec is not None:
            self._encoding = result.codec
            self.connection.write(wire.parameter_status("client_encoding", result.encoding))
        self.connection.write(
            wire.EMPTY_QUERY if result.tag is None else wire.command_complete(result.tag)
        )
        self.connection.write(wire.READY_FOR_QUERY)

    def _write_error(self, error: RowvecError, *, severity: str = "ERROR") -> None:
        self.connection.write(wire.error_response(error, severity=severity))


def _options(startup: wire.Startup) -> list[str]:
    return [name for name in startup.parameters if name.startswith("_pq_.")]
