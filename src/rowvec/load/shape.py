"""The columns that rows turn out to need, and each row's values in their order.

Types are found while rows are copied, and never lose anything: JSON's grow from the narrowest to
what the next value needs; cells of CSV are copied as text, and get their types when all are seen.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from rowvec.errors import InvalidRequest
from rowvec.load.block import Field, block
from rowvec.load.fields import array, field_of, text
from rowvec.rows.columns import Column, Names, plain_name
from rowvec.rows.kinds import SAFE_BIGINT, of_cell, of_value, settled, united
from rowvec.rows.reading import Row

_Convert = Callable[[Any], Any]

# The place of each column's value in a row (None: in the same order), and its conversion.
_Plan = tuple[list[int] | None, list[_Convert | None]]

_MAX_PLANS = 1000
_NUMBERS = (SAFE_BIGINT, "bigint", "double precision", "numeric")
_KINDS = ("boolean", "bigint", "numeric", "double precision", "text", "jsonb")


@dataclass
class Changes:
    """What the table lacks for the next row: new columns, and other types (from, to)."""

    added: dict[str, str] = field(default_factory=dict)
    widened: dict[str, tuple[str, str]] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.added or self.widened)

    def take(self) -> Changes:
        """Takes the changes that are due."""
        taken = Changes(self.added, self.widened)
        self.added, self.widened = {}, {}
        return taken


class Shape(Protocol):
    """Turns rows into values; `changes` are due before the values are copied."""

    changes: Changes
    columns: list[str]

    def values(self, row: Row) -> list[Any]:
        """A row's values in the order of `columns`; raises BadRow."""

    def block(self, rows: Sequence[Row]) -> str | None:
        """Rows as lines of COPY's text format; None where they have to go one by one."""

    def final(self) -> Changes:
        """What is left to do to the table when all rows are in."""


class JsonShape:
    """Columns of values that have types but declare none; what is known before goes by that.

    `known` columns keep their types unless they may `widen`; where they are `there`, the table has
    them already. A `closed` shape refuses all others.
    """

    def __init__(
        self,
        names: Names,
        known: Mapping[str, str],
        *,
        there: bool = False,
        widen: bool = False,
        closed: bool = False,
    ) -> None:
        self.changes = Changes()
        self.columns: list[str] = []
        self._names = names
        self._known = known
        self._there = there
        self._may_widen = widen
        self._closed = closed
        self._fields: dict[str, Field | None] = {}
        self._plans: dict[tuple[Any, ...], _Plan] = {}

    def values(self, row: Row) -> list[Any]:
        """A row's values in the order of `columns`; raises BadRow, InvalidRequest."""
        given = tuple(row.values())
        signature = (tuple(row), tuple(map(type, given)))
        while True:
            plan = self._plans.get(signature)
            if plan is None:
                plan = self._plans[signature] = self._plan(row)
            places, converts = plan
            ordered = given if places is None else [given[at] if at >= 0 else None for at in places]
            try:
                return [
                    value if convert is None else convert(value)
                    for value, convert in zip(ordered, converts, strict=True)
                ]
            except _WidenError as exc:
                self._widen(exc.field, exc.kind)

    def block(self, rows: Sequence[Row]) -> str | None:
        """Rows that need no change, as lines of COPY's text format; else None."""
        return block(rows, self._fields, self.columns) if self.columns else None

    def final(self) -> Changes:
        """Columns that never had a value, and arrays that never had an element."""
        changes = Changes()
        for key, known in self._fields.items():
            if known is None:
                if self._column_of(key) is None and not self._closed:
                    changes.added[self._names.name(key)] = "text"
            elif known.kind == "[]":
                changes.widened[known.name] = (known.type, settled("[]"))
        return changes

    def _plan(self, row: Row) -> _Plan:
        for key, value in row.items():
            self._meet(key, value)
        if len(self._plans) >= _MAX_PLANS:
            self._plans.clear()
        at = {key: number for number, key in enumerate(row)}
        found = {
            known.name: (at[key], self._converter(known, row[key]))
            for key, known in self._fields.items()
            if known is not None and key in at
        }
        plan = [found.get(name, (-1, None)) for name in self.columns]
        places = [place for place, _ in plan]
        in_order = places == list(range(len(row)))
        return (None if in_order else places), [convert for _, convert in plan]

    def _meet(self, key: str, value: Any) -> None:
        """Makes sure that the key's column exists and takes the value."""
        known = self._fields.get(key)
        if known is None:
            kind = of_value(value)
            self._fields.setdefault(key, None)
            if kind is None:
                return
            self._fields[key] = self._add(key, kind)
        elif known.kind is not None:
            kind = united(known.kind, of_value(value))
            if kind is not None and kind != known.kind:
                self._widen(known, kind)

    def _column_of(self, key: str) -> str | None:
        """The known column that is meant."""
        return next((name for name in (key, plain_name(key)) if name in self._known), None)

    def _add(self, key: str, kind: str) -> Field:
        name = self._column_of(key)
        if name is not None:
            type_ = self._known[name]
            new = Field(name, type_, type_ if self._may_widen and type_ in _KINDS else None)
        elif self._closed:
            raise _no_column(plain_name(key))
        else:
            new = Field(self._names.name(key), _physical(kind), kind)
        if name is None or not self._there:
            self.changes.added[new.name] = new.type
        self.columns.append(new.name)
        self._plans.clear()
        return new

    def _widen(self, known: Field, kind: str) -> None:
        after = _physical(kind)
        if known.name in self.changes.added:
            self.changes.added[known.name] = after
        elif after != known.type:
            before, _ = self.changes.widened.get(known.name, (known.type, ""))
            self.changes.widened[known.name] = (before, after)
        known.type, known.kind = after, kind
        self._plans.clear()

    def _converter(self, known: Field, value: Any) -> _Convert | None:
        """None where the value goes as it is."""
        kind = known.kind
        if value is None or (isinstance(value, bool) and kind == "boolean"):
            return None
        if kind is None:
            return field_of(known.type)
        if kind in _NUMBERS:
            return lambda each: _fitting(known, each)
        if kind.endswith("[]"):
            return lambda each: array(_fitting(known, each))
        return field_of(kind)


