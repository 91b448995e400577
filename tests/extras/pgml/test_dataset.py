"""pgml.load_dataset: folders of every format and feature, through a real worker."""

from __future__ import annotations

import datetime as dt
import gzip
import json
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import datasets
import psycopg
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from datasets import Array2D, Array3D, ClassLabel, Features, Image, Json, List, Value

from rowvec.db.schema import migrate
from support.postgres import Database, refused
from support.workers import StartWorker, point_at

MODEL = """
[[model]]
name = "stand-in"
kind = "stand-in"
dimensions = 8
"""

NAMES = ("typed", "csv", "json", "array", "many", "subsets", "nowhere", "nul", "mixed", "empty",
         "broken", "media", "owner/name", "differing")  # fmt: skip

PIXEL = bytes.fromhex("474946383961010001000000002c00000000010001000002")

FEATURES = Features(
    {
        "Title": Value("string"),
        "two words": Value("large_string"),
        "yes": Value("bool"),
        "tiny": Value("int8"), "whole": Value("int32"), "long": Value("int64"),
        "huge": Value("uint64"),
        "half": Value("float32"), "float": Value("float64"),
        "raw": Value("binary"),
        "price": Value("decimal128(10, 2)"),
        "at": Value("timestamp[us]"), "at_utc": Value("timestamp[us, tz=UTC]"),
        "day": Value("date32"), "clock": Value("time64[us]"), "lasts": Value("duration[us]"),
        "label": ClassLabel(names=["bad", "good"]),
        "tags": List(Value("string")), "scores": List(Value("float32")),
        "ragged": List(List(Value("int64"))),
        "grid": Array2D((2, 2), "int32"),
        "nested": {"a": Value("int64"), "b": List(Value("string"))},
        "things": List({"a": Value("int64")}),
        "free": Json(),
        "picture": Image(),
        "outside": Image(),
    }
)  # fmt: skip

ROW: dict[str, Any] = {
    "Title": 'He said "hi"\n\\u0000 — ü', "two words": "",
    "yes": True,
    "tiny": -7, "whole": 70000, "long": 2**40, "huge": 2**63 - 1,
    "half": 0.1, "float": float("nan"),
    "raw": b"\x00\xff",
    "price": Decimal("12.50"),
    "at": dt.datetime(2020, 2, 29, 12, 30, 1, 5),  # noqa: DTZ001
    "at_utc": dt.datetime(2020, 2, 29, 12, 30, tzinfo=dt.UTC),
    "day": dt.date(1999, 12, 31), "clock": dt.time(1, 2, 3, 4),
    "lasts": dt.timedelta(days=-1, seconds=5, microseconds=7),
    "label": 1,
    "tags": ["a,b", None, '{"'], "scores": [0.5, float("inf")],
    "ragged": [[1], [2, 3], []],
    "grid": [[1, 2], [3, 4]],
    "nested": {"a": 1, "b": ["x"]},
    "things": [{"a": 1}, {"a": None}],
    "free": {"any": [1, "thing"]},
    "picture": {"bytes": PIXEL, "path": "pixel.gif"},
    "outside": {"bytes": None, "path": "/etc/passwd"},
}  # fmt: skip

TYPES = {
    "title": "text", "two words": "text", "yes": "boolean", "tiny": "smallint",
    "whole": "integer", "long": "bigint", "huge": "numeric", "half": "real",
    "float": "double precision", "raw": "bytea", "price": "numeric",
    "at": "timestamp without time zone", "at_utc": "timestamp with time zone", "day": "date",
    "clock": "time without time zone", "lasts": "interval", "label": "bigint", "tags": "text[]",
    "scores": "real[]", "ragged": "jsonb", "grid": "integer[]", "nested": "jsonb",
    "things": "jsonb", "free": "jsonb", "picture": "bytea", "outside": "bytea",
}  # fmt: skip

