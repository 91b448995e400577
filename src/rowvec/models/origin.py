"""Where a listed model's folder is: in an installed package, at a path, or in the hub's cache."""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rowvec.errors import ConfigError

KEYS: Mapping[str, type | tuple[type, ...]] = {
    "package": str, "folder": str, "path": str, "hub": str, "revision": str, "sha256": str,
}  # fmt: skip

# What is fetched of a repository: what a model needs that is no code. Pickles and the exports of
# others stay there.
WANTED = ("*.safetensors", "*.json", "*.txt", "*.model", "*.npy", "README.md", "LICENSE*")
UNWANTED = ("onnx/*", "openvino/*", "coreml/*", ".*/*")

_COMMIT = re.compile(r"[0-9a-f]{40}")


def find_folder(entry: Mapping[str, Any], relative_to: Path) -> Path:
    """The folder that an entry names, which exists; raises ConfigError."""
    sources = [key for key in ("package", "path", "hub") if key in entry]
    if len(sources) != 1:
        raise ConfigError("give one of package, path, hub")
    if "folder" in entry and sources != ["package"]:
        raise ConfigError("folder goes with package")
    folder: Path
    match sources[0]:
        case "package":
            folder = _package_folder(entry["package"]) / entry.get("folder", "")
        case "path":
            folder = relative_to / Path(entry["path"]).expanduser()
        case _:
            folder = _hub_folder(entry["hub"], entry.get("revision"))
    if not folder.is_dir():
        raise ConfigError(f"{sources[0]}: there is no folder {folder}")
    return folder.resolve()


def _package_folder(package: str) -> Path:
    # Found, not imported: a model package may run anything at import.
    found = importlib.util.find_spec(package) if package.isidentifier() else None
    if found is None or not found.submodule_search_locations:
        raise ConfigError(f"package: {package} is not installed", hint=f"pip install {package}")
    return Path(found.submodule_search_locations[0])


def _hub_folder(repository: str, revision: str | None) -> Path:
    if revision is None or not _COMMIT.fullmatch(revision):
        raise ConfigError("revision must be the 40 hex digits of a commit")
    from huggingface_hub import snapshot_download  # noqa: PLC0415  # only the worker extra has it
    from huggingface_hub.errors import LocalEntryNotFoundError  # noqa: PLC0415

    try:
        return Path(
            snapshot_download(
                repository,
                revision=revision,
                local_files_only=True,
                # Without these names a complete folder would look incomplete.
                allow_patterns=list(WANTED),
                ignore_patterns=list(UNWANTED),
            )
        )
    except LocalEntryNotFoundError as exc:
        raise ConfigError(
            f"hub: {repository} at {revision} is not on this machine",
            hint=f"fetch it first: rowvec models pull {repository} --revision {revision}",
        ) from exc