def _fitting(known: Field, value: Any) -> Any:
    """The value; values of one type of Python may need several of Postgres."""
    kind = united(known.kind, of_value(value))
    if kind != known.kind:
        assert kind is not None
        raise _WidenError(known, kind)
    return value


class _WidenError(Exception):
    """A value of a known type of Python that its column's kind does not take."""

    def __init__(self, known: Field, kind: str) -> None:
        super().__init__(kind)
        self.field, self.kind = known, kind


def _no_column(name: str) -> InvalidRequest:
    return InvalidRequest(
        f"the table has no column {name}, which the data has",
        hint="add it with --alter, or name the columns to load with --columns",
    )


def _physical(kind: str) -> str:
    # Of an array that had no element yet, only that it is one is known.
    return "text[]" if kind == "[]" else settled(kind)


class CellShape:
    """Columns of cells, all text until the end, when each gets the narrowest type that fits all."""

    def __init__(self, names: Names, types: Mapping[str, str]) -> None:
        self.changes = Changes()
        self.columns: list[str] = []
        self._names = names
        self._types = types
        self._fields: dict[str, Field] = {}
        self._of_keys: dict[tuple[str, ...], list[tuple[Field, str | None]]] = {}

    def values(self, row: Row) -> list[Any]:
        """A row's cells in the order of `columns`; raises BadRow."""
        keys = tuple(row)
        plan = self._of_keys.get(keys)
        if plan is None or len(plan) != len(self.columns):
            plan = self._of_keys[keys] = self._plan(keys)
        found = []
        for known, key in plan:
            cell = None if key is None else row[key]
            if cell is not None:
                if known.kind != "text":
                    known.kind = of_cell(known.kind, cell)
                cell = text(cell)
            found.append(cell)
        return found

    def block(self, rows: Sequence[Row]) -> str | None:  # noqa: ARG002
        """None: cells go row by row."""
        return None

    def final(self) -> Changes:
        """The types that all cells of a column fit."""
        changes = Changes()
        for known in self._fields.values():
            type_ = settled(known.kind)
            if known.type == "text" and type_ != "text":
                changes.widened[known.name] = ("text", type_)
        return changes

    def _plan(self, keys: tuple[str, ...]) -> list[tuple[Field, str | None]]:
        for key in keys:
            if key not in self._fields:
                name = self._names.name(key)
                type_ = self._types.get(name, "text")
                self._fields[key] = Field(name, type_, "text" if name in self._types else None)
                self.columns.append(name)
                self.changes.added[name] = type_
        return [(known, key if key in keys else None) for key, known in self._fields.items()]


class DeclaredShape:
    """Columns that the source declares. What is `known` keeps its type, and may be `there`."""

    def __init__(
        self, columns: Iterable[Column], known: Mapping[str, str], *, there: bool, closed: bool
    ) -> None:
        self.changes = Changes()
        self.columns: list[str] = []
        self._plan: list[tuple[str, Callable[[Any], Any], Callable[[Any], Any]]] = []
        for column in columns:
            if closed and column.name not in known:
                raise _no_column(column.name)
            type_ = known.get(column.name, column.type)
            if not there or column.name not in known:
                self.changes.added[column.name] = type_
            self.columns.append(column.name)
            self._plan.append((column.key, column.convert, field_of(type_)))

    def values(self, row: Row) -> list[Any]:
        """A row's values in the order of `columns`; raises BadRow."""
        return [
            None if (value := row.get(key)) is None or (made := convert(value)) is None
            else write(made)
            for key, convert, write in self._plan
        ]  # fmt: skip

    def block(self, rows: Sequence[Row]) -> str | None:  # noqa: ARG002
        """None: each value is converted alone."""
        return None

    def final(self) -> Changes:
        """Nothing: all was declared."""
        return Changes()
