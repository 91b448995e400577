"""The little SQL that the worker understands: nothing at all, and SET.

libpq itself sends `set client_encoding` on a database that is not UTF-8; other settings are
taken and have no effect.
"""

from __future__ import annotations

import re
import urllib.parse
from dataclasses import dataclass

from rowvec.errors import InvalidRequest, NotARequest

# PostgreSQL's client encodings, without what separates words, as Python calls them. EUC_TW and
# MULE_INTERNAL have no codec.
_CODECS = {
    "utf8": "utf-8", "unicode": "utf-8", "sqlascii": "utf-8",
    "latin1": "iso8859-1", "latin2": "iso8859-2", "latin3": "iso8859-3", "latin4": "iso8859-4",
    "latin5": "iso8859-9", "latin6": "iso8859-10", "latin7": "iso8859-13", "latin8": "iso8859-14",
    "latin9": "iso8859-15", "latin10": "iso8859-16",
    "iso88591": "iso8859-1", "iso88595": "iso8859-5", "iso88596": "iso8859-6",
    "iso88597": "iso8859-7", "iso88598": "iso8859-8",
    **{f"win{page}": f"cp{page}" for page in (866, 874, *range(1250, 1259))},
    **{f"windows{page}": f"cp{page}" for page in (866, 874, *range(1250, 1259))},
    "koi8": "koi8-r", "koi8r": "koi8-r", "koi8u": "koi8-u",
    "euccn": "gb2312", "eucjp": "euc_jp", "eucjis2004": "euc_jis_2004", "euckr": "euc_kr",
    "gbk": "gbk", "gb18030": "gb18030", "big5": "big5", "johab": "johab", "uhc": "cp949",
    "sjis": "shift_jis", "shiftjis": "shift_jis", "shiftjis2004": "shift_jis_2004",
}  # fmt: skip

# What a client's connection may say of the roles that it asks for: in libpq's `options`, as any
# setting of a session, names separated by commas and quoted as in a URL.
_ROLES = re.compile(r"(?:^|\s)-c\s*rowvec\.roles=(\S*)")

_COMMENT = re.compile(r"--[^\n]*|/\*.*?\*/", re.DOTALL)
_SET = re.compile(
    r"set\s+(?:session\s+|local\s+)?(\w[\w.]*)\s*(?:=|\bto\b|\s)\s*(.*)", re.DOTALL | re.IGNORECASE
)


@dataclass(frozen=True)
class StatementResult:
    """What a statement did: its command tag (None for an empty query), and a new encoding."""

    tag: str | None
    encoding: str = ""
    codec: str | None = None


def run(text: str) -> StatementResult:
    """Runs an empty query or SET; raises NotARequest for everything else, and never shows it."""
    statement = _COMMENT.sub(" ", text).strip().rstrip(";").strip()
    if not statement:
        return StatementResult(None)
    found = _SET.fullmatch(statement)
    if found is None:
        raise NotARequest(
            "the worker answers requests in JSON, not SQL",
            hint='for example {"v":1,"op":"models"}',
        )
    name, value = found[1].lower(), found[2].strip().strip("'\"")
    if name == "names":
        name = "client_encoding"
    if name != "client_encoding":
        return StatementResult("SET")
    if value.lower() == "default":
        value = "UTF8"
    return StatementResult("SET", value.upper(), codec(value))


def roles(options: str) -> tuple[str, ...]:
    """The roles that `options` of a startup packet name; none where it names none."""
    found = _ROLES.search(options)
    return tuple(map(urllib.parse.unquote, filter(None, found[1].split(",")))) if found else ()


def codec(name: str) -> str:
    """Python's codec for one of PostgreSQL's encodings; raises InvalidRequest."""
    found = _CODECS.get(re.sub(r"[^a-z0-9]", "", name.lower()))
    if found is None:
        raise InvalidRequest("the worker does not know this client_encoding")
    return found
