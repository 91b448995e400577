"""Cross-encoders: they score a query against a document, for reranking."""

from __future__ import annotations

from rowvec.errors import ModelError
from rowvec.models.description import Description
from rowvec.models.embedder import Embedder
from rowvec.models.families.sentence_transformers import max_tokens_of
from rowvec.models.family import Entry, Family
from rowvec.models.json_file import read_json
from rowvec.models.spec import ModelSpec


class CrossEncoder(Family):
    """What `CrossEncoder(folder)` loads and what gives one score a pair."""

    @classmethod
    def compiles(cls, description: Description) -> bool:  # noqa: ARG003
        """Always; what cannot be exported is left to torch."""
        return True

    @classmethod
    def describe(cls, entry: Entry) -> Description:
        """From config.json: a model for classification with a single label."""
        assert entry.folder is not None
        path = entry.folder / "config.json"
        config = read_json(path)
        if not any("ForSequenceClassification" in a for a in config.get("architectures") or ()):
            raise ModelError(f"{path} is of no model that scores pairs of texts")
        labels = len(config.get("id2label") or {0: "LABEL_0", 1: "LABEL_1"})
        if labels != 1:
            raise ModelError(f"{path} has {labels} labels, a cross-encoder for ranking has one")
        return Description(
            name=entry.name,
            dimensions=1,
            max_tokens=max_tokens_of(entry.folder),
            revision=entry.revision,
            gives="score",
        )

    @classmethod
    def load(cls, spec: ModelSpec) -> Embedder:
        """The model on the device of the runtime."""
        from rowvec.models.families.cross_encoder.scorer import CrossEncoderScorer  # noqa: PLC0415  # needs torch

        assert spec.folder is not None
        return CrossEncoderScorer(
            spec.folder, sha256=spec.sha256, device=spec.device, half=spec.half
        )
