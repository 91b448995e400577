"""Small models with random weights, one of each architecture: the arithmetic is what is tested."""

from __future__ import annotations

import json
import string
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
from tokenizers.processors import TemplateProcessing
from transformers import (
    BertConfig,
    BertForMaskedLM,
    BertForSequenceClassification,
    BertModel,
    CLIPConfig,
    CLIPImageProcessorPil,
    CLIPModel,
    CLIPProcessor,
    CLIPTextConfig,
    CLIPTokenizerFast,
    CLIPVisionConfig,
    PreTrainedTokenizerFast,
    Qwen3Config,
    Qwen3Model,
    T5Config,
    T5EncoderModel,
)

from rowvec.models.embedder import Embedder
from rowvec.models.stand_in import derived_vector

TEXTS = [
    "a vector for every row",
    "",
    "where is the food stored in a yam plant",
    "The quick brown fox jumps over the lazy dog, and the dog sleeps on.",
    "zwölf Boxkämpfer jagen Viktor quer über den großen Sylter Deich",
    " ".join(["row"] * 80),
]
INSTRUCTION = "Represent the Wikipedia question for retrieving supporting documents: "

_CORPUS = [*TEXTS, INSTRUCTION, "query: passage: ", "abcdefghijklmnopqrstuvwxyzäöüß0123456789"]


@pytest.fixture(scope="session")
def texts() -> list[str]:
    """Texts of every kind: empty, other scripts, longer than the small models read."""
    return TEXTS


@pytest.fixture(scope="session")
def instruction() -> str:
    return INSTRUCTION


def sentencepiece_tokenizer() -> PreTrainedTokenizerFast:
    """As T5 has it: SentencePiece's pieces, and an end token."""
    tokenizer = Tokenizer(models.Unigram())
    tokenizer.normalizer = normalizers.Sequence(
        [normalizers.NFKC(), normalizers.Replace(Regex(" {2,}"), " ")]
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.decoder = decoders.Metaspace()
    special = ["<pad>", "</s>", "<unk>"]
    tokenizer.train_from_iterator(
        _CORPUS,
        trainers.UnigramTrainer(
            vocab_size=200, special_tokens=special, unk_token="<unk>", show_progress=False
        ),
    )
    tokenizer.post_processor = TemplateProcessing(single="$A </s>", special_tokens=[("</s>", 1)])
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="<pad>", eos_token="</s>", unk_token="<unk>",
        model_max_length=32,
    )  # fmt: skip


def wordpiece_tokenizer(**given: object) -> PreTrainedTokenizerFast:
    """As BERT has it."""
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    tokenizer.train_from_iterator(
        _CORPUS,
        trainers.WordPieceTrainer(vocab_size=200, special_tokens=special, show_progress=False),
    )
    tokenizer.post_processor = TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[("[CLS]", 2), ("[SEP]", 3)],
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="[PAD]", unk_token="[UNK]", cls_token="[CLS]",
        sep_token="[SEP]", mask_token="[MASK]", model_max_length=32, **given,
    )  # fmt: skip


@pytest.fixture(scope="session")
def t5_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A T5 encoder and its tokenizer, as transformers saves them."""
    folder = tmp_path_factory.mktemp("t5")
    tokenizer = sentencepiece_tokenizer()
    torch.manual_seed(5)
    config = T5Config(
        vocab_size=len(tokenizer), d_model=32, d_kv=8, d_ff=64, num_layers=2, num_heads=4
    )
    T5EncoderModel(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def bert_folder(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Makes a small BERT: `bert_folder("BertModel")`, or another class of its family."""
    heads = {c.__name__: c for c in (BertModel, BertForMaskedLM, BertForSequenceClassification)}

    def make(head: str = "BertModel", *, labels: int = 1, **tokenizer_fields: object) -> Path:
        folder = tmp_path_factory.mktemp(head)
        tokenizer = wordpiece_tokenizer(**tokenizer_fields)
        torch.manual_seed(7)
        config = BertConfig(
            vocab_size=len(tokenizer), hidden_size=32, num_hidden_layers=2, num_attention_heads=4,
            intermediate_size=64, max_position_embeddings=32, num_labels=labels,
            initializer_range=0.5,
        )  # fmt: skip
        heads[head](config).save_pretrained(folder)
        tokenizer.save_pretrained(folder)
        return folder

    return make


