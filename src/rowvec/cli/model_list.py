"""`rowvec models add | pull | verify | remove`: the administrator's list, changed and checked."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from rowvec.cli.options import json_flag, setting
from rowvec.cli.output import EXIT_FAILED, print_json, print_table, stderr, stdout
from rowvec.config import Settings
from rowvec.errors import ConfigError, ModelError
from rowvec.models import editing, hub
from rowvec.models.description import tokens_in_words
from rowvec.models.folder import sha256_of, weights
from rowvec.models.listing import read_listing
from rowvec.models.pinning import hash_of
from rowvec.models.spec import ModelSpec


@click.command()
@click.argument("name")
@setting("models")
@click.option("--kind", default="sentence-transformers", show_default=True, help="Kind of model.")
@click.option("--alias", "aliases", multiple=True, help="Another name; may be given repeatedly.")
@click.option("--role", "roles", multiple=True, help="A role of the database that may use it;"
              " may be given repeatedly.  [default: everybody]")  # fmt: skip
@click.option("--path", type=click.Path(), help="Folder of the model, from the list's own folder.")
@click.option("--package", help="Installed Python package that carries the model.")
@click.option("--folder", help="Folder in the package.")
@click.option("--hub", "hub_id", help="Repository of the hub, fetched before by `pull`.")
@click.option("--revision", help="The 40 hex digits of the hub's commit.")
@click.option("--sha256", help="What the weights must hash to.  [default: what they hash to now]")
@click.option("--query-prompt", help="Prefix of queries, in place of the model's own.")
@click.option("--document-prompt", help="Prefix of documents, in place of the model's own.")
@click.option("--memory", help="Memory that it takes, as 400MB.  [default: its weights' size]")
@click.option("--warm", is_flag=True, help="Load it when the worker starts.")
@json_flag
def add(
    *, name: str, models: Path | None, aliases: tuple[str, ...], roles: tuple[str, ...],
    hub_id: str | None, warm: bool, as_json: bool, **given: Any,
) -> None:  # fmt: skip
    r"""Add a model to the list, its weights pinned by their sha256.

    What is not a model that may be loaded (no safetensors, code of its own, no such folder) is
    refused, and the list stays as it was. Comments in it are kept.

    \b
    Example:
      rowvec models add intfloat/e5-small --hub intfloat/e5-small --models models.toml \
          --revision e272f3049e853b47cb5ca3952268c6662abda68f
      rowvec models add my-model --path /models/my-model --warm --models models.toml
    """
    entry: dict[str, object] = {"name": name, "aliases": list(aliases), "roles": list(roles)}
    entry |= {"hub": hub_id, "warm": warm, **given}
    said = {key: value for key, value in entry.items() if value not in (None, [], False)}
    spec = editing.add(list_file(models, must_exist=False), said)
    found = spec.description
    if as_json:
        facts = {"dimensions": found.dimensions, "max_tokens": found.max_tokens}
        print_json({"model": spec.name, **facts, "sha256": spec.sha256})
    else:
        stdout().print(
            f"{spec.name}: {found.dimensions} dimensions, {tokens_in_words(found.max_tokens)},"
            f" sha256 {spec.sha256 or '(none)'}"
        )


@click.command()
@click.argument("model")
@setting("models")
@click.option("--revision", help="The 40 hex digits of the commit; a listed model has its own.")
@json_flag
def pull(*, model: str, models: Path | None, revision: str | None, as_json: bool) -> None:
    r"""Fetch MODEL from the hub, at one commit, for use without a network from then on.

    MODEL is a repository, or a name of the list with an entry of hub and revision. Weights are
    taken as safetensors only. This is the only command that goes online; it runs as the user whose
    cache (HF_HOME) the worker reads.

    \b
    Example:
      rowvec models pull intfloat/e5-small --revision e272f3049e853b47cb5ca3952268c6662abda68f
    """
    entry = _listed(model, models) if revision is None else {"hub": model, "revision": revision}
    if not entry.get("hub"):
        raise ConfigError(f"{model} comes from no hub: there is nothing to fetch")
    folder = hub.pull(str(entry["hub"]), str(entry.get("revision", "")))
    sha256 = sha256_of(weights(folder))
    if as_json:
        print_json({"folder": str(folder), "sha256": sha256})
    else:
        stdout().print(f"{folder}\nsha256 {sha256}")


@click.command()
@click.argument("name", required=False)
@setting("models")
@json_flag
def verify(*, name: str | None, models: Path | None, as_json: bool) -> None:
    r"""Hash the weights of every listed model, or of NAME, and compare with what is pinned.

    Exits with 1 where one differs or has none. A model without a pin is shown with the hash to
    pin, a `remote` one with no weights.

    \b
    Example:
      rowvec models verify --models models.toml
    """
    listing = read_listing(list_file(models))
    rows = []
    for spec in listing.specs if name is None else [listing.find(name)]:
        verdict, found = _verdict(spec)
        rows.append({"model": spec.name, "verdict": verdict, "sha256": found})
    if as_json:
        print_json(rows)
    else:
        print_table(["model", "verdict", "sha256"], [list(row.values()) for row in rows])
    if any(row["verdict"] in ("differs", "missing") for row in rows):
        raise click.exceptions.Exit(EXIT_FAILED)


def _verdict(spec: ModelSpec) -> tuple[str, str | None]:
    """What to report about a model's weights, and their hash."""
    try:
        found = hash_of(spec)
    except ModelError as exc:
        stderr().print(f"{spec.name}: {exc}")
        return "missing", None
    if found is None:
        return "no weights", None
    if spec.sha256 is None:
        return "not pinned", found
    return "same" if found == spec.sha256 else "differs", found


@click.command()
@click.argument("name")
@setting("models")
@json_flag
def remove(*, name: str, models: Path | None, as_json: bool) -> None:
    r"""Take the model NAME off the list; its files stay where they are.

    Columns that it filled keep their vectors; embedding with it is refused from the worker's next
    start on.

    \b
    Example:
      rowvec models remove my-model --models models.toml
    """
    editing.remove(list_file(models), name)
    if as_json:
        print_json({"removed": name})
    else:
        stdout().print(f"{name} is no longer listed")


def list_file(models: Path | None, *, must_exist: bool = True) -> Path:
    """The file that the list is in; raises ConfigError where it has to be there and is not."""
    settings = Settings.build(models=models)
    path = settings.models or settings.data / "models.toml"
    if not path.exists() and (must_exist or settings.models is None):
        raise ConfigError(f"there is no list of models {path}", hint="give --models FILE")
    return path


def _listed(name: str, models: Path | None) -> Mapping[str, Any]:
    # As it is written: a list with a model that is not here yet cannot be read otherwise.
    for entry in editing.entries(list_file(models)):
        if name in (entry.get("name"), *entry.get("aliases", ())):
            return entry
    raise ConfigError(f"the list has no {name!r}", hint="for a repository, give --revision")
