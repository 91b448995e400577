"""The worker's password file: every line is right, and a change holds at the next login."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import SecretStr

from rowvec.config import read_secret, read_secrets
from rowvec.db.rotation import forget_old, write_secrets
from rowvec.errors import ConfigError
from rowvec.protocol.scram import Verifier
from rowvec.worker.listener.passwords import Passwords


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "password"
    path.write_text("one\n")
    path.chmod(0o640)
    return path


def accepts(passwords: Passwords, password: str) -> bool:
    found = passwords.verifiers()
    assert len({verifier.salt for verifier in found}) == 1
    return Verifier.of(password, salt=found[0].salt) in found


def test_a_change_holds_at_once(file: Path) -> None:
    passwords = Passwords(file)
    assert accepts(passwords, "one")
    write_secrets(file, [SecretStr("two"), SecretStr("one")])
    assert accepts(passwords, "one")
    assert accepts(passwords, "two")
    forget_old(file)
    assert accepts(passwords, "two")
    assert not accepts(passwords, "one")


@pytest.mark.parametrize("content", ["", "\n", "\nx", "\xff"])
def test_a_file_that_is_no_good_changes_nothing(file: Path, content: str) -> None:
    passwords = Passwords(file)
    file.write_text(content, encoding="latin1")
    assert accepts(passwords, "one")
    file.unlink()
    assert accepts(passwords, "one")
    with pytest.raises(ConfigError):
        Passwords(file)


def test_writing_keeps_the_mode_and_leaves_nothing(file: Path) -> None:
    write_secrets(file, [SecretStr("two"), SecretStr("one")])
    assert file.stat().st_mode & 0o777 == 0o640
    assert [each.name for each in file.parent.iterdir()] == ["password"]
    assert [each.get_secret_value() for each in read_secrets(file)] == ["two", "one"]
    assert read_secret(file).get_secret_value() == "two"


def test_a_file_that_is_not_there_is_not_made(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot write"):
        write_secrets(tmp_path / "password", [SecretStr("x")])
    assert list(tmp_path.iterdir()) == []
