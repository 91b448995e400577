"""`rowvec server rotate`: another password between database and worker, and nobody notices."""

from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import Any

import psycopg
import pytest

from rowvec.embedded.postgres import PostgresCluster
from support.commands import Rowvec
from support.postgres import Database
from support.workers import StartWorker, Worker, point_at

MODELS = """
[[model]]
name = "stand-in"
kind = "stand-in"
dimensions = 8
"""

EMBED = "SELECT rowvec.embed('stand-in', %s) IS NOT NULL"


@pytest.fixture
def own_worker(start_worker: StartWorker) -> Any:
    """A worker whose password is this test's to change."""
    return start_worker(MODELS)


@pytest.fixture
def own_database(migrated_database: Database, own_worker: Worker) -> Any:
    point_at(migrated_database, own_worker)
    return migrated_database


def can_log_in(worker: Worker, password: str) -> bool:
    try:
        with psycopg.connect(worker.conninfo, password=password):
            return True
    except psycopg.OperationalError:
        return False


def test_sessions_embed_all_through_it(
    own_database: Any, own_worker: Worker, rowvec: Rowvec
) -> None:
    """Sessions that stay, and others that connect for every call, from before until after."""
    file = own_worker.password_file
    file.chmod(0o640)
    first = file.read_text()
    stop = threading.Event()
    answers: list[bool] = []
    failures: list[BaseException] = []

    def embed(*, anew: bool) -> None:
        connection = own_database.connect()
        try:
            number = 0
            while not stop.is_set():
                number += 1
                row = connection.execute(EMBED, (f"{threading.get_ident()} {number}",)).fetchone()
                answers.append(row == (True,))
                if anew:
                    connection.close()
                    connection = own_database.connect()
        except psycopg.Error as exc:
            failures.append(exc)
        finally:
            connection.close()

    threads = [threading.Thread(target=embed, kwargs={"anew": anew}) for anew in (False, True) * 2]
    for thread in threads:
        thread.start()
    seen = {first}
    for _ in range(3):
        done = rowvec(
            "server", "rotate", "--dsn", own_database.dsn, "--password-file", str(file), "--json"
        )
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout) == {"accepted": 1, "may_be_logged": False}
        (now,) = file.read_text().splitlines()
        assert now not in seen
        assert now not in done.stdout + done.stderr
        seen.add(now)
    stop.set()
    for thread in threads:
        thread.join()
    assert failures == []
    assert answers
    assert all(answers)
    assert file.stat().st_mode & 0o777 == 0o640
    assert [can_log_in(own_worker, each) for each in (now, first)] == [True, False]
    assert now not in own_worker.log.read_text()


def test_several_databases_one_after_the_other(
    own_database: Any, own_worker: Worker, rowvec: Rowvec
) -> None:
    """The old password stays right until it is said to be forgotten."""
    file = str(own_worker.password_file)
    old = own_worker.password
    done = rowvec(
        "server", "rotate", "--dsn", own_database.dsn, "--password-file", file, "--keep-old"
    )
    assert done.returncode == 0, done.stderr
    new, kept = own_worker.password.splitlines()
    assert kept == old
    assert can_log_in(own_worker, old)
    other = rowvec("server", "set", "--dsn", own_database.dsn, "--password-file", file)
    assert "Nothing to change" in other.stdout
    done = rowvec("server", "rotate", "--password-file", file, "--forget-old")
    assert done.returncode == 0, done.stderr
    assert own_worker.password.splitlines() == [new]
    assert not can_log_in(own_worker, old)
    with own_database.connect() as connection:
        assert connection.execute(EMBED, ("x",)).fetchone() == (True,)


def test_what_fails_changes_nothing(own_database: Any, rowvec: Rowvec, tmp_path: Path) -> None:
    """A file that is not the worker's: the database tries the password, and keeps its own."""
    other = tmp_path / "password"
    other.write_text("a file of nobody\n")
    done = rowvec("server", "rotate", "--dsn", own_database.dsn, "--password-file", str(other))
    assert done.returncode == 1
    assert "refused the password" in done.stderr
    assert other.read_text() == "a file of nobody\n"
    with own_database.connect() as connection:
        assert connection.execute(EMBED, ("x",)).fetchone() == (True,)


def test_the_log_of_postgres_has_no_password(
    own_database: Any, own_worker: Worker, rowvec: Rowvec, cluster: PostgresCluster
) -> None:
    """Even where every statement is logged: a superuser's is not, for this one transaction."""
    with own_database.connect() as connection:
        connection.execute(f"ALTER DATABASE {own_database.name} SET log_statement = 'all'")
        connection.execute(f"ALTER DATABASE {own_database.name} SET log_min_duration_statement = 0")
    file = own_worker.password_file
    done = rowvec("server", "rotate", "--dsn", own_database.dsn, "--password-file", str(file))
    assert done.returncode == 0, done.stderr
    with own_database.connect() as connection:
        connection.execute(f"SELECT '{own_database.name} logs'")
    log = cluster.log.read_text(errors="replace")
    assert f"{own_database.name} logs" in log
    assert own_worker.password.strip() not in log
