"""Dense models of the sentence-transformers library, from a folder with safetensors."""

from __future__ import annotations

import logging
from pathlib import Path

import torch
from sentence_transformers import SentenceTransformer
from sentence_transformers.base.modules import Router, Transformer
from sentence_transformers.sentence_transformer.modules import StaticEmbedding
from transformers.utils.logging import disable_progress_bar

from rowvec.errors import ModelError
from rowvec.models.backends.variant import Runtime
from rowvec.models.embedder import Embedder
from rowvec.models.families.sentence_transformers.static_embedding import StaticEmbedder
from rowvec.models.families.sentence_transformers.transformer import TransformerEmbedder
from rowvec.models.folder import load_checked, modules
from rowvec.models.router import router_of

logger = logging.getLogger(__name__)


def load_dense(
    folder: Path,
    *,
    sha256: str | None = None,
    pools_prompt: bool = True,
    runtime: Runtime | None = None,
    half: str | None = None,
) -> Embedder:
    """The model of a folder; raises ModelError where it cannot be trusted or read.

    `pools_prompt` false leaves prompts out of pooling, whatever the folder says. `half` is the type
    of fewer bits to compute the transformer in, unless its numbers grow too large for that.
    """
    disable_progress_bar()
    runtime = runtime or Runtime()
    model = load_checked(SentenceTransformer, folder, sha256, runtime.device, half)
    model = _one_way(model, folder, runtime)
    model.eval()
    if not pools_prompt:
        model.set_pooling_include_prompt(include_prompt=False)
    if isinstance(model[0], StaticEmbedding):
        # A table to look up in: to send the tokens elsewhere would take longer.
        return StaticEmbedder(model.to("cpu"))
    if isinstance(model[0], Transformer):
        embedder = TransformerEmbedder(model, folder, runtime, is_half=half is not None)
        if half is None or embedder.is_finite():
            return embedder
        logger.warning("%s overflows in %s: computed as it is stored", folder.name, half)
        return load_dense(folder, pools_prompt=pools_prompt, runtime=runtime)
    raise ModelError(f"the model in {folder} is neither a transformer nor a static embedding")


def _one_way(model: SentenceTransformer, folder: Path, runtime: Runtime) -> SentenceTransformer:
    """The model itself, or where it begins with a Router, what lies on the route asked for."""
    if not isinstance(model[0], Router):
        return model
    router = router_of(modules(folder))
    assert router is not None
    route = model[0].sub_modules[runtime.variant.route or router.bare]
    assert isinstance(route, torch.nn.Sequential)
    return SentenceTransformer(
        modules=[*route, *list(model)[1:]], device=runtime.device, truncate_dim=model.truncate_dim
    )
