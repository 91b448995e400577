"""Settings: flag before environment before default, bad values named by their variable."""

from __future__ import annotations

from pathlib import Path

import pytest
from psycopg.conninfo import conninfo_to_dict
from pydantic import SecretStr

from rowvec.config import Settings, read_secret
from rowvec.db.connection import as_user
from rowvec.errors import ConfigError


def test_a_flag_wins_over_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ROWVEC_COMMIT_ROWS", "100")
    assert Settings.build().commit_rows == 100
    assert Settings.build(commit_rows=7).commit_rows == 7
    assert Settings.build(commit_rows=None).commit_rows == 100


@pytest.mark.parametrize(
    ("name", "value"), [("COMMIT_ROWS", "0"), ("MAX_REQUESTS", "many"), ("THREADS", "-1")]
)
def test_a_bad_value_names_its_variable(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(f"ROWVEC_{name}", value)
    with pytest.raises(ConfigError, match=f"^ROWVEC_{name}: "):
        Settings.build()


def test_tls_files_come_in_pairs() -> None:
    with pytest.raises(ConfigError, match="given together"):
        Settings.build(tls_cert_file=Path("server.crt"))


def test_every_setting_is_described() -> None:
    assert [n for n, field in Settings.model_fields.items() if not field.description] == []


def test_a_secret_loses_only_the_newline(tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_text(" with spaces \n")
    secret = read_secret(file)
    assert secret.get_secret_value() == " with spaces "
    assert "with spaces" not in repr(secret)


@pytest.mark.parametrize("content", [None, "\n"])
def test_a_missing_or_empty_secret_is_one_sentence(tmp_path: Path, content: str | None) -> None:
    file = tmp_path / "secret"
    if content is not None:
        file.write_text(content)
    with pytest.raises(ConfigError, match="secret"):
        read_secret(file)


@pytest.mark.parametrize(
    "dsn", ["postgresql://owner:s3cret@db:5433/shop", "host=db port=5433 dbname=shop user=owner"]
)
def test_another_user_leaves_the_first_ones_password_behind(dsn: str) -> None:
    assert conninfo_to_dict(as_user(dsn, "lookout", None)) == {
        "host": "db", "port": "5433", "dbname": "shop", "user": "lookout",
    }  # fmt: skip
    with_password = conninfo_to_dict(as_user(dsn, "lookout", SecretStr("word")))
    assert (with_password["user"], with_password["password"]) == ("lookout", "word")
