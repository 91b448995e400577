"""Word vectors: every file format gives the same, and the rules for words that are not there."""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from rowvec.chunking.cutting import Chunking, ModelTokenizer, cut
from rowvec.errors import ConfigError, InvalidRequest, ModelError
from rowvec.models.description import NO_LIMIT
from rowvec.models.families.word_vectors import WordVectors
from rowvec.models.families.word_vectors.lookup import WordVectorEmbedder
from rowvec.models.family import Entry
from rowvec.models.spec import ModelSpec
from support.models import RealModel

GLOVE_SHA256 = "2d85b9db2ad8ddeb2e07474af9c9fb45a925d21c40878d4b365d189f13eb5a15"

WORDS: dict[str, list[float]] = {
    "the": [1, 0, 0], "dog": [0, 1, 0], "don": [0, 0, 1], "'": [1, 1, 1], "t": [2, 2, 2],
    ".": [5, 5, 5], "état": [0, 0.25, -3], ". . .": [9, 9, 9],
}  # fmt: skip


def glove(folder: Path, words: dict[str, list[float]]) -> None:
    lines = [f"{word} {' '.join(map(str, vector))}" for word, vector in words.items()]
    (folder / "glove.3d.txt").write_text("\n".join(lines) + "\n")


def fasttext(folder: Path, words: dict[str, list[float]]) -> None:
    lines = [f"{word} {' '.join(map(str, vector))} " for word, vector in words.items()]
    (folder / "cc.vec").write_text(f"{len(words)} 3\n" + "\n".join(lines))


def word2vec(folder: Path, words: dict[str, list[float]], ending: bytes = b"") -> None:
    content = f"{len(words)} 3\n".encode()
    for word, vector in words.items():
        content += word.replace(" ", "_").encode() + b" " + struct.pack("<3f", *vector) + ending
    (folder / "vectors.bin").write_bytes(content)


def word2vec_with_newlines(folder: Path, words: dict[str, list[float]]) -> None:
    word2vec(folder, words, b"\n")


def matrix(folder: Path, words: dict[str, list[float]]) -> None:
    np.save(folder / "rows.npy", np.array(list(words.values()), dtype=np.float16))
    (folder / "words.txt").write_text("\n".join(words) + "\n")


def load(folder: Path, **options: str) -> WordVectorEmbedder:
    description = WordVectors.describe(Entry("w", ("w",), folder, options=options))
    spec = ModelSpec(description, "word-vectors", folder=folder, options=options)
    model = WordVectors.load(spec)
    assert isinstance(model, WordVectorEmbedder)
    assert (description.dimensions, description.max_tokens) == (model.dimensions, NO_LIMIT)
    return model


def vector(model: WordVectorEmbedder, text: str) -> list[float]:
    return [float(number) for number in model.forward(model.tokenize([text], ""))[0]]


@pytest.mark.parametrize("write", [glove, fasttext, word2vec, word2vec_with_newlines, matrix])
def test_every_format_gives_the_same(
    tmp_path: Path, write: Callable[[Path, dict[str, list[float]]], None]
) -> None:
    write(tmp_path, WORDS)
    model = load(tmp_path)
    for word, expected in WORDS.items():
        if " " not in word:
            assert vector(model, word) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("The dog", [0.5, 0.5, 0]),  # no word of the vocabulary has a capital
        ("dog dog the", [1 / 3, 2 / 3, 0]),  # twice counts twice
        ("\u00ab dog! \u00bb", [0, 1, 0]),  # punctuation around a word, and alone
        ("don't", [1, 1, 4 / 3]),  # its runs and marks, where the whole is unknown
        ("dog.", [0, 1, 0]),  # known without its full stop
        ("dog .", [2.5, 3, 2.5]),  # a full stop that stands alone is a word, if it is known
        ("the zebra", [1, 0, 0]),  # unknown words are left out
        ("zebra", [0, 0, 0]),
        ("", [0, 0, 0]),
        ("ÉTAT", [0, 0.25, -3]),
    ],
)
def test_how_a_text_becomes_words(tmp_path: Path, text: str, expected: list[float]) -> None:
    glove(tmp_path, WORDS)
    assert vector(load(tmp_path), text) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("text", "pieces"),
    [
        ("The dog,  don't", ["The", "dog,", "don", "'", "t"]),
        ("İstanbul-dog", ["İstanbul-dog"] * 5),  # its small first letter is two characters
        ("(unheard) of", ["(", "unheard", ")", "of"]),
        (" ", []),
    ],
)
def test_where_words_lie(tmp_path: Path, text: str, pieces: list[str]) -> None:
    glove(tmp_path, WORDS)
    model = load(tmp_path)
    spans = model.offsets(text)
    assert [text[start:end] for start, end in spans] == pieces
    assert len(spans) == model.tokenize([text], "")[0].count


