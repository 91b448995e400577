"""Where a batch is computed: short texts of a quick model on the event loop, others in a thread."""

from __future__ import annotations

import asyncio
import pkgutil
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest

from rowvec.batching import Batch, Batcher, Item, ItemFailed
from rowvec.errors import NonFiniteEmbedding
from rowvec.models.embedder import Embedder, Matrix, Tokenized
from rowvec.worker.engine import computing
from rowvec.worker.engine.black_box import BlackBox, shared_memory
from rowvec.worker.engine.computing import Computing, Group, Key, Threads
from rowvec.worker.engine.memory import is_device_lost, is_out_of_memory


class Model(Embedder):
    """A model that notes which thread computes."""

    dimensions = 2
    max_tokens = 100

    def __init__(self, *, any_thread: bool = True, value: float = 1) -> None:
        self.any_thread = any_thread
        self.threads: list[str] = []
        self._value = value

    def tokenize(self, texts: Sequence[str], prompt: str) -> list[Tokenized]:
        return [Tokenized(len(text), len(text), prompt + text) for text in texts]

    def forward(self, batch: Sequence[Tokenized]) -> Matrix:
        self.threads.append(threading.current_thread().name)
        return np.full((len(batch), 2), self._value, np.float32)


def computing_of(
    model: Model,
    thread: ThreadPoolExecutor,
    tell: Callable[[Any], None] = lambda _: None,
    on_lost: Callable[[], None] = lambda: None,
    *,
    box: BlackBox | None = None,
    fetcher: ThreadPoolExecutor | None = None,
    streams: ThreadPoolExecutor | None = None,
    slots: int = 2,
) -> Computing:
    return Computing(
        Threads(thread, streams, fetcher), lambda _: model, tell,
        salt=b"s" * 16, box=box, batch_seconds=1, on_lost=on_lost, slots=slots,
    )  # fmt: skip


def run(model: Model, *batches: Sequence[str], told: list[Any] | None = None) -> list[bool]:
    """Whether each batch, one after the other, was computed on the event loop."""

    async def scenario() -> None:
        with ThreadPoolExecutor(1, "compute") as thread:
            tell = [].append if told is None else told.append
            compute = computing_of(model, thread, tell)
            for texts in batches:
                group = Group(Key("m"), "embed", "")
                await compute(Batch(group, model.tokenize(texts, ""), list(texts)))

    asyncio.run(scenario())
    return [name == threading.current_thread().name for name in model.threads]


