"""Who goes when connections that have not logged in become too many."""

from __future__ import annotations

from rowvec.worker.half_open import HalfOpen, Place


class Line:
    """Places of one test, by their numbers, and those that were dropped, in order."""

    def __init__(self) -> None:
        self.half_open = HalfOpen(most=6, most_of_one_address=4)
        self.dropped: list[int] = []

    def add(self, address: str, *numbers: int) -> list[Place]:
        return [
            self.half_open.add(address, lambda n=number: self.dropped.append(n))  # type: ignore[misc]
            for number in numbers
        ]


def test_the_oldest_of_an_address_goes_for_its_newest() -> None:
    line = Line()
    line.add("other", 100)
    line.add("flood", *range(10))
    assert line.dropped == [0, 1, 2, 3, 4, 5]
    assert len(line.half_open) == 5


def test_a_full_line_costs_the_address_that_has_the_most() -> None:
    line = Line()
    line.add("flood", 1, 2, 3, 4)
    line.add("one", 100)
    line.add("two", 200)
    line.add("three", 300)
    assert line.dropped == [1]
    line.add("four", 400)
    assert line.dropped == [1, 2]


def test_who_has_logged_in_is_dropped_no_more() -> None:
    line = Line()
    first, second = line.add("client", 1, 2)
    first.leave()
    first.leave()
    line.add("client", 3, 4, 5, 6)
    assert (line.dropped, len(line.half_open)) == ([2], 4)
    second.leave()  # it was dropped already
    assert len(line.half_open) == 4


def test_an_empty_line_has_nobody_to_drop() -> None:
    line = Line()
    line.half_open.drop_oldest()
    assert line.dropped == []
