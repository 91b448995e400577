"""docs/recipes/keep-filled.md and long-documents.md, block by block, on an instance."""

from __future__ import annotations

import pytest

from support.instance import Reader
from support.waiting import eventually

pytestmark = [pytest.mark.timeout(600), pytest.mark.xdist_group("instance")]


def test_long_documents(reader: Reader) -> None:
    results = reader.read("long-documents.md")
    listings = [r for r in results if isinstance(r, str) and ("Minutes" in r or "to its end" in r)]
    assert len(listings) == 2
    assert "Minutes" in listings[0]
    assert listings[1].startswith("Every text was read to its end")
    *_, passages, exact, found, asked = [r for r in results if isinstance(r, list)]
    assert [row[1] for row in passages] == [1, 2, 3, 1, 2, 3]
    assert exact == [(True,)]
    assert found[0][:2] == (1, "Returns")
    assert "Refunds" in found[0][2]
    assert "hotels" in asked[0][0]


def test_keep_filled(reader: Reader) -> None:
    reader.read("keep-filled.md")
    # The last block has stopped the sync; what came before may have been left to it.
    reader.paste("rowvec up")
    pending = "SELECT pending FROM rowvec.status WHERE source = 'notes'::regclass"
    eventually(lambda: reader.sql(pending) == [(0,)])
    reader.sql("INSERT INTO notes (body) VALUES ('One more.')")
    eventually(lambda: reader.sql(pending) == [(0,)])
