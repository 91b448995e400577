"""What programs and people rely on of every command: JSON, plain text in a pipe, completion."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import click
import psycopg
import pytest

from rowvec.cli import COMMANDS
from rowvec.extras import hint
from support.commands import Run, StartRowvec, run_in_process, run_rowvec
from support.postgres import Database
from support.waiting import eventually
from support.workers import StartWorker, point_at

# Commands that print no result of their own, each with its reason.
_WITHOUT_JSON = {
    "demo": "shows others",
    "psql": "is psql from then on",
    "worker": "runs until it is stopped",
    "sync": "runs until it is stopped",
    "ui": "runs until it is stopped",
}


def _options(command: click.Command) -> set[str]:
    return {opt for parameter in command.params for opt in parameter.opts}


@pytest.mark.parametrize("name", sorted(set(COMMANDS) - set(_WITHOUT_JSON)))
def test_every_command_with_a_result_prints_it_as_json(name: str) -> None:
    from rowvec.cli import main  # noqa: PLC0415

    command = main.get_command(click.Context(main), name)
    assert command is not None
    below = command.commands.values() if isinstance(command, click.Group) else [command]
    for one in below:
        assert "--json" in _options(one), one.name


def test_what_is_piped_has_no_frames_and_no_colours(
    connection: psycopg.Connection, run: Run
) -> None:
    connection.execute("CREATE TABLE reviews (id int PRIMARY KEY, body text)")
    connection.execute("INSERT INTO reviews VALUES (1, 'one'), (2, 'two')")
    connection.execute("SELECT rowvec.create_embedding('reviews', 'stand-in-small', 'body')")
    connection.execute("CALL rowvec.backfill('reviews')")
    for words in (["search", "reviews", "one"], ["status"], ["models", "list"], ["server", "show"]):
        printed = run(*words).stdout
        assert printed
        assert not {"\x1b", *"┃━│─┏╇"} & set(printed), words
    lines = run("search", "reviews", "one").stdout.splitlines()
    assert lines[0].split() == ["key", "distance", "row"]
    assert len(lines) == 3


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_shell_completes_commands_and_options(shell: str) -> None:
    script = run_rowvec(_ROWVEC_COMPLETE=f"{shell}_source")
    assert script.returncode == 0
    assert "_ROWVEC_COMPLETE" in script.stdout
    completed = run_rowvec(
        _ROWVEC_COMPLETE="bash_complete", COMP_WORDS="rowvec back", COMP_CWORD="1"
    )
    assert "plain,backfill" in completed.stdout


@pytest.mark.parametrize(
    ("words", "package"),
    [
        (["worker", "--password-file", "{file}"], "prometheus_client"),
        (["cluster", "t", "2"], "sklearn"),
        (["map", "t"], "sklearn"),
        (["ui", "--listen", "127.0.0.1:0"], "starlette"),
    ],
)
def test_a_missing_package_is_a_sentence_with_the_command(
    database: Database, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, words: list[str],
    package: str,
) -> None:  # fmt: skip
    """In a process of its own: modules that have been imported are there."""
    with database.connect() as connection:
        connection.execute("CREATE TABLE t (id int PRIMARY KEY, body text)")
        connection.execute("INSERT INTO t SELECT i, 'text ' || i FROM generate_series(1, 5) AS i")
        connection.execute("SELECT rowvec.create_embedding('t', 'stand-in-small', 'body')")
        connection.execute("CALL rowvec.backfill('t')")
    file = tmp_path / "password"
    file.write_text("secret")
    typed = [word.replace("{file}", str(file)) for word in words]
    code = f"import sys; sys.modules[{package!r}] = None; from rowvec.cli import main; main()"
    monkeypatch.setenv("ROWVEC_DSN", database.dsn)
    done = subprocess.run(
        [sys.executable, "-c", code, *typed], capture_output=True, text=True, check=False,
        timeout=60,
    )  # fmt: skip
    assert done.returncode == 2
    assert hint(package) in done.stderr
    assert "Traceback" not in done.stderr


def test_ctrl_c_counts_what_is_still_pending(
    migrated_database: Database, start_worker: StartWorker, start_rowvec: StartRowvec
) -> None:
    """Also where it comes while the job waits for a worker that is away."""
    worker = start_worker()
    point_at(migrated_database, worker)
    with migrated_database.connect() as connection:
        connection.execute("CREATE TABLE t (id int PRIMARY KEY, body text)")
        connection.execute("INSERT INTO t VALUES (1, 'one'), (2, 'two')")
        connection.execute("SELECT rowvec.create_embedding('t', 'stand-in-small', 'body')")
    worker.process.terminate()
    worker.process.wait()
    job = start_rowvec("backfill", "t", "--json", "--dsn", migrated_database.dsn)
    eventually(lambda: "worker" in job.said.read_text())
    os.kill(job.process.pid, signal.SIGINT)
    summary, _ = job.end(130)
    assert (summary["stopped"], summary["pending"], summary["written"]) == (True, 2, 0)


def test_up_and_down_print_json(tmp_path: Path) -> None:
    nothing = run_in_process("down", "--data", tmp_path / "none", "--json")
    assert json.loads(nothing.stdout) == {"stopped": False}
