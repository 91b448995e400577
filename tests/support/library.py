"""What sentence-transformers gives for a model, computed once by whoever needs it first."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

Vectors = npt.NDArray[np.float32]

# Of a model's folder, texts and a prompt.
Encode = Callable[..., Vectors]


@pytest.fixture(scope="session")
def library_encode(model_cache: Path) -> Encode:
    """`SentenceTransformer.encode`, its vectors kept for all processes of the session."""
    kept = model_cache.parent / "library-vectors"
    kept.mkdir(exist_ok=True)

    def encode(model: Path, texts: Sequence[str], prompt: str = "") -> Vectors:
        asked = json.dumps([str(model), list(texts), prompt])
        file = kept / f"{hashlib.sha256(asked.encode()).hexdigest()}.npy"
        if not file.exists():
            # Here, as it takes seconds to import.
            from sentence_transformers import SentenceTransformer  # noqa: PLC0415

            library = SentenceTransformer(str(model), device="cpu", local_files_only=True)
            # Renamed when it is whole: another process may look for it, or compute the same.
            begun = kept / f"{os.getpid()}.npy"
            np.save(begun, library.encode(list(texts), prompt=prompt or None))
            begun.rename(file)
        found: Vectors = np.load(file)
        return found

    return encode
