"""models.toml: every kind's keys, and one sentence for whatever is wrong."""

from __future__ import annotations

from pathlib import Path

import pytest

from rowvec.errors import ConfigError, ModelError, NotAllowed
from rowvec.models.listing import read_listing

STAND_IN = """
[[model]]
name = "one"
aliases = ["uno"]
kind = "stand-in"
dimensions = 8
"""


def read(folder: Path, content: str) -> list[str]:
    file = folder / "models.toml"
    file.write_text(content)
    return [spec.name for spec in read_listing(file).specs]


def test_a_model_is_found_by_name_and_alias(tmp_path: Path) -> None:
    (tmp_path / "models.toml").write_text(STAND_IN)
    listing = read_listing(tmp_path / "models.toml")
    assert listing.find("one") is listing.find("uno")
    with pytest.raises(NotAllowed, match=r"has no 'due'$") as raised:
        listing.find("due")
    assert raised.value.hint == (
        "listed: one; the worker's administrator adds a model with rowvec models add"
    )


def test_paths_are_meant_from_the_list(tmp_path: Path) -> None:
    (tmp_path / "words").mkdir()
    (tmp_path / "words" / "glove.txt").write_text("a 1 2 3\n")
    (tmp_path / "models.toml").write_text(
        """
        [[model]]
        name = "words"
        kind = "word-vectors"
        path = "words"

        [[model]]
        name = "remote"
        kind = "remote"
        url = "https://example.com/v1"
        dimensions = 8
        api_key_file = "key"
        """
    )
    words, remote = read_listing(tmp_path / "models.toml").specs
    assert (words.folder, words.description.dimensions) == (tmp_path / "words", 3)
    assert remote.options["api_key_file"] == str(tmp_path / "key")


def test_prompts_of_the_list_go_before_the_models_own(tmp_path: Path) -> None:
    (tmp_path / "models.toml").write_text(STAND_IN + 'query_prompt = "q: "\n')
    (spec,) = read_listing(tmp_path / "models.toml").specs
    assert (spec.prompt("query"), spec.prompt("document")) == ("q: ", None)


def entry(kind: str, rest: str = "") -> str:
    return f'[[model]]\nname = "m"\nkind = "{kind}"\n{rest}\n'


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("model = 1", "lists no model$"),
        ("[[model", "is not TOML: "),
        ("other = 1", "unknown key 'other'$"),
        ('[[model]]\nname = "m"', "model 'm': kind is missing$"),
        ('[[model]]\nkind = "stand-in"', "model 1: name is missing$"),
        (entry("glove"), "model 'm': there is no kind 'glove'$"),
        (entry("stand-in", "dimension = 8"), "model 'm': unknown key 'dimension'$"),
        (entry("stand-in", 'dimensions = "8"'), "model 'm': dimensions has the wrong type$"),
        (entry("stand-in", "dimensions = true"), "model 'm': dimensions has the wrong type$"),
        (entry("stand-in", "dimensions = 0"), "model 'm': dimensions must be at least 1$"),
        (entry("stand-in", 'refuse = "("'), "model 'm': refuse is no regular expression: "),
        (entry("stand-in", 'path = "x"'), "model 'm': unknown key 'path'$"),
        (entry("stand-in", "aliases = [1]"), "model 'm': aliases must be a list of names$"),
        (entry("stand-in", "roles = [1]"), "model 'm': roles must be a list of names$"),
        (entry("stand-in", "roles = []"), "model 'm': roles is empty$"),
        (entry("stand-in", 'aliases = ["../m"]'), "model 'm': the name '../m' looks like a path$"),
        (entry("stand-in", 'aliases = ["/m"]'), "model 'm': the name '/m' looks like a path$"),
        (entry("stand-in", 'aliases = ["~/m"]'), "model 'm': the name '~/m' looks like a path$"),
        (entry("stand-in", 'aliases = ["a://b"]'), "model 'm': the name 'a://b' looks like a path"),
        (entry("stand-in", 'aliases = [""]'), "model 'm': the name '' looks like a path$"),
        (STAND_IN + STAND_IN, "model 'one': the name 'one' is taken$"),
        (entry("sentence-transformers"), "model 'm': give one of package, path, hub$"),
        (
            entry("sentence-transformers", 'path = "x"\nhub = "y"'),
            "model 'm': give one of package, path, hub$",
        ),
        (entry("sentence-transformers", 'path = "x"'), "model 'm': path: there is no folder "),
        (
            entry("sentence-transformers", 'package = "no_such_package"'),
            "model 'm': package: no_such_package is not installed$",
        ),
        (
            entry("instructor", 'hub = "a/b"\nrevision = "main"'),
            "model 'm': revision must be the 40 hex digits of a commit$",
        ),
        (
            entry("instructor", f'hub = "no/such"\nrevision = "{"0" * 40}"'),
            "model 'm': hub: no/such at 0{40} is not on this machine$",
        ),
        (
            entry("sentence-transformers", 'path = "."\nsha256 = "abc"'),
            "model 'm': sha256 must be 64 lower-case hex digits$",
        ),
        (entry("remote", "dimensions = 8"), "model 'm': url is missing$"),
        (
            entry("remote", 'url = "https://x"\ndimensions = 8\napi_key_file = 1'),
            "model 'm': api_key_file has the wrong type$",
        ),
    ],
)
def test_what_is_wrong_is_one_sentence(tmp_path: Path, content: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message) as raised:
        read(tmp_path, content)
    assert "models.toml" in str(raised.value)


def test_a_folder_at_fault_is_named_with_the_model(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"models\.toml: model 'm': .*config\.json is missing$"):
        read(tmp_path, entry("sentence-transformers", 'path = "."'))
