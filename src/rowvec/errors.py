"""Every error that rowvec raises on purpose, and the SQLSTATE each travels under.

The tree (an indented class derives from the one above it)::

    RowvecError              58000  something in rowvec failed
      ConfigError            F0000  a setting, a file or models.toml is wrong
        ModelError           F0000  a listed model cannot be loaded
      SchemaError            55000  the database is not at the revision that this release needs
      DatabaseError          58000  Postgres refused; carries the SQLSTATE that Postgres gave
        DatabaseUnavailable  58000  Postgres is away, full or a standby: again later may do
        DatabaseConflict     58000  other transactions were in the way: at once again may do
        RowRefused           58000  Postgres refused one row; carries the SQLSTATE too
        DefinitionChanged    58000  an embedding is not what a job began with
        LeaseLost            58000  another job works on a range of keys that was ours
      ProtocolError          08P01  bytes that are not the protocol
      AuthenticationError    28P01  wrong user or password
      InvalidRequest         22023  a request that no retry will mend
        NotARequest          42601  a query that is not one of the worker's requests
        InvalidText          22021  a text that no encoding can carry (lone surrogate, U+0000)
        InputTooLong         22001  a text longer than the model reads, where that is an error
        RequestTooLarge      54000  beyond the worker's limit of bytes
        BadRow               22P04  a row of a file or of another source that cannot be read
        NotAllowed           42501  a model that the administrator's list does not have
        NotSupported         0A000  a part of the protocol or a feature that is not there
        NonFiniteEmbedding   22003  the model answered NaN or infinity
        DimensionMismatch    22000  the model and the column differ in dimensions
      Overloaded             53400  the queue is full; try again later
        TooManyConnections   53300  as many clients as the worker takes
        OutOfMemory          53200  memory is short; when others are done it may do
          ModelTooLarge      53200  a model that exceeds the worker's memory budget alone
      DeadlineExceeded       57000  not done within the request's deadline
      Cancelled              57014  the client asked to stop
      ShuttingDown           57P01  the worker is stopping
      BackendFailed          58000  the engine died while it computed
      WorkerUnreachable      08001  no worker answers at the address
      SourceInterrupted      HV000  a source of rows ended before its end

SQLSTATEs are PostgreSQL's own (Appendix A of its manual); none is invented.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import ClassVar


class RowvecError(Exception):
    """Base of all errors raised on purpose.

    `message` is one sentence that says what is wrong; `hint`, where there is one, says what to do.
    `input_number` is the number of the input that failed, from 1, where one of several is to
    blame: the message never names it, `str(error)` puts it in front. None of them ever holds a text
    that a user wanted embedded.
    """

    sqlstate: ClassVar[str] = "58000"
    retryable: ClassVar[bool] = False

    def __init__(
        self, message: str, *, hint: str | None = None, input_number: int | None = None
    ) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.input_number = input_number

    def __str__(self) -> str:
        if self.input_number is None:
            return self.message
        return f"input {self.input_number}: {self.message}"

    @property
    def detail(self) -> str | None:
        """The facts that a program may need, as a JSON object; it travels as Postgres's DETAIL."""
        return None if self.input_number is None else json.dumps({"input": self.input_number})


class ConfigError(RowvecError):
    """A setting, a file or models.toml is wrong."""

    sqlstate = "F0000"


class ModelError(ConfigError):
    """A listed model cannot be loaded."""


class SchemaError(RowvecError):
    """The database is not at the revision that this release needs."""

    sqlstate = "55000"


class DatabaseError(RowvecError):
    """Postgres refused. `code` is the SQLSTATE that Postgres gave, where there was one.

    `constraint` is the constraint or index that it named.
    """

    def __init__(
        self,
        message: str,
        *,
        hint: str | None = None,
        code: str | None = None,
        constraint: str | None = None,
    ) -> None:
        super().__init__(message, hint=hint)
        self.code = code
        self.constraint = constraint


class DatabaseUnavailable(DatabaseError):
    """Postgres is away, out of some resource, or a standby; another attempt later may do."""

    retryable = True


class DatabaseConflict(DatabaseError):
    """A deadlock, a serialization failure or a lock that others hold; nothing was written."""

    retryable = True


class RowRefused(DatabaseError):
    """What is written of one row, or where `is_read` its input, which raises an error.

    What Postgres said may hold the row's text, so no message has it.
    """

    def __init__(
        self, code: str | None, *, constraint: str | None = None, is_read: bool = False
    ) -> None:
        super().__init__("the database refused a row", code=code, constraint=constraint)
        self.is_read = is_read


class DefinitionChanged(DatabaseError):
    """An embedding was changed or dropped while a job worked on it."""


class LeaseLost(DatabaseError):
    """Another job took over what this one held for longer than its lease."""


class ProtocolError(RowvecError):
    """Bytes that are not the protocol."""

    sqlstate = "08P01"


class AuthenticationError(RowvecError):
    """Wrong user or password; the message does not tell which."""

    sqlstate = "28P01"


class InvalidRequest(RowvecError):
    """A request that no retry will mend."""

    sqlstate = "22023"


