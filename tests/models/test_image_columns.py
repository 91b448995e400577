"""Columns of images: bytes, or paths relative to a folder; texts and images find them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from PIL import Image

from support.commands import Rowvec
from support.postgres import Database, refused
from support.workers import StartWorker, point_at

COLOURS = ("red", "blue", "green", "white")


pytestmark = pytest.mark.timeout(600)


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("photos")
    for colour in COLOURS:
        Image.new("RGB", (32, 32), colour).save(folder / f"{colour}.png")
    return folder


@pytest.fixture(scope="module")
def clip(start_module_worker: StartWorker, clip_folder: Path) -> Any:
    """A worker with a small CLIP of random weights."""
    return start_module_worker(
        f'[[model]]\nname = "clip"\nkind = "sentence-transformers"\npath = "{clip_folder}"\n'
    )


@pytest.fixture
def pictures(migrated_database: Database, clip: Any, photos: Path) -> Iterator[psycopg.Connection]:
    """A table with the images as bytes and as paths."""
    point_at(migrated_database, clip)
    with migrated_database.connect() as connection:
        # The first call imports torch, which takes its time on a busy machine.
        connection.execute(
            "UPDATE rowvec.setting SET value = '600000' WHERE name = 'worker_deadline_ms'"
        )
        connection.execute("CREATE TABLE pictures (path text PRIMARY KEY, image bytea)")
        for colour in COLOURS:
            name = f"{colour}.png"
            connection.execute(
                "INSERT INTO pictures VALUES (%s, %s)", (name, (photos / name).read_bytes())
            )
        yield connection


def nearest(connection: psycopg.Connection, statement: str, *parameters: Any) -> list[Any]:
    return connection.execute(statement, parameters).fetchall()


def test_bytes_and_files_have_the_same_vectors(
    pictures: psycopg.Connection, migrated_database: Database, rowvec: Rowvec, photos: Path
) -> None:
    dsn = migrated_database.dsn
    pictures.execute("SELECT rowvec.create_embedding('pictures', 'clip', 'image', 'by_bytes')")
    pictures.execute(
        "SELECT rowvec.create_embedding('pictures', 'clip', 'path::rowvec.image_path', 'by_path')"
    )
    done = rowvec("backfill", "pictures", "--embedding", "by_bytes", "--dsn", dsn)
    assert done.returncode == 0, done.stderr
    done = rowvec("backfill", "pictures", "--embedding", "by_path", "--dsn", dsn)
    assert (done.returncode, "--image-folder" in done.stderr) == (2, True)
    folder = ("--image-folder", str(photos))
    done = rowvec("backfill", "pictures", "--embedding", "by_path", *folder, "--dsn", dsn)
    assert done.returncode == 0, done.stderr
    compared = pictures.execute(
        "SELECT count(*), max(by_bytes <=> by_path) < 1e-5, count(DISTINCT by_path::text)"
        " FROM pictures"
    ).fetchone()
    assert compared == (4, True, 4)

    # One space: a text finds images, an image finds itself first.
    found = nearest(
        pictures, "SELECT key FROM rowvec.search('pictures', 'blue', 4, embedding => 'by_path')"
    )
    assert {key for (key,) in found} == {f"{colour}.png" for colour in COLOURS}
    done = rowvec(
        "similar", "pictures", "--image", str(photos / "blue.png"), "--embedding", "by_path",
        "-k", "1", "--json", "--dsn", dsn,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert '"key":"blue.png"' in done.stdout.replace(" ", "")


def test_what_is_no_image_of_the_folder_is_set_aside(
    pictures: psycopg.Connection,
    migrated_database: Database,
    rowvec: Rowvec,
    photos: Path,
    tmp_path: Path,
) -> None:
    secret = tmp_path / "secret.png"
    Image.new("RGB", (8, 8)).save(secret)
    (photos / "link.png").unlink(missing_ok=True)
    (photos / "link.png").symlink_to(secret)
    (photos / "text.png").write_text("no image")
    bad = ["missing.png", str(secret), "../" * 20 + "etc/passwd", "link.png", "text.png", ""]
    for path in bad:
        pictures.execute("INSERT INTO pictures (path) VALUES (%s)", (path,))
    pictures.execute(
        "SELECT rowvec.create_embedding('pictures', 'clip', 'path::rowvec.image_path')"
    )
    done = rowvec(
        "backfill", "pictures", "--image-folder", str(photos), "--dsn", migrated_database.dsn
    )
    assert done.returncode == 0, done.stderr
    failed: dict[str, str] = dict(
        pictures.execute(
            "SELECT key #>> '{}', sqlstate || ' ' || message FROM rowvec.failure"
        ).fetchall()
    )
    assert set(failed) == set(bad)
    assert all(reason.startswith("22") for reason in failed.values()), failed
    assert "out of the image folder" in failed["link.png"]
    assert "cannot be read" in failed["missing.png"]
    assert not any("passwd" in reason or "secret" in reason for reason in failed.values())
    filled = pictures.execute("SELECT count(embedding) FROM pictures").fetchone()
    assert filled == (4,)


def test_sql_alone_reads_no_files(pictures: psycopg.Connection) -> None:
    pictures.execute(
        "SELECT rowvec.create_embedding('pictures', 'clip', 'path::rowvec.image_path')"
    )
    with refused("0A000", "images are files", "--image-folder"):
        pictures.execute("CALL rowvec.backfill('pictures')")
