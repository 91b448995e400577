"""Changes of models.toml that keep its comments, its order and what else people wrote there.

A change is checked as a whole before anything is written: the worker reads the file that results.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import tomlkit
from tomlkit.exceptions import ParseError

from rowvec.errors import ConfigError, NotAllowed, reason
from rowvec.models.folder import check_folder
from rowvec.models.listing import Listing, parse_listing
from rowvec.models.pinning import hash_of, is_packed
from rowvec.models.spec import ModelSpec


def entries(path: Path) -> list[Mapping[str, Any]]:
    """The [[model]] tables as they are written, unchecked; raises ConfigError."""
    return list(_read(path).get("model", []))


def add(path: Path, entry: Mapping[str, Any]) -> ModelSpec:
    """Adds a model, its weights pinned, at the end of the list; the file need not exist.

    Raises ConfigError, and writes nothing, where the list that results is not a good one.
    """
    spec = parse_listing(_with_entry(path, entry), path).find(str(entry["name"]))
    if spec.folder is not None and spec.kind != "word-vectors" and not is_packed(spec):
        check_folder(spec.folder, None)
    pinned = dict(entry)
    if (found := hash_of(spec)) and pinned.setdefault("sha256", found) != found:
        raise ConfigError(
            f"the weights of {spec.name} have the sha256 {found}, not {pinned['sha256']}"
        )
    return _write(_with_entry(path, pinned), path).find(spec.name)


def remove(path: Path, name: str) -> None:
    """Takes the model of that name or alias off the list; its files stay.

    Raises NotAllowed where there is none, ConfigError where it is the last.
    """
    document = _read(path)
    models = document.get("model", tomlkit.aot())
    for place, entry in enumerate(models):
        if name in (entry.get("name"), *entry.get("aliases", ())):
            del models[place]
            _write(tomlkit.dumps(document), path)
            return
    listed = ", ".join(str(entry.get("name")) for entry in models)
    raise NotAllowed(f"{path} lists no {name!r}", hint=f"listed: {listed}")


def _read(path: Path) -> tomlkit.TOMLDocument:
    try:
        return tomlkit.parse(_text(path))
    except ParseError as exc:
        raise ConfigError(f"{path} is not TOML: {exc}") from exc


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as exc:
        raise ConfigError(f"cannot read the list of models {path}: {reason(exc)}") from exc


def _with_entry(path: Path, entry: Mapping[str, Any]) -> str:
    """The list with one more model, an empty line before it."""
    written = _text(path).rstrip("\n") + "\n\n" if path.exists() else ""
    return written + tomlkit.dumps({"model": [entry]})


def _write(text: str, path: Path) -> Listing:
    """Replaces the file by a good list, at once and with the rights that it had."""
    listing = parse_listing(text, path)
    try:
        mode = path.stat().st_mode & 0o777 if path.exists() else 0o644
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor, begun = tempfile.mkstemp(dir=path.parent, prefix=".models-")
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
            os.fchmod(file.fileno(), mode)
        Path(begun).replace(path)
    except OSError as exc:
        raise ConfigError(f"cannot write the list of models {path}: {reason(exc)}") from exc
    return listing
