"""Between numpy and a device of torch: arrays there, vectors back.

To and from CUDA everything goes through pinned memory, and nothing waits: the copies queue behind
the kernels of one stream, so the next batch can be launched while the last one is computed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch

from rowvec.models.embedder import Matrix, Tokenized
from rowvec.models.tokenizing import BatchTokenizer


def sent(array: np.ndarray[Any, Any], device: str) -> torch.Tensor:
    """The array as a tensor on the device; the array must not change afterwards."""
    tensor = torch.from_numpy(array)
    if device.startswith("cuda"):
        # torch keeps pinned memory for reuse, and reuses it only after the copy.
        return tensor.pin_memory().to(device, non_blocking=True)
    return tensor.to(device)


def padded(
    tokenizer: BatchTokenizer, batch: Sequence[Tokenized], device: str
) -> dict[str, torch.Tensor]:
    """The features of a batch as tensors, padded to its longest text."""
    return {name: sent(array, device) for name, array in tokenizer.arrays(batch).items()}


def fetching(vectors: torch.Tensor) -> Callable[[], Matrix]:
    """Begins to copy vectors back; the call waits, gives them as float32, and may be made once.

    On CUDA the call waits without a processor, in any thread; elsewhere they are there already.
    """
    if vectors.device.type != "cuda":
        matrix: Matrix = np.ascontiguousarray(vectors.float().cpu().numpy())
        return lambda: matrix
    there = torch.empty(vectors.shape, dtype=torch.float32, pin_memory=True)
    there.copy_(vectors.float(), non_blocking=True)
    done = torch.cuda.Event(blocking=True)
    done.record(torch.cuda.current_stream(vectors.device))

    def wait() -> Matrix:
        done.synchronize()
        # Copied, so that the pinned memory is free for the next batch.
        return np.array(there.numpy())

    return wait


class Widened(torch.nn.Module):
    """A module that brings a transformer's half precision to float32, for pooling and the rest."""

    def forward(self, features: dict[str, Any]) -> dict[str, Any]:
        """The features, those of floating point in float32."""
        return {
            name: feature.float()
            if isinstance(feature, torch.Tensor) and feature.is_floating_point()
            else feature
            for name, feature in features.items()
        }
