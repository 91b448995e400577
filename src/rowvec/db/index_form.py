"""What an index holds of a vector, and the SQL of its expression and operators."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from psycopg import sql

from rowvec.db.compose import identifier

Storage = Literal["vector", "halfvec", "bit"]

# Ending of the operator class and operator of each metric: pgvector's, and other extensions have
# given their own classes the same names.
METRICS = {"cosine": ("cosine", "<=>"), "inner_product": ("ip", "<#>"), "l2": ("l2", "<->")}


@dataclass(frozen=True)
class Setting:
    """What a search is run with; None where it plays no part.

    `name` is the parameter of the index's access method, `probes` for example. Of an index over
    bits `rescore` candidates are ranked again by the vectors themselves.
    """

    name: str | None = None
    value: int | None = None
    rescore: int | None = None

    def __str__(self) -> str:
        given = {self.name: self.value, "rescore": self.rescore}
        return ", ".join(f"{k} {v}" for k, v in given.items() if v is not None) or "exact"


@dataclass(frozen=True)
class IndexForm:
    """The form of one index; `schema` is where pgvector lives, `column` the column of vectors.

    `method` is its access method.
    """

    method: str
    storage: Storage
    metric: str
    dimensions: int
    schema: str
    column: str

    @property
    def opclass(self) -> str:
        """The operator class, without its schema."""
        if self.storage == "bit":
            return "bit_hamming_ops"
        return f"{self.storage}_{METRICS[self.metric][0]}_ops"

    @property
    def distance(self) -> sql.Composed:
        """The operator of the metric."""
        return self._operator(METRICS[self.metric][1])

    @property
    def indexed(self) -> sql.Composed:
        """The expression of the index over the column; a search orders by this very expression."""
        return self._stored(identifier(self.column))

    def nearness(self, vector: sql.Composable) -> sql.Composed:
        """What orders rows by nearness to `vector` (SQL of type vector), as the index knows it."""
        operator = self._operator("<~>") if self.storage == "bit" else self.distance
        return sql.SQL("{} {} {}").format(self.indexed, operator, self._stored(vector))

    def parameters(self, setting: Setting) -> dict[str, str]:
        """The parameters of Postgres for a setting."""
        if setting.value is None:
            return {}
        return {f"{self.method}.{setting.name}": str(setting.value)}

    def exact(self, vector: sql.Composable) -> sql.Composed:
        """The distance of the vectors themselves."""
        return sql.SQL("{} {} {}").format(identifier(self.column), self.distance, vector)

    def _stored(self, vector: sql.Composable) -> sql.Composed:
        dimensions = sql.Literal(self.dimensions)
        schema = identifier(self.schema)
        if self.storage == "halfvec":
            return sql.SQL("({}::{}.halfvec({}))").format(vector, schema, dimensions)
        if self.storage == "bit":
            return sql.SQL("({}.binary_quantize({})::bit({}))").format(schema, vector, dimensions)
        return sql.SQL("{}").format(vector)

    def _operator(self, symbol: str) -> sql.Composed:
        # A symbol is one of four literals above.
        return sql.SQL("OPERATOR({}.{})").format(identifier(self.schema), sql.SQL(symbol))


def storage_of(opclass: str) -> Storage:
    """What an index of that operator class holds."""
    prefix = opclass.split("_", 1)[0]
    return "halfvec" if prefix == "halfvec" else "bit" if prefix == "bit" else "vector"