COLUMNS = """
SELECT attname, format_type(atttypid, atttypmod) FROM pg_attribute
WHERE attrelid = %s::regclass AND attnum > 0 ORDER BY attnum
"""


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("datasets")
    for name in NAMES:
        if name not in ("nowhere", "owner/name"):
            (home / name).mkdir()
    nothing = dict.fromkeys(ROW)
    typed = datasets.Dataset.from_list([ROW, nothing], features=FEATURES)
    typed.to_parquet(home / "typed" / "train[1].parquet")
    typed.select([0]).to_parquet(home / "typed" / "test.parquet")
    numbers = datasets.Dataset.from_dict({"n": list(range(5000)), "t": ["x" * 1000] * 5000})
    for part in range(2):
        shard = numbers.select(range(part * 2500, part * 2500 + 2500))
        shard.to_parquet(home / "many" / f"train-{part:05}-of-00002.parquet")
    datasets.Dataset.from_dict({"n": [1], "t": ["a"], "late": [None]}).to_parquet(
        home / "differing" / "a.parquet"
    )
    datasets.Dataset.from_dict({"n": [2.5], "late": [True], "t": [[1]]}).to_parquet(
        home / "differing" / "b.parquet"
    )
    (home / "csv" / "reviews.csv").write_text(
        "\ufeffID,zip,stars,price,good,note\n"
        '1,00501,5,1,true,"two\nlines, ""quoted"""\n'
        "2,10001,,1.5,false,\n"
    )
    with gzip.open(home / "csv" / "reviews_2.csv.gz", "wt") as file:
        file.write("note,ID,zip\n7,3,94105\n")
    lines = [
        {"id": 1, "mixed": 1, "n": 1, "tags": [], "o": {"x": 1}},
        {"id": 2, "mixed": "zwei", "n": 1.5, "tags": ["a"], "o": [1], "late": True},
    ]
    (home / "json" / "a.jsonl").write_text("\n".join(map(json.dumps, lines)))
    (home / "array" / "a.json").write_text(json.dumps(lines))
    for subset in ("Video_DVD_v1_00", "Books_v1_00"):
        folder = home / "subsets" / subset
        folder.mkdir()
        (folder / "train.csv").write_text(f"subset\n{subset}\n")
    (home / "nul" / "a.jsonl").write_text(json.dumps({"t": "secret\0"}))
    (home / "mixed" / "a.jsonl").write_text("{}")
    (home / "mixed" / "a.csv").write_text("a\n")
    (home / "broken" / "a.parquet").write_bytes(b"secret")
    return home


@pytest.fixture(scope="module")
def reading_worker(home: Path, start_module_worker: StartWorker) -> Any:
    listed = "".join(
        f'\n[[dataset]]\nname = "{name}"\npath = "{home / name.replace("owner/name", "csv")}"\n'
        for name in NAMES
    )
    hub = '\n[[dataset]]\nname = "hub"\nhub = "no/such"\nrevision = "' + "0" * 40 + '"\n'
    return start_module_worker(MODEL + listed + hub)


@pytest.fixture
def conn(migrated_database: Database, reading_worker: Any) -> Iterator[psycopg.Connection]:
    migrate(migrated_database.dsn, with_pgml=True)
    point_at(migrated_database, reading_worker)
    with migrated_database.connect() as connection:
        yield connection


def load(conn: psycopg.Connection, arguments: str) -> list[Any]:
    return conn.execute(f"SELECT * FROM pgml.load_dataset({arguments})").fetchall()


def rows(conn: psycopg.Connection, statement: str, *parameters: object) -> list[Any]:
    return conn.execute(statement, parameters).fetchall()


def test_every_feature_has_its_column(conn: psycopg.Connection) -> None:
    assert load(conn, "'typed', kwargs => '{\"split\": \"train\"}'") == [("typed", 2)]
    assert dict(rows(conn, COLUMNS, "pgml.typed")) == TYPES
    first, second = rows(conn, "SELECT * FROM pgml.typed")
    assert set(second) == {None}
    found = dict(zip(TYPES, first, strict=True))
    expected = {
        **{name.lower(): value for name, value in ROW.items()},
        "half": pytest.approx(0.1), "float": pytest.approx(float("nan"), nan_ok=True),
        "picture": PIXEL,
        "outside": None,  # a path is never followed
    }  # fmt: skip
    assert found == expected


MEDIA = Features(
    {
        "sound": datasets.Audio(), "film": datasets.Video(), "sheet": datasets.Pdf(),
        "said": datasets.Translation(["de", "en"]),
        "pictures": List(Image()), "many": datasets.LargeList(Value("int64")),
        "labels": List(ClassLabel(names=["a", "b"])), "cube": Array3D((1, 1, 2), "float32"),
    }
)  # fmt: skip


