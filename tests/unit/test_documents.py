"""The pages: what they link to exists, and so do the files of CONTRIBUTING's table of changes."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from support.places import ROOT

PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "bench").glob("*.md")])

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


def headings(page: Path) -> set[str]:
    """The anchors of a page, as a forge makes them."""
    lines = re.findall(r"^#+ (.*)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", line.lower()).replace(" ", "-") for line in lines}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_its_links_lead_somewhere(page: Path) -> None:
    links = re.findall(r"\]\((?!https?:)([^)\s]*?)(?:#([^)\s]*))?\)", page.read_text())
    targets = [((page.parent / path).resolve() if path else page, anchor) for path, anchor in links]
    assert [
        f"{target.name}#{anchor}"
        for target, anchor in targets
        if not target.exists() or (anchor and anchor not in headings(target))
    ] == []
