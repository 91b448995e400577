"""`rowvec models add | remove | verify | pull`: the list changes, its comments stay."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from rowvec.cli import main
from rowvec.errors import ConfigError, NotAllowed
from rowvec.models import editing
from rowvec.models.listing import MINILM, MINILM_PACKAGE, MINILM_SHA256

COMMIT = "e272f3049e853b47cb5ca3952268c6662abda68f"
LIST = """\
# What our worker may load. Ask Ada before you add one.

[[model]]
name = "one"  # for the tests
kind = "stand-in"
dimensions = 8

# The second one is smaller.
[[model]]
name = "two"
aliases = ["zwei"]
kind = "stand-in"
dimensions = 4
"""


@pytest.fixture
def listed(tmp_path: Path) -> Path:
    path = tmp_path / "models.toml"
    path.write_text(LIST)
    path.chmod(0o640)
    return path


def run(*words: object) -> Result:
    return CliRunner().invoke(main, ["models", *map(str, words)], prog_name="rowvec")


def test_a_model_is_added_with_its_weights_pinned(listed: Path) -> None:
    done = run("add", MINILM, "--package", MINILM_PACKAGE, "--folder", "model", "--alias", "minilm",
               "--warm", "--memory", "120MB", "--role", "analyst", "--role", "data science",
               "--models", listed)  # fmt: skip
    assert done.exit_code == 0, done.output
    assert "384 dimensions, 256 tokens" in done.stdout
    text = listed.read_text()
    assert text.startswith(LIST)
    assert f'sha256 = "{MINILM_SHA256}"' in text
    assert 'aliases = ["minilm"]' in text
    assert 'roles = ["analyst", "data science"]' in text
    assert listed.stat().st_mode & 0o777 == 0o640
    verified = json.loads(run("verify", "minilm", "--models", listed, "--json").stdout)
    assert [row["verdict"] for row in verified] == ["same"]


def test_a_list_begins_with_its_first_model(tmp_path: Path) -> None:
    path = tmp_path / "models.toml"
    assert run("add", MINILM, "--package", MINILM_PACKAGE, "--folder", "model",
               "--models", path).exit_code == 0  # fmt: skip
    assert [entry["name"] for entry in editing.entries(path)] == [MINILM]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["x", "--path", "nowhere"], "there is no folder"),
        (["one", "--kind", "stand-in"], "the name 'one' is taken"),
        (["x", "--kind", "magic"], "there is no kind 'magic'"),
        (["x"], "give one of package, path, hub"),
        (["x", "--hub", "a/b", "--revision", "main"], "revision must be the 40 hex digits"),
        (["x", "--package", MINILM_PACKAGE, "--folder", "model", "--sha256", "0" * 64],
         "the weights of x have the sha256 53aa"),
        (["x", "--package", MINILM_PACKAGE, "--folder", "model", "--memory", "much"],
         "memory is no size: 'much'"),
    ],
)  # fmt: skip
def test_what_may_not_be_loaded_leaves_the_list_as_it_was(
    listed: Path, words: list[str], message: str
) -> None:
    done = run("add", *words, "--models", listed)
    assert done.exit_code == 2
    assert message in done.stderr
    assert listed.read_text() == LIST
    assert list(listed.parent.iterdir()) == [listed]


def test_a_model_is_removed_by_its_alias(listed: Path) -> None:
    assert run("remove", "zwei", "--models", listed).exit_code == 0
    assert 'name = "one"  # for the tests' in listed.read_text()
    assert [entry["name"] for entry in editing.entries(listed)] == ["one"]
    with pytest.raises(ConfigError, match="lists no model"):
        editing.remove(listed, "one")
    with pytest.raises(NotAllowed, match="lists no 'three'"):
        editing.remove(listed, "three")


def test_verify_fails_where_weights_are_others(listed: Path) -> None:
    run("add", MINILM, "--package", MINILM_PACKAGE, "--folder", "model", "--models", listed)
    listed.write_text(listed.read_text().replace(MINILM_SHA256, "0" * 64))
    done = run("verify", "--models", listed, "--json")
    assert done.exit_code == 1
    verdicts = {row["model"]: row["verdict"] for row in json.loads(done.stdout)}
    assert verdicts == {"one": "no weights", "two": "no weights", MINILM: "differs"}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["a/b", "--revision", "main"], "revision must be the 40 hex digits of a commit"),
        (["../etc", "--revision", COMMIT], "is no repository of the hub"),
        (["https://hub/a/b", "--revision", COMMIT], "is no repository of the hub"),
        (["one"], "one comes from no hub"),
        (["unlisted"], "the list has no 'unlisted'"),
    ],
)
def test_what_cannot_be_fetched_is_one_sentence(
    listed: Path, words: list[str], message: str
) -> None:
    done = run("pull", *words, "--models", listed)
    assert done.exit_code == 2
    assert message in done.stderr
