"""SPLADE's pooling in one pass over the numbers of the tokens.

The library takes log(1 + relu(x)) of each of them, then the largest. Both functions only grow, so
the largest may as well be taken first, which leaves one number per word instead of one per word and
token.
"""

from __future__ import annotations

import torch
from sentence_transformers.sparse_encoder.modules import SpladePooling


class MaxPooling(torch.nn.Module):
    """What a SpladePooling of the strategy `max` computes of padded texts."""

    def __init__(self, pooling: SpladePooling) -> None:
        super().__init__()
        assert pooling.pooling_strategy == "max"
        self._logarithms = 2 if pooling.activation_function == "log1p_relu" else 1

    def forward(self, features: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """Adds `sentence_embedding` (texts, words) to `token_embeddings` (texts, tokens, words)."""
        tokens, mask = features["token_embeddings"], features["attention_mask"]
        pooled = tokens.new_zeros(tokens.shape[0], tokens.shape[2])
        on_the_left = not bool(mask[:, 0].all())
        for row, text, length in zip(pooled, tokens, mask.sum(1).tolist(), strict=True):
            if length:
                torch.amax(text[-length:] if on_the_left else text[:length], 0, out=row)
        pooled.relu_()
        for _ in range(self._logarithms):
            pooled.log1p_()
        return {**features, "sentence_embedding": pooled}

    def traced(self, features: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """As `forward`, in a form that looks at no tensor and can be exported."""
        tokens, mask = features["token_embeddings"], features["attention_mask"]
        pooled = (tokens * mask[:, :, None]).amax(1).relu()
        for _ in range(self._logarithms):
            pooled = pooled.log1p()
        return {**features, "sentence_embedding": pooled}
