"""Whether a model's folder may be loaded: safetensors, no code of its own, what the list pins."""

from __future__ import annotations

import hashlib
import json
import struct
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TypeVar

from rowvec.errors import ModelError
from rowvec.models.json_file import read_json
from rowvec.models.router import Modules, is_router, read_router, router_of

M = TypeVar("M")

_PICKLED = (".bin", ".pt", ".pth", ".ckpt", ".pkl", ".msgpack")


def check_folder(folder: Path, sha256: str | None) -> None:
    """Refuses what could run code when loaded, or is not what the list pins; raises ModelError."""
    if not any(folder.rglob("config.json")) and not (folder / "modules.json").exists():
        raise ModelError(f"{folder} has neither modules.json nor config.json: it is no model")
    _refuse_pickles(folder)
    for file in folder.rglob("*.json"):
        if file.name.endswith("config.json") and "auto_map" in read_json(file):
            raise ModelError(f"{file} names code of its own (auto_map), which is never run")
    for kind, _ in modules(folder):
        if not kind.startswith("sentence_transformers."):
            raise ModelError(f"{folder / 'modules.json'} names code of its own, which is never run")
    for kind, path in every_module(folder):
        if not kind.startswith("sentence_transformers."):
            raise ModelError(f"a route of the Router in {path.parent} names code of its own, which"
                             " is never run")  # fmt: skip
    if sha256 is not None:
        files = weights(folder)
        found = sha256_of(files)
        if found != sha256:
            raise ModelError(
                f"{' and '.join(map(str, files))} has the sha256 {found},"
                f" the list of models pins {sha256}"
            )


def load_checked(
    kind: Callable[..., M], folder: Path, sha256: str | None, device: str, dtype: str | None = None
) -> M:
    """A model of a class of sentence-transformers, by the one policy that all are loaded by.

    Weights from safetensors, no code of the folder's own, no network; raises ModelError. They are
    brought to `dtype` as they are read, but for those that the library keeps in float32 for good
    reason (positions, say); None leaves them as they are stored.
    """
    check_folder(folder, sha256)
    try:
        return kind(
            str(folder), device=device, local_files_only=True, trust_remote_code=False,
            model_kwargs={"use_safetensors": True, **({} if dtype is None else {"dtype": dtype})},
        )  # fmt: skip
    except (OSError, ValueError, RuntimeError, ImportError, KeyError) as exc:
        raise ModelError(f"cannot load the model in {folder}: {exc}") from exc


def sha256_of(files: Iterable[Path]) -> str:
    """The hash of the files' bytes, one file after the other; raises ModelError."""
    found = hashlib.sha256()
    for file in files:
        try:
            with file.open("rb") as opened:
                while piece := opened.read(1 << 20):
                    found.update(piece)
        except OSError as exc:
            raise ModelError(f"cannot read {file}: {exc}") from exc
    return found.hexdigest()


def weights(folder: Path) -> list[Path]:
    """The files in the order in which the pinned sha256 reads their bytes; raises ModelError.

    These are model.safetensors, or the shards of one that was split, beside the model's config
    or in the folder of its first module; of a Router those of all its routes.
    """
    listed = modules(folder)
    if router := router_of(listed):
        routed = [file for _, path in router.every_module() for file in _weights_in(path)]
        if routed:
            return routed
    for place in (folder, *(path for _, path in listed[:1])):
        if found := _weights_in(place):
            return found
    raise ModelError(f"{folder} has no model.safetensors")


def every_module(folder: Path) -> Modules:
    """As `modules`, and those of every route of a Router."""
    found = modules(folder)
    routed = [read_router(path).every_module() for kind, path in found if is_router(kind)]
    return [*found, *(module for route in routed for module in route)]


def modules(folder: Path) -> Modules:
    """The class and the folder of every module of modules.json; none where it is absent."""
    path = folder / "modules.json"
    if not path.exists():
        return []
    found = read_json(path)
    if not isinstance(found, list) or not found:
        raise ModelError(f"{path} lists no modules")
    return [(str(m.get("type", "")), folder / str(m.get("path", ""))) for m in found]


def tensor_shapes(file: Path) -> dict[str, list[int]]:
    """The shape of every tensor of a safetensors file, from its header; raises ModelError."""
    try:
        with file.open("rb") as opened:
            (length,) = struct.unpack("<Q", opened.read(8))
            header = json.loads(opened.read(length))
    except (OSError, ValueError, struct.error) as exc:
        raise ModelError(f"cannot read the header of {file}: {exc}") from exc
    return {name: tensor["shape"] for name, tensor in header.items() if name != "__metadata__"}


def _refuse_pickles(folder: Path) -> None:
    """Weights that a module would read from a pickle: they lie where no safetensors file does."""
    places = {folder, *(path for _, path in every_module(folder))}
    for place in sorted(places):
        if any(place.glob("*.safetensors")):
            continue
        pickled = next(_pickled(place), None)
        if pickled is not None:
            raise ModelError(
                f"{folder} has no safetensors file for {pickled.relative_to(folder)}, which could"
                " run code when loaded",
                hint="its author can save it again with safetensors",
            )
    if not any(folder.rglob("*.safetensors")):
        raise ModelError(f"{folder} has no safetensors file")


def _weights_in(place: Path) -> list[Path]:
    if (place / "model.safetensors").exists():
        return [place / "model.safetensors"]
    return sorted(place.glob("model-*-of-*.safetensors"))


def _pickled(place: Path) -> Iterator[Path]:
    return (file for file in sorted(place.glob("*")) if file.suffix in _PICKLED)
