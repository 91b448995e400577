"""`rowvec models pack | unpack`: a compiled model as one file, for machines without torch."""

from __future__ import annotations

import re
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from rowvec.cli.model_list import list_file
from rowvec.cli.options import json_flag, setting
from rowvec.cli.output import print_json, stderr, stdout
from rowvec.config import Settings
from rowvec.errors import ConfigError, ModelError, NotSupported
from rowvec.models import editing
from rowvec.models.backends.variant import Runtime
from rowvec.models.compiled import archive
from rowvec.models.folder import sha256_of
from rowvec.models.listing import read_listing
from rowvec.models.loading import compiled
from rowvec.models.threads import granted_threads


@click.command()
@click.argument("name")
@click.option("-o", "--output", type=click.Path(path_type=Path), required=True, help="The file.")
@setting("models")
@setting("threads")
@setting("cache_dir")
@json_flag
def pack(*, name: str, output: Path, models: Path | None, as_json: bool, **given: Any) -> None:
    r"""Write the listed model NAME into one file, compiled, for `rowvec models unpack`.

    Where it is served then, neither torch nor the weights are needed: rowvec[serve] is enough. A
    model that only torch computes cannot be packed, and the message says why.

    \b
    Example:
      rowvec models pack my-model -o my-model.tar --models models.toml
    """
    settings = Settings.build(models=models, **given)
    path = settings.models or settings.data / "models.toml"
    spec = read_listing(path if settings.models or path.exists() else None).find(name)
    runtime = Runtime(
        compiled=settings.cache_dir / "compiled", threads=granted_threads(settings.threads)
    )
    spec = replace(spec, runtime=runtime)
    stderr().print(f"compiling {spec.name}, where it is not compiled yet")
    artifact = compiled(spec)
    if artifact is None:
        raise NotSupported(f"{spec.name} is of a kind that is not compiled ({spec.kind})")
    archive.write(spec, artifact, output)
    size, sha256 = output.stat().st_size, sha256_of([output])
    if as_json:
        print_json({"file": str(output), "bytes": size, "sha256": sha256})
    else:
        stdout().print(f"{output}: {size} bytes\nsha256 {sha256}")


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@setting("models")
@click.option("--into", type=click.Path(path_type=Path), help="Folder to make; it may not exist."
              "  [default: one named after the model, in models/ beside the list]")  # fmt: skip
@click.option("--sha256", help="What FILE must hash to, as `pack` printed it.")
@json_flag
def unpack(
    *, file: Path, models: Path | None, into: Path | None, sha256: str | None, as_json: bool
) -> None:
    r"""Add the model in FILE, which `rowvec models pack` wrote, to the list.

    All of it or nothing: a file that does not fit, or a name that is taken, changes nothing.
    Nothing in FILE is run here. The worker computes its graph, and only its author can say what
    that gives: take files from those whose models you would take.

    \b
    Example:
      rowvec models unpack my-model.tar --models models.toml
    """
    listed = list_file(models, must_exist=False)
    if sha256 is not None and (found := sha256_of([file])) != sha256:
        raise ModelError(f"{file} has the sha256 {found}, not {sha256}")
    with archive.unpacking(file, into or listed.parent / "models" / "any") as unpacked:
        target = into or listed.parent / "models" / _folder_name(unpacked.entry["name"])
        if target.exists():
            raise ConfigError(f"there is a {target} already", hint="give --into FOLDER")
        unpacked.folder.rename(target)
        try:
            path = _from_the_list(target, listed)
            spec = editing.add(listed, {**unpacked.entry, "path": path})
        except BaseException:
            shutil.rmtree(target)
            raise
    dimensions = spec.description.dimensions
    if as_json:
        print_json({"model": spec.name, "dimensions": dimensions, "path": str(target)})
    else:
        stdout().print(f"{spec.name}: {dimensions} dimensions, in {target}, listed in {listed}")


def _from_the_list(folder: Path, listed: Path) -> str:
    """As the list names it: both may be mounted elsewhere later."""
    found, home = folder.resolve(), listed.parent.resolve()
    return str(found.relative_to(home) if found.is_relative_to(home) else found)


def _folder_name(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9_.-]+", "--", name).strip(".-")[:100] or "model"
