"""The parts of the worker that need no process: admission, cache, frames, addresses."""

from __future__ import annotations

import asyncio
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rowvec.chunking.cutting import Chunking
from rowvec.errors import Overloaded, ShuttingDown
from rowvec.models.backends.variant import Variant
from rowvec.models.encoding import Encoding
from rowvec.models.listing import read_listing
from rowvec.worker.admission import Admission
from rowvec.worker.cache import NOT_IN_KEY, Cached, KeyMaker, VectorCache
from rowvec.worker.engine import messages
from rowvec.worker.engine.frames import FrameReader, FrameWriter, encode
from rowvec.worker.engine.messages import (
    Answer,
    Cancel,
    Computed,
    Configure,
    Dropped,
    EngineRequest,
    Failed,
    Hello,
    Loaded,
    Loading,
    Message,
    ModelRequest,
    MoreInputs,
    NotLoaded,
    Part,
    PieceAnswer,
    ProbeRequest,
    Reply,
    SpanAnswer,
    SplitRequest,
    TokenAnswer,
    VectorAnswer,
)
from rowvec.worker.engine.result_rows import shaped


def test_admission_refuses_beyond_its_bounds_and_forgets_what_ended() -> None:
    admission = Admission(max_requests=2, max_bytes=100)
    with admission.admitted(60):
        with pytest.raises(Overloaded), admission.admitted(41):
            pass
        with admission.admitted(40), pytest.raises(Overloaded), admission.admitted(0):
            pass
        with admission.admitted(40):
            pass
    assert (admission.requests, admission.bytes) == (0, 0)


def test_an_empty_worker_takes_one_request_of_any_size() -> None:
    admission = Admission(max_requests=1, max_bytes=1)
    with admission.admitted(1000):
        pass


def test_closing_admission_refuses_the_new_and_waits_for_the_old() -> None:
    async def scenario() -> None:
        admission = Admission(max_requests=9, max_bytes=9)
        with admission.admitted(1):
            closed = asyncio.create_task(admission.close())
            await asyncio.sleep(0)
            assert not closed.done()
            with pytest.raises(ShuttingDown), admission.admitted(1):
                pass
        await closed

    asyncio.run(scenario())


def test_the_cache_forgets_what_was_not_used_for_longest() -> None:
    cache = VectorCache(3 * 350)
    for name in "abc":
        cache.put(name.encode(), Cached(bytes(50), 1))
    assert cache.get(b"a") is not None
    cache.put(b"d", Cached(bytes(50), 1))
    assert cache.get(b"b") is None
    assert [cache.get(k) is not None for k in (b"a", b"c", b"d")] == [True, True, True]


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 500)), max_size=60))
def test_the_cache_never_holds_more_than_it_may(puts: list[tuple[int, int]]) -> None:
    cache = VectorCache(1000)
    for key, size in puts:
        cache.put(bytes([key]), Cached(bytes(size), 1))
        assert cache.bytes <= 1000
    assert cache.bytes == sum(
        len(entry.vector) + 300 for entry in map(cache.get, map(_byte, range(10))) if entry
    )


def _byte(number: int) -> bytes:
    return bytes([number])


def test_a_key_depends_on_all_that_the_vector_depends_on_and_on_nothing_else() -> None:
    plain = Encoding()
    keys = [
        KeyMaker(op, model, revision, encoding).key(text)
        for op, model, revision, encoding, text in [
            ("embed", "m", None, plain, "a"),
            ("embed_image", "m", None, plain, "a"),
            ("embed", "n", None, plain, "a"),
            ("embed", "m", "r", plain, "a"),
            ("embed", "m", None, replace(plain, prompt="p"), "a"),
            ("embed", "m", None, replace(plain, truncate_dim=3), "a"),
            ("embed", "m", None, replace(plain, normalize=True), "a"),
            ("embed", "m", None, replace(plain, variant=Variant("onnx")), "a"),
            ("embed", "m", None, replace(plain, variant=Variant("onnx", "int8")), "a"),
            ("embed", "m", None, replace(plain, variant=Variant(route="query")), "a"),
            ("embed", "m", None, plain, "b"),
        ]
    ]
    assert len(set(keys)) == len(keys)
    truncated_is_an_error = replace(plain, on_truncate="error")
    assert KeyMaker("embed", "m", None, truncated_is_an_error).key("a") == keys[0]


OTHERWISE: dict[str, object] = {
    "prompt": "p",
    "truncate_dim": 3,
    "normalize": True,
    "on_truncate": "error",
    "variant": Variant("onnx"),
}


