"""Environments with the packages of some extras alone, of what is installed here: no network."""

from __future__ import annotations

import os
import subprocess
import sysconfig
import tomllib
import venv
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from support.places import ROOT


def environment_with(folder: Path, *extras: str) -> Path:
    """The `bin` of a new environment as `pip install -e '.[extras]'` makes it in this checkout."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = [*project["dependencies"]]
    for extra in extras:
        wanted += project["optional-dependencies"][extra]
    venv.create(folder, with_pip=False)
    (packages,) = folder.glob("lib/python*/site-packages")
    _link_rowvec(packages)
    for name in _closure(wanted):
        for top in {file.parts[0] for file in metadata.files(name) or ()} - {"..", "__pycache__"}:
            source = Path(str(metadata.distribution(name).locate_file(top)))
            if source.exists() and not (packages / top).exists():
                (packages / top).symlink_to(source)
    return folder / "bin"


def size_of(binaries: Path) -> int:
    """Bytes that its packages take on the disk."""
    walked = os.walk(binaries.parent / "lib", followlinks=True)
    files = [Path(folder, name).stat() for folder, _, names in walked for name in names]
    return sum(each.st_blocks * 512 for each in files)


def can_import(binaries: Path, module: str) -> bool:
    """Whether a program of the environment could."""
    look = f"import importlib.util, sys; sys.exit(importlib.util.find_spec({module!r}) is None)"
    return subprocess.run([binaries / "python", "-c", look], check=False).returncode == 0


def _link_rowvec(packages: Path) -> None:
    """The checkout, laid out as its wheel is."""
    (packages / "rowvec").mkdir()
    folders = [ROOT / name for name in ("sql", "jobs", "migrations")]
    for source in (*(ROOT / "src" / "rowvec").iterdir(), *folders):
        (packages / "rowvec" / source.name).symlink_to(source)
    (known,) = Path(sysconfig.get_path("purelib")).glob("rowvec-*.dist-info")
    (packages / known.name).symlink_to(known)


def _closure(wanted: list[str]) -> set[str]:
    found: set[tuple[str, str]] = set()
    left = [Requirement(each) for each in wanted]
    while left:
        requirement = left.pop()
        for extra in ("", *requirement.extras):
            key = (canonicalize_name(requirement.name), extra)
            if key not in found:
                found.add(key)
                left += _required(*key)
    return {name for name, _ in found}


def _required(name: str, extra: str) -> Iterator[Requirement]:
    for each in map(Requirement, metadata.requires(name) or ()):
        if each.marker is None or each.marker.evaluate({"extra": extra}):
            yield each
