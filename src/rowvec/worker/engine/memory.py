"""What a model's device fails with: memory that ran out, and how it is given back; or for good."""

from __future__ import annotations

import gc
import sys

# torch.OutOfMemoryError, which older code knows as torch.cuda.OutOfMemoryError.
_TORCHS = "OutOfMemoryError"

# torch.AcceleratorError, of kernels that failed: from then on every call of the process fails.
_FOR_GOOD = "AcceleratorError"

# What torch and onnxruntime say in errors that have no class of their own.
_WORDS = (
    "DefaultCPUAllocator: can't allocate",
    "Failed to allocate memory",
    "CUDA error: out of memory",
    "CUBLAS_STATUS_ALLOC_FAILED",
)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether there was not enough memory, the processor's or a device's."""
    if isinstance(error, MemoryError) or type(error).__name__ == _TORCHS:
        return True
    words = str(error) if isinstance(error, RuntimeError) else ""
    return any(each in words for each in _WORDS)


def is_device_lost(error: BaseException) -> bool:
    """Whether this process can compute nothing more on its device, whatever it is given."""
    return type(error).__name__ == _FOR_GOOD and not is_out_of_memory(error)


def give_memory_back() -> None:
    """Frees the memory that libraries keep for later, for a smaller batch to use."""
    gc.collect()
    # Only where it was imported anyway.
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_available():
        torch.cuda.empty_cache()