def test_a_key_depends_on_every_field_of_an_encoding_but_those_left_out_by_name() -> None:
    """A field that is new, and not thought of here, fails this test."""
    names = {field.name for field in fields(Encoding)}
    assert OTHERWISE.keys() == names
    assert names >= NOT_IN_KEY
    plain = KeyMaker("embed", "m", None, Encoding()).key("a")
    for name, value in OTHERWISE.items():
        other = replace(Encoding(), **{name: value})  # type: ignore[arg-type]
        same = KeyMaker("embed", "m", None, other).key("a") == plain
        assert same == (name in NOT_IN_KEY), name


def test_a_key_depends_on_every_field_of_a_variant() -> None:
    variants = [Variant(), Variant("onnx"), Variant(dtype="int8"), Variant(route="query")]
    assert len(fields(Variant)) == len(variants) - 1
    keys = {KeyMaker("embed", "m", None, Encoding(variant=each)).key("a") for each in variants}
    assert len(keys) == len(variants)


def test_frames_of_one_turn_are_written_together() -> None:
    """In order, and what is large without waiting: it is not held in memory."""

    class Pipe(asyncio.WriteTransport):
        def __init__(self) -> None:
            super().__init__()
            self.written: list[bytes] = []

        def write(self, data: bytes | bytearray | memoryview) -> None:
            self.written.append(bytes(data))

        def is_closing(self) -> bool:
            return False

    async def scenario() -> None:
        pipe = Pipe()
        writer = FrameWriter(pipe)
        for number in range(3):
            writer.write(Part(number), b"x")
        assert pipe.written == []
        await asyncio.sleep(0)
        assert pipe.written == [b"".join(encode(Part(n), b"x") for n in range(3))]
        large = bytes(1 << 17)
        writer.write(Hello())
        writer.write(Part(4), large)
        assert pipe.written[1:] == [encode(Hello()) + encode(Part(4), large)]
        await asyncio.sleep(0)
        assert len(pipe.written) == 2

    asyncio.run(scenario())


MESSAGES: list[Message] = [
    Configure(
        salt="00ff", models=list(read_listing(None).specs), max_batch_tokens=1,
        max_batch_seconds=0.5, max_image_bytes=2, max_image_pixels=3, threads=4, device="cpu",
        memory_budget=None, compiled=Path("/compiled"), measured={"m": "onnx"},
    ),
    ModelRequest(
        number=1, inputs=["a", "\u00e9"], op="embed", model="m", interactive=True,
        encoding=Encoding("p", 3, normalize=True, on_truncate="error", variant=Variant("onnx")),
        alone=[1],
    ),
    ModelRequest(
        number=2, inputs=[], op="chunk", model="m", interactive=False, encoding=Encoding(),
        alone=[], chunking=Chunking(9, 2, "sentence"),
    ),
    SplitRequest(number=3, inputs=["a"], splitter="character", kwargs={"chunk_size": 9}),
    ProbeRequest(number=4, inputs=[]),
    MoreInputs(5, ["a"]),
    Cancel(6),
    Answer(7),
    VectorAnswer(8, [1], [4]),
    TokenAnswer(9, [1, 2]),
    SpanAnswer(10, [12, 0]),
    PieceAnswer(11, [["a"], []]),
    Part(12),
    Failed(13, "22023", "odd", None, 2),
    Hello(),
    Loading("m"),
    NotLoaded("m"),
    Loaded("m", Variant("onnx"), 8, 256, 1000, "cpu", "onnx", "asked for"),
    Dropped("m", Variant(dtype="int8")),
    Computed("m", 1, 2, 3, 0.5, 0),
]  # fmt: skip


def test_every_message_has_an_example_here() -> None:
    never_sent = {Message, Reply, EngineRequest}
    defined = [each for each in vars(messages).values() if isinstance(each, type)]
    sent = {each for each in defined if issubclass(each, Message)} - never_sent
    assert {type(message) for message in MESSAGES} == sent


@given(frames=st.lists(st.tuples(st.sampled_from(MESSAGES), st.binary())), size=st.integers(1, 300))
def test_messages_come_out_as_they_went_in(frames: list[tuple[Message, bytes]], size: int) -> None:
    found: list[tuple[Message, bytes]] = []
    reader = FrameReader(lambda message, blob: found.append((message, blob)))
    data = b"".join(encode(message, blob) for message, blob in frames)
    for start in range(0, len(data), size):
        reader.feed(data[start : start + size])
    assert found == frames


def test_vectors_are_cut_and_brought_to_length_one() -> None:
    vectors = np.array([[3, 4, 12], [0, 0, 1]], dtype=np.float32)
    cut = shaped(vectors, Encoding(truncate_dim=2, normalize=True))
    assert cut.tolist() == [[pytest.approx(0.6), pytest.approx(0.8)], [0, 0]]
    assert cut.dtype == np.float32
    assert np.shares_memory(shaped(vectors, Encoding()), vectors)
