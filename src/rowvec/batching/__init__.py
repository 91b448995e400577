"""Batches across all requests: what waits, and what computes it.

asyncio only: no sockets, no model. Who computes is handed in.
"""

from rowvec.batching.batcher import Batcher
from rowvec.batching.waiting import Batch, Item, ItemFailed, window

__all__ = ["Batch", "Batcher", "Item", "ItemFailed", "window"]
