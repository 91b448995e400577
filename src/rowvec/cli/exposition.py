"""`rowvec status --prometheus`: the embeddings as Prometheus reads them from a file."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

_Row = Mapping[str, Any]


def _seconds(row: _Row, name: str) -> float | None:
    return None if row[name] is None else row[name].total_seconds()


def _age(row: _Row) -> float | None:
    measured = row["measured_at"]
    return None if measured is None else (datetime.now(UTC) - measured).total_seconds()


# name, help, and where a row of sql/queries/status.sql has it; None is left out.
GAUGES: tuple[tuple[str, str, Callable[[_Row], float | None]], ...] = (
    ("rows", "Rows of the table, an estimate of a large one", lambda r: r["rows"]),
    ("pending_rows", "Rows without a current vector, failed ones too", lambda r: r["pending"]),
    ("failed_rows", "Rows that were refused and set aside", lambda r: r["failed"]),
    ("truncated_rows", "Rows with a text that was cut off", lambda r: r["truncated"]),
    ("jobs", "Jobs that work on it, a sync among them", lambda r: r["workers"]),
    ("rows_per_second", "Speed of these jobs", lambda r: r["rows_per_second"]),
    ("lag_seconds", "How far a sync is behind", lambda r: _seconds(r, "lag")),
    ("paused", "Whether jobs leave it alone", lambda r: r["paused"]),
    ("recall", "Recall of its index as last measured", lambda r: r["recall"]),
    ("recall_age_seconds", "Time since that was measured", _age),
    ("index_is_advised", "Whether its index should be built anew",
     lambda r: r["index_advice"] is not None),
)  # fmt: skip


def exposition(embeddings: Sequence[_Row]) -> Iterator[str]:
    """The lines of Prometheus's text format."""
    for name, words, read in GAUGES:
        metric = f"rowvec_embedding_{name}"
        yield f"# HELP {metric} {words}"
        yield f"# TYPE {metric} gauge"
        for one in embeddings:
            value = read(one)
            if value is not None:
                labels = ",".join(
                    f'{label}="{_escaped(str(one[label]))}"'
                    for label in ("source", "embedding", "model")
                )
                yield f"{metric}{{{labels}}} {float(value)}"


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
