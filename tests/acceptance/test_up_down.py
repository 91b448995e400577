"""`rowvec up` and `rowvec down` as a person uses them: the installed command, real processes."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import httpx
import psutil
import psycopg
import pytest

from rowvec.db.viewer import VIEWER, refuse_more_than_read
from rowvec.embedded.instance import Instance, State
from support.pages import serving
from support.waiting import eventually

ROWVEC = Path(sys.executable).parent / "rowvec"

# A model that costs nothing, so that a start is quick; `up` keeps a list that is there.
MODELS = """
[[model]]
name = "stand-in"
kind = "stand-in"
dimensions = 8
max_tokens = 64
"""


def rowvec(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Runs the command in an environment that names no other database."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("PG", "ROWVEC_"))}
    return subprocess.run(
        [ROWVEC, *arguments],
        check=False, capture_output=True, text=True, timeout=100, env=environment, cwd="/",
    )  # fmt: skip


@dataclass
class Home:
    """The folder of one instance."""

    path: Path

    @property
    def dsn(self) -> str:
        """Its database."""
        return f"postgresql://postgres@/rowvec?host={self.path}/run"

    def up(self) -> subprocess.CompletedProcess[str]:
        """Starts it; must work and print the DSN alone."""
        done = rowvec("up", "--data", self.path)
        assert (done.returncode, done.stdout) == (0, f"{self.dsn}\n"), done.stderr
        return done

    def down(self) -> str:
        """Stops it and gives what was said."""
        done = rowvec("down", "--data", self.path)
        assert (done.returncode, done.stdout) == (0, ""), done.stderr
        return done.stderr

    def state(self) -> State:
        """What runs."""
        return Instance(self.path).state()

    def execute(self, statement: str) -> None:
        """Runs a statement."""
        with psycopg.connect(self.dsn, autocommit=True) as connection:
            connection.execute(statement.encode())

    def value(self, statement: str) -> Any:
        """The first value that a statement gives."""
        with psycopg.connect(self.dsn, autocommit=True) as connection:
            row = connection.execute(statement.encode()).fetchone()
            assert row is not None
            return row[0]

    def embeds(self) -> bool:
        """Whether SQL reaches the model, without naming rowvec's schema."""
        return bool(self.value("SELECT vector_dims(embed('stand-in', 'a'))") == 8)


@pytest.fixture(scope="module")
def home(folder: Path) -> Iterator[Home]:
    """An instance that the tests of this module stop and start; each leaves it as it likes."""
    home = Home(folder / "up")
    home.path.mkdir()
    (home.path / "models.toml").write_text(MODELS)
    yield home
    home.down()


@pytest.fixture
def running(home: Home) -> Home:
    """The instance, running."""
    state = home.state()
    if state.postgres_pid is None or not state.worker_answers or state.sync_pid is None:
        home.up()
    return home


@pytest.fixture
def stopped(home: Home) -> Home:
    """The instance, created and stopped."""
    if not (home.path / "postgres").exists():
        home.up()
    state = home.state()
    if state.postgres_pid is not None or state.worker_pid is not None:
        home.down()
    return home


def kill(pid: int | None) -> None:
    assert pid is not None
    os.kill(pid, signal.SIGKILL)


