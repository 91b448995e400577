"""The vector of a text that is computed by itself, pooled without torch.

The modules of torch give the same vector. But behind a forward pass, which has just read all
weights, their code is in no cache of the processor, and costs a short text a tenth of its time.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from sentence_transformers.base.modules import Normalize
from sentence_transformers.sentence_transformer.modules import Pooling

from rowvec.models.embedder import Matrix

_SMALLEST = np.float32(1e-12)  # torch's own, below which a vector is not brought to length 1


def pooling_of_one(after: Sequence[torch.nn.Module]) -> Callable[[Matrix], Matrix] | None:
    """What the modules make of one text's token vectors, a row; None where they do more than pool.

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

    def pooled(tokens: Matrix) -> Matrix:
        vector = tokens[0].copy() if first_only else tokens.mean(axis=0, dtype=np.float32)
        if rest:
            vector /= max(np.sqrt(vector @ vector), _SMALLEST)
        row: Matrix = vector[None]
        return row

    return pooled


def _of_sentences(module: Normalize) -> bool:
    names = (module.module_input_name, module.module_output_name)
    return names == ("sentence_embedding", "sentence_embedding")
