"""The map job: places stored, and the picture with all that it needs."""

from __future__ import annotations

import base64
import json
import re
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import psycopg
import pytest
from PIL import Image

from support.commands import Rowvec
from support.maps import texts
from support.postgres import Database


def run(rowvec: Rowvec, dsn: str, *arguments: str) -> dict[str, Any]:
    done: subprocess.CompletedProcess[str] = rowvec("map", *arguments, "--json", "--dsn", dsn)
    assert done.returncode == 0, done.stderr
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def data_of(page: Path) -> dict[str, Any]:
    """What the page's script reads."""
    found = re.findall(
        r'<script type="application/json" id="data">(.*?)</script>', page.read_text(), re.DOTALL
    )
    assert len(found) == 1
    data: dict[str, Any] = json.loads(found[0])
    return data


def numbers(text: str, kind: str) -> np.ndarray:
    return np.frombuffer(base64.b64decode(text), kind)


def test_the_page_holds_every_row_with_its_place_colour_and_neighbours(
    rowvec: Rowvec, database: Database, connection: psycopg.Connection, tmp_path: Path
) -> None:
    texts(connection)
    page = tmp_path / "map.html"
    answer = run(
        rowvec, database.dsn, "texts", "--output", str(page), "--color", "kind", "--color", "size"
    )
    assert (answer["rows"], answer["shown"], answer["table"]) == (300, 300, "texts_map")
    data = data_of(page)
    keys = data["keys"]
    assert sorted(keys) == list(range(1, 301))
    stored: dict[int, list[float]] = dict(
        connection.execute("SELECT id, ARRAY[x, y] FROM texts_map").fetchall()
    )
    places = np.stack([numbers(data["x"], "<f4"), numbers(data["y"], "<f4")], axis=1)
    np.testing.assert_array_equal(places, np.array([stored[key] for key in keys], np.float32))
    assert data["texts"][keys.index(1)] == "</script><b>{data} {title}</b> <!-- &amp;"

    kind, size = data["colors"]
    codes = numbers(kind["codes"], "u1")
    assert (kind["kind"], kind["labels"]) == ("category", ["even", "odd"])
    assert [kind["labels"][code] for code in codes] == [["even", "odd"][k % 2] for k in keys]
    assert (size["kind"], size["least"], size["most"]) == ("number", "0.142857", "42.8571")

    # Groups that lie apart in space lie apart on the map, and the first axis is what parts them.
    even = places[codes == 0][:, 0]
    odd = places[codes == 1][:, 0]
    assert even.max() < odd.min() or odd.max() < even.min()

    near = numbers(data["neighbours"], "<i4").reshape(300, data["each"])
    for point in (0, 150, 299):
        exact = connection.execute(
            "SELECT o.id FROM texts AS t, texts AS o WHERE t.id = %s AND o.id <> t.id"
            " ORDER BY o.embedding <=> t.embedding LIMIT 8",
            (keys[point],),
        ).fetchall()
        assert [(keys[i],) for i in near[point]] == exact


def test_the_page_asks_no_other_host(
    rowvec: Rowvec, database: Database, connection: psycopg.Connection, tmp_path: Path
) -> None:
    texts(connection, 20)
    page = tmp_path / "map.html"
    run(rowvec, database.dsn, "texts", "--output", str(page))
    assert re.findall(r"https?://|@import|\bsrc=|url\(", page.read_text()) == []


@pytest.mark.parametrize("key", ["id", "name", "text", "vector"])
def test_clusters_colour_the_map(
    rowvec: Rowvec, database: Database, connection: psycopg.Connection, tmp_path: Path, key: str
) -> None:
    texts(connection, 40)
    if key != "id":
        connection.execute(f'ALTER TABLE texts RENAME id TO "{key}"')
    assert rowvec("cluster", "texts", "2", "--dsn", database.dsn).returncode == 0
    page = tmp_path / "map.html"
    run(rowvec, database.dsn, "texts", "--output", str(page))
    (coloring,) = data_of(page)["colors"]
    assert coloring["name"] == "cluster"
    assert sorted(label.split()[0] for label in coloring["labels"]) == ["1", "2"]


def test_more_rows_than_points_are_sampled_and_it_says_so(
    rowvec: Rowvec, database: Database, connection: psycopg.Connection, tmp_path: Path
) -> None:
    texts(connection)
    page = tmp_path / "map.html"
    done = rowvec("map", "texts", "--points", "100", "--output", str(page), "--dsn", database.dsn)
    assert done.returncode == 0, done.stderr
    assert "a random sample of 100 of 300 rows" in done.stderr
    assert "a random sample of 100 out of 300 rows" in page.read_text()
    assert len(data_of(page)["keys"]) == 100
    assert connection.execute("SELECT count(*) FROM texts_map").fetchone() == (300,)


def test_a_picture(
    rowvec: Rowvec, database: Database, connection: psycopg.Connection, tmp_path: Path
) -> None:
    texts(connection, 60)
    path = tmp_path / "map.png"
    run(rowvec, database.dsn, "texts", "--output", str(path), "--color", "kind")
    with Image.open(path) as picture:
        assert picture.format == "PNG"
        colours: Any = picture.convert("RGB").getcolors(1 << 24)
    # Points of both kinds: their own blue and orange, whatever the edges blend into.
    assert sum(n for n, (r, g, b) in colours if b > r + 60) > 200
    assert sum(n for n, (r, g, b) in colours if r > b + 60) > 200


def test_what_cannot_be_mapped_is_refused(
    rowvec: Rowvec, database: Database, connection: psycopg.Connection
) -> None:
    texts(connection, 2)
    done = rowvec("map", "texts", "--dsn", database.dsn)
    assert (done.returncode, "2 rows of texts have a vector" in done.stderr) == (1, True)
    done = rowvec("map", "texts", "--output", "map.pdf", "--dsn", database.dsn)
    assert (done.returncode, "neither a .html nor a .png" in done.stderr) == (2, True)
