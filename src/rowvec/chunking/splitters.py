"""PostgresML's splitters, by the names that `pgml.chunk` knows: those of langchain-text-splitters.

They count characters, not tokens. `rowvec.chunking.cutting` cuts by a model's tokenizer.
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Mapping

from rowvec.errors import InvalidRequest, NotSupported, RequestTooLarge

_CLASSES = {
    "character": "CharacterTextSplitter",
    "latex": "LatexTextSplitter",
    "markdown": "MarkdownTextSplitter",
    "nltk": "NLTKTextSplitter",
    "python": "PythonCodeTextSplitter",
    "recursive_character": "RecursiveCharacterTextSplitter",
    "spacy": "SpacyTextSplitter",
}
NAMES = tuple(_CLASSES)

# Each as the class takes it. A length_function is code, which JSON cannot hold.
_COMMON = ("chunk_size", "chunk_overlap", "keep_separator", "add_start_index", "strip_whitespace")
_OWN = {
    "character": ("separator", "is_separator_regex"),
    "nltk": ("separator", "language"),
    "recursive_character": ("separators", "is_separator_regex"),
    "spacy": ("separator", "pipeline", "max_length"),
}

# The library tries one after the other, each within the last.
_MAX_SEPARATORS = 100

# Chunks that overlap nearly whole repeat the text once for each of its characters.
_MAX_CHARACTERS_GIVEN = 64 << 20

# The names of an NLTK language and of an installed spaCy pipeline: never a path.
_NAME = re.compile(r"[a-z0-9_]+")


def split(splitter: str, text: str, kwargs: Mapping[str, object]) -> list[str]:
    """The chunks of a text, as `pgml.chunk` gave them; JSON null counts as not given.

    Raises InvalidRequest for an unknown splitter or argument, listing the known ones,
    RequestTooLarge for chunks that repeat a long text over and over, NotSupported where the worker
    lacks what the splitter needs.
    """
    if splitter not in _CLASSES:
        raise InvalidRequest(
            f"there is no splitter {splitter[:200]!r}", hint=f"splitters: {', '.join(NAMES)}"
        )
    given = {key: value for key, value in kwargs.items() if value is not None}
    _check(splitter, text, given)
    try:
        library = importlib.import_module("langchain_text_splitters")
        cutter = getattr(library, _CLASSES[splitter])(**given)
        return [str(chunk) for chunk in cutter.split_text(text)]
    except ImportError as exc:
        package = splitter if splitter in ("nltk", "spacy") else "'rowvec[pgml]'"
        raise NotSupported(
            f"the worker lacks what the splitter {splitter} needs",
            hint=f"where the worker runs: pip install {package}",
        ) from exc
    except (LookupError, OSError) as exc:
        raise NotSupported(
            f"the worker lacks the data that the splitter {splitter} needs",
            hint="where the worker runs: python -m nltk.downloader punkt_tab"
            if splitter == "nltk"
            else "where the worker runs: python -m spacy download en_core_web_sm,"
            ' or use {"pipeline": "sentencizer"}',
        ) from exc


def _check(splitter: str, text: str, given: Mapping[str, object]) -> None:
    known = (*_COMMON, *_OWN.get(splitter, ()))
    unknown = sorted(set(given) - set(known))
    if unknown:
        raise InvalidRequest(
            f"unknown kwargs of the splitter {splitter}: {', '.join(map(repr, unknown))}",
            hint=f"known: {', '.join(known)}",
        )
    size = _whole(given, "chunk_size", 4000, at_least=1)
    overlap = _whole(given, "chunk_overlap", 200, at_least=0)
    if overlap > size:
        raise InvalidRequest(
            f"chunk_overlap {overlap} is more than chunk_size {size}",
            hint="chunk_size is 4000 and chunk_overlap 200 where they are not given",
        )
    if len(text) // max(1, size - overlap) * size > _MAX_CHARACTERS_GIVEN:
        raise RequestTooLarge(
            f"chunks of {size} characters that overlap by {overlap} would repeat the text"
            f" {size // max(1, size - overlap)} times",
            hint="let them overlap less",
        )
    _whole(given, "max_length", 1, at_least=1)
    for key in ("add_start_index", "strip_whitespace", "is_separator_regex"):
        if not isinstance(given.get(key, False), bool):
            raise InvalidRequest(f"{key} must be true or false")
    if given.get("keep_separator", False) not in (True, False, "start", "end"):
        raise InvalidRequest("keep_separator must be true, false, start or end")
    if given.get("is_separator_regex"):
        raise NotSupported(
            "is_separator_regex is not supported: a pattern could keep the worker busy without end",
            hint="give separators as plain texts",
        )
    _check_texts(given)


def _check_texts(given: Mapping[str, object]) -> None:
    separators = given.get("separators", ["\n"])
    if not isinstance(separators, list) or not 1 <= len(separators) <= _MAX_SEPARATORS:
        raise InvalidRequest(f"separators must be a list of 1 to {_MAX_SEPARATORS} texts")
    if not all(isinstance(text, str) for text in (*separators, given.get("separator", ""))):
        raise InvalidRequest("separators are texts")
    for key in ("language", "pipeline"):
        name = given.get(key, "default")
        if not isinstance(name, str) or not _NAME.fullmatch(name):
            raise InvalidRequest(f"{key} must be a name in lower case")


def _whole(given: Mapping[str, object], key: str, default: int, *, at_least: int) -> int:
    value = given.get(key, default)
    if isinstance(value, bool) or not isinstance(value, int) or value < at_least:
        raise InvalidRequest(f"{key} must be a whole number, at least {at_least}")
    return value
