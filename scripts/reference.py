"""Reference pages from the code, and the pages of the root, for the documentation site.

mkdocs.yml names this file as a hook: the pages exist while the site is built, and nowhere else.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

from rowvec.cli import COMMANDS, main
from rowvec.config import PREFIX, Settings
from rowvec.db.queries import sql_files
from rowvec.errors import RowvecError, subclasses
from rowvec.models import origin
from rowvec.models.listing import COMMON, Listing
from rowvec.models.registry import family, kinds
from rowvec.worker.admission import Admission
from rowvec.worker.cache import VectorCache
from rowvec.worker.engine.client import EngineClient
from rowvec.worker.metrics import Metrics, Vitals

ROOT = Path(__file__).parents[1]
SOURCE = "https://github.com/rowvec/rowvec/blob/main"

# Pages of the root that are pages of the site, too.
_OF_ROOT = {"README.md": "index.md", "CONTRIBUTING.md": "contributing.md",
            "CHANGELOG.md": "changelog.md", "bench/README.md": "bench.md"}  # fmt: skip

_LINK = re.compile(r"\]\((?!https?:|#)([^)\s]+)\)")
_HEAD = re.compile(
    r"CREATE OR REPLACE (?P<head>(?:FUNCTION|PROCEDURE) .*?)\n(?:-- [^\n]*\n)*(?=LANGUAGE)",
    re.DOTALL,
)
_RAISE = re.compile(
    r"ERRCODE = '(\w{5})',\s+MESSAGE =\s*(?:pg_catalog\.)?(?:format\(\s*)?'([^']+)'"
)
_NAME = re.compile(r"rowvec\.(\w+)")
_COMMENT_ON_VIEW = re.compile(r"COMMENT ON VIEW (\S+) IS\s+((?:'(?:[^']|'')*'\s*)+);")


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """The order of the pages: what a newcomer reads comes first; called by mkdocs."""
    config.nav = [
        {"Start": "index.md"},
        {"Recipes": _in_folder("recipes")},
        {"Operations": _in_folder("operations")},
        {"Reference": [path for path in pages() if path.startswith("reference/")]},
        {"Design": ["architecture.md", *_in_folder("architecture"), *_alone()]},
        {"Decisions": _in_folder("decisions")},
        {"Contributing": ["contributing.md", "changelog.md", "bench.md"]},
    ]
    return config


def _in_folder(folder: str) -> list[str]:
    """The pages of a folder, its overview first."""
    found = sorted(path.name for path in (ROOT / "docs" / folder).glob("*.md"))
    found.sort(key=lambda name: name != "README.md")
    return [f"{folder}/{name}" for name in found]


def _alone() -> list[str]:
    """The pages that are in no folder."""
    return sorted({path.name for path in (ROOT / "docs").glob("*.md")} - {"architecture.md"})


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Adds the pages that are made here; called by mkdocs."""
    for path, text in pages().items():
        files.append(File.generated(config, path, content=text))
    return files


def on_page_markdown(markdown: str, page: Page, **_: object) -> str:
    """Turns links to files that are no pages into links to the repository; called by mkdocs."""
    made_of = {site: root for root, site in _OF_ROOT.items()}
    path = page.file.src_uri
    source = ROOT / made_of.get(path, f"docs/{path}")

    def link(match: re.Match[str]) -> str:
        target, hash_, anchor = match[1].partition("#")
        absolute = (source.parent / target).resolve()
        if path.startswith("reference/"):
            return match[0]
        return f"]({_address(absolute, path)}{hash_}{anchor})"

    return _LINK.sub(link, markdown)


def _address(target: Path, page: str) -> str:
    """Where a file of the repository is, seen from a page."""
    inside = target.relative_to(ROOT).as_posix()
    if target.is_dir() and (target / "README.md").exists():
        inside += "/README.md"
    if inside in _OF_ROOT:
        inside = f"docs/{_OF_ROOT[inside]}"
    if inside.startswith("docs/") and inside.endswith(".md"):
        up = "../" * page.count("/")
        return up + inside.removeprefix("docs/")
    return f"{SOURCE}/{inside}"


