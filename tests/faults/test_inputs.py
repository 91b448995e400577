"""Faults 21 to 35: inputs that no model was made for."""

from __future__ import annotations

import asyncio
import io
import json
import re
import struct
import urllib.request
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import psycopg
import pytest
from PIL import Image

from rowvec.client import WorkerClient
from rowvec.errors import (
    BackendFailed,
    ConfigError,
    DeadlineExceeded,
    InvalidRequest,
    RequestTooLarge,
)
from rowvec.models.families.stand_in import derived_vector
from rowvec.models.images import read_image
from support.commands import Rowvec
from support.library import Encode
from support.lines import Base
from support.models import MINILM, RealModel
from support.postgres import Database, refused
from support.workers import StartWorker, Worker, point_at

BLANK = ["", " ", " \t\n "]
ADDRESSES = [
    "/etc/passwd", "file:///etc/passwd", "http://127.0.0.1:1/picture.png",
    "data:image/png;base64,iVBORw0KGgo=", "../../model.safetensors", "~/secrets",
]  # fmt: skip


def one(conn: psycopg.Connection, statement: str, *parameters: object) -> Any:
    row = conn.execute(statement, parameters).fetchone()
    assert row is not None
    return row[0]


def embedded(conn: psycopg.Connection, text: str, model: str = "stand-in") -> Any:
    written = one(conn, "SELECT rowvec.embed(%s, %s)::text", model, text)
    return np.array(json.loads(written), dtype=np.float32)


def test_fault_21_null(base: Base) -> None:
    """NULL gives NULL, and nobody is asked: there is no worker here."""
    with base.connect() as conn:
        assert one(conn, "SELECT rowvec.embed('stand-in', NULL) IS NULL")
        assert conn.execute("SELECT rowvec.embed_batch('stand-in', ARRAY[]::text[])").rowcount == 0


@pytest.mark.parametrize("text", BLANK)
def test_fault_22_empty_or_blank(conn: psycopg.Connection, text: str) -> None:
    assert (embedded(conn, text) == derived_vector(text, 8)).all()


@pytest.mark.minilm
def test_fault_22_and_31_a_real_model_gives_what_encode_gives(
    connection: psycopg.Connection, library_encode: Encode, real_model: RealModel
) -> None:
    """Of a blank text as of one that looks like an address; nothing is opened."""
    texts = [*BLANK, *ADDRESSES]
    for text, expected in zip(texts, library_encode(real_model("minilm"), texts), strict=True):
        cosine = float(embedded(connection, text, MINILM) @ expected)
        assert cosine == pytest.approx(1, abs=1e-4), text
    for text in BLANK:
        assert one(connection, "SELECT rowvec.count_tokens(%s, %s)", MINILM, text) == 2


def test_fault_23_a_hundred_megabytes(conn: psycopg.Connection) -> None:
    """54000 before a tokenizer sees it; the line stays, and the next call works."""
    with refused("54000", "the worker takes"):
        conn.execute("SELECT rowvec.embed('stand-in', repeat('x', 100000000))")
    assert (embedded(conn, "next") == derived_vector("next", 8)).all()


def test_fault_23_a_prompt_before_every_text(conn: psycopg.Connection) -> None:
    """It counts as often as a model would read it: 300 MB out of a few hundred kilobytes."""
    many = "ARRAY(SELECT i::text FROM generate_series(1, 30000) AS i)"
    kwargs = json.dumps({"prompt": "p" * 10_000})
    with refused("54000", "bytes to read, prompts counted"):
        conn.execute(f"SELECT rowvec.embed_batch('stand-in', {many}, %s)", (kwargs,))
    assert (embedded(conn, "next") == derived_vector("next", 8)).all()


def test_fault_24_longer_than_the_model(conn: psycopg.Connection) -> None:
    """Cut off as the library does, counted whole, and an error where that is asked for."""
    text = "word " * 300
    assert one(conn, "SELECT rowvec.count_tokens('stand-in', %s)", text) == 300
    assert (embedded(conn, text) == derived_vector(" ".join(["word"] * 256), 8)).all()
    with refused("22001", "the text has 300 tokens, the model reads 256"):
        conn.execute("""SELECT rowvec.embed('stand-in', %s, '{"on_truncate": "error"}')""", (text,))


@pytest.mark.parametrize(
    ("text", "sqlstate"),
    [(rb"a\u0000b", "22021"), (rb"\ud800", "22021"), (b"\xff\xfe", "22021"), (b"\xc3", "22021")],
)
def test_fault_25_no_characters(shared_worker: Worker, text: bytes, sqlstate: str) -> None:
    """An error of class 22 for the request; others on the line and beside it are fine."""
    with psycopg.connect(shared_worker.conninfo, autocommit=True) as connection:
        query = b'{"v":1,"op":"embed","model":"stand-in","inputs":["fine","' + text + b'"]}'
        with pytest.raises(psycopg.Error) as caught:
            connection.execute(query)
        assert caught.value.sqlstate == sqlstate
        fine = connection.execute('{"v":1,"op":"embed","model":"stand-in","inputs":["fine"]}')
        assert fine.nextset()
        vector = np.array(json.loads(fine.fetchall()[0][0]), dtype=np.float32)
        assert (vector == derived_vector("fine", 8)).all()


