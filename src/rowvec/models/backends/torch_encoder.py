"""torch as a backend: padded batches for every model, packed ones where attention can be cut.

In a packed batch the texts stand one after the other in one row: nothing is computed for padding.
Everything but attention works on single tokens, so only attention has to know the borders.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from sentence_transformers.base.modules import Dense, Normalize
from sentence_transformers.sentence_transformer.modules import Pooling
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

from rowvec.models.backends.transfer import padded, sent
from rowvec.models.embedder import Tokenized
from rowvec.models.tokenizing import BatchTokenizer

Features = dict[str, Any]

_ATTENTION = "rowvec_packed"

# Encoders that attend to the whole text and number their positions from 0, or from behind the
# padding's own. Others stay padded: relative positions, windows and causal masks know one text.
_FROM_ZERO = {"bert", "electra"}
_BEHIND_PADDING = {"roberta", "xlm-roberta", "camembert"}

# Measured on 2 cores: up to here one thread is as fast as two that have the cores to themselves.
_FEW_TOKENS = 10


class PaddedTorch:
    """A model's first module, as sentence-transformers runs it: a vector for each token."""

    pads = True
    """Whether the shorter texts of a batch cost as much as the longest."""

    def __init__(self, transformer: Any, tokenizer: BatchTokenizer, device: str) -> None:
        self._transformer = transformer
        self._tokenizer = tokenizer
        self._device = device

    def encode(self, batch: Sequence[Tokenized]) -> Features:
        """`token_embeddings` of a batch, and what pooling has to know to tell the texts apart.

        Here the `attention_mask` of texts padded to the longest.
        """
        features = {**padded(self._tokenizer, batch, self._device), "modality": "text"}
        with _threads_for(len(batch) * max(text.length for text in batch)):
            found: Features = self._transformer(features)
        return found


class PackedTorch(PaddedTorch):
    """As PaddedTorch, without the padding; for models that `can_be_packed`."""

    pads = False

    def __init__(self, transformer: Any, tokenizer: BatchTokenizer, device: str) -> None:
        super().__init__(transformer, tokenizer, device)
        model = transformer.model
        # Global to the process, and harmless: only a model that is set to it uses it.
        AttentionInterface.register(_ATTENTION, _packed_attention)
        AttentionMaskInterface.register(_ATTENTION, sdpa_mask)
        model.set_attn_implementation(_ATTENTION)
        padding = model.config.pad_token_id
        self._model = model
        self._first_position = padding + 1 if model.config.model_type in _BEHIND_PADDING else 0

    def undo(self) -> None:
        """Gives the model its own attention back."""
        self._model.set_attn_implementation("sdpa")

    def encode(self, batch: Sequence[Tokenized]) -> Features:
        """As PaddedTorch, of texts one after the other, with `cu_seq_lens_q`, their borders.

        Texts of one length need no packing.
        """
        lengths = [text.length for text in batch]
        if len(set(lengths)) == 1:
            return super().encode(batch)
        positions = [np.arange(length) + self._first_position for length in lengths]
        given = {
            name: sent(
                np.concatenate([np.asarray(text.features[name], np.int64) for text in batch]),
                self._device,
            )[None]
            for name in ("input_ids", "token_type_ids")
            if name in batch[0].features
        }
        found = self._transformer.model(
            **given,
            position_ids=sent(np.concatenate(positions), self._device)[None],
            # Passed through as it is, and not looked at: without one the model would build it.
            attention_mask=torch.ones(1, 1, 1, 1, dtype=torch.bool, device=self._device),
            text_lengths=lengths,
        )
        return {
            "token_embeddings": found.last_hidden_state,
            "cu_seq_lens_q": sent(np.cumsum([0, *lengths]), self._device),
        }


@contextmanager
def _threads_for(tokens: int) -> Iterator[None]:
    """All threads for a batch; one for a few tokens, which are read weights and little else.

    Several then gain nothing, and lose much where another process wants a core: at each of a
    hundred steps they wait for the last of them.
    """
    threads = torch.get_num_threads()
    if tokens > _FEW_TOKENS or threads == 1:
        yield
        return
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def size_of(module: torch.nn.Module) -> int:
    """Bytes of a module's parameters and buffers."""
    tensors = (*module.parameters(), *module.buffers())
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors)


def can_be_packed(transformer: Any, after: Sequence[torch.nn.Module]) -> bool:
    """Whether only attention connects tokens, and what comes after it knows of packing."""
    config = getattr(transformer.model, "config", None)
    return (
        config is not None
        and config.model_type in _FROM_ZERO | _BEHIND_PADDING
        and config._attn_implementation == "sdpa"  # noqa: SLF001  # transformers has no other way
        and getattr(config, "position_embedding_type", "absolute") == "absolute"
        and not getattr(config, "is_decoder", False)
        and bool(after)
        and isinstance(after[0], Pooling)
        and all(isinstance(module, Dense | Normalize) for module in after[1:])
    )


def _packed_attention(
    module: torch.nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    *,
    scaling: float | None = None,
    text_lengths: Sequence[int] | None = None,
    **kwargs: Any,
) -> tuple[torch.Tensor, None]:
    """Attention within each text of a packed row; without `text_lengths`, what sdpa does.

    query, key, value are (1, heads, tokens, width). Neighbours of one length are one call.
    """
    if text_lengths is None:
        whole: tuple[torch.Tensor, None] = sdpa_attention_forward(
            module, query, key, value, attention_mask, scaling=scaling, **kwargs
        )
        return whole
    runs = [(length, sum(1 for _ in same)) for length, same in itertools.groupby(text_lengths)]
    sizes = [length * count for length, count in runs]
    pieces = zip(
        runs,
        query[0].split(sizes, 1),
        key[0].split(sizes, 1),
        value[0].split(sizes, 1),
        strict=True,
    )
    attended = []
    for (length, count), *tensors in pieces:
        q, k, v = (tensor.unflatten(1, (count, length)).transpose(0, 1) for tensor in tensors)
        found = torch.nn.functional.scaled_dot_product_attention(q, k, v, scale=scaling)
        attended.append(found.transpose(1, 2).flatten(0, 1))
    return torch.cat(attended)[None], None