@pytest.fixture(autouse=True)
def _patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine that is busy at the moment is no reason for a model to count as slow here."""
    monkeypatch.setattr(computing, "BRIEF_SECONDS", 60)


def test_short_texts_stay_on_the_event_loop_once_one_was_quick() -> None:
    assert run(Model(), ["one"], ["two"], ["three"]) == [False, True, True]


def test_several_texts_and_long_ones_go_to_the_thread() -> None:
    assert run(Model(), ["one"], ["two", "three"], ["x" * 33], ["y" * 32]) == [
        False, False, False, True,
    ]  # fmt: skip


def test_a_model_that_keeps_to_its_thread_is_left_there() -> None:
    assert run(Model(any_thread=False), ["one"], ["two"]) == [False, False]


def test_a_slow_model_goes_to_the_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(computing, "BRIEF_SECONDS", 0)
    assert run(Model(), ["one"], ["two"]) == [False, False]


def test_every_batch_is_reported() -> None:
    told: list[Any] = []
    run(Model(), ["one"], ["three", "one"], told=told)
    assert [(t.texts, t.tokens, t.padding) for t in told] == [(1, 3, 0), (2, 8, 2)]


def test_what_is_not_finite_is_not_given_out() -> None:
    with pytest.raises(NonFiniteEmbedding):
        run(Model(value=float("nan")), ["one"])


class Streaming(Model):
    """A model whose batches meet in their threads: none ends before so many have begun."""

    streams = 2

    def __init__(self, together: int) -> None:
        super().__init__()
        self._begun = threading.Barrier(together)

    def forward_in_stream(self, batch: Sequence[Tokenized]) -> Matrix:
        self._begun.wait(timeout=20)
        return self.forward(batch)


def ask_streams(
    model: Streaming, box: BlackBox, *requests: Sequence[str], alone: bool = False
) -> list[str]:
    """The kinds of threads that computed, of requests that came at once."""

    async def scenario() -> None:
        with ThreadPoolExecutor(1, "one") as one, ThreadPoolExecutor(2, "stream") as streams:
            compute = computing_of(model, one, streams=streams, box=box)
            batcher: Batcher[Tokenized, Any] = Batcher(
                compute, max_batch_tokens=999, max_waiting=99,
                slots=2, takes=compute.takes, budget=compute.budget,
            )  # fmt: skip
            batcher.start()

            async def ask(texts: Sequence[str]) -> None:
                work = model.tokenize(texts, "")
                items = [Item(each, each.length, each.features) for each in work]
                suspected = texts[0] if alone else None
                group = Group(Key("m"), "embed", "", suspected)
                await batcher.submit(group, items, interactive=True)

            await asyncio.gather(*map(ask, requests))
            await batcher.close()

    asyncio.run(scenario())
    return [name.split("_")[0] for name in model.threads]


def test_what_waits_is_shared_out_to_the_streams(black_box: BlackBox) -> None:
    """One request or several: no processor stands idle while another has a long batch."""
    together = ask_streams(Streaming(2), black_box, ["one", "two", "six", "ten"])
    assert together == ["stream", "stream"]
    assert ask_streams(Streaming(2), black_box, ["a"], ["b"]) == ["stream", "stream"]


def test_a_text_that_nothing_waits_with_has_all_processors(black_box: BlackBox) -> None:
    """The barrier would never open: it waits for two."""
    assert ask_streams(Streaming(2), black_box, ["x" * 40]) == ["one"]


def test_a_suspected_text_has_the_engine_for_itself(black_box: BlackBox) -> None:
    """Else its neighbour would be blamed, or would hide it."""
    texts = ["a" * 40], ["b" * 40]
    assert ask_streams(Streaming(2), black_box, *texts, alone=True) == ["one", "one"]


def test_a_probe_waits_for_every_stream() -> None:
    """A hang in one of several threads shows, though the others still get through work."""

    async def scenario() -> None:
        let_go = threading.Event()
        begun = threading.Semaphore(0)

        class Hanging(Streaming):
            def forward_in_stream(self, batch: Sequence[Tokenized]) -> Matrix:
                begun.release()
                assert let_go.wait(20)
                return self.forward(batch)

        model = Hanging(1)
        with ThreadPoolExecutor(1, "one") as one, ThreadPoolExecutor(2, "stream") as streams:
            compute = computing_of(model, one, streams=streams)
            work = model.tokenize(["a"], "")
            batch = Batch(Group(Key("m"), "embed", ""), work, ["a"])
            computed = asyncio.ensure_future(compute(batch))
            await asyncio.to_thread(begun.acquire)
            probe = asyncio.create_task(compute.probe())
            done, _ = await asyncio.wait([probe], timeout=0.05)
            assert not done
            let_go.set()
            await asyncio.gather(probe, computed)

    asyncio.run(scenario())


class Device(Model):
    """A model on a device that ends a batch when it is told to."""

    launches = True

    def __init__(self) -> None:
        super().__init__(any_thread=False)
        self.launched = threading.Semaphore(0)
        self.ended = threading.Semaphore(0)

    def launch(self, batch: Sequence[Tokenized]) -> Callable[[], Matrix]:
        self.launched.release()

        def wait() -> Matrix:
            self.ended.acquire()
            return np.full((len(batch), 2), batch[0].length, np.float32)

        return wait


def test_the_next_batch_is_launched_before_the_last_one_is_read(black_box: BlackBox) -> None:
    """Both are noted meanwhile, and each gets its own rows."""

    async def scenario() -> None:
        model = Device()
        told: list[Any] = []
        with ThreadPoolExecutor(1) as thread, ThreadPoolExecutor(1) as fetcher:
            compute = computing_of(model, thread, told.append, box=black_box, fetcher=fetcher)
            batcher: Batcher[Tokenized, Any] = Batcher(
                compute, max_batch_tokens=8, max_waiting=9, slots=2, takes=compute.takes
            )
            batcher.start()
            work = model.tokenize(["twelve chars", "a dozen and more"], "")
            items = [Item(each, each.length, each.features) for each in work]
            group = Group(Key("m"), "embed", "")
            asking = asyncio.create_task(batcher.submit(group, items, interactive=False))
            for _ in work:
                await asyncio.to_thread(model.launched.acquire)
            assert sorted(map(len, black_box.read())) == [0, 0, 0, 1, 1]
            for _ in work:
                model.ended.release()
            assert [row[0] for row in await asking] == [12, 16]
            assert not any(black_box.read())
            assert len(told) == 2
            assert model.threads == []
            await batcher.close()

    asyncio.run(scenario())


def error_of(text: str) -> Exception:
    """The error that a traceback ends with; torch is slow to import."""
    name, _, message = text.partition(": ")
    error: Exception = pkgutil.resolve_name(name if "." in name else f"builtins.{name}")(message)
    return error


@pytest.mark.parametrize("slots", [1, 2])
def test_a_device_without_room_gets_half_of_the_batch(slots: int) -> None:
    """Down to the one text that has no room alone."""
    full = error_of("torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 20.00 MiB.")

    class Small(Model):
        launches = True

        def launch(self, batch: Sequence[Tokenized]) -> Callable[[], Matrix]:
            sizes.append(len(batch))
            if sum(text.length for text in batch) > 3:
                raise full
            return lambda: np.ones((len(batch), 2), np.float32)

    sizes: list[int] = []

    async def scenario() -> None:
        model = Small()
        with ThreadPoolExecutor(1) as thread, ThreadPoolExecutor(1) as fetcher:
            compute = computing_of(model, thread, fetcher=fetcher)
            batcher: Batcher[Tokenized, Any] = Batcher(
                compute, max_batch_tokens=99, max_waiting=9, slots=slots, takes=compute.takes
            )
            batcher.start()
            group = Group(Key("m"), "embed", "")

            async def ask(*texts: str) -> list[Any]:
                work = model.tokenize(texts, "")
                items = [Item(each, each.length, each.features) for each in work]
                return await batcher.submit(group, items, interactive=False)

            assert len(await ask("a", "b", "c", "d")) == 4
            assert sizes == [4, 2, 2]
            with pytest.raises(ItemFailed) as failed:
                await ask("e", "long")
            assert failed.value.position == 1
            assert failed.value.__cause__ is full
            await batcher.close()

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("error", "noted"),
    [
        ("torch.AcceleratorError: CUDA error: device-side assert triggered", [2]),
        ("torch.AcceleratorError: CUDA error: out of memory", []),
        ("RuntimeError: mat1 and mat2 shapes cannot be multiplied", []),
    ],
)
def test_a_device_that_failed_for_good_is_told_of_while_the_texts_are_noted(
    black_box: BlackBox, error: str, noted: list[int]
) -> None:
    raised = error_of(error)

    class Broken(Model):
        def forward(self, _batch: Sequence[Tokenized]) -> Matrix:
            raise raised

    found: list[int] = []

    def lost() -> None:
        found.extend(len(place) for place in black_box.read() if place)

    async def scenario() -> None:
        model = Broken()
        with ThreadPoolExecutor(1) as thread:
            compute = computing_of(model, thread, on_lost=lost, box=black_box)
            batch = Batch(Group(Key("m"), "embed", ""), model.tokenize(["a", "b"], ""), ["a", "b"])
            with pytest.raises(type(raised)):
                await compute(batch)

    asyncio.run(scenario())
    assert found == noted


@pytest.mark.parametrize(
    "error",
    [
        "MemoryError: ",
        "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 20.00 MiB.",
        "torch.AcceleratorError: CUDA error: out of memory",
        "RuntimeError: CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`",
        "RuntimeError: DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes",
    ],
)
def test_memory_that_ran_out_has_many_names(error: str) -> None:
    assert is_out_of_memory(error_of(error))
    assert not is_device_lost(error_of(error))


@pytest.fixture
def black_box() -> Iterator[BlackBox]:
    with shared_memory(2) as descriptor:
        box = BlackBox(descriptor)
        yield box
        box.close()