def test_texts_are_cut_between_words(tmp_path: Path) -> None:
    glove(tmp_path, WORDS)
    text = "The dog sleeps. The dog wakes up, and the dog's état is good.\n\nThe end."
    model = load(tmp_path)
    found = list(cut(text, ModelTokenizer(model), Chunking(6)))
    assert [chunk.text for chunk in found] == [
        "The dog sleeps.", "The dog wakes up, and", "the dog's état is", "good.\n\nThe end.",
    ]  # fmt: skip
    assert all(text[chunk.start : chunk.end] == chunk.text for chunk in found)
    assert max(chunk.tokens for chunk in found) <= 6


def test_a_vocabulary_with_capitals_is_asked_as_it_stands_first(tmp_path: Path) -> None:
    glove(tmp_path, {**WORDS, "Dog": [7, 7, 7]})
    model = load(tmp_path)
    assert vector(model, "Dog") == [7, 7, 7]
    assert vector(model, "DOG the") == [0.5, 0.5, 0]


def test_the_first_of_equal_words_counts(tmp_path: Path) -> None:
    (tmp_path / "g.txt").write_text("a 1 2\na 3 4\n")
    assert vector(load(tmp_path), "a") == [1, 2]


def test_unknown_words_can_be_refused(tmp_path: Path) -> None:
    glove(tmp_path, WORDS)
    model = load(tmp_path, unknown="error")
    assert vector(model, "the dog") == [0.5, 0.5, 0]
    with pytest.raises(InvalidRequest, match=r"^1 of the 2 words are not in the vocabulary"):
        vector(model, "the zebra")


def test_unknown_is_one_of_two(tmp_path: Path) -> None:
    glove(tmp_path, WORDS)
    with pytest.raises(ConfigError, match=r"^unknown must be skip or error$"):
        load(tmp_path, unknown="guess")


def short_binary(folder: Path) -> None:
    (folder / "v.bin").write_bytes(b"2 3\na " + struct.pack("<3f", 1, 2, 3) + b"b ")


def pickled(folder: Path) -> None:
    np.save(folder / "v.npy", np.array([{}], dtype=object), allow_pickle=True)


def uneven(folder: Path) -> None:
    (folder / "v.txt").write_text("a 1 2 3\nb 1 2\n")


def wrong_count(folder: Path) -> None:
    matrix(folder, WORDS)
    (folder / "words.txt").write_text("one\n")


@pytest.mark.parametrize(
    ("write", "message"),
    [
        (short_binary, r"v\.bin ends before its 2 words do$"),
        (pickled, r"cannot read .*v\.npy"),
        (uneven, r"v\.txt has a line with fewer than 3 numbers$"),
        (wrong_count, r"words\.txt has 1 words, .*rows\.npy has 8 rows$"),
        (lambda _: None, "has 0 files that may hold word vectors$"),
    ],
)
def test_a_broken_file_is_one_sentence(
    tmp_path: Path, write: Callable[[Path], None], message: str
) -> None:
    write(tmp_path)
    with pytest.raises(ModelError, match=message):
        load(tmp_path)


def test_the_hash_that_the_list_pins_is_checked(tmp_path: Path) -> None:
    glove(tmp_path, WORDS)
    description = WordVectors.describe(Entry("w", ("w",), tmp_path))
    with pytest.raises(ModelError, match="the list of models pins 0000"):
        WordVectors.load(ModelSpec(description, "w", folder=tmp_path, sha256="0" * 64))


@pytest.mark.models
def test_germany_and_paris_without_france_is_berlin(real_model: RealModel) -> None:
    folder = real_model("glove")
    description = WordVectors.describe(Entry("glove", ("glove",), folder))
    assert description.dimensions == 50
    model = WordVectors.load(
        ModelSpec(description, "word-vectors", folder=folder, sha256=GLOVE_SHA256)
    )
    germany, paris, france = model.forward(model.tokenize(["Germany", "Paris", "France"], ""))
    asked = germany + paris - france
    words = ["berlin", "munich", "vienna", "germany", "paris", "france", "london", "dog"]
    rows = model.forward(model.tokenize(words, ""))
    cosines = rows @ asked / np.linalg.norm(rows, axis=1)
    assert words[int(np.argmax(cosines))] == "berlin"
