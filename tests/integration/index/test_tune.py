"""Recall and latency measured, the best setting kept, the curve drawn."""

from __future__ import annotations

from pathlib import Path

import orjson
import pytest

from rowvec.db.index_form import Setting
from rowvec.db.measured import Measured
from rowvec.errors import ConfigError, InvalidRequest
from rowvec.index.chart import HEIGHT, WIDTH, Curve, Dot, Line, Words, chart
from rowvec.index.draw import check_plot, draw
from rowvec.index.tune import read_queries
from support.commands import Rowvec
from support.indexing import Work, setting_of, value_of
from support.postgres import Database


def test_the_curve_and_the_smallest_setting_that_reaches_the_target(work: Work) -> None:
    """One probe less was measured, and was not enough; the last setting finds everything.

    In so many dimensions the target is far above the thousand vectors that are always compared.
    """
    work.items(6000, dimensions=16)
    work.scatter()
    work.build("items", lists=60)
    result = work.tune("items", target_recall=0.99)
    exact, *curve = result.measured
    assert exact.setting is None
    recalls = {value_of(one): one.recall for one in curve}
    assert list(recalls) == sorted(recalls)
    best = value_of(result.best)
    assert recalls[best - 1] < 0.99 <= recalls[best]
    assert max(recalls.values()) >= 0.9995
    kept = work.stored()
    assert (kept["setting_name"], kept["setting"]) == ("probes", best)
    assert kept["recall"] == pytest.approx(recalls[best])
    assert kept["target_recall"] == pytest.approx(0.99)
    # What the build knows of itself stays.
    assert (kept["index_rows"], kept["index_lists"]) == (6000, 60)


def test_what_was_used_until_now_is_measured_too(work: Work) -> None:
    work.items(2000)
    work.build("items")
    work.connection.execute("UPDATE rowvec.embedding SET setting = 1, recall = 0.99")
    result = work.tune("items", target_recall=1.0)
    assert result.before is not None
    assert result.before.setting == Setting("probes", 1)
    assert result.before.recall < 0.99


@pytest.mark.parametrize(("kind", "storage"), [("hnsw", "vector"), ("hnsw", "bit")])
def test_hnsw_is_asked_with_vectors_that_it_does_not_hold(
    work: Work, kind: str, storage: str
) -> None:
    """So no slot of ef_search is taken by the row itself: k rows are found at the smallest."""
    work.items(1500)
    work.build("items", kind=kind, storage=storage)
    result = work.tune("items", k=20)
    assert result.k == 20
    first = result.measured[1]
    assert first.setting == Setting("ef_search", 20, 20 if storage == "bit" else None)
    assert work.stored()["rescore"] == (
        setting_of(result.best).rescore if storage == "bit" else None
    )


def test_real_queries_of_a_file(work: Work, tmp_path: Path) -> None:
    """They are embedded as `search` embeds them."""
    work.items(500)
    work.build("items")
    (tmp_path / "queries.txt").write_text("arrived broken\n\nnever again\n")
    result = work.tune("items", queries=read_queries(tmp_path / "queries.txt"))
    assert result.queries == 2


def test_queries_of_json_lines(tmp_path: Path) -> None:
    file = tmp_path / "queries.jsonl"
    file.write_text('{"id": 1, "text": "one"}\n{"query": "two", "text": "not this"}\n')
    assert read_queries(file) == ("one", "two")


@pytest.mark.parametrize(
    ("name", "content"), [("a.txt", "\n \n"), ("a.jsonl", "{"), ("a.jsonl", "[1]"), ("a.txt", None)]
)
def test_files_that_hold_no_queries(tmp_path: Path, name: str, content: str | None) -> None:
    if content is not None:
        (tmp_path / name).write_text(content)
    with pytest.raises(ConfigError, match=name):
        read_queries(tmp_path / name)


def test_no_index_to_tune(work: Work) -> None:
    work.items(10)
    with pytest.raises(InvalidRequest, match="has no index") as caught:
        work.tune("items")
    assert caught.value.hint == "run `rowvec index items` first"


