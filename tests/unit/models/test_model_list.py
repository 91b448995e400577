"""`rowvec models add | remove | verify | pull`: the list changes, its comments stay."""

from __future__ import annotations

import json
import shutil
from importlib import resources
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


def test_entries_are_lines_apart_and_follow_what_is_there(listed: Path) -> None:
    datasets = '\n# Ours.\n[[dataset]]\nname = "d"\npath = "."'
    listed.write_text(LIST + datasets)
    for name in ("three", "four"):
        assert run("add", name, "--package", MINILM_PACKAGE, "--folder", "model",
                   "--models", listed).exit_code == 0  # fmt: skip
    text = listed.read_text()
    assert text.startswith(LIST + datasets + '\n\n[[model]]\nname = "three"\n')
    assert '\n\n[[model]]\nname = "four"\n' in text
    assert text.endswith('"\n')
    assert run("remove", "three", "--models", listed).exit_code == 0
    assert [entry["name"] for entry in editing.entries(listed)] == ["one", "two", "four"]
    assert "# Ours.\n" in listed.read_text()


def test_a_folder_that_the_worker_would_refuse_is_not_listed(listed: Path, tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    shutil.copytree(Path(str(resources.files(MINILM_PACKAGE))) / "model", folder)
    config = folder / "config.json"
    whole = config.read_text()
    config.write_text(json.dumps({**json.loads(whole), "auto_map": {"AutoModel": "mine.Mine"}}))
    done = run("add", "x", "--path", folder, "--models", listed)
    assert done.exit_code == 2
    assert "names code of its own (auto_map), which is never run" in done.stderr
    config.write_text(whole)
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    done = run("add", "x", "--path", folder, "--models", listed)
    assert done.exit_code == 2
    assert "has no safetensors file for pytorch_model.bin, which could run code" in done.stderr
    assert listed.read_text() == LIST


def test_a_model_that_reads_any_length_says_so(listed: Path, tmp_path: Path) -> None:
    (tmp_path / "words.txt").write_text("cat 0 1\ndog 1 0\n")
    done = run("add", "words", "--kind", "word-vectors", "--path", tmp_path, "--models", listed)
    assert done.exit_code == 0, done.output
    assert "words: 2 dimensions, no limit of tokens, sha256 " in done.stdout


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
        (["../x", "--package", MINILM_PACKAGE, "--folder", "model"], "'../x' looks like a path"),
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


def test_weights_that_are_gone_are_one_verdict_of_all(listed: Path, tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    shutil.copytree(Path(str(resources.files(MINILM_PACKAGE))) / "model", folder)
    run("add", "gone", "--path", folder, "--models", listed)
    run("add", MINILM, "--package", MINILM_PACKAGE, "--folder", "model", "--models", listed)
    (folder / "model.safetensors").unlink()
    done = run("verify", "--models", listed, "--json")
    assert done.exit_code == 1
    verdicts = {row["model"]: row["verdict"] for row in json.loads(done.stdout)}
    assert verdicts == {"one": "no weights", "two": "no weights", "gone": "missing", MINILM: "same"}
    assert f"gone: {folder} has no model.safetensors" in done.stderr.replace("\n", "")


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
