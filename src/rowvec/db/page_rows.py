"""What the pages show of a database, a statement each."""

from __future__ import annotations

from typing import Any

import numpy as np
import orjson
import psycopg
from numpy.typing import NDArray
from psycopg.rows import dict_row

from rowvec.db.connection import fetch, fetch_typed
from rowvec.db.index_form import Setting
from rowvec.db.measured import Measured


class PageRows:
    """What one request reads, in its one transaction."""

    def __init__(self, connection: psycopg.Connection) -> None:
        self.connection = connection

    def embeddings(self) -> list[dict[str, Any]]:
        """Every embedding with its progress, as rowvec.status has it; raises DatabaseError."""
        return fetch_typed(self.connection, "ui_embeddings", None, dict_row)

    def embedding(self, number: int) -> dict[str, Any] | None:
        """The definition with this id, None where there is none; raises DatabaseError."""
        found = fetch_typed(self.connection, "ui_embedding", {"id": number}, dict_row)
        return found[0] if found else None

    def failures(self, number: int, limit: int) -> list[dict[str, Any]]:
        """Rows that the model refused, the latest first; raises DatabaseError."""
        return self._dicts("ui_failures", {"id": number, "limit": limit})

    def measurements(self, number: int) -> tuple[list[Measured], Measured | None]:
        """What was measured of the index, the fastest setting first, and what `search` uses of it.

        Raises DatabaseError.
        """
        measured, used = [], None
        for row in self._dicts("ui_measurements", {"id": number}):
            setting = Setting(row["setting_name"], row["setting"], row["rescore"])
            measured.append(Measured(setting, row["recall"], row["p50_ms"], row["p95_ms"]))
            if row["is_used"]:
                used = measured[-1]
        return measured, used

    def setting(self, name: str) -> Any:
        """The value of a setting of the database; raises DatabaseError."""
        (found,) = self._dicts("setting", {"name": name})
        return found["value"]

    def has_derived(self, number: int, kind: str) -> bool:
        """Whether a table of this kind was made from the embedding; raises DatabaseError."""
        (found,) = self._dicts("ui_has_derived", {"id": number, "kind": kind})
        return bool(found["found"])

    def input_of(self, number: int, key: str) -> str | None:
        """What a row, named by its key as JSON, gives the model; raises DatabaseError."""
        (found,) = self._dicts("ui_input", {"id": number, "key": key})
        text: str | None = found["input"]
        return text

    def models(self) -> list[dict[str, Any]]:
        """What the worker serves; raises DatabaseError where it cannot be reached."""
        return self._dicts("ui_models")

    def embed(self, model: str, texts: list[str]) -> NDArray[np.float32]:
        """A vector a text, one request; raises DatabaseError."""
        found = self._dicts("ui_embed", {"model": model, "texts": texts})
        return np.array([orjson.loads(row["embedding"]) for row in found], np.float32)

    def _dicts(
        self, name: str, parameters: dict[str, object] | None = None
    ) -> list[dict[str, Any]]:
        return fetch(self.connection, name, parameters, dict_row)