def test_fault_26_tokenizer_hangs(start_worker: StartWorker, models_of_faults: str) -> None:
    """The deadline answers, the engine is replaced, and after the second time it is refused."""
    worker = start_worker(models_of_faults, "--engine-stall-seconds", "0.5")

    async def scenario() -> None:
        async with (
            await WorkerClient.connect(worker.conninfo) as client,
            await WorkerClient.connect(worker.conninfo) as other,
        ):
            sqlstates: list[str] = []
            while sqlstates[-1:] != ["58000"]:
                with pytest.raises(
                    (DeadlineExceeded, BackendFailed), match=r"deadline of 500 ms|ended the engine"
                ) as caught:
                    await client.embed("hanging", ["hang the engine"], deadline_ms=500)
                sqlstates.append(caught.value.sqlstate)
                # It waits behind what hangs, and is answered by the next engine.
                answer = await other.embed("stand-in", [f"after {len(sqlstates)}"])
                assert (answer.vectors[0] == derived_vector(f"after {len(sqlstates)}", 8)).all()
            assert set(sqlstates) == {"57000", "58000"}

    async def limited() -> None:
        async with asyncio.timeout(100):
            await scenario()

    asyncio.run(limited())


STRANGE = """
[[model]]
name = "strange"
kind = "stand-in"
dimensions = 8
nan = "is NaN"
zero = "is zero"
"""


@pytest.fixture(scope="module")
def strange_worker(start_module_worker: StartWorker) -> Worker:
    """A worker whose model gives numbers that are none, and vectors that point nowhere."""
    return start_module_worker(STRANGE, "--http-listen", "127.0.0.1:0")


@pytest.fixture
def notes(migrated_database: Database, strange_worker: Worker) -> Iterator[psycopg.Connection]:
    """A session with an embedding column, its model the strange one."""
    point_at(migrated_database, strange_worker)
    with migrated_database.connect() as conn:
        conn.execute("CREATE TABLE notes (id int PRIMARY KEY, body text)")
        conn.execute("SELECT rowvec.create_embedding('notes', 'strange', 'body')")
        yield conn


def test_fault_27_nan(notes: psycopg.Connection) -> None:
    """An error that names the input; in a backfill the row fails alone, and nothing is stored."""
    with refused("22003", "NaN or infinity") as refusal:
        notes.execute(
            "SELECT * FROM rowvec.embed_batch('strange', ARRAY['fine', 'this is NaN', 'fine too'])"
        )
    assert json.loads(refusal.detail) == {"input": 2}
    notes.execute("INSERT INTO notes SELECT g, 'text ' || g FROM generate_series(1, 20) AS g")
    notes.execute("UPDATE notes SET body = 'this is NaN' WHERE id = 7")
    notes.execute("CALL rowvec.backfill('notes')")
    assert one(notes, "SELECT array_agg(id) FROM notes WHERE embedding IS NULL") == [7]
    assert notes.execute("SELECT key, sqlstate FROM rowvec.failure").fetchall() == [(7, "22003")]


def test_fault_28_zero_vector(notes: psycopg.Connection, strange_worker: Worker) -> None:
    """Given as it is and flagged: a cosine index skips it, and the metric tells how many."""
    port = re.search(r"answering HTTP on (\S+)", strange_worker.log.read_text())
    assert port is not None

    def zeros() -> float:
        with urllib.request.urlopen(f"{port[1]}/metrics", timeout=60) as page:  # noqa: S310
            found = re.search(
                rb'rowvec_model_zero_vectors_total\{model="strange"\} (\S+)', page.read()
            )
        return float(found[1]) if found else 0

    before = zeros()
    assert not embedded(notes, "this is zero", "strange").any()
    assert zeros() == before + 1


def test_fault_29_other_dimensions(migrated_database: Database, start_worker: StartWorker) -> None:
    """22000 before anything is written, be it by SQL or by the job."""
    narrow = start_worker(STRANGE)
    point_at(migrated_database, narrow)
    with migrated_database.connect() as conn:
        conn.execute("CREATE TABLE notes (id int PRIMARY KEY, body text)")
        conn.execute("INSERT INTO notes VALUES (1, 'one'), (2, 'two')")
        conn.execute("SELECT rowvec.create_embedding('notes', 'strange', 'body')")
        wide = start_worker(STRANGE.replace("dimensions = 8", "dimensions = 16"))
        point_at(migrated_database, wide)
        with migrated_database.connect() as fresh, refused("22000", "16"):
            fresh.execute("CALL rowvec.backfill('notes')")
        assert one(conn, "SELECT count(*) FROM notes WHERE embedding IS NOT NULL") == 0


