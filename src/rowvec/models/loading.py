"""From a listed model to a loaded one; what its kind needs, torch for one, is imported here."""

from __future__ import annotations

from rowvec.errors import ModelError
from rowvec.models.embedder import Embedder
from rowvec.models.registry import family
from rowvec.models.sparse_vector import SparseEmbedder
from rowvec.models.spec import ModelSpec


def load(spec: ModelSpec) -> Embedder | SparseEmbedder:
    """The model, ready to compute; raises ModelError, also where it is not as its files say."""
    model = family(spec.kind).load(spec)
    if not isinstance(model, Embedder | SparseEmbedder):
        raise ModelError(
            f"the kind {spec.kind!r} loads a {type(model).__name__}, which is no Embedder",
            hint="make it a subclass of rowvec.models.embedder.Embedder",
        )
    if model.dimensions != spec.description.dimensions:
        raise ModelError(
            f"{spec.name} gives {model.dimensions} dimensions, its files say"
            f" {spec.description.dimensions}"
        )
    return model
