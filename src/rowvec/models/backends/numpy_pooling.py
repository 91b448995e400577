"""Pooling without torch.

The modules of torch give the same vectors. But behind a forward pass, which has just read all
weights, their code is in no cache of the processor, and costs a short text a tenth of its time;
and every thread that calls them gets helpers of its own, for which several threads at once have no
room.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from sentence_transformers.base.modules import Normalize
from sentence_transformers.sentence_transformer.modules import Pooling

from rowvec.models.embedder import Matrix

# Token vectors (texts, tokens, width) and the attention mask (texts, tokens) to a row a text.
Pool = Callable[[npt.NDArray[np.float32], npt.NDArray[Any]], Matrix]

_SMALLEST = np.float32(1e-12)  # torch's own, below which a vector is not brought to length 1
_FEWEST = np.float32(1e-9)  # the library's, where a text has no token


def pooling_in_numpy(after: Sequence[torch.nn.Module]) -> Pool | None:
    """What the modules make of token vectors; None where they do more than pool.

    Known are the mean of all tokens and the first token, with or without a length of 1.
    """
    if not after or type(after[0]) is not Pooling or not after[0].include_prompt:
        return None
    if after[0].pooling_mode not in ("mean", "cls"):
        return None
    rest = after[1:]
    if any(type(m) is not Normalize or not _of_sentences(m) for m in rest):
        return None
    first_only = after[0].pooling_mode == "cls"

    def pooled(tokens: npt.NDArray[np.float32], mask: npt.NDArray[Any]) -> Matrix:
        vectors = tokens[:, 0].copy() if first_only else _mean(tokens, mask)
        if rest:
            lengths = np.sqrt(np.einsum("ij,ij->i", vectors, vectors))
            vectors /= np.maximum(lengths, _SMALLEST)[:, None]
        return vectors

    return pooled


def _mean(tokens: npt.NDArray[np.float32], mask: npt.NDArray[Any]) -> Matrix:
    weights = mask.astype(np.float32)
    # A product of matrices would wake BLAS's own threads.
    sums: Matrix = np.einsum("ij,ijk->ik", weights, tokens)
    sums /= np.maximum(weights.sum(axis=1), _FEWEST)[:, None]
    return sums


def _of_sentences(module: Normalize) -> bool:
    names = (module.module_input_name, module.module_output_name)
    return names == ("sentence_embedding", "sentence_embedding")