@pytest.mark.parametrize("scope", ["role", "database"])
def test_the_setting_as_a_default(work: Work, database: Database, scope: str) -> None:
    """For SQL that does not go through `search`."""
    work.items(1000)
    work.build("items", lists=50)
    name = "tuner_" + database.name
    work.connection.execute(f"CREATE ROLE {name} SUPERUSER LOGIN")
    work.dsn = database.cluster.dsn(database.name, name)
    try:
        result = work.tune("items", target_recall=1.0, apply=scope)
        assert result.by_hand.was_applied
        for statement in result.by_hand.statements:
            assert statement.startswith(f"ALTER {scope.upper()} ")
        with database.connect(name) as connection:
            connection.execute("SELECT '[1]'::vector")
            probes = connection.execute("SHOW ivfflat.probes").fetchone()
        assert probes == (str(value_of(result.best)),)
    finally:
        work.connection.execute(f"DROP OWNED BY {name}")
        work.connection.execute(f"DROP ROLE {name}")


MEASURED = (
    Measured(None, 1.0, 80.0, 95.0),
    Measured(Setting("probes", 1), 0.6, 0.7, 1.0),
    Measured(Setting("probes", 8), 0.93, 2.4, 3.0),
    Measured(Setting("probes", 13), 0.96, 4.1, 5.0),
)


def curve(title: str = "items") -> Curve:
    return Curve(title, "300 queries", MEASURED, MEASURED[-1], 0.95, 10)


def test_a_better_recall_stands_higher_and_a_slower_search_further_right() -> None:
    dots = [element for element in chart(curve()) if isinstance(element, Dot)]
    assert [d.x for d in dots] == sorted(d.x for d in dots)
    assert [d.y for d in dots] == sorted((d.y for d in dots), reverse=True)
    assert dots[-1].radius > dots[0].radius


def test_words_stand_beside_each_other_and_within_the_picture() -> None:
    """Where a busy machine draws a curve back and forth, or the best stands far to the right."""
    measured = (
        Measured(None, 1.0, 22.0, 40.0),
        *(
            Measured(Setting("ef_search", step, step), recall, p50, 2 * p50)
            for step, recall, p50 in (
                (10, 0.389, 16.0), (16, 0.503, 13.6), (67, 0.774, 20.8), (274, 0.924, 21.3),
                (335, 0.944, 36.4), (345, 0.950, 40.0), (348, 0.950, 30.3), (350, 0.953, 26.2),
                (438, 0.963, 38.5), (1000, 1.0, 64.6),
            )
        ),
    )  # fmt: skip
    for best in measured[1:]:
        elements = chart(Curve("items", "50 queries", measured, best, 0.95, 10))
        words = [one for one in elements if isinstance(one, Words)]
        meeting = [(a.text, b.text) for i, a in enumerate(words) for b in words[:i] if a.meets(b)]
        assert meeting == []
        places = [at for one in elements if isinstance(one, Line) for at in one.points]
        places += [(one.x, one.y) for one in words]
        assert all(0 <= x <= WIDTH and 0 <= y <= HEIGHT for x, y in places)


def test_an_html_page_that_asks_nobody(tmp_path: Path) -> None:
    path = tmp_path / "recall.html"
    draw(chart(curve("<items> & co")), "<items> & co", path)
    text = path.read_text()
    assert "&lt;items&gt; &amp; co" in text
    assert "<items>" not in text
    assert text.replace("http://www.w3.org/2000/svg", "").count("http") == 0
    assert "probes 13: recall 0.960" in text


def test_a_png(tmp_path: Path) -> None:
    path = tmp_path / "recall.png"
    draw(chart(curve()), "items", path)
    assert path.read_bytes().startswith(b"\x89PNG")


def test_what_cannot_be_drawn_is_said_before_measuring(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"neither .html nor .png"):
        check_plot(tmp_path / "recall.pdf")
    with pytest.raises(ConfigError, match="there is no folder"):
        check_plot(tmp_path / "nowhere" / "recall.html")


def test_the_commands_answer_programs(work: Work, rowvec: Rowvec, tmp_path: Path) -> None:
    """`--json`, and the exit code of what was wrong with the command."""
    work.items(500)
    work.build("items")
    given = ("--dsn", work.dsn, "--json")
    tuned = rowvec("tune", "items", "--plot", str(tmp_path / "a.html"), *given)
    assert tuned.returncode == 0, tuned.stderr
    assert orjson.loads(tuned.stdout)["best"]["recall"] >= 0.95
    explained = rowvec("explain", "items", "a query", "-k", "3", *given)
    assert explained.returncode == 0, explained.stderr
    assert orjson.loads(explained.stdout)["index"] == "items_embedding_idx"
    assert rowvec("tune", "items", "--plot", str(tmp_path / "a.pdf"), *given).returncode == 2
    assert rowvec("explain", "nothing", "a query", *given).returncode == 1