def test_fault_30_too_many_dimensions_for_an_index(
    migrated_database: Database, start_worker: StartWorker, rowvec: Rowvec
) -> None:
    """The job refuses and says why; the vectors stay."""
    worker = start_worker(STRANGE.replace("dimensions = 8", "dimensions = 4001"))
    point_at(migrated_database, worker)
    with migrated_database.connect() as conn:
        conn.execute("CREATE TABLE notes (id int PRIMARY KEY, body text)")
        conn.execute("INSERT INTO notes VALUES (1, 'one'), (2, 'two')")
        conn.execute("SELECT rowvec.create_embedding('notes', 'strange', 'body')")
        conn.execute("CALL rowvec.backfill('notes')")
        done = rowvec("index", "notes", "--dsn", migrated_database.dsn)
        assert done.returncode == 1
        assert "4,001" in done.stderr
        assert "dimensions" in done.stderr
        assert one(conn, "SELECT count(embedding) FROM notes") == 2


@pytest.mark.parametrize("text", ADDRESSES)
def test_fault_31_looks_like_an_address(conn: psycopg.Connection, text: str) -> None:
    """A text like any other; nothing is opened."""
    assert (embedded(conn, text) == derived_vector(text, 8)).all()


def bomb(width: int, height: int) -> bytes:
    """A small PNG that says it is large."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        checksum = struct.pack(">I", zlib.crc32(kind + body))
        return struct.pack(">I", len(body)) + kind + body + checksum

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0))
    body = chunk(b"IDAT", zlib.compress(bytes(1 << 20)))
    return b"\x89PNG\r\n\x1a\n" + header + body + chunk(b"IEND", b"")


def test_fault_32_images() -> None:
    """Pixels are counted before they are decoded, half an image is none, the first frame counts."""
    limits = {"max_bytes": 1 << 20, "max_pixels": 1_000_000}
    with pytest.raises(RequestTooLarge, match="pixels"):
        read_image(bomb(50_000, 50_000), **limits)
    noise = io.BytesIO()
    Image.effect_noise((64, 64), 50).save(noise, "PNG")
    with pytest.raises(InvalidRequest, match="broken or cut off"):
        read_image(noise.getvalue()[: len(noise.getvalue()) // 2], **limits)
    frames = [Image.new("RGB", (4, 4), colour) for colour in ("red", "green", "blue")]
    animated = io.BytesIO()
    frames[0].save(animated, "GIF", save_all=True, append_images=frames[1:])
    assert read_image(animated.getvalue(), **limits).getpixel((0, 0)) == (255, 0, 0)


@pytest.mark.parametrize("model", ["../../etc", "/etc/passwd", "hub/unlisted", "stand-in/../x", ""])
def test_fault_33_unlisted_model(conn: psycopg.Connection, model: str) -> None:
    """42501 (an empty name is no name at all), and no file is touched for it."""
    with refused("42501" if model else "22023"):
        conn.execute("SELECT rowvec.embed(%s, 'x')", (model,))


def test_fault_34_pickles_and_code(start_worker: StartWorker, tmp_path: Path) -> None:
    """Refused when they are first asked for, and nothing of theirs runs; other models go on."""
    harm = tmp_path / "harm"
    pickle = f"cos\nsystem\n(S'touch {harm}'\ntR.".encode()
    header = b'{"__metadata__":{}}'
    weights = struct.pack("<Q", len(header)) + header
    described = {"hidden_size": 8, "max_position_embeddings": 8}
    models = {
        "pickle": ({"pytorch_model.bin": pickle}, described),
        "code": (
            {"model.safetensors": weights, "modeling.py": f"open({str(harm)!r}, 'w')".encode()},
            {**described, "auto_map": {"AutoModel": "modeling.Evil"}},
        ),
    }
    listed = STRANGE
    for name, (files, config) in models.items():
        folder = tmp_path / name
        folder.mkdir()
        kind = "sentence_transformers.models.Transformer"
        module = {"idx": 0, "name": "0", "path": "", "type": kind}
        (folder / "modules.json").write_text(json.dumps([module]))
        (folder / "config.json").write_text(json.dumps(config))
        (folder / "tokenizer_config.json").write_text('{"model_max_length": 8}')
        for file, content in files.items():
            (folder / file).write_bytes(content)
        listed += f'[[model]]\nname = "{name}"\nkind = "sentence-transformers"\npath = "{folder}"\n'
    worker = start_worker(listed)

    async def scenario() -> None:
        async with await WorkerClient.connect(worker.conninfo) as client:
            for name, words in (("pickle", "safetensors"), ("code", "auto_map")):
                with pytest.raises(ConfigError, match=words):
                    await client.embed(name, ["x"])
            answer = await client.embed("strange", ["x"])
            assert (answer.vectors[0] == derived_vector("x", 8)).all()

    asyncio.run(scenario())
    assert not harm.exists()


def test_fault_35_unknown_kwargs(conn: psycopg.Connection) -> None:
    """The error lists what is known."""
    with refused("22023", "'colour'", "truncate_dim"):
        conn.execute("""SELECT rowvec.embed('stand-in', 'x', '{"colour": "red"}')""")
