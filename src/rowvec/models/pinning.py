"""Holds a worker to the weights that are there at its start: a column has vectors of one model."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from rowvec.errors import ModelError
from rowvec.models.families.word_vectors.word_files import vectors_file
from rowvec.models.folder import sha256_of, weights
from rowvec.models.listing import Listing
from rowvec.models.spec import ModelSpec


def pinned(listing: Listing) -> Listing:
    """The listing with the hash of its weights as revision of every model that the list pins not.

    So weights that are replaced behind a name are another revision, which no column takes for its
    own, and those that are replaced while the worker runs are refused when they are loaded.
    """
    return Listing([_pinned(spec) for spec in listing.specs], listing.datasets)


def _pinned(spec: ModelSpec) -> ModelSpec:
    if spec.description.revision is not None:
        return spec
    try:
        files = weights_of(spec)
        found = sha256_of(files) if files else None
    except ModelError:
        return spec  # a model that cannot be loaded, which says why when it is
    return replace(spec, sha256=found, description=replace(spec.description, revision=found))


def weights_of(spec: ModelSpec) -> list[Path]:
    """The files that a model's sha256 is of; none where it has no folder. Raises ModelError."""
    if spec.folder is None:
        return []
    if spec.kind == "word-vectors":
        return [vectors_file(spec.folder, spec.options.get("vectors"))]
    return weights(spec.folder)
