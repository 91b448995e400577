"""The Router of a sentence-transformers folder: one way for queries, another for documents.

A way of its own is a variant of the model (`Variant.route`): loaded beside the other when it is
first asked for, with a key of its own in the cache. A text without a side goes the way
that the library's `encode` takes.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rowvec.errors import ModelError
from rowvec.models.json_file import read_json

Modules = list[tuple[str, Path]]

TASKS = ("query", "document")


@dataclass(frozen=True)
class Router:
    """`modules` are those of each route, a class and a folder each; `bare` goes unasked.

    `tasks` says which route queries and documents take.
    """

    modules: Mapping[str, Modules]
    bare: str
    tasks: Mapping[str, str]

    def __post_init__(self) -> None:
        assert {self.bare, *self.tasks.values()} <= set(self.modules)

    @property
    def others(self) -> dict[str, str]:
        """The tasks with another route than the default, and that route."""
        return {task: route for task, route in self.tasks.items() if route != self.bare}

    def every_module(self) -> Modules:
        """Those of all routes, each once."""
        return list(dict.fromkeys(m for route in self.modules.values() for m in route))


def is_router(kind: str) -> bool:
    """Whether the class of a module is this one; it was called Asym before it had this name."""
    return kind.startswith("sentence_transformers.") and kind.rpartition(".")[2] in (
        "Router",
        "Asym",
    )


def router_of(listed: Modules) -> Router | None:
    """The Router that the modules of a folder begin with; raises ModelError."""
    return read_router(listed[0][1]) if listed and is_router(listed[0][0]) else None


def ways(listed: Modules) -> list[Modules]:
    """The modules of each way through a folder, the bare one first; one way without a Router."""
    router = router_of(listed)
    if router is None:
        return [listed]
    routes = dict.fromkeys([router.bare, *router.tasks.values()])
    return [[*router.modules[route], *listed[1:]] for route in routes]


def read_router(folder: Path) -> Router:
    """From the folder of the module; raises ModelError naming the file."""
    path = folder / "router_config.json"
    if not path.exists():
        path = folder / "config.json"
    config = read_json(path)
    try:
        structure, types = config["structure"], config["types"]
        modules = {
            str(route): [(str(types[name]), _within(folder, str(name))) for name in names]
            for route, names in structure.items()
        }
        parameters = config.get("parameters") or {}
        mappings = {
            _key(key): str(route) for key, route in (parameters.get("route_mappings") or {}).items()
        }
    except (KeyError, TypeError, AttributeError, ValueError, SyntaxError) as exc:
        raise ModelError(f"{path} does not say which modules its routes have") from exc
    if not modules or not all(modules.values()):
        raise ModelError(f"{path} has a route without modules")
    default = parameters.get("default_route")
    if default is None and parameters.get("allow_empty_key", True):
        default = next(iter(modules))
    found = {task: _route(task, mappings, modules) for task in (None, *TASKS)}
    bare = found.pop(None) or default
    lost = [str(task) for task, route in found.items() if route not in modules]
    if bare not in modules:
        lost.append("text without a side")
    if lost:
        raise ModelError(
            f"{path} has no route for a {' or '.join(lost)}; its routes: {', '.join(modules)}"
        )
    return Router(modules, str(bare), {str(task): str(route) for task, route in found.items()})


def _route(
    task: str | None, mappings: Mapping[Any, str], modules: Mapping[str, Modules]
) -> str | None:
    """The route of texts, in the library's own order (Router._resolve_route_name)."""
    for key in ((task, "text"), (task, None), (None, "text"), (None, None)):
        if key in mappings:
            return mappings[key]
    return next((name for name in (task, "text") if name in modules), None)


def _key(said: str) -> tuple[Any, Any]:
    # The library writes the tuple as Python does.
    task, modality = ast.literal_eval(said)
    return task, modality


def _within(folder: Path, name: str) -> Path:
    if not name or Path(name).is_absolute() or ".." in Path(name).parts:
        raise ValueError(name)
    return folder / name