def is_alive(pid: int | None) -> bool:
    """Whether the process still does anything; nobody may have waited for it yet."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def test_up_creates_all_and_sql_finds_the_functions(home: Home) -> None:
    home.up()
    assert home.embeds()
    state = home.state()
    assert state.worker_answers
    assert [model["name"] for model in state.models] == ["stand-in"]
    password = home.path / "worker.password"
    assert password.stat().st_mode & 0o777 == 0o600
    assert len(password.read_text().strip()) >= 32


def test_a_second_up_changes_nothing(running: Home) -> None:
    running.up()  # the first: a test before may have left a worker that is none of its pid file
    before = running.state(), _catalog(running)
    done = running.up()
    assert done.stderr == ""
    assert (running.state(), _catalog(running)) == before


def test_the_page_logs_in_as_a_role_that_only_reads(running: Home) -> None:
    with psycopg.connect(running.dsn, autocommit=True) as connection:
        connection.execute("CREATE TABLE IF NOT EXISTS later (id int PRIMARY KEY, body text)")
        refuse_more_than_read(connection, VIEWER, hint="")
    with serving(running.dsn, "--data", str(running.path)) as url:
        assert "Embeddings" in httpx.get(url).text
    viewers = running.dsn.replace("postgres@", f"{VIEWER}@")
    with psycopg.connect(viewers, autocommit=True) as connection:
        assert connection.execute("SELECT count(*) FROM later").fetchone() == (0,)
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute("INSERT INTO later VALUES (1)")


def _catalog(home: Home) -> str:
    """The versions of the rows that an `up` writes when there is something to write."""
    return str(
        home.value(
            "SELECT jsonb_agg(versions ORDER BY versions) FROM ("
            "SELECT jsonb_build_array(oid, xmin::text) FROM pg_foreign_server UNION ALL "
            "SELECT jsonb_build_array(oid, xmin::text) FROM pg_user_mapping UNION ALL "
            "SELECT jsonb_build_array(path, xmin::text) FROM rowvec.sql_object) AS v (versions)"
        )
    )


def test_a_dead_worker_is_started_again(running: Home) -> None:
    before = running.state()
    kill(before.worker_pid)
    running.up()
    assert running.embeds()
    after = running.state()
    assert after.worker_pid != before.worker_pid
    assert after.postgres_pid == before.postgres_pid


def test_a_frozen_worker_is_replaced(running: Home) -> None:
    pid = running.state().worker_pid
    assert pid is not None
    os.kill(pid, signal.SIGSTOP)
    running.up()
    assert running.embeds()
    assert not is_alive(pid)


def test_a_killed_postgres_is_started_again_with_its_data(running: Home) -> None:
    running.execute("CREATE TABLE IF NOT EXISTS kept AS SELECT 42 AS answer")
    kill(running.state().postgres_pid)
    running.up()
    assert running.value("SELECT answer FROM kept") == 42
    assert running.embeds()


def test_another_list_of_models_restarts_the_worker(running: Home) -> None:
    before = running.state()
    (running.path / "models.toml").write_text(MODELS + MODELS.replace("stand-in", "other", 1))
    running.up()
    after = running.state()
    assert {model["name"] for model in after.models} == {"stand-in", "other"}
    assert after.postgres_pid == before.postgres_pid
    (running.path / "models.toml").write_text(MODELS)


@pytest.mark.parametrize("text", ["[[model", "[[model]]\nkind = 'stand-in'"])
def test_an_unreadable_list_of_models_is_one_sentence(running: Home, text: str) -> None:
    before = running.state()
    (running.path / "models.toml").write_text(text)
    done = rowvec("up", "--data", running.path)
    (running.path / "models.toml").write_text(MODELS)
    assert (done.returncode, done.stdout) == (2, "")
    assert "models.toml" in done.stderr
    assert len([line for line in done.stderr.splitlines() if line.startswith("error: ")]) == 1
    assert running.state().worker_pid == before.worker_pid, "what runs is left alone"


def test_it_returns_when_warm_models_are_loaded(running: Home) -> None:
    words = running.path.parent / "words"
    words.mkdir()
    (words / "glove.txt").write_text("a 1 2\n")
    (running.path / "models.toml").write_text(
        f'{MODELS}warm = true\n[[model]]\nname = "words"\nkind = "word-vectors"\n'
        f'path = "{words}"\nwarm = true\nsha256 = "{"0" * 64}"\n'
    )
    said = running.up().stderr
    assert re.search(r"words is not loaded: .* pins 0+\nReady after \d+\.\d s\n", said), said
    loaded = {model["name"]: model["loaded"] for model in running.state().models}
    assert loaded == {"stand-in": True, "words": False}
    (running.path / "models.toml").write_text(MODELS)


def test_the_sync_keeps_embeddings_filled_and_is_started_again(running: Home) -> None:
    running.execute("CREATE TABLE notes (id int PRIMARY KEY, body text)")
    running.execute("SELECT rowvec.create_embedding('notes', 'stand-in', 'body')")
    running.execute("INSERT INTO notes VALUES (1, 'one')")
    eventually(lambda: running.value("SELECT count(embedding) FROM notes") == 1)
    logins = (
        "SELECT array_agg(DISTINCT usename::text) FROM pg_stat_activity"
        " WHERE application_name = 'rowvec sync'"
    )
    eventually(lambda: running.value(logins) == ["rowvec_runner"])
    rights = "SELECT has_table_privilege('rowvec_runner', 'notes', 'SELECT, UPDATE')"
    assert running.value(rights) is False
    kill(running.state().sync_pid)
    running.up()
    running.execute("INSERT INTO notes VALUES (2, 'two')")
    eventually(lambda: running.value("SELECT count(embedding) FROM notes") == 2)
    assert rowvec("up", "--data", running.path, "--no-sync").returncode == 0
    assert running.state().sync_pid is None
    running.execute("SELECT rowvec.drop_embedding('notes')")
    running.execute("DROP TABLE notes")


def test_down_leaves_the_data_and_says_when_there_is_nothing_to_do(running: Home) -> None:
    running.execute("CREATE TABLE IF NOT EXISTS left_over AS SELECT 7 AS answer")
    assert running.down() == "Stopping the sync\nStopping the worker\nStopping Postgres\n"
    assert running.down() == f"Nothing runs in {running.path}\n"
    assert not list((running.path / "run").iterdir())
    running.up()
    assert running.value("SELECT answer FROM left_over") == 7


def test_status_of_what_runs(running: Home) -> None:
    done = rowvec("status", "--data", running.path, "--json")
    found = json.loads(done.stdout)
    assert found["instance"] == asdict(running.state())
    assert found["embeddings"] == []
    assert (
        f"worker    pid {found['instance']['worker_pid']}\n"
        in rowvec("status", "--data", running.path).stdout
    )


def test_status_of_what_is_down(stopped: Home) -> None:
    done = rowvec("status", "--data", stopped.path)
    assert done.returncode == 0
    assert "down: rowvec up" in done.stdout


def test_a_recycled_pid_is_never_killed(stopped: Home) -> None:
    """After a restart of the machine the numbers in both pid files may be anybody's."""
    sleep = [sys.executable, "-c", "import signal; signal.pause()"]
    with subprocess.Popen(sleep) as innocent, contextlib.ExitStack() as finally_:
        finally_.callback(innocent.kill)
        (stopped.path / "worker.pid").write_text(f"{innocent.pid}\nanother birth\nfingerprint\n")
        stale = stopped.path / "postgres" / "postmaster.pid"
        stale.write_text(f"{innocent.pid}\n{stopped.path}/postgres\n1\n5432\n")
        state = stopped.state()
        assert (state.worker_pid, state.postgres_pid) == (None, None)
        stopped.up()
        assert stopped.embeds()
        stopped.down()
        assert innocent.poll() is None


