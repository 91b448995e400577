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

from rowvec.errors import ConfigError, NotAllowed
from rowvec.models.folder import sha256_of, weights
from rowvec.models.listing import Listing, parse_listing
from rowvec.models.spec import ModelSpec
from rowvec.models.word_files import vectors_file


def entries(path: Path) -> list[Mapping[str, Any]]:
    """The [[model]] tables as they are written, unchecked; raises ConfigError."""
    return list(_read(path).get("model", []))


def add(path: Path, entry: Mapping[str, Any]) -> ModelSpec:
    """Adds a model, its weights pinned, at the end of the list; the file need not exist.

    Raises ConfigError, and writes nothing, where the list that results is not a good one.
    """
    document = _read(path) if path.exists() else tomlkit.document()
    models = document.setdefault("model", tomlkit.aot())
    models.append(_table(entry))
    spec = _checked(document, path).find(str(entry["name"]))
    files = weights_of(spec)
    if files and "sha256" not in entry:
        models[-1]["sha256"] = sha256_of(files)
    elif files and sha256_of(files) != entry["sha256"]:
        raise ConfigError(f"the weights of {spec.name} have the sha256 {sha256_of(files)}")
    return _write(document, path).find(spec.name)


def remove(path: Path, name: str) -> None:
    """Takes the model of that name or alias off the list; its files stay.

    Raises NotAllowed where there is none, ConfigError where it is the last.
    """
    document = _read(path)
    models = document.get("model", tomlkit.aot())
    for place, entry in enumerate(models):
        if name in (entry.get("name"), *entry.get("aliases", ())):
            del models[place]
            _write(document, path)
            return
    listed = ", ".join(str(entry.get("name")) for entry in models)
    raise NotAllowed(f"{path} lists no {name!r}", hint=f"listed: {listed}")


def weights_of(spec: ModelSpec) -> list[Path]:
    """The files that a model's sha256 is of; none where it has no folder. Raises ModelError."""
    if spec.folder is None:
        return []
    if spec.kind == "word-vectors":
        return [vectors_file(spec.folder, spec.options.get("vectors"))]
    return weights(spec.folder)


def _read(path: Path) -> tomlkit.TOMLDocument:
    try:
        return tomlkit.parse(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as exc:
        raise ConfigError(f"cannot read the list of models {path}: {exc}") from exc
    except ParseError as exc:
        raise ConfigError(f"{path} is not TOML: {exc}") from exc


def _table(entry: Mapping[str, Any]) -> tomlkit.items.Table:
    table = tomlkit.table()
    for key, value in entry.items():
        table[key] = value
    return table


def _checked(document: tomlkit.TOMLDocument, path: Path) -> Listing:
    return parse_listing(tomlkit.dumps(document), path)


def _write(document: tomlkit.TOMLDocument, path: Path) -> Listing:
    """Replaces the file by a good list, at once and with the rights that it had."""
    listing = _checked(document, path)
    try:
        mode = path.stat().st_mode & 0o777 if path.exists() else 0o644
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor, begun = tempfile.mkstemp(dir=path.parent, prefix=".models-")
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(tomlkit.dumps(document))
            os.fchmod(file.fileno(), mode)
        Path(begun).replace(path)
    except OSError as exc:
        raise ConfigError(f"cannot write the list of models {path}: {exc}") from exc
    return listing
