"""One autocommit connection of a job: its settings, its vectors, its errors as ours."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from typing import Any, LiteralString

import psycopg
from pgvector.psycopg.vector import register_vector_info
from psycopg import AsyncTransaction, sql
from psycopg.rows import dict_row
from psycopg.types import TypeInfo

from rowvec.db.connection import ENCODING, PIN, UNPIN, USABLE, database_errors
from rowvec.db.queries import query
from rowvec.db.said import may_hold_a_row
from rowvec.db.vector_array import register_arrays
from rowvec.errors import DatabaseConflict, DatabaseError, SchemaError

Statement = LiteralString | bytes | sql.SQL | sql.Composed

# Of a second each, with a second between them.
_LOCK_ATTEMPTS = 60

# A statement and its parameters.
Call = tuple[Statement, Any]

# Keys travel as text, in shards even from one process to another: each must print them alike.
_SETTINGS = (
    "SET datestyle = 'ISO, YMD'; SET timezone = 'UTC'; SET intervalstyle = 'postgres';"
    "SET extra_float_digits = 1; SET bytea_output = 'hex';"
    # The guard re-checks a row that changed while we waited for it; a snapshot would refuse it.
    "SET default_transaction_isolation = 'read committed';"
    # Rows that a policy hides would never be filled: rather an error that says so.
    "SET row_security = off"
)


# How long a pooler may take to find a backend, to be told from one that has none left.
_POOLER_SECONDS = 5


class Session:
    """Statements on one connection; every error of psycopg leaves as a DatabaseError.

    `vector_schema` is where pgvector's types, operators and operator classes live. Tasks may share
    a session: each call, and each transaction, is a turn of one task's own. Inside another's
    transaction it would commit or fail with it, and one sent while another task's pipeline ends
    leaves the connection unusable.
    """

    def __init__(self, connection: psycopg.AsyncConnection[Any], vector_schema: str) -> None:
        self.connection = connection
        self.vector_schema = vector_schema
        self._free = asyncio.Lock()
        self._whose: asyncio.Task[Any] | None = None

    @asynccontextmanager
    async def _turn(self) -> AsyncIterator[None]:
        """Alone on the connection, first come, first served; errors of psycopg become ours.

        What a task calls within its own transaction belongs to that turn.
        """
        task = asyncio.current_task()
        with database_errors():
            if self._whose is task:
                yield
                return
            async with self._free:
                self._whose = task
                try:
                    yield
                finally:
                    self._whose = None

    def prepare_nothing(self) -> None:
        """So that what code of a table's owner prepared is not taken for the driver's own."""
        self.connection.prepare_threshold = None

    @asynccontextmanager
    async def users_path(self) -> AsyncIterator[None]:
        """As `rowvec.db.connection.users_path`, in a turn of its own."""
        async with self._turn():
            await self.run(UNPIN)
            try:
                yield
            finally:
                if self.connection.info.transaction_status in USABLE:
                    await self.run(PIN)

    async def as_owner(
        self, statement: Statement, parameters: Any = (), *, binary: bool = False
    ) -> list[tuple[Any, ...]]:
        """All rows of a statement that calls a function of `rowvec_jobs`, in one round trip.

        The code of the owner that it runs may have set the path of the session, which is set back.
        """
        async with self._turn():
            async with self.connection.pipeline():
                cursor = await self.connection.execute(statement, parameters, binary=binary)
                await self.connection.execute(PIN)
            return await cursor.fetchall()

    async def hide_by_policies(self) -> None:
        """From here on rows that a policy hides are left out; else a job refuses to miss any."""
        await self.run("SET row_security = on")

    async def run(self, statement: Statement, parameters: Any = ()) -> int:
        """Executes and gives the number of rows it touched."""
        async with self._turn():
            return (await self.connection.execute(statement, parameters)).rowcount

    async def run_many(self, statement: Statement, parameters: Sequence[Any]) -> int:
        """Executes once for each, pipelined, and gives the number of rows they touched."""
        if not parameters:
            return 0
        async with self._turn(), self.connection.cursor() as cursor:
            await cursor.executemany(statement, parameters)
            return cursor.rowcount

    async def all(self, statement: Statement, parameters: Any = ()) -> list[tuple[Any, ...]]:
        """All rows."""
        async with self._turn():
            return await (await self.connection.execute(statement, parameters)).fetchall()

    async def dicts(self, statement: Statement, parameters: Any = ()) -> list[dict[str, Any]]:
        """All rows, by the names of their columns."""
        async with self._turn(), self.connection.cursor(row_factory=dict_row) as cursor:
            await cursor.execute(statement, parameters)
            return await cursor.fetchall()

    async def first(self, statement: Statement, parameters: object = ()) -> tuple[Any, ...] | None:
        """The first row, or None."""
        found = await self.all(statement, parameters)
        return found[0] if found else None

    async def value(self, statement: Statement, parameters: object = ()) -> Any:
        """The first column of the only row."""
        return (await self.all(statement, parameters))[0][0]

    async def briefly(self, *statements: Statement) -> None:
        """One transaction of statements that need a lock for a moment.

        Who waits for a lock keeps everybody behind it waiting: so not for long, but again.
        """
        for attempt in range(1, _LOCK_ATTEMPTS + 1):
            try:
                async with self.transaction():
                    await self.run("SET LOCAL lock_timeout = '1s'")
                    for statement in statements:
                        await self.run(statement)
            except DatabaseConflict:
                if attempt == _LOCK_ATTEMPTS:
                    raise
                await asyncio.sleep(1)
            else:
                return

    @contextmanager
    def notices(self) -> Iterator[list[str]]:
        """Collects what Postgres says beside its answers while the block runs."""
        said: list[str] = []

        def hear(diagnostic: psycopg.errors.Diagnostic) -> None:
            if not may_hold_a_row(diagnostic):
                said.append(diagnostic.message_primary or "")

        self.connection.add_notice_handler(hear)
        try:
            yield said
        finally:
            self.connection.remove_notice_handler(hear)

    @asynccontextmanager
    async def transaction(self, *first: Call) -> AsyncIterator[list[list[tuple[Any, ...]]]]:
        """A transaction around the block, in a turn of its own; errors at COMMIT are ours too.

        BEGIN takes the statements `first` along, in one round trip; the block gets their rows.
        """
        async with self._turn(), AsyncExitStack() as stack:
            async with self.connection.pipeline():
                # Its own `transaction()` would stay in the pipeline to the end, without COPY.
                await stack.enter_async_context(AsyncTransaction(self.connection))
                cursors = [await self.connection.execute(*call) for call in first]
            yield [await cursor.fetchall() for cursor in cursors]


@asynccontextmanager
async def open_session(dsn: str, application_name: str) -> AsyncIterator[Session]:
    """A session that is closed with the block.

    Raises DatabaseError where Postgres cannot be reached, SchemaError where pgvector is missing.
    """
    with database_errors():
        connection = await psycopg.AsyncConnection.connect(
            dsn, autocommit=True, application_name=application_name, client_encoding=ENCODING
        )
    async with connection:
        with database_errors():
            await _refuse_pooler(connection, dsn)
            await connection.execute(_SETTINGS)
            await connection.execute(PIN)
            schema = await _know_vectors(connection)
        yield Session(connection, schema)


async def _refuse_pooler(connection: psycopg.AsyncConnection[Any], dsn: str) -> None:
    """Raises DatabaseError where each transaction may have another backend.

    A pooler makes up the process id that it greets with, so only then is there more to ask. While
    a transaction of a second connection has a backend, the first gets another one, or has to wait,
    unless it keeps its own.
    """
    backend = await _backend(connection)
    if backend == connection.info.backend_pid:
        return
    try:
        async with asyncio.timeout(_POOLER_SECONDS):
            other = await psycopg.AsyncConnection.connect(dsn, application_name="rowvec")
            await _backend(other)
    except TimeoutError:
        return  # all backends are kept, ours among them
    async with other:
        try:
            async with asyncio.timeout(_POOLER_SECONDS):
                is_kept = await _backend(connection) == backend
        except TimeoutError:
            is_kept = False
    if not is_kept:
        raise DatabaseError(
            "the connection goes through a pooler such as PgBouncer in transaction mode, where the"
            " settings and locks of a job would be another's",
            hint="connect directly, or through a pool in session mode",
            code="0A000",
        )


async def _backend(connection: psycopg.AsyncConnection[Any]) -> int:
    row = await (await connection.execute("SELECT pg_catalog.pg_backend_pid()")).fetchone()
    assert row is not None
    return int(row[0])


async def _know_vectors(connection: psycopg.AsyncConnection[Any]) -> str:
    found = await (await connection.execute(query("vector_schema"))).fetchone()
    if found is None:
        raise SchemaError(
            "the extension vector is not in this database", hint="run `rowvec migrate`"
        )
    (schema,) = found
    name = sql.Identifier(schema, "vector").as_string(connection)
    vector = await TypeInfo.fetch(connection, name)
    assert vector is not None
    register_vector_info(connection, vector)
    register_arrays(connection, vector)
    return str(schema)
