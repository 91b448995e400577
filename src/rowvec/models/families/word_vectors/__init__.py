"""Word vectors: GloVe and word2vec files in a folder."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import ClassVar

from rowvec.errors import ConfigError, ModelError
from rowvec.models.description import NO_LIMIT, Description
from rowvec.models.embedder import Embedder
from rowvec.models.families.word_vectors.word_files import vectors_file, width
from rowvec.models.family import Entry, Family, Keys
from rowvec.models.spec import ModelSpec


class WordVectors(Family):
    """`vectors` and `words` name the files where the folder leaves a choice.

    `unknown` says what becomes of words that the vocabulary lacks: `skip` (the default) or `error`.
    """

    keys: ClassVar[Keys] = {"vectors": str, "words": str, "unknown": str}

    @classmethod
    def describe(cls, entry: Entry) -> Description:
        """From the beginning of the file of vectors."""
        assert entry.folder is not None
        if entry.options.get("unknown", "skip") not in ("skip", "error"):
            raise ConfigError("unknown must be skip or error")
        return Description(
            name=entry.name,
            dimensions=width(vectors_file(entry.folder, entry.options.get("vectors"))),
            max_tokens=NO_LIMIT,
            revision=entry.revision,
        )

    @classmethod
    def load(cls, spec: ModelSpec) -> Embedder:
        """Reads the words; the vectors stay on disk."""
        from rowvec.models.families.word_vectors.lookup import WordVectorEmbedder  # noqa: PLC0415  # as every family

        assert spec.folder is not None
        path = vectors_file(spec.folder, spec.options.get("vectors"))
        if spec.sha256 is not None:
            _check(path, spec.sha256)
        return WordVectorEmbedder(
            path,
            words=spec.options.get("words"),
            refuse_unknown=spec.options.get("unknown") == "error",
        )


def _check(path: Path, sha256: str) -> None:
    with path.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != sha256:
        raise ModelError(f"{path} has the sha256 {found}, the list of models pins {sha256}")