@pytest.fixture(scope="session")
def decoder_folder(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Makes a small decoder as embedding models have them, its positions relative."""

    def make(**tokenizer_fields: object) -> Path:
        folder = tmp_path_factory.mktemp("decoder")
        tokenizer = wordpiece_tokenizer(**tokenizer_fields)
        torch.manual_seed(8)
        config = Qwen3Config(
            vocab_size=len(tokenizer), hidden_size=32, num_hidden_layers=2, num_attention_heads=4,
            num_key_value_heads=2, head_dim=8, intermediate_size=64, max_position_embeddings=32,
        )  # fmt: skip
        Qwen3Model(config).save_pretrained(folder)
        tokenizer.save_pretrained(folder)
        return folder

    return make


@dataclass
class Endpoint:
    """A server of OpenAI's form: what it was asked, and what it answers instead of vectors."""

    url: str = ""
    asked: list[dict[str, Any]] = field(default_factory=list)
    keys: list[str | None] = field(default_factory=list)
    failures: list[tuple[int, dict[str, str], bytes]] = field(default_factory=list)
    answer: Callable[[dict[str, Any]], Any] | None = None


def embeddings(body: dict[str, Any]) -> dict[str, Any]:
    rows = [
        {"index": i, "embedding": derived_vector(text, body.get("dimensions", 8)).tolist()}
        for i, text in enumerate(body["input"])
    ]
    return {"object": "list", "data": rows[::-1]}


@contextmanager
def listening() -> Iterator[Endpoint]:
    state = Endpoint()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:  # the library's name
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            state.asked.append({"path": self.path, **body})
            state.keys.append(self.headers.get("Authorization"))
            if state.failures:
                status, headers, content = state.failures.pop(0)
            else:
                status, headers, content = (
                    200,
                    {},
                    json.dumps((state.answer or embeddings)(body)).encode(),
                )
            self.send_response(status)
            for name, value in {**headers, "Content-Length": str(len(content))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            """Quiet."""

    httpd = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    state.url = f"http://127.0.0.1:{httpd.server_address[1]}/v1"
    thread = threading.Thread(target=httpd.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield state
    httpd.shutdown()
    thread.join()
    httpd.server_close()


@pytest.fixture
def server() -> Iterator[Endpoint]:
    """An endpoint of one test."""
    with listening() as state:
        yield state


@pytest.fixture(scope="module")
def endpoint() -> Iterator[Endpoint]:
    """An endpoint that a worker's list names."""
    with listening() as state:
        yield state


@pytest.fixture(scope="session")
def clip_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small CLIP as transformers saves it, without modules.json."""
    folder = tmp_path_factory.mktemp("clip")
    vocabulary = {"<|startoftext|>": 0, "<|endoftext|>": 1}
    for letter in string.ascii_lowercase + string.digits + string.punctuation:
        for token in (letter, letter + "</w>"):
            vocabulary.setdefault(token, len(vocabulary))
    tokenizer = CLIPTokenizerFast(vocab=vocabulary, merges=[], model_max_length=16)
    text = CLIPTextConfig(
        vocab_size=len(tokenizer), hidden_size=32, intermediate_size=64, num_hidden_layers=2,
        num_attention_heads=4, max_position_embeddings=16, bos_token_id=0, eos_token_id=1,
        pad_token_id=1, projection_dim=24,
    )  # fmt: skip
    vision = CLIPVisionConfig(
        hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=4,
        image_size=32, patch_size=8, projection_dim=24,
    )  # fmt: skip
    torch.manual_seed(4)
    config = CLIPConfig(
        text_config=text.to_dict(), vision_config=vision.to_dict(), projection_dim=24
    )
    CLIPModel(config).save_pretrained(folder)
    images = CLIPImageProcessorPil(
        size={"shortest_edge": 32}, crop_size={"height": 32, "width": 32}
    )
    CLIPProcessor(images, tokenizer).save_pretrained(folder)
    return folder


Vectors = npt.NDArray[np.float32]


@pytest.fixture(scope="session")
def embed() -> Callable[..., Vectors]:
    """What the engine does: tokenise all, compute in batches of different lengths."""

    def run(model: Embedder, texts: Sequence[str], prompt: str = "") -> Vectors:
        tokenized = model.tokenize(texts, prompt)
        order = sorted(range(len(texts)), key=lambda i: tokenized[i].length)
        rows: dict[int, Vectors] = {}
        for start in range(0, len(order), 4):
            batch = order[start : start + 4]
            rows.update(zip(batch, model.forward([tokenized[i] for i in batch]), strict=True))
        return np.stack([rows[i] for i in range(len(texts))])

    return run


@pytest.fixture(scope="session")
def assert_same() -> Callable[[Vectors, Vectors], None]:
    """Cosine at least 0.99999 of every row, and lengths that agree; zero vectors stay zero."""

    def check(ours: Vectors, theirs: Vectors) -> None:
        assert ours.shape == theirs.shape
        ours, theirs = ours.astype(np.float64), theirs.astype(np.float64)
        lengths = np.linalg.norm(ours, axis=1)
        np.testing.assert_allclose(lengths, np.linalg.norm(theirs, axis=1), rtol=1e-5, atol=1e-7)
        cosines = (ours * theirs).sum(axis=1)[lengths > 0] / (lengths**2)[lengths > 0]
        assert cosines.min(initial=1) >= 0.99999

    return check
