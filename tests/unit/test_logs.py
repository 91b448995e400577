"""Log lines: JSON that a program reads, and no words of exceptions that are not ours."""

from __future__ import annotations

import json
import logging
import sys

import pytest

from rowvec import logs
from rowvec.errors import BackendFailed, ConfigError


def record(error: BaseException | None = None, **extra: object) -> logging.LogRecord:
    info = None if error is None else (type(error), error, error.__traceback__)
    made = logging.LogRecord("rowvec.x", logging.WARNING, __file__, 1, "so %d", (7,), info)
    made.__dict__.update(extra)
    return made


def failed(text: str) -> Exception:
    """An error of ours whose cause quotes the text."""
    try:
        int(text)
    except ValueError as cause:
        error = BackendFailed("the model failed on input 3")
        error.__cause__ = cause
        return error
    raise AssertionError


def test_json_is_one_line_with_its_fields() -> None:
    text = logs.JsonFormatter().format(record(fields={"request_id": "ab12", "texts": 3}))
    line = json.loads(text)
    assert "\n" not in text
    assert line.pop("time").endswith("Z")
    assert line == {
        "level": "warning",
        "logger": "rowvec.x",
        "message": "so 7",
        "request_id": "ab12",
        "texts": 3,
    }


@pytest.mark.parametrize("formatter", [logs.JsonFormatter(), logs.TextFormatter()])
def test_an_exception_is_its_type_and_place(formatter: logging.Formatter) -> None:
    text = formatter.format(record(failed("a user's words")))
    assert "words" not in text
    assert "ValueError" in text
    assert "BackendFailed: the model failed on input 3" in text
    assert "int(text)" in text


def test_an_exception_without_words_has_none() -> None:
    assert logs.describe(ConfigError("no key")).endswith("ConfigError: no key")
    assert logs.describe(KeyError("a text")) == "KeyError"


def test_a_message_cannot_pass_for_another_line() -> None:
    named = logging.makeLogRecord({"name": "rowvec.x", "levelname": "INFO", "msg": "user %s"})
    named.args = ("a\n2026-01-01 INFO rowvec: forged\x9b",)
    line = logs.TextFormatter().format(named)
    assert line.endswith("user a\\x0a2026-01-01 INFO rowvec: forged\\x9b")


def test_another_programs_logging_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    theirs = logging.NullHandler()
    monkeypatch.setattr(logging.getLogger(), "handlers", [theirs])
    logs.configure("json", level=logging.DEBUG)
    assert logging.getLogger().handlers == [theirs]


def test_a_second_form_takes_the_place_of_the_first(monkeypatch: pytest.MonkeyPatch) -> None:
    root = logging.getLogger()
    monkeypatch.setattr(root, "handlers", [])
    monkeypatch.setattr(root, "level", root.level)
    logs.configure("text", level=logging.WARNING)
    logs.configure("json", level=logging.WARNING)
    (handler,) = root.handlers
    assert isinstance(handler, logging.StreamHandler)
    assert isinstance(handler.formatter, logs.JsonFormatter)
    assert handler.stream is sys.stderr
