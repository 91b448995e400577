"""What both SQL and Python know, each for itself, is the same."""

from __future__ import annotations

from typing import get_args

import psycopg
import pytest

from rowvec.chunking.cutting import ChunkBorder
from rowvec.db.index_form import METRICS, IndexForm
from rowvec.errors import input_named_in


@pytest.mark.parametrize("metric", METRICS)
def test_the_operator_of_a_metric(connection: psycopg.Connection, metric: str) -> None:
    row = connection.execute("SELECT rowvec._operator(%s)", (metric,)).fetchone()
    form = IndexForm("hnsw", "vector", metric, 3, "public", "embedding")
    assert row == (form.distance.as_string().replace('"', ""),)


def test_no_metric_is_missing(connection: psycopg.Connection) -> None:
    """The catalog's own check says which there are."""
    row = connection.execute(
        "SELECT pg_get_constraintdef(oid) FROM pg_constraint"
        " WHERE conrelid = 'rowvec.embedding'::regclass AND conname ~ 'metric'"
    ).fetchone()
    assert row is not None
    assert {metric for metric in METRICS if f"'{metric}'" in row[0]} == set(METRICS)
    assert row[0].count("'::text") == len(METRICS)


@pytest.mark.parametrize(
    "detail",
    ['{"input": 3}', '{"input": 0, "more": [1]}', '{"input": true}', '{"input": null}',
     '{"input": "x"}', '{"input": 2.5}', "{}", "[3]", "3", "Key (id)=(1) already exists.", "",
     None],
)  # fmt: skip
def test_the_input_that_a_detail_names(connection: psycopg.Connection, detail: str | None) -> None:
    row = connection.execute("SELECT rowvec._input_named_in(%s)", (detail,)).fetchone()
    assert row == (input_named_in(detail),)


@pytest.mark.parametrize("border", get_args(ChunkBorder))
def test_a_border_of_chunks_is_one_that_a_definition_may_name(
    connection: psycopg.Connection, border: str
) -> None:
    row = connection.execute(
        "SELECT rowvec._chunk_options('stand-in', 'text',"
        " jsonb_build_object('tokens', 8, 'split', %s::text), '{}') ->> 'split'",
        (border,),
    ).fetchone()
    assert row == (border,)
