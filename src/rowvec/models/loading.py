"""From a listed model to a loaded one: compiled where it can be, else by its family, with torch."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict
from importlib.util import find_spec
from pathlib import Path

from rowvec.errors import ModelError, NotSupported
from rowvec.extras import needed_for
from rowvec.models.compiled.artifact import COMPILED, Artifacts, Manifest
from rowvec.models.embedder import Embedder
from rowvec.models.folder import check_folder
from rowvec.models.registry import family
from rowvec.models.sparse_vector import SparseEmbedder
from rowvec.models.spec import ModelSpec

logger = logging.getLogger(__name__)


def compiled(spec: ModelSpec, make: Callable[[ModelSpec], Path] | None = None) -> Path | None:
    """The artifact of a model, compiled now where there is none; it may take a minute.

    It is compiled by a process of its own, or by `make`, for whoever has torch in memory anyway.
    None where the model is not of a kind that is compiled, or its runtime wants none. Raises
    ModelError, and NotSupported where the model cannot be computed as asked.
    """
    runtime = spec.runtime
    if runtime is None or spec.folder is None or not family(spec.kind).compiles(spec.description):
        return None
    if (spec.folder / COMPILED).is_dir():
        _check_brought(spec.folder / COMPILED, spec)
        return spec.folder / COMPILED
    if runtime.compiled is None or runtime.device != "cpu":
        return None
    if "torch" in (runtime.variant.backend, runtime.measured):
        return None
    artifacts = Artifacts(runtime.compiled)
    if (found := artifacts.find(spec)) is not None:
        return found
    # Before a process is started for it: what may not be loaded is refused at once.
    check_folder(spec.folder, spec.sha256)
    with artifacts.one_maker(spec):
        return artifacts.find(spec) or (make or _in_a_process)(spec)


def load(spec: ModelSpec, artifact: Path | None = None) -> Embedder | SparseEmbedder:
    """The model, ready to compute: from its artifact (`compiled`), or without one by its family.

    Raises ModelError, also where the model is not as its files say.
    """
    with needed_for(spec.name, ModelError):
        model = _loaded(spec, artifact)
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


def _loaded(spec: ModelSpec, artifact: Path | None) -> Embedder | SparseEmbedder:
    if artifact is None:
        return family(spec.kind).load(spec)
    manifest = Manifest.read(artifact)
    if spec.sha256 not in (None, manifest.weights):
        raise ModelError(
            f"the weights of {spec.name} have the sha256 {manifest.weights}, the list of models"
            f" pins {spec.sha256}"
        )
    if manifest.served is None:
        model = family(spec.kind).load(spec)
        model.reason = "; ".join(filter(None, [manifest.reason, model.reason]))
        return model
    from rowvec.models.compiled.serving import serve  # noqa: PLC0415  # the listener needs none

    assert spec.runtime is not None
    return serve(artifact, manifest, spec.runtime.threads)


def _check_brought(artifact: Path, spec: ModelSpec) -> None:
    """Raises NotSupported where more is asked than what was compiled elsewhere; ModelError."""
    manifest = Manifest.read(artifact)
    assert spec.runtime is not None
    asked = spec.runtime.variant
    dtype = None if manifest.served is None else manifest.served.dtype
    if asked.backend not in (None, manifest.backend) or asked.dtype not in (None, dtype):
        raise NotSupported(
            f"{spec.name} was compiled elsewhere, for {manifest.backend} alone",
            hint="leave backend and dtype out",
        )


def _in_a_process(spec: ModelSpec) -> Path:
    if find_spec("torch") is None:
        raise ModelError(
            f"{spec.name} has to be compiled, which needs torch, which is not installed here",
            hint="pip install 'rowvec[worker]', or `rowvec models pack` it elsewhere",
        )
    from rowvec.config import engine_environment  # noqa: PLC0415  # an engine needs no settings

    logger.info("compiling %s, once for this machine", spec.name)
    assert spec.runtime is not None
    with subprocess.Popen(
        [sys.executable, "-m", "rowvec.models.compiled.compiling"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        env=engine_environment(spec.runtime.threads),
    ) as process:  # fmt: skip
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(json.dumps(asdict(spec), default=str) + "\n")
        process.stdin.flush()
        said = process.stdout.read()
        status = process.wait()
    if status or not said:
        raise ModelError(f"{spec.name} could not be compiled (exit status {status})")
    answer = json.loads(said)
    if "artifact" not in answer:
        kind = NotSupported if answer["kind"] == NotSupported.__name__ else ModelError
        raise kind(answer["message"], hint=answer["hint"])
    return Path(answer["artifact"])
