"""libpq under asyncio: one connection, opened, asked and closed without blocking the loop.

libpq brings SCRAM, TLS, several hosts and load balancing; asyncio waits for its socket.
"""

from __future__ import annotations

import asyncio

from psycopg import OperationalError, pq

from rowvec.errors import (
    AuthenticationError,
    WorkerUnreachable,
    from_sqlstate,
    input_named_in,
)

Rows = list[list[bytes | None]]


async def opened(conninfo: str, timeout_seconds: float) -> pq.abc.PGconn:
    """A connection that was accepted; raises WorkerUnreachable, AuthenticationError."""
    connection = pq.PGconn.connect_start(conninfo.encode())
    try:
        async with asyncio.timeout(timeout_seconds):
            await _finish_connecting(connection)
    except TimeoutError as exc:
        connection.finish()
        raise WorkerUnreachable(f"the worker did not answer within {timeout_seconds} s") from exc
    except BaseException:
        connection.finish()
        raise
    connection.nonblocking = 1
    return connection


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
    return WorkerUnreachable(
        f"no worker answers: {' '.join(message.split())}",
        hint="`rowvec worker` starts one, `rowvec server show` says where it is looked for",
    )


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


async def exchange(connection: pq.abc.PGconn, text: bytes) -> Rows:
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
    return from_sqlstate(
        sqlstate, message, field(pq.DiagnosticField.MESSAGE_HINT),
        input_number=input_named_in(field(pq.DiagnosticField.MESSAGE_DETAIL)),
    )  # fmt: skip


def _lost() -> WorkerUnreachable:
    return WorkerUnreachable("the line to the worker was lost")
