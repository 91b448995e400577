"""The standard library as texts: what is public, how it is named, what is left out."""

from __future__ import annotations

from pathlib import Path

import pytest

from rowvec.load.python_api import ApiEntry, python_api, standard_library


@pytest.fixture(scope="module")
def entries() -> list[ApiEntry]:
    return list(python_api(standard_library()))


def write(folder: Path, name: str, text: str) -> None:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def names(folder: Path) -> list[str]:
    return [entry.name for entry in python_api(folder)]


def test_there_are_several_thousand_with_unique_names(entries: list[ApiEntry]) -> None:
    assert 3000 < len(entries) < 10_000
    assert len({entry.name for entry in entries}) == len(entries)


def test_the_order_is_that_of_the_files(tmp_path: Path) -> None:
    for name in ("b/c.py", "b/__init__.py", "a.py", "c.py"):
        write(tmp_path, name, 'def z():\n    """Z."""\n\ndef y():\n    """Y."""\n')
    assert names(tmp_path) == ["a.z", "a.y", "b.z", "b.y", "b.c.z", "b.c.y", "c.z", "c.y"]


def test_known_entries_are_there(entries: list[ApiEntry]) -> None:
    found = {entry.name: entry for entry in entries}
    parse = found["argparse.ArgumentParser.add_argument"]
    assert parse.signature == "(*args, **kwargs)"
    assert found["tempfile.TemporaryDirectory"].doc.startswith("Create and return a temporary")
    assert found["shutil.copytree"].signature.startswith("(src, dst, symlinks=False")


def test_every_text_can_be_stored(entries: list[ApiEntry]) -> None:
    for entry in entries:
        assert entry.doc
        assert "\0" not in "".join(entry)
        "".join(entry).encode()


def test_only_what_is_public_and_documented(tmp_path: Path) -> None:
    write(
        tmp_path,
        "shop.py",
        '''
def sell(item, *, price: int = 3) -> bool:
    """Sells."""

def undocumented(): ...

def _private():
    """Private."""

class Basket:
    """Holds."""

    def __init__(self, owner):
        """Begins."""

    @property
    def weight(self) -> float:
        """In kilograms."""

    @weight.setter
    def weight(self, value):
        """Sets it."""

    @classmethod
    def empty(cls):
        """None in it."""

    async def pay(self, amount):
        """Pays."""

    class Handle:
        """Carries."""
''',
    )
    assert list(python_api(tmp_path)) == [
        ApiEntry("shop.sell", "(item, *, price: int=3) -> bool", "Sells."),
        ApiEntry("shop.Basket", "(owner)", "Holds."),
        ApiEntry("shop.Basket.weight", "", "In kilograms."),
        ApiEntry("shop.Basket.empty", "()", "None in it."),
        ApiEntry("shop.Basket.pay", "(amount)", "Pays."),
        ApiEntry("shop.Basket.Handle", "", "Carries."),
    ]


def test_a_private_base_lends_its_methods(tmp_path: Path) -> None:
    write(
        tmp_path,
        "inherit.py",
        '''
class _Root:
    def close(self):
        """Closes."""

class _Base(_Root):
    def read(self):
        """Reads."""

    def write(self):
        """Writes."""

class File(_Base):
    """A file."""

    def write(self):
        """Writes better."""
''',
    )
    assert [(entry.name, entry.doc) for entry in python_api(tmp_path)] == [
        ("inherit.File", "A file."),
        ("inherit.File.write", "Writes better."),
        ("inherit.File.read", "Reads."),
        ("inherit.File.close", "Closes."),
    ]


def test_branches_count_once(tmp_path: Path) -> None:
    function = 'def f():\n        """{}."""'
    write(
        tmp_path,
        "branches.py",
        f"if x:\n    {function.format('One')}\nelse:\n    {function.format('Two')}\n"
        f"try:\n    pass\nexcept E:\n    {function.format('Three').replace('f()', 'g()')}\n",
    )
    assert [(e.name, e.doc) for e in python_api(tmp_path)] == [
        ("branches.f", "One."),
        ("branches.g", "Three."),
    ]


@pytest.mark.parametrize(
    "path", ["test/a.py", "idlelib/a.py", "lib2to3/a.py", "site-packages/a.py", "_private.py",
             "pack/_inner.py", "pack/__main__.py", "config-3.11-x86/a.py"],
)  # fmt: skip
def test_what_is_no_interface_is_left_out(tmp_path: Path, path: str) -> None:
    write(tmp_path, path, 'def f():\n    """F."""\n')
    write(tmp_path, "pack/__init__.py", 'def g():\n    """G."""\n')
    assert names(tmp_path) == ["pack.g"]


def test_a_broken_file_is_told_and_skipped(tmp_path: Path) -> None:
    write(tmp_path, "broken.py", "def f(:")
    write(tmp_path, "nul.py", "\0")
    write(tmp_path, "good.py", 'def f():\n    """F."""\n')
    skipped: list[Path] = []
    found = list(python_api(tmp_path, on_skipped=skipped.append))
    assert [entry.name for entry in found] == ["good.f"]
    assert [path.name for path in skipped] == ["broken.py", "nul.py"]


def test_what_postgres_cannot_keep_is_taken_out(tmp_path: Path) -> None:
    write(tmp_path, "odd.py", 'def f():\n    "a\\0b\\ud800c"\n')
    assert [entry.doc for entry in python_api(tmp_path)] == ["abc"]
