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
from rowvec.models.folder import check_folder
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
    check_folder(folder, sha256)
    disable_progress_bar()
    try:
        model = SentenceTransformer(
            str(folder), device=device, local_files_only=True, trust_remote_code=False,
            model_kwargs={"use_safetensors": True},
        )  # fmt: skip
    except (OSError, ValueError, RuntimeError, ImportError, KeyError) as exc:
        raise ModelError(f"cannot load the model in {folder}: {exc}") from exc
    model.eval()
    if not pools_prompt:
        model.set_pooling_include_prompt(include_prompt=False)
    if isinstance(model[0], StaticEmbedding):
        return StaticEmbedder(model)
    if isinstance(model[0], Transformer):
        return TransformerEmbedder(model, folder, device, runtime or Runtime())
    raise ModelError(f"the model in {folder} is neither a transformer nor a static embedding")