def test_media_are_their_bytes_and_the_rest_is_sensible(
    conn: psycopg.Connection, home: Path
) -> None:
    """Written as the hub has them: the library itself would decode sounds and films first."""
    media = {"bytes": b"encoded", "path": "a.bin"}
    row = {
        "sound": media, "film": media, "sheet": {"bytes": None, "path": "/etc/passwd"},
        "said": {"de": "ja", "en": "yes"}, "pictures": [media, None], "many": [1, None],
        "labels": [1, 0], "cube": [[[1.0, 2.0]]],
    }  # fmt: skip
    # Arrays of a fixed form have a type of the library's own, which from_pylist does not build.
    schema = MEDIA.arrow_schema
    columns = [
        pa.ExtensionArray.from_storage(
            field.type, pa.array([row[field.name]], field.type.storage_type)
        )
        if isinstance(field.type, pa.ExtensionType)
        else pa.array([row[field.name]], field.type)
        for field in schema
    ]
    file = home / "media" / "train.parquet"
    pq.write_table(pa.Table.from_arrays(columns, schema=schema), file)
    assert load(conn, "'media'") == [("media", 1)]
    assert dict(rows(conn, COLUMNS, "pgml.media")) == {
        "sound": "bytea", "film": "bytea", "sheet": "bytea", "said": "jsonb",
        "pictures": "bytea[]", "many": "bigint[]", "labels": "bigint[]", "cube": "real[]",
    }  # fmt: skip
    assert rows(conn, "SELECT * FROM pgml.media") == [
        (b"encoded", b"encoded", None, {"de": "ja", "en": "yes"}, [b"encoded", None], [1, None],
         [1, 0], [[[1.0, 2.0]]])
    ]  # fmt: skip


def test_all_splits_train_first(conn: psycopg.Connection) -> None:
    assert load(conn, "'typed'") == [("typed", 3)]
    assert [row[0] for row in rows(conn, "SELECT label FROM pgml.typed")] == [1, None, 1]


def test_parquet_files_with_differing_columns(conn: psycopg.Connection) -> None:
    assert load(conn, "'differing'") == [("differing", 2)]
    assert dict(rows(conn, COLUMNS, "pgml.differing")) == {
        "n": "double precision", "t": "jsonb", "late": "boolean",
    }  # fmt: skip
    assert rows(conn, "SELECT * FROM pgml.differing") == [(1.0, "a", None), (2.5, [1], True)]


def test_csv(conn: psycopg.Connection) -> None:
    assert load(conn, "'csv'") == [("csv", 3)]
    assert dict(rows(conn, COLUMNS, "pgml.csv")) == {
        "id": "bigint", "zip": "text", "stars": "bigint", "price": "double precision",
        "good": "boolean", "note": "text",
    }  # fmt: skip
    assert rows(conn, "SELECT * FROM pgml.csv") == [
        (1, "00501", 5, 1.0, True, 'two\nlines, "quoted"'),
        (2, "10001", None, 1.5, False, None),
        (3, "94105", None, None, None, "7"),
    ]


@pytest.mark.parametrize("name", ["json", "array"])
def test_json(conn: psycopg.Connection, name: str) -> None:
    """As lines and as one array; a type fits every value, not only the first."""
    assert load(conn, f"'{name}'") == [(name, 2)]
    assert dict(rows(conn, COLUMNS, f"pgml.{name}")) == {
        "id": "bigint", "mixed": "text", "n": "double precision", "tags": "text[]",
        "o": "jsonb", "late": "boolean",
    }  # fmt: skip
    assert rows(conn, f"SELECT * FROM pgml.{name}") == [
        (1, "1", 1.0, [], {"x": 1}, None),
        (2, "zwei", 1.5, ["a"], [1], True),
    ]


def test_many_pages(conn: psycopg.Connection) -> None:
    notices: list[str] = []
    conn.add_notice_handler(lambda diagnostic: notices.append(diagnostic.message_primary or ""))
    conn.execute("UPDATE rowvec.setting SET value = '1' WHERE name = 'worker_deadline_ms'")
    assert load(conn, "'many'") == [("many", 5000)]
    assert rows(conn, "SELECT count(*), count(DISTINCT n), min(n), max(n) FROM pgml.many") == [
        (5000, 5000, 0, 4999)
    ]
    assert notices[-1] == "pgml.many: 5000 rows loaded"


