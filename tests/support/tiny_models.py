"""Small models with random weights, one of each architecture: the arithmetic is what is tested."""

from __future__ import annotations

import string
from pathlib import Path
from typing import Any

import torch
from sentence_transformers import SentenceTransformer
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
    CLIPTokenizer,
    CLIPVisionConfig,
    PreTrainedTokenizerFast,
    Qwen3Config,
    Qwen3Model,
    T5Config,
    T5EncoderModel,
)

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


_BERT_HEADS = {c.__name__: c for c in (BertModel, BertForMaskedLM, BertForSequenceClassification)}


def _sentencepiece_tokenizer() -> PreTrainedTokenizerFast:
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


def _wordpiece_tokenizer(**given: object) -> PreTrainedTokenizerFast:
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


def save_t5(folder: Path) -> None:
    """A T5 encoder and its tokenizer, as transformers saves them."""
    tokenizer = _sentencepiece_tokenizer()
    torch.manual_seed(5)
    config = T5Config(
        vocab_size=len(tokenizer), d_model=32, d_kv=8, d_ff=64, num_layers=2, num_heads=4
    )
    T5EncoderModel(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def save_bert(
    folder: Path, head: str = "BertModel", *, labels: int = 1, **tokenizer_fields: object
) -> None:
    """A BERT; `head` is a class of its family."""
    tokenizer = _wordpiece_tokenizer(**tokenizer_fields)
    torch.manual_seed(7)
    config = BertConfig(
        vocab_size=len(tokenizer), hidden_size=32, num_hidden_layers=2, num_attention_heads=4,
        intermediate_size=64, max_position_embeddings=32, initializer_range=0.5,
    )  # fmt: skip
    config.num_labels = labels
    _BERT_HEADS[head](config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def save_decoder(folder: Path, **tokenizer_fields: object) -> None:
    """A decoder as embedding models have them, its positions relative."""
    tokenizer = _wordpiece_tokenizer(**tokenizer_fields)
    torch.manual_seed(8)
    config = Qwen3Config(
        vocab_size=len(tokenizer), hidden_size=32, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, head_dim=8, intermediate_size=64, max_position_embeddings=32,
    )  # fmt: skip
    Qwen3Model(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def save_clip(folder: Path, *, max_tokens: int = 16) -> None:
    """A CLIP without modules.json."""
    vocabulary = {"<|startoftext|>": 0, "<|endoftext|>": 1}
    for letter in string.ascii_lowercase + string.digits + string.punctuation:
        for token in (letter, letter + "</w>"):
            vocabulary.setdefault(token, len(vocabulary))
    tokenizer = CLIPTokenizer(vocab=vocabulary, merges=[], model_max_length=max_tokens)
    text = CLIPTextConfig(
        vocab_size=len(tokenizer), hidden_size=32, intermediate_size=64, num_hidden_layers=2,
        num_attention_heads=4, max_position_embeddings=max_tokens, bos_token_id=0, eos_token_id=1,
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


def save(folder: Path, *modules: torch.nn.Module, **given: Any) -> Path:
    """Saves modules as a SentenceTransformer; gives the folder."""
    SentenceTransformer(modules=list(modules), device="cpu", **given).save(str(folder))
    return folder
