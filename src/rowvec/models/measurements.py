"""What `rowvec models test` measured, in a file beside the exported models.

It holds for the weights, the packages and the number of threads that it was measured with; under
any others it is not read. Removed, it costs a measurement.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

from rowvec.errors import ConfigError
from rowvec.models.backends.variant import BACKENDS, Backend
from rowvec.models.spec import ModelSpec

_FILE = "backends.json"
_PACKAGES = ("torch", "transformers", "onnxruntime", "openvino")


def circumstances(spec: ModelSpec, threads: int) -> dict[str, Any]:
    """What a measurement holds for."""
    return {"weights": _stamp(spec), "threads": threads, "packages": _versions()}


def measured_backends(folder: Path, specs: Sequence[ModelSpec], threads: int) -> dict[str, Backend]:
    """The backend of every model that has a valid measurement."""
    found = _read(folder)
    return {
        spec.name: found[spec.name]["backend"]
        for spec in specs
        if spec.name in found
        and found[spec.name].get("backend") in BACKENDS
        and found[spec.name].get("circumstances") == circumstances(spec, threads)
    }


def remember(folder: Path, spec: ModelSpec, threads: int, measured: Mapping[str, object]) -> None:
    """Stores a measurement, `backend` among it; raises ConfigError where it cannot."""
    found = _read(folder)
    found[spec.name] = {**measured, "circumstances": circumstances(spec, threads)}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        descriptor, begun = tempfile.mkstemp(dir=folder, prefix=".backends-")
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            json.dump(found, file, indent=2)
            # Workers of other users read it.
            os.fchmod(file.fileno(), 0o644)
        Path(begun).replace(folder / _FILE)
    except OSError as exc:
        raise ConfigError(f"cannot keep the measurement in {folder}: {exc}") from exc


def _read(folder: Path) -> dict[str, Any]:
    try:
        found = json.loads((folder / _FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        # None yet, or none that can be read: the worker then chooses by its own rule.
        return {}
    entries = found.items() if isinstance(found, dict) else ()
    return {name: entry for name, entry in entries if isinstance(entry, dict)}


def _stamp(spec: ModelSpec) -> str | None:
    """The pinned hash; else sizes and times, since hashing takes seconds at every start."""
    if spec.sha256 is not None or spec.folder is None:
        return spec.sha256
    files = sorted(spec.folder.rglob("*.safetensors"))
    return " ".join(f"{f.name}:{f.stat().st_size}:{f.stat().st_mtime_ns}" for f in files)


def _versions() -> dict[str, str]:
    found = {}
    for package in _PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return found
