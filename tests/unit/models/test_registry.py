"""Kinds of models: the table of ours, and classes that installed packages bring."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from rowvec.errors import ConfigError
from rowvec.models.family import Family
from rowvec.models.registry import GROUP, family, kinds

OURS = [
    "sentence-transformers", "instructor", "word-vectors", "sparse-encoder", "cross-encoder",
    "remote", "stand-in",
]  # fmt: skip

PLUGIN = """
from rowvec.models.family import Family
print("imported")
class Mine(Family):
    describe = load = classmethod(lambda *_: None)
class Other: ...
"""


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., None]]:
    """Puts a package with an entry point where Python finds it."""

    def put(value: str, kind: str = "mine", package: str = "plugin_of_a_test") -> None:
        site = tmp_path / package
        information = site / f"{package}-1.0.dist-info"
        information.mkdir(parents=True)
        (site / f"{package}.py").write_text(PLUGIN)
        (information / "METADATA").write_text(
            f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n"
        )
        (information / "entry_points.txt").write_text(f"[{GROUP}]\n{kind} = {value}\n")
        monkeypatch.syspath_prepend(site)

    yield put
    for name in [name for name in sys.modules if name.startswith("plugin_of")]:
        del sys.modules[name]


@pytest.mark.parametrize("kind", OURS)
def test_every_kind_of_ours_is_a_family(kind: str) -> None:
    found = family(kind)
    assert issubclass(found, Family)
    assert not found.__abstractmethods__


def test_describing_imports_nothing_heavy() -> None:
    """The listener must answer without torch: a fresh interpreter tells."""
    code = (
        "import sys\nfrom rowvec.models.registry import family, kinds\n"
        "for kind in kinds(): family(kind)\n"
        "print(sorted({'torch', 'transformers', 'tokenizers', 'PIL'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_package_brings_a_kind(
    install: Callable[..., None], capsys: pytest.CaptureFixture[str]
) -> None:
    install("plugin_of_a_test:Mine")
    assert kinds() == [*OURS, "mine"]
    family("stand-in")
    assert capsys.readouterr().out == "", "what is not named is not imported"
    assert family("mine").__name__ == "Mine"


def test_an_unknown_kind_lists_the_known() -> None:
    with pytest.raises(ConfigError, match=r"^there is no kind 'glove'$") as raised:
        family("glove")
    assert "word-vectors" in str(raised.value.hint)


def test_a_package_cannot_take_a_kind_of_ours(install: Callable[..., None]) -> None:
    install("plugin_of_a_test:Mine", kind="remote")
    assert family("remote").__module__ == "rowvec.models.families.remote"


def test_two_packages_with_one_kind_are_told_apart_by_name(install: Callable[..., None]) -> None:
    install("plugin_of_a_test:Mine")
    install("plugin_of_another:Mine", package="plugin_of_another")
    with pytest.raises(ConfigError, match=r"brought by plugin_of_a_test and plugin_of_another"):
        family("mine")


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("plugin_of_a_test:Nothing", "cannot be imported"),
        ("plugin_of_nowhere:Mine", "cannot be imported"),
        ("plugin_of_a_test:Other", "is no subclass of Family"),
    ],
)
def test_a_broken_plugin_is_one_sentence(
    install: Callable[..., None], value: str, message: str
) -> None:
    install(value)
    with pytest.raises(ConfigError, match=rf"^the kind 'mine' \({value}\) {message}"):
        family("mine")
