"""Which tests share a process of a parallel session, and which begin first.

A file's tests stay together, since its fixtures are made once; so do all files with tests that
compute with the real MiniLM, which their shared worker loads once, all files of one `xdist_group`,
and all tests of a major. (The loadgroup of pytest-xdist 3.8 finds no groups under pytest 9.2.)
"""

from __future__ import annotations

import re
from functools import cache

import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

from support.places import ROOT

_GROUP = re.compile(r"""pytest\.mark\.(minilm)\b|xdist_group\("(\w+)"\)""")
_MAJOR = re.compile(r"\[(postgres\d+)")
# Their files take longest, and whoever begins with them does not end with them.
_FIRST = ("acceptance", "faults", "recipes", "models", "integration")


class ByFile(LoadScopeScheduling):  # type: ignore[misc]  # it publishes no types
    """Sends a process one file after the other."""

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.partition("::")[0]
        if file.startswith("tests/majors/") and (major := _MAJOR.search(nodeid)):
            return major[1]
        return _group_of(file)


@cache
def _group_of(file: str) -> str:
    found = _GROUP.search((ROOT / file).read_text())
    return file if found is None else found[1] or found[2]


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> ByFile:
    # In the order of collection, not by the number of tests in a file.
    config.option.loadscopereorder = False
    return ByFile(config, log)


# After pytest-randomly has mixed them.
@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=_turn)


def _turn(item: pytest.Item) -> int:
    tier = item.path.relative_to(ROOT / "tests").parts[0]
    return _FIRST.index(tier) if tier in _FIRST else len(_FIRST)
