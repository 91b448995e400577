"""Pages of a dataset: a lost cursor, the bound of open ones, the end of idle ones."""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

from rowvec.datasets.files import find_files
from rowvec.datasets.listing import DatasetListing, DatasetSpec, parse_datasets
from rowvec.errors import ConfigError, NotAllowed
from rowvec.protocol.request import Page, Request
from rowvec.rows.columns import named, plain
from rowvec.rows.kinds import of_json, of_text, settled, united
from rowvec.worker.dataset_pages import Datasets

ROWS = 2500
PIECE = "x" * 1000


@pytest.fixture(scope="module")
def listing(tmp_path_factory: pytest.TempPathFactory) -> DatasetListing:
    folder = tmp_path_factory.mktemp("lines")
    with (folder / "a.jsonl").open("w") as file:
        for n in range(ROWS):
            file.write(json.dumps({"n": n, "t": PIECE}) + "\n")
    return DatasetListing([DatasetSpec("lines", path=folder)])


def ask(cursor: str, offset: int, **page: Any) -> Request:
    return Request("dataset", "lines", page=Page(cursor, offset, **page))


def run(test: Callable[[], Any]) -> None:
    asyncio.run(test())


def numbers(rows: list[bytes]) -> list[int]:
    return [json.loads(row)["n"] for row in rows]


def test_pages_follow_each_other(listing: DatasetListing) -> None:
    async def test() -> None:
        datasets = Datasets(listing)
        columns, *first = await datasets.page(ask("c", 0))
        assert json.loads(columns)[0] == {"name": "n", "type": "bigint"}
        found = numbers(first)
        assert len(found) < 1000  # a megabyte
        while page := await datasets.page(ask("c", len(found))):
            assert datasets.open == 1
            found += numbers(page)
        assert found == list(range(ROWS))
        assert datasets.open == 0
        await datasets.close()

    run(test)


def test_a_lost_page_and_a_lost_cursor_are_read_again(listing: DatasetListing) -> None:
    async def test() -> None:
        datasets = Datasets(listing)
        _, *first = await datasets.page(ask("c", 0))
        second = await datasets.page(ask("c", len(first)))
        assert await datasets.page(ask("c", len(first))) == second
        assert await datasets.page(ask("other", len(first))) == second
        assert datasets.open == 2
        await datasets.close()
        assert datasets.open == 0

    run(test)


def test_a_limit_ends_the_process(listing: DatasetListing) -> None:
    async def test() -> None:
        datasets = Datasets(listing)
        assert numbers((await datasets.page(ask("c", 0, limit=3)))[1:]) == [0, 1, 2]
        assert datasets.open == 0
        await datasets.close()

    run(test)


def test_few_are_open_and_none_for_long(listing: DatasetListing) -> None:
    async def test() -> None:
        children = psutil.Process().children
        before = len(children())
        datasets = Datasets(listing, max_open=2)
        for cursor in "abc":
            await datasets.page(ask(cursor, 0))
        assert datasets.open == 2
        await datasets.close()
        assert len(children()) == before
        datasets = Datasets(listing, idle_seconds=0)
        await datasets.page(ask("a", 0))
        while datasets.open:  # noqa: ASYNC110  # a timer of the loop ends it
            await asyncio.sleep(0)
        await datasets.close()
        assert len(children()) == before

    run(test)


def test_who_leaves_takes_the_process_along(listing: DatasetListing) -> None:
    async def test() -> None:
        datasets = Datasets(listing)
        task = asyncio.create_task(datasets.page(ask("a", 0)))
        while not datasets.open:  # noqa: ASYNC110
            await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert datasets.open == 0
        await datasets.close()

    run(test)


@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        (["1", "-2"], "bigint"), (["1", "1.5"], "double precision"), (["9" * 30], "numeric"),
        (["true", "False"], "boolean"), (["true", "1"], "text"), (["007"], "text"),
        (["1e999"], "numeric"), (["1e200000"], "text"), (["9007199254740993", "0.5"], "numeric"),
        (["9007199254740993"], "bigint"), (["0.12345678901234567890"], "numeric"),
        (["1.10", "0.1"], "double precision"),
        (["NaN"], "text"), ([], "text"), (["2020-01-01"], "text"),
    ],
)  # fmt: skip
def test_types_of_cells(cells: list[str], expected: str) -> None:
    for order in itertools.permutations(cells):
        kind = None
        for cell in order:
            kind = united(kind, of_text(cell))
        assert settled(kind) == expected


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([1, None, 2.5], "double precision"), ([2**53, 1, 0.5], "numeric"),
        ([1, "a"], "text"), ([1, {}], "jsonb"),
        ([[], [1], [None, 2.5]], "double precision[]"), ([[[1]]], "jsonb"), ([[]], "jsonb"),
        ([[1], 1], "jsonb"), ([[1, "a"], []], "text[]"), ([None], "text"), ([True], "boolean"),
    ],
)  # fmt: skip
def test_types_of_json(values: list[Any], expected: str) -> None:
    for order in itertools.permutations(values):
        kind = None
        for value in order:
            kind = united(kind, of_json(value))
        assert settled(kind) == expected


def test_names_that_postgres_takes_each_once() -> None:
    keys = ["Title", "title", "two Words", "ctid", "", "é" * 40, "é" * 41]
    columns = named((key, "text", plain) for key in keys)
    assert [column.name for column in columns] == [
        "title", "title_2", "two Words", "ctid_2", "column", "é" * 31, "é" * 30 + "_2",
    ]  # fmt: skip


def test_splits_by_words_in_the_path(tmp_path: Path) -> None:
    names = ["data/test-0.csv", "data/train-1.csv", "data/train-0.csv", "data/latest.csv", ".x.csv"]
    (tmp_path / "data").mkdir()
    for name in names:
        (tmp_path / name).touch()
    spec = DatasetSpec("x", path=tmp_path)
    found = find_files(spec, None, None)
    assert [file.name for file in found.files] == [
        "latest.csv", "train-0.csv", "train-1.csv", "test-0.csv",
    ]  # fmt: skip
    assert [file.name for file in find_files(spec, None, "test").files] == ["test-0.csv"]
    with pytest.raises(NotAllowed):
        find_files(spec, "..", None)


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ({"path": "x"}, "name is missing"),
        ({"name": "x"}, "give one of path, hub"),
        ({"name": "x", "path": "x", "hub": "x"}, "give one of path, hub"),
        ({"name": "x", "hub": "x", "revision": "main"}, "40 hex digits"),
        ({"name": "x", "path": "x", "script": "x"}, "unknown key 'script'"),
        ({"name": 1, "path": "x"}, "name has the wrong type"),
    ],
)
def test_a_wrong_entry(entry: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        parse_datasets([entry], "models.toml", Path())


def test_a_name_twice() -> None:
    with pytest.raises(ConfigError, match="the name is taken"):
        parse_datasets([{"name": "x", "path": "x"}] * 2, "models.toml", Path())
