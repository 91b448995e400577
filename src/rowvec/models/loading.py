"""From a listed model to a loaded one. Imports torch only when a real model is asked for."""

from __future__ import annotations

from rowvec.models.embedder import Embedder
from rowvec.models.listing import ModelSpec
from rowvec.models.stand_in import StandIn


def load(spec: ModelSpec) -> Embedder:
    """The model, ready to compute; raises ModelError."""
    if spec.kind == "stand-in":
        return StandIn(**spec.stand_in)
    from rowvec.models.sentence_transformer import (  # noqa: PLC0415  # seconds, and needs torch
        SentenceTransformerEmbedder,
    )

    assert spec.folder is not None
    return SentenceTransformerEmbedder(spec.folder, sha256=spec.sha256)
