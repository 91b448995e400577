"""Which texts are held to have ended the engine: what is remembered, and what is not."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rowvec.worker.engine.black_box import FINGERPRINT_BYTES, BlackBox, fingerprint, shared_memory
from rowvec.worker.engine.suspects import Suspects

A, B, C = (bytes([n]) * FINGERPRINT_BYTES for n in range(3))

# Inline, in the thread, of the batch, of the next batch.
NOTHING: list[list[bytes]] = [[], [], [], [], []]


class Clock:
    """Stands until it is moved."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_batch_is_suspected_and_nobody_convicted() -> None:
    suspects = Suspects(600)
    assert not suspects
    assert suspects.died([[], [], [A, B]]) == []
    assert suspects
    assert (suspects.is_suspected(A), suspects.is_suspected(C)) == (True, False)
    assert not suspects.is_refused(A)


def test_who_was_alone_when_it_ended_again_is_refused() -> None:
    suspects = Suspects(600)
    suspects.died([[A, B]])
    assert suspects.died([[B]]) == [B]
    assert (suspects.is_refused(A), suspects.is_refused(B)) == (False, True)
    assert suspects.refused == 1


def test_alone_for_the_first_time_is_not_enough() -> None:
    suspects = Suspects(600)
    assert suspects.died([[A]]) == []
    assert suspects.died([[A]]) == [A]


def test_together_again_is_not_enough() -> None:
    suspects = Suspects(600)
    suspects.died([[A, B]])
    assert suspects.died([[A, B]]) == []


def test_what_was_computed_is_cleared() -> None:
    suspects = Suspects(600)
    suspects.died([[A, B]])
    suspects.cleared([A, C])
    assert not suspects.is_suspected(A)
    assert suspects.died([[A]]) == []


def test_a_refusal_ends() -> None:
    clock = Clock()
    suspects = Suspects(10, clock)
    suspects.died([[A]])
    suspects.died([[A]])
    clock.now = 9.9
    assert suspects.is_refused(A)
    clock.now = 10.1
    assert not suspects.is_refused(A)
    assert not suspects


@given(
    texts=st.lists(st.binary(min_size=FINGERPRINT_BYTES, max_size=FINGERPRINT_BYTES), max_size=50)
)
def test_the_box_tells_what_is_noted_while_it_is(texts: list[bytes]) -> None:
    """Read by another process's mapping of the same memory."""
    with shared_memory(2) as descriptor:
        engine, listener = BlackBox(descriptor), BlackBox(descriptor)
        assert listener.read() == NOTHING
        with engine.noted(0, texts):
            assert listener.read() == [[], [], [], texts, []]
            with engine.noted("inline", [A]):
                assert listener.read() == [[A], [], [], texts, []]
        assert listener.read() == NOTHING
        engine.close()
        listener.close()


def test_an_error_leaves_nothing_noted() -> None:
    """A text that the model refuses did not end the engine."""
    with shared_memory(2) as descriptor:
        box = BlackBox(descriptor)
        with pytest.raises(ValueError, match="refused"), box.noted("thread", [A]):
            raise ValueError("refused")
        assert box.read() == NOTHING
        box.close()


def test_a_fingerprint_needs_the_salt_and_all_that_it_is_of() -> None:
    one = fingerprint(b"salt", "model", "query: ", "text")
    assert one == fingerprint(b"salt", "model", "query: ", "text")
    others = {
        fingerprint(b"other", "model", "query: ", "text"),
        fingerprint(b"salt", "another", "query: ", "text"),
        fingerprint(b"salt", "model", "", "text"),
        fingerprint(b"salt", "model", "query: ", "texts"),
        fingerprint(b"salt", "model", "query: t", "ext"),
    }
    assert len(others) == 5
    assert one not in others