class NotARequest(InvalidRequest):
    """A query that is not one of the worker's requests."""

    sqlstate = "42601"


class InvalidText(InvalidRequest):
    """A text that no encoding can carry."""

    sqlstate = "22021"


class InputTooLong(InvalidRequest):
    """A text longer than the model reads, where the caller asked for an error."""

    sqlstate = "22001"


class RequestTooLarge(InvalidRequest):
    """More bytes than the worker takes."""

    sqlstate = "54000"


class BadRow(InvalidRequest):
    """A row of a file or of another source that cannot be read; the others may be fine."""

    sqlstate = "22P04"


class NotAllowed(InvalidRequest):
    """A model that the administrator's list does not have."""

    sqlstate = "42501"


class NotSupported(InvalidRequest):
    """A part of the protocol, or a feature, that is not there."""

    sqlstate = "0A000"


class NonFiniteEmbedding(InvalidRequest):
    """The model answered NaN or infinity for an input."""

    sqlstate = "22003"


class DimensionMismatch(InvalidRequest):
    """The model and the column differ in dimensions."""

    sqlstate = "22000"


class Overloaded(RowvecError):
    """The queue is full."""

    sqlstate = "53400"
    retryable = True


class TooManyConnections(Overloaded):
    """As many clients as the worker takes are connected."""

    sqlstate = "53300"


class OutOfMemory(Overloaded):
    """Memory is short, in the worker or in Postgres; when others are done it may do."""

    sqlstate = "53200"


class ModelTooLarge(OutOfMemory):
    """A model that exceeds the worker's memory budget alone."""

    retryable = False


class DeadlineExceeded(RowvecError):
    """Not done within the request's deadline."""

    # Not 57014: PL/pgSQL's WHEN OTHERS does not catch a cancel.
    sqlstate = "57000"
    retryable = True


class Cancelled(RowvecError):
    """The client asked to stop."""

    sqlstate = "57014"


class ShuttingDown(RowvecError):
    """The worker is stopping."""

    sqlstate = "57P01"
    retryable = True


class BackendFailed(RowvecError):
    """The engine died while it computed."""

    retryable = True


class WorkerUnreachable(RowvecError):
    """No worker answers at the address."""

    sqlstate = "08001"
    retryable = True


class SourceInterrupted(RowvecError):
    """A source of rows ended before its end: what it gave is good, and `rest` begins the others."""

    sqlstate = "HV000"

    def __init__(self, message: str, *, rest: str = "", hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.rest = rest


def subclasses(root: type[RowvecError] = RowvecError) -> list[type[RowvecError]]:
    """`root` and everything below it, parents first."""
    return [root, *(c for child in root.__subclasses__() for c in subclasses(child))]


# A SQLSTATE that two classes share (F0000, 58000) means the more general one, as it comes first.
_BY_SQLSTATE: dict[str, type[RowvecError]] = {}
for _class in subclasses():
    _BY_SQLSTATE.setdefault(_class.sqlstate, _class)


def input_named_in(detail: str | None) -> int | None:
    """The number of the input that a DETAIL of ours names; None for any other."""
    try:
        facts = json.loads(detail or "null")
    except ValueError:
        return None
    number = facts.get("input") if isinstance(facts, dict) else None
    return number if type(number) is int else None  # bool is an int, too


def did_you_mean(name: str, known: Iterable[str]) -> str | None:
    """A hint at the known names that are written much like this one; None where none is."""
    near = difflib.get_close_matches(name[:200], list(known), n=2)
    return f"did you mean {' or '.join(near)}?" if near else None


def reason(error: Exception) -> str:
    """What an error says; of the system's errors without their number and the path again."""
    return (isinstance(error, OSError) and error.strerror) or str(error)


@contextmanager
def renumbering(places: Sequence[int]) -> Iterator[None]:
    """Renumbers the input that the block fails at: its n-th input has the n-th of these places.

    For a caller that hands on some of its own inputs, or parts of them. Places count from 0.
    """
    try:
        yield
    except RowvecError as exc:
        if exc.input_number is not None:
            known = 1 <= exc.input_number <= len(places)
            exc.input_number = places[exc.input_number - 1] + 1 if known else None
        raise


def from_sqlstate(
    sqlstate: str, message: str, hint: str | None = None, *, input_number: int | None = None
) -> RowvecError:
    """The error that a SQLSTATE stands for; an unknown one becomes a plain RowvecError.

    Classes 08 (connection), 53 (resources), 57 (intervention) and 58 (system) that we do not use
    ourselves are told apart, so that a job knows what to retry.
    """
    found = _BY_SQLSTATE.get(sqlstate)
    if found is None:
        by_class = {"08": WorkerUnreachable, "53": Overloaded, "57": ShuttingDown}
        family: dict[str, type[RowvecError]] = {**by_class, "22": InvalidRequest}
        found = family.get(sqlstate[:2], RowvecError)
    if found is RowvecError and sqlstate.startswith("58"):
        found = BackendFailed
    error = found(message, hint=hint)
    error.input_number = input_number
    return error
