"""Threads: what the machine grants, not what it has."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from rowvec.models.threads import granted_threads


@pytest.fixture
def cgroup(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A control group of a machine with 8 processors."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)))
    return tmp_path


@pytest.mark.parametrize(
    ("limit", "threads"),
    [("max 100000", 8), ("200000 100000", 2), ("150000 100000", 2), ("10000 100000", 1),
     ("1600000 100000", 8), ("", 8), ("what 0", 8)],
)  # fmt: skip
def test_the_quota_of_a_container(cgroup: Path, limit: str, threads: int) -> None:
    (cgroup / "cpu.max").write_text(limit)
    assert granted_threads(cgroup=cgroup) == threads


@pytest.mark.parametrize(("quota", "threads"), [("-1", 8), ("300000", 3)])
def test_the_older_form_of_the_quota(cgroup: Path, quota: str, threads: int) -> None:
    (cgroup / "cpu").mkdir()
    (cgroup / "cpu" / "cpu.cfs_quota_us").write_text(quota)
    (cgroup / "cpu" / "cpu.cfs_period_us").write_text("100000\n")
    assert granted_threads(cgroup=cgroup) == threads


def test_without_a_quota_the_affinity_counts(cgroup: Path) -> None:
    assert granted_threads(cgroup=cgroup) == 8


def test_who_asks_gets(cgroup: Path) -> None:
    (cgroup / "cpu.max").write_text("100000 100000")
    assert granted_threads(5, cgroup=cgroup) == 5
