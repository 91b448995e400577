"""A plan of EXPLAIN (ANALYZE, FORMAT JSON), and what it did with the rows of some tables."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Scan:
    """One scan of a table that was executed; `index` is None where it read the table itself.

    `rows` passed on, `removed` by the filter after they were read; `pages` of the table and the
    index, of which `read` were not in memory.
    """

    table: str
    how: str
    index: str | None
    rows: int
    removed: int
    pages: int
    read: int


def scans(plan: dict[str, object]) -> list[Scan]:
    """Every scan of a table that was executed, in the order of the plan."""
    found = []
    for node in _nodes(plan):
        loops = node.get("Actual Loops", 0)
        if "Relation Name" not in node or not loops:
            continue
        # Rows are means of the loops; pages are sums.
        removed = node.get("Rows Removed by Filter", 0) + node.get(
            "Rows Removed by Index Recheck", 0
        )
        read = node.get("Shared Read Blocks", 0)
        found.append(
            Scan(
                node["Relation Name"], node["Node Type"], _index(node),
                round(node["Actual Rows"] * loops), round(removed * loops),
                node.get("Shared Hit Blocks", 0) + read, read,
            )
        )  # fmt: skip
    return found


def in_words(plan: dict[str, object]) -> list[str]:
    """The nodes that were executed, a line each, indented as EXPLAIN does."""
    return list(_lines(plan, 0))


def _lines(node: dict[str, Any], depth: int) -> Iterator[str]:
    if not node.get("Actual Loops", 1):
        return
    what = str(node["Node Type"])
    if "Index Name" in node:
        what += f" using {node['Index Name']}"
    if "Relation Name" in node:
        what += f" on {node['Relation Name']}"
    rows = node.get("Actual Rows", 0) * node.get("Actual Loops", 1)
    yield f"{'  ' * depth}{what}: {rows:,.0f} rows, {node.get('Actual Total Time', 0):.2f} ms"
    for below in node.get("Plans", ()):
        yield from _lines(below, depth + 1)


def _nodes(node: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield node
    for below in node.get("Plans", ()):
        yield from _nodes(below)


def _index(node: dict[str, object]) -> str | None:
    """The index of the node, or of the bitmap below it."""
    return next((str(n["Index Name"]) for n in _nodes(node) if "Index Name" in n), None)
