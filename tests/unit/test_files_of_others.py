"""In a folder of another user root makes files, and follows no name that the user gave them."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from rowvec.embedded.postgres import PostgresCluster, replace_file
from rowvec.errors import ConfigError
from rowvec.worker.listener.accepting import _listen_unix

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root may give files away")


@pytest.mark.parametrize("link", ["symbolic", "hard", "none"])
def test_a_file_that_is_replaced_is_a_new_one(tmp_path: Path, link: str) -> None:
    victim, name = tmp_path / "victim", tmp_path / "folder" / "pg_hba.conf"
    name.parent.mkdir()
    victim.write_text("precious")
    if link == "symbolic":
        name.symlink_to(victim)
    elif link == "hard":
        name.hardlink_to(victim)
    replace_file(name, "new")
    assert (victim.read_text(), name.read_text()) == ("precious", "new")
    assert stat.S_IMODE(name.stat().st_mode) == 0o600


def test_a_folder_that_is_a_link_is_refused(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "folder").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OSError, match="folder"):
        replace_file(tmp_path / "folder" / "pg_hba.conf", "new")
    assert not list((tmp_path / "elsewhere").iterdir())


@as_root
def test_a_file_belongs_to_the_owner_of_its_folder(tmp_path: Path) -> None:
    os.chown(tmp_path, 12345, 12345)
    replace_file(tmp_path / "pg_hba.conf", "new")
    assert (tmp_path / "pg_hba.conf").stat().st_uid == 12345


@as_root
def test_root_keeps_no_data_in_a_folder_of_another_user(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    folder = tmp_path / "theirs"
    folder.mkdir()
    os.chown(folder, 12345, 12345)
    for root in (folder, folder / "below"):
        with pytest.raises(ConfigError, match="by a link"):
            PostgresCluster(root)._check_owners()


def test_a_socket_has_its_mode_from_the_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing changes it by its name, which could be another file's by then."""

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("a mode was changed by name")

    monkeypatch.setattr(os, "chmod", refuse)
    before = os.umask(0o077)
    try:
        listening = _listen_unix(tmp_path / "socket")
        after = os.umask(before)
    finally:
        os.umask(before)
    with listening:
        assert stat.S_IMODE((tmp_path / "socket").stat().st_mode) == 0o777
    assert after == 0o077
