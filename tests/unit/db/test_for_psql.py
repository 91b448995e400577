"""Statements that are shown for psql say what they mean, whatever stands in their values."""

from __future__ import annotations

from rowvec.db.for_psql import call, nearest_to_image


def test_what_is_not_given_is_left_to_its_default() -> None:
    assert call("search", "reviews", "it's", k=5, filter=None, method="hybrid") == (
        "SELECT * FROM rowvec.search('reviews', 'it''s', k => 5, method => 'hybrid');"
    )


def test_a_backslash_is_no_escape() -> None:
    assert call("search", "t", "a\\b") == r"SELECT * FROM rowvec.search('t', E'a\\b');"


def test_the_name_of_a_file_ends_no_literal() -> None:
    assert "pg_read_binary_file('it''s.png')" in nearest_to_image("t", "it's.png", 3)
