"""Holds a worker to the weights that are there at its start: a column has vectors of one model."""

from __future__ import annotations

from dataclasses import replace

from rowvec.errors import ModelError
from rowvec.models.compiled.artifact import COMPILED, Manifest
from rowvec.models.families.word_vectors.word_files import vectors_file
from rowvec.models.folder import sha256_of, weights
from rowvec.models.listing import Listing
from rowvec.models.spec import ModelSpec


def pinned(listing: Listing) -> Listing:
    """The listing, in which a model without a revision has the hash of its weights as one.

    So weights that are replaced behind a name are another revision, which no column takes for its
    own, and those that are replaced while the worker runs are refused when they are loaded.
    """
    return Listing([_pinned(spec) for spec in listing.specs], listing.datasets)


def _pinned(spec: ModelSpec) -> ModelSpec:
    if spec.description.revision is not None:
        return spec
    try:
        found = hash_of(spec)
    except ModelError:
        return spec  # a model that cannot be loaded, which says why when it is
    return replace(spec, sha256=found, description=replace(spec.description, revision=found))


def hash_of(spec: ModelSpec) -> str | None:
    """The sha256 of a model's weights, None where it has none; raises ModelError.

    Of a model that was compiled elsewhere it is what its artifact says.
    """
    if spec.folder is None:
        return None
    if is_packed(spec):
        return Manifest.read(spec.folder / COMPILED).weights
    if spec.kind == "word-vectors":
        return sha256_of([vectors_file(spec.folder, spec.options.get("vectors"))])
    return sha256_of(weights(spec.folder))


def is_packed(spec: ModelSpec) -> bool:
    """Whether it was compiled elsewhere, and its weights are not here."""
    return spec.folder is not None and (spec.folder / COMPILED).is_dir()