def pages() -> dict[str, str]:
    """Path on the site -> Markdown of every page that is not in docs/."""
    return {
        **{site: (ROOT / root).read_text() for root, site in _OF_ROOT.items()},
        "reference/sql.md": "\n".join(_sql()),
        "reference/commands.md": "\n".join(_commands()),
        "reference/settings.md": "\n".join(_settings()),
        "reference/models-toml.md": "\n".join(_models_toml()),
        "reference/metrics.md": "\n".join(_metrics()),
        "reference/errors.md": "\n".join(_errors()),
    }


def _sql() -> Iterator[str]:
    yield "# SQL functions and views\n"
    yield (
        "All are in the schema `rowvec`. What the worker refuses travels under the SQLSTATEs of"
        " [errors](errors.md); each function's own are listed with it.\n"
    )
    for path, text in sql_files("functions").items():
        name = Path(path).stem
        if not name.startswith("_"):
            yield from _sql_function(name, text)
    yield "## Views\n"
    for text in sql_files("views").values():
        for view, words in _COMMENT_ON_VIEW.findall(text):
            said = "".join(re.findall(r"'((?:[^']|'')*)'", words)).replace("''", "'")
            yield f"### {view.removeprefix('rowvec.')}\n\n{said}\n"


def _sql_function(name: str, text: str) -> Iterator[str]:
    comment = text[: text.index("CREATE OR REPLACE")]
    lines = [line.removeprefix("--").strip() for line in comment.splitlines()]
    first, _, more = "\n".join(lines).partition("\n")
    caller, _, promise = first.removeprefix("Called by ").partition(": ")
    yield f"## {name}\n"
    yield f"{promise[:1].upper()}{promise[1:]}\n"
    if more.strip():
        yield more.strip() + "\n"
    head = _HEAD.search(text)
    assert head is not None, f"{name} has no head that can be read"
    yield f"```sql\n{head['head'].replace('@extschema:vector@.', '')}\n```\n"
    yield f"For {caller}.\n"
    raised = dict.fromkeys(_RAISE.findall(text))
    if raised:
        yield "| SQLSTATE | error |\n| --- | --- |"
        yield from (f"| {code} | {_cell(message.replace('%s', '…'))} |" for code, message in raised)
        yield ""


def _commands() -> Iterator[str]:
    yield "# Commands\n"
    for name in COMMANDS:
        command = main.get_command(click.Context(main), name)
        assert command is not None
        yield from _command(command, f"rowvec {name}", 2)


def _command(command: click.Command, words: str, level: int) -> Iterator[str]:
    yield f"{'#' * level} {words}\n"
    context = click.Context(command, info_name=words)
    usage = command.get_usage(context).removeprefix("Usage: ")
    text, _, example = inspect.cleandoc(command.help or "").partition("\b\nExample:")
    yield f"```\n{' '.join(usage.split())}\n```\n"
    yield text.replace("\b\n", "") + "\n"
    if example:
        yield f"```sh\n{inspect.cleandoc(example)}\n```\n"
    options = [one for one in command.params if isinstance(one, click.Option)]
    if options:
        yield "| option | |\n| --- | --- |"
        for option in options:
            names = ", ".join(f"`{opt}`" for opt in (*option.opts, *option.secondary_opts))
            yield f"| {names} | {_cell(option.help or '')} |"
        yield ""
    if isinstance(command, click.Group):
        for below in command.list_commands(context):
            found = command.get_command(context, below)
            assert found is not None
            yield from _command(found, f"{words} {below}", level + 1)


