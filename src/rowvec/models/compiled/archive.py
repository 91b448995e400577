"""A compiled model as one file, to be served where there is no torch; read as if by an enemy.

A tar file without compression: first `rowvec.json`, the entry of the list, then the small files
that describe the model, and its artifact. Only what `write` writes is read: plain files of known
names, no link, no absolute path, no `..`, no header of another kind. It cannot grow when it is
unpacked.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import tarfile
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO

from rowvec.errors import ConfigError, ModelError
from rowvec.models.compiled.artifact import (
    COMPILED,
    GRAPH,
    GRAPH_FOLDER,
    MANIFEST,
    PROOF,
    TOKENIZER,
    Manifest,
)
from rowvec.models.family import Entry
from rowvec.models.registry import family
from rowvec.models.spec import ModelSpec

_ENTRY = "rowvec.json"
_ENTRY_KEYS = ("name", "aliases", "kind", "query_prompt", "document_prompt", "sha256")

# What `describe` of a family reads; weights and tokenizers are in the artifact.
_DESCRIBING = ("modules.json", "config.json", "*_config.json", "config_*.json", "tokenizer.json")

_PART = r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}"
_SMALL = re.compile(rf"(?:{_PART}/){{0,3}}{_PART}\.json")
_COMPILED = re.compile(
    rf"{COMPILED}/(?:{re.escape(MANIFEST)}|{re.escape(TOKENIZER)}|{re.escape(PROOF)}"
    rf"|{GRAPH_FOLDER}/{_PART})"
)

_MOST_FILES = 10_000
_MOST_SMALL_BYTES = 64 << 20
_PIECE = 1 << 20


@dataclass(frozen=True)
class Unpacked:
    """A folder that is whole, and its entry of the list, `path` left out."""

    folder: Path
    entry: Mapping[str, Any]


def write(spec: ModelSpec, artifact: Path, file: Path) -> None:
    """Packs a model and its artifact, the file replaced when it is whole.

    Raises ModelError where torch computes the model, or part of it is no artifact.
    """
    manifest = Manifest.read(artifact)
    assert spec.folder is not None
    if manifest.served is None:
        raise ModelError(f"{spec.name} is computed by torch alone: {manifest.reason}")
    if spec.description.routes:
        raise ModelError(f"{spec.name} has routes, of which an archive holds one")
    own = {f"{kind}_prompt": spec.prompt(kind) for kind in ("query", "document")}
    entry = {
        "name": spec.name, "aliases": list(spec.aliases), "kind": spec.kind,
        "sha256": manifest.weights, **{key: said for key, said in own.items() if said},
    }  # fmt: skip
    found = {path.relative_to(spec.folder): path for path in _describing(spec.folder)}
    graph = sorted((artifact / GRAPH_FOLDER).iterdir())
    for path in (artifact / MANIFEST, artifact / TOKENIZER, artifact / PROOF, *graph):
        found[COMPILED / path.relative_to(artifact)] = path
    try:
        with (
            _replacing(file) as opened,
            tarfile.open(fileobj=opened, mode="w", format=tarfile.USTAR_FORMAT) as archive,
        ):
            _add(archive, _ENTRY, BytesIO(json.dumps(entry).encode()))
            for name, path in found.items():
                with path.open("rb") as content:
                    _add(archive, name.as_posix(), content)
    except (OSError, ValueError) as exc:
        raise ModelError(f"cannot write {file}: {exc}") from exc


@contextmanager
def unpacking(file: Path, beside: Path) -> Iterator[Unpacked]:
    """The model of an archive in a folder beside that one, which is gone when the block has ended.

    Whoever keeps it renames it. Raises ModelError for what `write` would not have written.
    """
    if not file.is_file():
        raise ModelError(f"there is no file {file}")
    try:
        beside.parent.mkdir(parents=True, exist_ok=True)
        if shutil.disk_usage(beside.parent).free < file.stat().st_size:
            raise ModelError(f"the disk of {beside.parent} has no room for what is in {file}")
        begun = Path(tempfile.mkdtemp(prefix=".begun-", dir=beside.parent))
        try:
            begun.chmod(0o755)
            with file.open("rb") as opened:
                entry = _read(opened, begun)
            _check(begun, entry)
            yield Unpacked(begun, entry)
        finally:
            shutil.rmtree(begun, ignore_errors=True)
    except OSError as exc:
        raise ModelError(f"cannot unpack {file}: {exc}") from exc


def _describing(folder: Path) -> list[Path]:
    found = {path for pattern in _DESCRIBING for path in folder.rglob(pattern)}
    return sorted(path for path in found if COMPILED not in path.relative_to(folder).parts)


def _add(archive: tarfile.TarFile, name: str, content: BinaryIO) -> None:
    member = tarfile.TarInfo(name)
    member.size = content.seek(0, os.SEEK_END)
    content.seek(0)
    archive.addfile(member, content)


@contextmanager
def _replacing(file: Path) -> Iterator[BinaryIO]:
    descriptor, begun = tempfile.mkstemp(dir=file.absolute().parent, prefix=".begun-")
    try:
        with os.fdopen(descriptor, "wb") as opened:
            yield opened
            mask = os.umask(0)
            os.umask(mask)
            os.fchmod(descriptor, 0o666 & ~mask)
        Path(begun).replace(file)
    finally:
        Path(begun).unlink(missing_ok=True)


def _read(opened: BinaryIO, folder: Path) -> Mapping[str, Any]:
    """Writes the files of an archive to the folder; gives the entry."""
    entry: Mapping[str, Any] | None = None
    seen: set[str] = set()
    # It ends with a block of zeros.
    while any(header := opened.read(tarfile.BLOCKSIZE)) or not header:
        if len(header) < tarfile.BLOCKSIZE:
            raise ModelError("the archive is cut off")
        try:
            member = tarfile.TarInfo.frombuf(header, "ascii", "strict")
        except (tarfile.HeaderError, UnicodeError) as exc:
            raise _unlike() from exc
        name = member.name
        _check_member(member, seen)
        seen.add(name.casefold())
        if entry is None:
            if name != _ENTRY:
                raise _unlike()
            content = BytesIO()
            _copy(opened, content, member.size)
            entry = _entry(content.getvalue())
            continue
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        with (folder / name).open("xb") as written:
            _copy(opened, written, member.size)
    if entry is None:
        raise _unlike()
    return entry


def _check_member(member: tarfile.TarInfo, seen: set[str]) -> None:
    name = member.name
    if member.type != tarfile.REGTYPE or member.size < 0:
        raise ModelError(f"the archive has {name[:200]!r}, which is no plain file")
    compiled = name.split("/", 1)[0] == COMPILED
    if not (_COMPILED if compiled else _SMALL).fullmatch(name):
        raise ModelError(f"the archive has a file {name[:200]!r}, which no packed model has")
    if name.casefold() in seen:
        raise ModelError(f"the archive has {name!r} twice")
    if len(seen) >= _MOST_FILES:
        raise ModelError(f"the archive has more than {_MOST_FILES} files")
    if name.endswith(".json") and member.size > _MOST_SMALL_BYTES:
        raise ModelError(f"the archive's {name!r} has {member.size} bytes, at most"
                         f" {_MOST_SMALL_BYTES} are read")  # fmt: skip


def _copy(source: BinaryIO, target: BinaryIO, size: int) -> None:
    left = size
    while left:
        piece = source.read(min(left, _PIECE))
        if not piece:
            raise ModelError("the archive is cut off")
        target.write(piece)
        left -= len(piece)
    source.read(-size % tarfile.BLOCKSIZE)


def _entry(content: bytes) -> Mapping[str, Any]:
    try:
        found = json.loads(content)
    except (ValueError, RecursionError) as exc:
        raise _unlike() from exc
    if not isinstance(found, dict) or not {"name", "kind", "sha256"} <= set(found):
        raise _unlike()
    if unknown := sorted(set(found) - set(_ENTRY_KEYS)):
        raise ModelError(f"the archive's entry has a key {unknown[0][:100]!r}, which is not taken")
    aliases = found.get("aliases", [])
    said = [value for key, value in found.items() if key != "aliases"]
    if not isinstance(aliases, list) or not all(isinstance(s, str) for s in (*said, *aliases)):
        raise _unlike()
    return found


def _check(folder: Path, entry: Mapping[str, Any]) -> None:
    """Refuses what could not be served; raises ModelError."""
    manifest = Manifest.read(folder / COMPILED)
    if manifest.served is None or manifest.weights != entry["sha256"]:
        raise _unlike()
    for name in (TOKENIZER, PROOF, GRAPH):
        if not (folder / COMPILED / name).is_file():
            raise ModelError(f"the archive has no {name}")
    chosen = family(entry["kind"])
    if not chosen.has_folder:
        raise ModelError(f"models of the kind {entry['kind']} are not compiled")
    try:
        described = chosen.describe(Entry(entry["name"], (entry["name"],), folder))
        compiles = chosen.compiles(described)
    except (ModelError, ConfigError):
        raise
    except (TypeError, ValueError, KeyError, AttributeError, RecursionError) as exc:
        raise ModelError("the archive's files describe no model") from exc
    if not compiles:
        raise ModelError(f"models of the kind {entry['kind']} are not compiled")
    if manifest.served.gives != described.gives:
        raise _unlike()


def _unlike() -> ModelError:
    return ModelError("the file is not what rowvec models pack writes", hint="pack the model again")
