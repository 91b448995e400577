"""API keys: several a file, compared whole, and a changed file holds at once."""

from __future__ import annotations

from pathlib import Path

import pytest

from rowvec.errors import AuthenticationError, ConfigError
from rowvec.worker.http.api_keys import ApiKeys


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "keys"
    path.write_text("# of the search service\nfirst-key\n\nsecond-key  \n")
    return path


@pytest.mark.parametrize("header", ["Bearer first-key", "bearer second-key", "Bearer  first-key"])
def test_any_key_of_the_file_is_let_in(file: Path, header: str) -> None:
    ApiKeys(file).check(header)


@pytest.mark.parametrize(
    "header",
    [None, "", "Bearer", "Bearer ", "Bearer first", "Bearer first-key2", "Basic first-key",
     "first-key", "Bearer # of the search service", "Bearer \udcff"],
)  # fmt: skip
def test_everything_else_is_not(file: Path, header: str | None) -> None:
    with pytest.raises(AuthenticationError) as caught:
        ApiKeys(file).check(header)
    assert "key2" not in str(caught.value)


def test_a_changed_file_holds_at_once(file: Path) -> None:
    keys = ApiKeys(file)
    file.write_text("another-and-longer-key\n")
    keys.check("Bearer another-and-longer-key")
    with pytest.raises(AuthenticationError):
        keys.check("Bearer first-key")


@pytest.mark.parametrize("content", [None, "", "# none\n"])
def test_a_file_that_became_no_good_leaves_the_keys(file: Path, content: str | None) -> None:
    keys = ApiKeys(file)
    if content is None:
        file.unlink()
    else:
        file.write_text(content)
    keys.check("Bearer first-key")


@pytest.mark.parametrize("content", [None, "", "# none\n"])
def test_a_worker_does_not_start_without_a_key(tmp_path: Path, content: str | None) -> None:
    path = tmp_path / "keys"
    if content is not None:
        path.write_text(content)
    with pytest.raises(ConfigError, match="API keys"):
        ApiKeys(path)
