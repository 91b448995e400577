"""What the Batcher promises: each submission ends once, nothing in vain, nobody starves."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rowvec.batching import Batch, Batcher, Item, ItemFailed, window
from rowvec.errors import BackendFailed, Overloaded, RequestTooLarge, ShuttingDown


class Model:
    """Computes `text -> TEXT`, batch by batch when the gate lets one through."""

    def __init__(self, *, open_gate: bool = True) -> None:
        self.batches: list[list[str]] = []
        self.groups: list[object] = []
        self._gate = asyncio.Semaphore(10**9 if open_gate else 0)
        self.entered = asyncio.Semaphore(0)

    async def __call__(self, batch: Batch[str]) -> Sequence[str]:
        self.batches.append(list(batch.work))
        self.groups.append(batch.group)
        self.entered.release()
        await self._gate.acquire()
        if any("bad" in text for text in batch.work):
            raise ValueError("a bad text")
        return [text.upper() for text in batch.work]

    def let(self, batches: int) -> None:
        for _ in range(batches):
            self._gate.release()


class Bench:
    """A batcher over a model, and short ways to use it."""

    def __init__(
        self, *, budget: int = 100, max_waiting: int = 1000, open_gate: bool = True
    ) -> None:
        self.model = Model(open_gate=open_gate)
        self.batcher: Batcher[str, str] = Batcher(
            self.model, max_batch_tokens=budget, max_waiting=max_waiting
        )
        self.batcher.start()

    async def submit(
        self, *texts: str, interactive: bool = False, group: str = "m", length: int | None = None
    ) -> list[str]:
        items = [Item(t, len(t) if length is None else length, t) for t in texts]
        return await self.batcher.submit(group, items, interactive=interactive)

    def begin(self, *texts: str, **how: object) -> asyncio.Task[list[str]]:
        return asyncio.create_task(self.submit(*texts, **how))  # type: ignore[arg-type]


def run(scenario: Callable[[], Awaitable[None]]) -> None:
    async def limited() -> None:
        async with asyncio.timeout(20):
            await scenario()

    asyncio.run(limited())


async def settle() -> None:
    """Lets every task that can run do so."""
    for _ in range(20):
        await asyncio.sleep(0)


def test_results_come_in_the_order_of_the_items() -> None:
    async def scenario() -> None:
        bench = Bench(budget=6)
        assert await bench.submit("aaa", "b", "cc", "") == ["AAA", "B", "CC", ""]
        assert await bench.submit() == []
        await bench.batcher.close()

    run(scenario)


def test_what_waits_when_a_batch_ends_is_the_next_batch() -> None:
    async def scenario() -> None:
        bench = Bench(open_gate=False)
        first = bench.begin("first")
        await bench.model.entered.acquire()
        others = [bench.begin(text) for text in ("bb", "aa", "c")]
        await settle()
        bench.model.let(2)
        assert [await task for task in (first, *others)] == [["FIRST"], ["BB"], ["AA"], ["C"]]
        assert [sorted(b) for b in bench.model.batches] == [["first"], ["aa", "bb", "c"]]
        await bench.batcher.close()

    run(scenario)


def test_groups_never_share_a_batch() -> None:
    async def scenario() -> None:
        bench = Bench(open_gate=False)
        tasks = [bench.begin("x", group=g) for g in ("first", "a", "b", "a2")]
        bench.model.let(4)
        await asyncio.gather(*tasks)
        assert all(len(batch) == 1 for batch in bench.model.batches)
        assert set(bench.model.groups) == {"first", "a", "b", "a2"}
        await bench.batcher.close()

    run(scenario)


def test_equal_items_in_flight_are_computed_once() -> None:
    async def scenario() -> None:
        bench = Bench(open_gate=False)
        first = bench.begin("same", "same", "other")
        await bench.model.entered.acquire()
        second = bench.begin("same")
        await settle()
        bench.model.let(1)
        assert await first == ["SAME", "SAME", "OTHER"]
        assert await second == ["SAME"]
        assert bench.batcher.waiting == 0
        assert sorted(bench.model.batches[0]) == ["other", "same"]
        assert len(bench.model.batches) == 1
        await bench.batcher.close()

    run(scenario)


def test_a_failing_batch_is_halved_until_the_culprit_stands_alone() -> None:
    async def scenario() -> None:
        bench = Bench(open_gate=False)
        blocker = bench.begin("blocker")
        await bench.model.entered.acquire()
        guilty = bench.begin("a1", "bad", "a2")
        innocent = bench.begin("b1", "b2", "b3", "b4")
        await settle()
        bench.model.let(1000)
        assert await blocker == ["BLOCKER"]
        assert await innocent == ["B1", "B2", "B3", "B4"]
        with pytest.raises(ItemFailed) as caught:
            await guilty
        assert caught.value.position == 1
        assert isinstance(caught.value.__cause__, ValueError)
        assert bench.model.batches.count(["bad"]) == 1
        assert bench.batcher.waiting == 0
        await bench.batcher.close()

    run(scenario)


def test_a_failure_that_is_no_inputs_fault_fails_a_batch_whole() -> None:
    """A remote model that is away is away for every half, too."""

    async def scenario() -> None:
        batches = []

        async def refuse(batch: Batch[str]) -> Sequence[str]:
            batches.append(list(batch.work))
            raise Overloaded("not now")

        batcher: Batcher[str, str] = Batcher(refuse, max_batch_tokens=100, max_waiting=9)
        batcher.start()
        with pytest.raises(Overloaded, match=r"^not now$"):
            await batcher.submit("m", [Item(t, 1, t) for t in "abcd"], interactive=True)
        assert batches == [["a", "b", "c", "d"]]
        assert batcher.waiting == 0
        await batcher.close()

    run(scenario)


def test_what_was_cancelled_before_its_turn_is_not_computed() -> None:
    async def scenario() -> None:
        bench = Bench(open_gate=False)
        blocker = bench.begin("blocker")
        await bench.model.entered.acquire()
        left, stays = bench.begin("left", "shared"), bench.begin("shared")
        await settle()
        left.cancel()
        await settle()
        bench.model.let(2)
        assert await blocker == ["BLOCKER"]
        assert await stays == ["SHARED"]
        assert left.cancelled()
        assert bench.model.batches == [["blocker"], ["shared"]]
        assert bench.batcher.waiting == 0
        await bench.batcher.close()

    run(scenario)


def test_what_was_cancelled_while_it_was_computed_harms_nobody() -> None:
    async def scenario() -> None:
        bench = Bench(open_gate=False)
        task = bench.begin("gone")
        await bench.model.entered.acquire()
        task.cancel()
        await settle()
        bench.model.let(2)
        assert await bench.submit("next") == ["NEXT"]
        assert bench.batcher.waiting == 0
        await bench.batcher.close()

    run(scenario)


def test_the_rest_of_a_failed_submission_is_not_computed() -> None:
    async def scenario() -> None:
        bench = Bench(budget=4)
        with pytest.raises(ItemFailed):
            await bench.submit("bad!", "xxx")
        assert await bench.submit("y") == ["Y"]
        assert bench.model.batches == [["bad!"], ["y"]]
        await bench.batcher.close()

    run(scenario)


def test_interactive_goes_first_and_bulk_still_gets_a_tenth() -> None:
    async def scenario() -> None:
        bench = Bench(budget=1, open_gate=False)
        blocker = bench.begin("x")
        await bench.model.entered.acquire()
        bulk = [bench.begin(f"b{i}") for i in range(3)]
        fast = [bench.begin(f"i{i}", interactive=True) for i in range(25)]
        await settle()
        bench.model.let(100)
        await asyncio.gather(blocker, *bulk, *fast)
        order = "".join(batch[0][0] for batch in bench.model.batches[1:])
        assert order == "i" * 9 + "b" + "i" * 9 + "b" + "i" * 7 + "b"
        await bench.batcher.close()

    run(scenario)


def test_an_interactive_submission_speeds_up_a_text_that_waits_as_bulk() -> None:
    async def scenario() -> None:
        bench = Bench(budget=5, open_gate=False)
        blocker = bench.begin("x")
        await bench.model.entered.acquire()
        bulk = bench.begin("aaaaa", "bbbbb", "ccccc")
        await settle()
        fast = bench.begin("bbbbb", interactive=True)
        await settle()
        bench.model.let(100)
        await asyncio.gather(blocker, bulk, fast)
        assert bench.model.batches[1] == ["bbbbb"]
        assert len(bench.model.batches) == 4
        await bench.batcher.close()

    run(scenario)


def test_submissions_take_turns() -> None:
    """A short request is not kept waiting by all of a long one."""

    async def scenario() -> None:
        bench = Bench(budget=10, open_gate=False)
        long = bench.begin(*(f"long text{i:02}" for i in range(20)))
        await bench.model.entered.acquire()
        short = bench.begin("s")
        await settle()
        bench.model.let(3)
        assert await short == ["S"]
        assert len(bench.model.batches) <= 4
        bench.model.let(100)
        await long
        await bench.batcher.close()

    run(scenario)


def test_too_much_is_refused_at_once() -> None:
    async def scenario() -> None:
        bench = Bench(max_waiting=3, open_gate=False)
        waiting = bench.begin("a", "b")
        await bench.model.entered.acquire()
        with pytest.raises(RequestTooLarge):
            await bench.submit("1", "2", "3", "4")
        with pytest.raises(Overloaded):
            await bench.submit("1", "2")
        bench.model.let(10)
        assert await waiting == ["A", "B"]
        assert await bench.submit("1", "2", "3") == ["1", "2", "3"]
        await bench.batcher.close()

    run(scenario)


def test_drain_refuses_the_new_and_finishes_the_old() -> None:
    async def scenario() -> None:
        bench = Bench(open_gate=False)
        accepted = bench.begin("a", "b")
        await bench.model.entered.acquire()
        drained = asyncio.create_task(bench.batcher.drain())
        await settle()
        assert not drained.done()
        with pytest.raises(ShuttingDown):
            await bench.submit("late")
        bench.model.let(1)
        await drained
        assert await accepted == ["A", "B"]
        await bench.batcher.close()

    run(scenario)


def test_close_ends_everything_with_shutting_down() -> None:
    async def scenario() -> None:
        bench = Bench(open_gate=False)
        tasks = [bench.begin("a"), bench.begin("b")]
        await bench.model.entered.acquire()
        await bench.batcher.close()
        for task in tasks:
            with pytest.raises(ShuttingDown):
                await task
        with pytest.raises(ShuttingDown):
            await bench.submit("late")

    run(scenario)


def test_groups_that_share_slots_run_at_once_and_others_have_all_to_themselves() -> None:
    async def scenario() -> None:
        model = Model(open_gate=False)
        batcher: Batcher[str, str] = Batcher(
            model, max_batch_tokens=1, max_waiting=9, slots=2,
            takes=lambda group: 2 if group == "wide" else 1,
        )  # fmt: skip
        batcher.start()

        def begin(group: str, text: str) -> asyncio.Task[list[str]]:
            return asyncio.create_task(
                batcher.submit(group, [Item(text, 1, text)], interactive=True)
            )

        asked = [begin("narrow", "a"), begin("narrow", "b"), begin("wide", "c"), begin("wide", "d")]
        await settle()
        assert model.batches == [["a"], ["b"]]
        model.let(1)
        await settle()
        assert len(model.batches) == 2, "the wide one waits for both slots"
        model.let(1)
        await settle()
        assert model.batches[2:] == [["c"]], "and has both"
        model.let(2)
        assert [await task for task in asked] == [["A"], ["B"], ["C"], ["D"]]
        await batcher.close()

    run(scenario)


def test_the_only_batch_is_told_so() -> None:
    async def scenario() -> None:
        seen: list[tuple[Sequence[str], bool]] = []

        async def compute(batch: Batch[str]) -> Sequence[str]:
            seen.append((batch.work, batch.is_only))
            await settle()
            return batch.work

        batcher: Batcher[str, str] = Batcher(compute, max_batch_tokens=1, max_waiting=9, slots=2)
        batcher.start()
        await batcher.submit("m", [Item("a", 1, "a")], interactive=True)
        await batcher.submit("m", [Item(t, 1, t) for t in "bc"], interactive=True)
        assert [is_only for _, is_only in seen] == [True, False, False]
        await batcher.close()

    run(scenario)


def test_if_the_batcher_itself_fails_nobody_waits_for_ever() -> None:
    async def scenario() -> None:
        async def stop(_batch: Batch[str]) -> Sequence[str]:
            raise asyncio.CancelledError

        batcher: Batcher[str, str] = Batcher(stop, max_batch_tokens=1, max_waiting=9)
        batcher.start()
        with pytest.raises(BackendFailed):
            await batcher.submit("m", [Item("a", 1, "a")], interactive=True)

    run(scenario)


@given(
    lengths=st.lists(st.integers(0, 60), min_size=1, max_size=40).map(sorted),
    anchor=st.integers(0, 39),
    budget=st.integers(1, 200),
)
def test_a_window_holds_its_anchor_and_keeps_the_budget(
    lengths: list[int], anchor: int, budget: int
) -> None:
    anchor %= len(lengths)
    start, stop = window(lengths, anchor, budget)
    assert start <= anchor < stop
    count = stop - start
    assert count == 1 or lengths[stop - 1] * count <= budget
    if stop > anchor + 1:
        assert lengths[stop - 1] * count <= 2 * sum(lengths[start:stop])


@given(
    submissions=st.lists(
        st.tuples(
            st.lists(st.sampled_from(["a", "bb", "bad", "dddd", "eeeee", "worse bad"]), max_size=6),
            st.booleans(),
            st.booleans(),
        ),
        max_size=8,
    ),
    budget=st.integers(1, 12),
)
def test_every_submission_ends_exactly_once(
    submissions: list[tuple[list[str], bool, bool]], budget: int
) -> None:
    async def scenario() -> None:
        bench = Bench(budget=budget)
        tasks = [
            bench.begin(*texts, interactive=interactive) for texts, interactive, _ in submissions
        ]
        await asyncio.sleep(0)
        for task, (_, _, cancelled) in zip(tasks, submissions, strict=True):
            if cancelled:
                task.cancel()
        ends = await asyncio.gather(*tasks, return_exceptions=True)
        for (texts, _, cancelled), end in zip(submissions, ends, strict=True):
            if isinstance(end, asyncio.CancelledError):
                assert cancelled
            elif isinstance(end, ItemFailed):
                assert "bad" in texts[end.position]
            else:
                assert end == [text.upper() for text in texts]
                assert not any("bad" in text for text in texts)
        await settle()
        assert bench.batcher.waiting == 0
        await bench.batcher.close()

    run(scenario)
