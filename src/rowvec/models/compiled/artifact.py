"""What a compiled model is on disk: a folder, named by all that it depends on.

    manifest.json    what is known of it: how its tokenizer is used, its limits, what made it
    tokenizer.json   as the tokenizers library writes it
    graph/           model.onnx, perhaps with its weights in files beside it
    proof.npz        the rows of sample texts, as the library computed them
    packed-…/        the graph for a kind of processor (`graphs`), made by whoever first serves it

A model that torch has to compute has a manifest only, which says why.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields
from importlib import metadata
from pathlib import Path
from typing import Literal

from rowvec.errors import ModelError
from rowvec.models.backends.variant import Backend
from rowvec.models.folder import sha256_of, weights
from rowvec.models.spec import ModelSpec
from rowvec.models.tokenizing import TokenizerForm

# Raised when models are compiled in another way, so that no artifact of the old way is read.
_FORM = 1

# Of a model's folder: where `rowvec models unpack` puts what was compiled elsewhere.
COMPILED = "compiled"

MANIFEST = "manifest.json"
TOKENIZER = "tokenizer.json"
GRAPH_FOLDER = "graph"
GRAPH = f"{GRAPH_FOLDER}/model.onnx"
PROOF = "proof.npz"

# What an artifact is made with. Its reader has none of them but the last two, perhaps.
_MAKERS = ("torch", "transformers", "sentence-transformers", "onnx", "onnxruntime", "openvino")

# Of a model's folder: what decides its vectors. The rest is weights in other forms, and prose.
_READ = {".safetensors", ".json", ".txt", ".model"}

Gives = Literal["vector", "sparse vector", "score"]


@dataclass(frozen=True)
class Served:
    """How an artifact is computed, and how near its rows come to the library's.

    `width` is of a row as the graph gives it. `cosine` is of the worst sample. `dtype` is given
    where it is not the type of the weights.
    """

    gives: Gives
    width: int
    tokenizer: TokenizerForm
    excludes_prompt: bool
    cosine: float
    dtype: str | None = None


@dataclass(frozen=True)
class Manifest:
    """What computes a model and why that; `served` unless it is torch.

    `weights` is the sha256 that an entry of models.toml may pin.
    """

    backend: Backend
    reason: str
    weights: str
    made_with: Mapping[str, str]
    served: Served | None = None

    def write(self, folder: Path) -> None:
        """The file in an artifact's folder."""
        (folder / MANIFEST).write_text(json.dumps(asdict(self), indent=1))

    @classmethod
    def read(cls, folder: Path) -> Manifest:
        """From an artifact's folder; raises ModelError where it is not what we write."""
        path = folder / MANIFEST
        try:
            found = json.loads(path.read_bytes())
            if found["made_with"]["form"] != str(_FORM):
                raise ModelError(
                    f"{folder} was compiled by another release of rowvec",
                    hint="compile and pack it with this one",
                )
            if found["served"] is not None:
                form = found["served"]["tokenizer"]
                for name in ("features", "special_ids"):
                    form[name] = tuple(form[name])
                found["served"] = Served(**{**found["served"], "tokenizer": TokenizerForm(**form)})
            return cls(**{field.name: found[field.name] for field in fields(cls)})
        except (OSError, ValueError, KeyError, TypeError, RecursionError) as exc:
            raise ModelError(f"{path} cannot be read ({type(exc).__name__})") from exc


def made_with() -> dict[str, str]:
    """The versions of what compiles models here; of what is not installed none."""
    found = {"form": str(_FORM)}
    for name in _MAKERS:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


class Artifacts:
    """The folder that artifacts are kept in; it may be removed at any time."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def find(self, spec: ModelSpec) -> Path | None:
        """The artifact of a model as its runtime wants it; None where it is yet to be made.

        It is of exactly these weights and settings. What made it must be what is installed here;
        where torch is not, an artifact made elsewhere will do.
        """
        name, makers = _name(spec), made_with()
        if "torch" in makers:
            folder = self._folder / f"{name}-{_hash(makers)}"
            return folder if (folder / MANIFEST).exists() else None
        there = self._folder.glob(f"{name}-*/{MANIFEST}")
        return next((manifest.parent for manifest in sorted(there)), None)

    @contextmanager
    def one_maker(self, spec: ModelSpec) -> Iterator[None]:
        """Waits until nobody else on this machine compiles the model: whoever waits finds it made.

        Raises ModelError where the disk does not take it.
        """
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            lock = (self._folder / f".lock-{_name(spec)}").open("a")
        except OSError as exc:
            raise self._unkept(exc) from exc
        with lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    @contextmanager
    def making(self, spec: ModelSpec) -> Iterator[tuple[Path, Path]]:
        """An empty folder to write an artifact to, and where it lies once the block has ended.

        Renamed when it is whole: another process may look for it, or make the same one. Raises
        ModelError where the disk does not take it.
        """
        target = self._folder / f"{_name(spec)}-{_hash(made_with())}"
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            begun = Path(tempfile.mkdtemp(prefix=".begun-", dir=self._folder))
            try:
                yield begun, target
                begun.chmod(0o755)
                settle(begun, target)
            finally:
                shutil.rmtree(begun, ignore_errors=True)
        except OSError as exc:
            raise self._unkept(exc) from exc

    def _unkept(self, error: OSError) -> ModelError:
        return ModelError(f"cannot keep a compiled model in {self._folder}: {error}")


def settle(begun: Path, target: Path) -> None:
    """Renames a folder that is whole, unless another process was faster."""
    try:
        begun.rename(target)
    except OSError:
        if not target.is_dir():
            raise


def pinned(spec: ModelSpec) -> str:
    """The sha256 of the model's weights; raises ModelError."""
    assert spec.folder is not None
    return sha256_of(weights(spec.folder))


def _name(spec: ModelSpec) -> str:
    """A hash of the model's files and of what is asked of them; raises ModelError."""
    assert spec.folder is not None
    assert spec.runtime is not None
    found = hashlib.sha256()
    asked = (spec.kind, dict(spec.options), asdict(spec.runtime.variant), spec.runtime.measured)
    found.update(json.dumps(asked, sort_keys=True).encode())
    for path in sorted(spec.folder.rglob("*")):
        if path.suffix in _READ and path.is_file():
            found.update(os.fsencode(path.relative_to(spec.folder)))
            found.update(sha256_of([path]).encode())
    return found.hexdigest()[:32]


def _hash(makers: Mapping[str, str]) -> str:
    return hashlib.sha256(json.dumps(makers, sort_keys=True).encode()).hexdigest()[:12]