def _settings() -> Iterator[str]:
    yield "# Settings\n"
    yield "Each is an option of the commands that use it, and a variable of the environment.\n"
    yield "| variable | default | |\n| --- | --- | --- |"
    # Those of the user who builds the site are nobody else's.
    of_user = {"data": "a folder of the user's", "cache_dir": "a folder of the user's"}
    for name, field in Settings.model_fields.items():
        default = of_user.get(name, field.get_default(call_default_factory=True))
        shown = "" if default is None else f"`{default}`"
        yield f"| `{PREFIX}{name.upper()}` | {shown} | {_cell(field.description or '')} |"


def _models_toml() -> Iterator[str]:
    yield "# Keys of models.toml\n"
    yield "Each model is a table `[[model]]`. Of every kind:\n"
    yield from _keys(COMMON)
    yield "\nOf kinds with a folder of files, one of `package`, `path` and `hub`:\n"
    yield from _keys(origin.KEYS)
    for kind in kinds():
        cls = family(kind)
        yield f'\n## kind = "{kind}"\n\n{inspect.getdoc(cls)}\n'
        if cls.keys:
            yield from _keys(cls.keys)


def _keys(keys: Any) -> Iterator[str]:
    helps = {option.name: option.help for option in _option_of_add() if option.name and option.help}
    helps |= {
        "aliases": "Other names.",
        "roles": "Roles of the database that may use it; else all.",
    }
    helps |= {
        "hub": helps["hub_id"],
        "name": "What calls and embeddings name it.",
        "kind": "Kind of model.",
    }
    yield "| key | type | |\n| --- | --- | --- |"
    for key, types in keys.items():
        named = " or ".join(
            one.__name__ for one in (types if isinstance(types, tuple) else (types,))
        )
        words = re.sub(r"\s*\[default.*?\]|; may be given repeatedly\.", "", helps.get(key) or "")
        yield f"| `{key}` | {named.replace('Path', 'path')} | {_cell(words)} |"


def _option_of_add() -> list[click.Option]:
    models = main.get_command(click.Context(main), "models")
    assert isinstance(models, click.Group)
    return [one for one in models.commands["add"].params if isinstance(one, click.Option)]


def _metrics() -> Iterator[str]:
    yield "# Metrics\n"
    yield "What the worker says at `/metrics`, where `--http-listen` is given.\n"
    metrics = Metrics()
    # One that is never started: it says what it would say of itself.
    engine = EngineClient(
        Listing([]), max_batch_tokens=1, max_batch_seconds=1, max_image_bytes=1,
        max_image_pixels=1, threads=1, device="cpu", memory_budget=None, compiled=Path(),
        measured={}, stall_seconds=1, refuse_seconds=1, log_format="text",
        on_batch=metrics.batch_computed,
    )  # fmt: skip
    metrics.watch(Vitals(Admission(max_requests=1, max_bytes=1), VectorCache(1), engine, dict))
    text = metrics.page("text/plain")[0].decode()
    helps = dict(re.findall(r"^# HELP (\S+) (.*)$", text, re.MULTILINE))
    yield "| metric | type | |\n| --- | --- | --- |"
    for name, kind in sorted(re.findall(r"^# TYPE (\S+) (\S+)$", text, re.MULTILINE)):
        yield f"| `{name}` | {kind} | {_cell(helps[name])} |"


def _errors() -> Iterator[str]:
    yield "# Errors\n"
    yield (
        "The SQLSTATEs under which errors of rowvec reach SQL and clients of the worker. Where"
        " another attempt may do, an application tries again later.\n"
    )
    yield "| SQLSTATE | error | meaning | again later may do |\n| --- | --- | --- | --- |"
    for cls in subclasses(RowvecError):
        meaning = _cell((inspect.getdoc(cls) or "").partition("\n\n")[0])
        retry = "yes" if cls.retryable else ""
        yield f"| {cls.sqlstate} | {cls.__name__} | {meaning} | {retry} |"


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|").replace("<", "&lt;")
