"""INSTRUCTOR models: text and instruction are read as one, the instruction left out of pooling."""

from __future__ import annotations

from dataclasses import replace

from rowvec.models.description import Description
from rowvec.models.embedder import Embedder
from rowvec.models.families.sentence_transformers import describe_folder
from rowvec.models.family import Entry, Family
from rowvec.models.spec import ModelSpec


class Instructor(Family):
    """hkunlp/instructor-* and models trained like them; they take the kwarg `instruction`.

    A kind of its own because the folders do not say it: they are ordinary sentence-transformers
    folders: their pooling would include the instruction.
    """

    @classmethod
    def compiles(cls, description: Description) -> bool:
        """Where there is a choice of what computes it."""
        return bool(description.backends)

    @classmethod
    def describe(cls, entry: Entry) -> Description:
        """As of any sentence-transformers folder, and that an instruction may be given."""
        assert entry.folder is not None
        return replace(describe_folder(entry, entry.folder), takes_instruction=True)

    @classmethod
    def load(cls, spec: ModelSpec) -> Embedder:
        """The model on the device of the runtime."""
        from rowvec.models.families.sentence_transformers.dense import load_dense  # noqa: PLC0415  # seconds, and needs torch

        assert spec.folder is not None
        return load_dense(
            spec.folder,
            sha256=spec.sha256,
            pools_prompt=False,
            runtime=spec.runtime,
            half=spec.half,
        )
