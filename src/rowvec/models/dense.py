"""Dense models of the sentence-transformers library, from a folder with safetensors."""

from __future__ import annotations

from pathlib import Path

from sentence_transformers import SentenceTransformer
from sentence_transformers.base.modules import Transformer
from sentence_transformers.sentence_transformer.modules import StaticEmbedding
from transformers.utils.logging import disable_progress_bar

from rowvec.errors import ModelError
from rowvec.models.backends.variant import Runtime
from rowvec.models.embedder import Embedder
from rowvec.models.folder import load_checked
from rowvec.models.static_embedding import StaticEmbedder
from rowvec.models.transformer import TransformerEmbedder


def load_dense(
    folder: Path,
    *,
    sha256: str | None = None,
    device: str = "cpu",
    pools_prompt: bool = True,
    runtime: Runtime | None = None,
) -> Embedder:
    """The model of a folder; raises ModelError where it cannot be trusted or read.

    `pools_prompt` false leaves prompts out of pooling, whatever the folder says.
    """
    disable_progress_bar()
    model = load_checked(SentenceTransformer, folder, sha256, device)
    model.eval()
    if not pools_prompt:
        model.set_pooling_include_prompt(include_prompt=False)
    if isinstance(model[0], StaticEmbedding):
        return StaticEmbedder(model)
    if isinstance(model[0], Transformer):
        return TransformerEmbedder(model, folder, device, runtime or Runtime())
    raise ModelError(f"the model in {folder} is neither a transformer nor a static embedding")
