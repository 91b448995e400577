"""The datasets of models.toml: what the administrator lets `pgml.load_dataset` read."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rowvec.errors import ConfigError, NotAllowed

_KEYS = ("name", "path", "hub", "revision")
_COMMIT = re.compile(r"[0-9a-f]{40}")


@dataclass(frozen=True)
class DatasetSpec:
    """One dataset of the list: a folder, or a repository of the hub at a commit.

    Whether it is there is found out when it is read: a missing dataset keeps no model away.
    """

    name: str
    path: Path | None = None
    hub: str | None = None
    revision: str | None = None


class DatasetListing:
    """The datasets that may be read, by name."""

    def __init__(self, specs: Sequence[DatasetSpec] = ()) -> None:
        self._by_name = {spec.name: spec for spec in specs}

    def find(self, name: str) -> DatasetSpec:
        """The dataset of that name; raises NotAllowed, listing the names there are."""
        spec = self._by_name.get(name)
        if spec is None:
            raise NotAllowed(
                f"the worker's list has no dataset {name[:200]!r}",
                hint=f"listed: {', '.join(self._by_name) or 'none'};"
                " the worker's administrator adds a [[dataset]] to its list of models",
            )
        return spec


def parse_datasets(entries: object, origin: str, relative_to: Path) -> DatasetListing:
    """The [[dataset]] tables of a list; raises ConfigError naming file, dataset and key."""
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise ConfigError(f"{origin}: each dataset is a [[dataset]]")
    specs: list[DatasetSpec] = []
    for number, entry in enumerate(entries, start=1):
        name = entry.get("name")
        where = f"{origin}: dataset {name!r}" if isinstance(name, str) else f"dataset {number}"
        try:
            spec = _spec(entry, relative_to)
        except ConfigError as exc:
            raise ConfigError(f"{where}: {exc}", hint=exc.hint) from exc
        if any(spec.name == other.name for other in specs):
            raise ConfigError(f"{where}: the name is taken")
        specs.append(spec)
    return DatasetListing(specs)


def _spec(entry: Mapping[str, Any], relative_to: Path) -> DatasetSpec:
    for key, value in entry.items():
        if key not in _KEYS:
            raise ConfigError(f"unknown key {key!r}", hint=f"known: {', '.join(_KEYS)}")
        if not isinstance(value, str) or not value:
            raise ConfigError(f"{key} has the wrong type")
    if "name" not in entry:
        raise ConfigError("name is missing")
    if ("path" in entry) == ("hub" in entry):
        raise ConfigError("give one of path, hub")
    if "path" in entry:
        if "revision" in entry:
            raise ConfigError("revision goes with hub")
        path = (relative_to / Path(entry["path"]).expanduser()).absolute()
        return DatasetSpec(entry["name"], path=path)
    if not _COMMIT.fullmatch(entry.get("revision", "")):
        raise ConfigError("revision must be the 40 hex digits of a commit")
    return DatasetSpec(entry["name"], hub=entry["hub"], revision=entry["revision"])
