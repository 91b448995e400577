"""A plan of EXPLAIN read for its scans."""

from __future__ import annotations

from typing import Any

from rowvec.search.explain_plan import Scan, in_words, scans


def node(kind: str, loops: int, **more: Any) -> dict[str, Any]:
    return {"Node Type": kind, "Actual Loops": loops, "Actual Rows": 5.0, **more}


def test_rows_are_counted_over_loops_and_pages_once() -> None:
    """Postgres gives means of rows, and sums of pages."""
    plan = node(
        "Index Scan", 4, **{
            "Relation Name": "items", "Index Name": "i", "Rows Removed by Filter": 2.0,
            "Shared Hit Blocks": 30, "Shared Read Blocks": 10,
        },
    )  # fmt: skip
    assert scans({"Node Type": "Limit", "Plans": [plan]}) == [
        Scan("items", "Index Scan", "i", rows=20, removed=8, pages=40, read=10)
    ]


def test_what_was_not_executed_is_left_out() -> None:
    """The way that a search keeps for the case that the index finds too few."""
    unused = node("Seq Scan", 0, **{"Relation Name": "items"})
    used = node("Index Scan", 1, **{"Relation Name": "items", "Index Name": "i"})
    plan = node("Append", 1, Plans=[used, unused])
    assert [scan.how for scan in scans(plan)] == ["Index Scan"]
    assert [line.strip().split(":")[0] for line in in_words(plan)] == [
        "Append", "Index Scan using i on items",
    ]  # fmt: skip


def test_the_index_below_a_bitmap() -> None:
    below = node("Bitmap Index Scan", 1, **{"Index Name": "by_stars"})
    plan = node("Bitmap Heap Scan", 1, **{"Relation Name": "items"}, Plans=[below])
    assert [scan.index for scan in scans(plan)] == ["by_stars"]