def test_a_worker_whose_pid_file_was_lost_is_found_by_its_socket(running: Home) -> None:
    pid = running.state().worker_pid
    (running.path / "worker.pid").unlink()
    assert running.state().worker_pid == pid
    running.down()
    assert not is_alive(pid)


def test_two_at_once_start_one_of_each(stopped: Home) -> None:
    both = [
        subprocess.Popen(
            [ROWVEC, "up", "--data", stopped.path],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )
        for _ in range(2)
    ]  # fmt: skip
    results = [process.communicate(timeout=100) for process in both]
    assert [process.returncode for process in both] == [0, 0], results
    assert [printed for printed, _ in results] == [f"{stopped.dsn}\n"] * 2
    starts = [line for _, said in results for line in said.splitlines() if "Starting" in line]
    assert sorted(starts) == ["Starting Postgres", "Starting the sync", "Starting the worker"]


def test_ctrl_c_in_the_terminal_does_not_reach_what_runs(running: Home) -> None:
    state = running.state()
    for pid in (state.postgres_pid, state.worker_pid):
        assert pid is not None
        assert os.getsid(pid) != os.getsid(0)


def test_psql_runs_on_the_database(running: Home) -> None:
    done = rowvec("psql", "--data", running.path, "--", "-Atc", "SELECT current_database()")
    assert done.stdout == "rowvec\n"


def test_up_in_a_folder_that_is_taken(folder: Path) -> None:
    taken = folder / "taken"
    taken.mkdir()
    (taken / "thesis.tex").touch()
    done = rowvec("up", "--data", taken)
    assert done.returncode == 2
    assert done.stderr.startswith(f"error: {taken} is taken: it holds thesis.tex\n")
    assert [entry.name for entry in taken.iterdir()] == ["thesis.tex"]


def test_up_on_a_file(folder: Path) -> None:
    file = folder / "file"
    file.touch()
    done = rowvec("up", "--data", file)
    assert done.returncode == 2
    assert str(file) in done.stderr
    assert "Traceback" not in done.stderr


def test_a_closed_home_is_not_opened(folder: Path) -> None:
    """Root: refused, since the server's user could not get in. Others: their own home serves."""
    closed = folder / "closed"
    closed.mkdir()
    closed.chmod(0o700)
    done = rowvec("up", "--data", closed / "data") if os.geteuid() == 0 else None
    assert closed.stat().st_mode & 0o777 == 0o700
    if done is not None:
        assert done.returncode == 2
        assert f"cannot pass {closed}" in done.stderr
        assert not list(closed.iterdir())


def test_a_cluster_of_another_major_is_refused(folder: Path) -> None:
    data = folder / "older"
    (data / "postgres").mkdir(parents=True)
    (data / "postgres" / "PG_VERSION").write_text("15\n")
    done = rowvec("up", "--data", data)
    assert done.returncode == 2
    assert "was made by Postgres 15" in done.stderr