@pytest.mark.parametrize("limit", [0, 1, 999, 1000, 1001, 9999])
def test_limit(conn: psycopg.Connection, limit: int) -> None:
    assert load(conn, f"'many', \"limit\" => {limit}") == [("many", min(limit, 5000))]
    expected = None if limit == 0 else min(limit, 5000) - 1
    assert rows(conn, "SELECT count(*), max(n) FROM pgml.many") == [(min(limit, 5000), expected)]


def test_subset(conn: psycopg.Connection) -> None:
    with refused("22023", "several subsets", "Books_v1_00, Video_DVD_v1_00"):
        load(conn, "'subsets'")
    for subset in ("../csv", "/etc", "", "nope"):
        with refused("42501", "no subset of that name", "subsets: Books_v1_00, Video_DVD_v1_00"):
            load(conn, f"'subsets', '{subset}'")
    assert load(conn, "'subsets', 'Video_DVD_v1_00'") == [("subsets", 1)]
    assert rows(conn, "SELECT * FROM pgml.subsets") == [("Video_DVD_v1_00",)]


def test_a_name_with_a_slash(conn: psycopg.Connection) -> None:
    assert load(conn, "'owner/name'") == [("owner/name", 3)]
    assert rows(conn, 'SELECT count(*) FROM pgml."owner/name"') == [(3,)]


def test_a_table_that_is_there_stays(conn: psycopg.Connection) -> None:
    conn.execute("CREATE TABLE pgml.csv AS SELECT 1 AS mine")
    with refused("42P07", "the table pgml.csv is there already", "rename or drop it"):
        load(conn, "'csv'")
    assert rows(conn, "SELECT * FROM pgml.csv") == [(1,)]


BAD = {
    "unlisted": ("'nope'", "42501", "the worker's list has no dataset 'nope'",
                 "listed: typed, csv"),
    "a path": ("'/etc'", "42501", "has no dataset '/etc'", "listed: typed"),
    "upwards": ("'csv/../json'", "42501", "has no dataset", "listed: typed"),
    "a url": ("'https://example.com/a.csv'", "42501", "has no dataset", "[[dataset]]"),
    "missing folder": ("'nowhere'", "F0000", "'nowhere': there is no folder /", ""),
    "not pulled": ("'hub'", "F0000", "is not on this machine", "hf download no/such --repo-type"),
    "no files": ("'empty'", "F0000", "has no Parquet, CSV or JSON file", ""),
    "several formats": ("'mixed'", "F0000", "several formats", "subset"),
    "no parquet": ("'broken'", "F0000", "cannot read the dataset 'broken'", ""),
    "U+0000": ("'nul'", "22021", "row 1 contains U+0000", ""),
    "no split": ("'csv', kwargs => '{\"split\": \"test\"}'", "22023", "no split", "splits: train"),
    "kwargs": ("'csv', kwargs => '{\"trust_remote_code\": true}'", "22023",
               "unknown kwargs: trust_remote_code", "split"),
    "no object": ("'csv', kwargs => '[]'", "22023", "must be a JSON object", ""),
    "limit": ("'csv', \"limit\" => -1", "22023", "limit must not be negative", ""),
    "NULL": ("NULL", "22004", "source must not be NULL", ""),
}  # fmt: skip


@pytest.mark.parametrize("bad", BAD)
def test_refused(conn: psycopg.Connection, reading_worker: Any, bad: str) -> None:
    arguments, sqlstate, message, hint = BAD[bad]
    with refused(sqlstate, message, hint) as refusal:
        load(conn, arguments)
    assert "secret" not in refusal.everything
    assert "secret" not in reading_worker.log.read_text()
    tables = "SELECT count(*) FROM pg_class WHERE relnamespace = 'pgml'::regnamespace"
    assert rows(conn, tables) == [(0,)]


def test_the_owners_only(conn: psycopg.Connection, migrated_database: Database) -> None:
    conn.execute("CREATE ROLE dataset_reader LOGIN IN ROLE rowvec_user")
    try:
        with (
            migrated_database.connect("dataset_reader") as theirs,
            pytest.raises(psycopg.errors.InsufficientPrivilege),
        ):
            load(theirs, "'csv'")
    finally:
        conn.execute("DROP ROLE dataset_reader")


def test_a_load_that_is_rolled_back_leaves_nothing(conn: psycopg.Connection) -> None:
    with conn.transaction():
        load(conn, "'csv'")
        raise psycopg.Rollback
    assert load(conn, "'csv'") == [("csv", 3)]
