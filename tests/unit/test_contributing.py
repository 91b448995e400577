"""CONTRIBUTING.md: the files that its table of changes names are there."""

from __future__ import annotations

import re

import pytest

from support.places import ROOT

ROWS = [
    line.split("|")[1:3]
    for line in (ROOT / "CONTRIBUTING.md").read_text().partition("## Ten changes")[2].splitlines()
    if line.startswith("| ") and not line.startswith(("| change", "| ---"))
]


def test_there_are_ten() -> None:
    assert len(ROWS) == 10


@pytest.mark.parametrize(("change", "files"), ROWS, ids=[change.strip() for change, _ in ROWS])
def test_its_files_are_there(change: str, files: str) -> None:
    """Those without the name of the new thing, `N`."""
    named = re.findall(r"`([\w/.]+\.(?:py|sql|html|toml))`", files)
    assert named, f"no file for {change}"
    known = [name for name in named if "N" not in name]
    tops = (ROOT, ROOT / "src" / "rowvec")
    assert [name for name in known if not any((top / name).is_file() for top in tops)] == []
