"""A client of the worker for jobs and the command line, over psycopg's libpq.

libpq brings SCRAM, TLS, several hosts and load balancing; asyncio waits for its socket.
"""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Literal, Self

import numpy as np
import numpy.typing as npt
import orjson
from psycopg import OperationalError, pq

from rowvec.errors import AuthenticationError, WorkerUnreachable, from_sqlstate

Priority = Literal["bulk", "interactive"]


@dataclass(frozen=True)
class Embeddings:
    """Vectors in the order of the inputs.

    The row of a NULL input is zeros, and its place in `nulls` True. `tokens` are counted before
    truncation, with the prompt; 0 for NULL.
    """

    vectors: npt.NDArray[np.float32]
    nulls: npt.NDArray[np.bool_]
    tokens: npt.NDArray[np.int64]


class WorkerClient:
    """One connection to a worker, one request at a time on it; for several in flight, several.

    Errors are those of `rowvec.errors` that the worker's SQLSTATE stands for. A lost line raises
    WorkerUnreachable once, and the next call connects anew. A call that is cancelled drops the
    connection, so that the worker drops the work.
    """

    def __init__(self, conninfo: str, *, timeout_seconds: float = 10) -> None:
        self._conninfo = conninfo
        self._timeout_seconds = timeout_seconds
        self._connection: pq.abc.PGconn | None = None
        self._turn = asyncio.Lock()

    @classmethod
    async def connect(cls, conninfo: str, *, timeout_seconds: float = 10) -> Self:
        """A connected client; raises WorkerUnreachable, AuthenticationError."""
        client = cls(conninfo, timeout_seconds=timeout_seconds)
        client._connection = await client._open()  # its own
        return client

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        await self.close()

    async def embed(
        self,
        model: str,
        inputs: Sequence[str | None],
        kwargs: Mapping[str, Any] | None = None,
        *,
        priority: Priority = "bulk",
        deadline_ms: int | None = None,
    ) -> Embeddings:
        """The inputs' vectors; an input that fails fails the call, and is named by number."""
        rows = await self._ask(
            op="embed",
            model=model,
            inputs=inputs,
            kwargs=kwargs,
            priority=priority,
            deadline_ms=deadline_ms,
            encoding_format="base64",
        )
        nulls = np.array([row[0] is None for row in rows], dtype=np.bool_)
        tokens = np.array([int(row[1] or 0) for row in rows], dtype=np.int64)
        decoded = [None if row[0] is None else base64.b64decode(row[0]) for row in rows]
        width = next((len(d) // 4 for d in decoded if d is not None), 0)
        blob = b"".join(bytes(4 * width) if d is None else d for d in decoded)
        vectors = np.frombuffer(blob, "<f4").reshape(len(rows), width).astype(np.float32)
        return Embeddings(vectors, nulls, tokens)

    async def count_tokens(
        self,
        model: str,
        inputs: Sequence[str | None],
        kwargs: Mapping[str, Any] | None = None,
        *,
        deadline_ms: int | None = None,
    ) -> list[int | None]:
        """Tokens of each input as the model would read it, before truncation."""
        rows = await self._ask(
            op="count_tokens", model=model, inputs=inputs, kwargs=kwargs, deadline_ms=deadline_ms
        )
        return [None if row[0] is None else int(row[0]) for row in rows]

    async def models(self) -> list[dict[str, Any]]:
        """What the worker serves."""
        return [orjson.loads(row[0] or b"{}") for row in await self._ask(op="models")]

    async def ping(self) -> None:
        """Returns when the worker answered."""
        await self._ask(op="ping")

    async def close(self) -> None:
        """Ends the connection; closing twice is closing once."""
        self._drop()

    def _drop(self) -> None:
        if self._connection is not None:
            self._connection.finish()
            self._connection = None

    async def _ask(self, **fields: Any) -> list[list[bytes | None]]:
        given = {key: value for key, value in fields.items() if value is not None}
        try:
            text = orjson.dumps({"v": 1, **given}, default=list)
        except orjson.JSONEncodeError:
            # A lone surrogate: the worker says so better than an encoder's message would.
            text = _escaped({"v": 1, **given})
        async with self._turn:
            if self._connection is None:
                self._connection = await self._open()
            try:
                return await _exchange(self._connection, text)
            finally:
                # A connection on which something is left to read is not worth saving.
                if self._connection.transaction_status != pq.TransactionStatus.IDLE:
                    self._drop()

    async def _open(self) -> pq.abc.PGconn:
        connection = pq.PGconn.connect_start(self._conninfo.encode())
        try:
            async with asyncio.timeout(self._timeout_seconds):
                await _finish_connecting(connection)
        except TimeoutError as exc:
            connection.finish()
            raise WorkerUnreachable(
                f"the worker did not answer within {self._timeout_seconds} s"
            ) from exc
        except BaseException:
            connection.finish()
            raise
        connection.nonblocking = 1
        return connection


def _escaped(fields: Mapping[str, Any]) -> bytes:
    return json.dumps(fields, default=list).encode()


async def _finish_connecting(connection: pq.abc.PGconn) -> None:
    while True:
        if connection.status == pq.ConnStatus.BAD:
            raise _connect_error(connection)
        match connection.connect_poll():
            case pq.PollingStatus.OK:
                return
            case pq.PollingStatus.READING:
                await _until_ready(connection.socket, writable=False)
            case pq.PollingStatus.WRITING:
                await _until_ready(connection.socket, writable=True)
            case _:
                raise _connect_error(connection)


def _connect_error(connection: pq.abc.PGconn) -> Exception:
    message = connection.get_error_message().strip()
    # libpq gives no SQLSTATE for a failed connection, only the server's words.
    if connection.needs_password or "authentication failed" in message:
        return AuthenticationError(
            "the worker refused the password", hint="give the one in the worker's password file"
        )
    return WorkerUnreachable(f"no worker answers: {message}")


async def _until_ready(descriptor: int, *, writable: bool) -> None:
    loop = asyncio.get_running_loop()
    ready: asyncio.Future[None] = loop.create_future()

    def wake() -> None:
        if not ready.done():
            ready.set_result(None)

    loop.add_reader(descriptor, wake)
    if writable:
        loop.add_writer(descriptor, wake)
    try:
        await ready
    finally:
        loop.remove_reader(descriptor)
        if writable:
            loop.remove_writer(descriptor)


async def _exchange(connection: pq.abc.PGconn, text: bytes) -> list[list[bytes | None]]:
    """The rows of the second result set; raises what the worker answered with."""
    results: list[pq.abc.PGresult] = []
    try:
        connection.send_query(text)
        while connection.flush():
            await _until_ready(connection.socket, writable=True)
            connection.consume_input()
        while (result := await _next_result(connection)) is not None:
            results.append(result)
    except OperationalError as exc:
        # A worker that stops says why before it ends the line.
        raise _first_error(results) or _lost() from exc
    if error := _first_error(results):
        raise error
    if len(results) != 2:
        raise WorkerUnreachable("what answers there is not a worker")
    rows = results[1]
    return [
        [rows.get_value(row, column) for column in range(rows.nfields)]
        for row in range(rows.ntuples)
    ]


def _first_error(results: list[pq.abc.PGresult]) -> Exception | None:
    failed = (r for r in results if r.status == pq.ExecStatus.FATAL_ERROR)
    return next(map(_error, failed), None)


async def _next_result(connection: pq.abc.PGconn) -> pq.abc.PGresult | None:
    while connection.is_busy():
        await _until_ready(connection.socket, writable=False)
        connection.consume_input()
    return connection.get_result()


def _error(result: pq.abc.PGresult) -> Exception:
    def field(code: pq.DiagnosticField) -> str | None:
        value = result.error_field(code)
        return None if value is None else value.decode("ascii", "replace")

    sqlstate = field(pq.DiagnosticField.SQLSTATE)
    message = field(pq.DiagnosticField.MESSAGE_PRIMARY)
    if sqlstate is None or message is None:
        # libpq's own words: the worker went away in the middle.
        return _lost()
    return from_sqlstate(sqlstate, message, field(pq.DiagnosticField.MESSAGE_HINT))


def _lost() -> WorkerUnreachable:
    return WorkerUnreachable("the line to the worker was lost")
