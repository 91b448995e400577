"""The public functions and classes of Python's standard library: texts that every machine has."""

from __future__ import annotations

import ast
import sysconfig
import warnings
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

# Folders that hold tests, applications and copies of other projects, not an interface.
_NOT_API = {
    "__pycache__", "dist-packages", "ensurepip", "idlelib", "lib2to3", "pydoc_data",
    "site-packages", "test", "tests", "turtledemo",
}  # fmt: skip


class ApiEntry(NamedTuple):
    """One function, class, method or property, as `help()` would head it."""

    name: str
    signature: str
    doc: str


def standard_library() -> Path:
    """The folder of the standard library's Python files."""
    return Path(sysconfig.get_path("stdlib"))


def python_api(
    stdlib: Path, *, on_skipped: Callable[[Path], None] | None = None
) -> Iterator[ApiEntry]:
    """Everything public that has a docstring, in the order of the files and of the source.

    Public is what has no name part that begins with an underscore. Nothing is imported. A file
    that is no valid Python is passed to `on_skipped` and left out. Names are unique.
    """
    seen: set[str] = set()
    for path in sorted(stdlib.rglob("*.py")):
        module = _module_name(path.relative_to(stdlib))
        if module is None:
            continue
        try:
            tree = _parse(path)
        except (OSError, SyntaxError, ValueError):
            if on_skipped is not None:
                on_skipped(path)
            continue
        private = {n.name: n for n in tree.body if isinstance(n, ast.ClassDef) and n.name[0] == "_"}
        for entry in _members(tree.body, module, private):
            # A setter repeats its property, and branches on the platform repeat a function.
            if entry.name not in seen:
                seen.add(entry.name)
                yield entry


def _module_name(relative: Path) -> str | None:
    """`email.message` of email/message.py; None for what is not public."""
    parts = list(relative.with_suffix("").parts)
    if parts[-1] == "__init__":
        parts.pop()
    if not parts or any(p.startswith("_") or p in _NOT_API or "-" in p for p in parts):
        return None
    return ".".join(parts)


def _parse(path: Path) -> ast.Module:
    with warnings.catch_warnings():
        # Old files hold escapes that newer compilers warn of.
        warnings.simplefilter("ignore")
        return ast.parse(path.read_bytes())


def _members(
    body: list[ast.stmt], prefix: str, private: Mapping[str, ast.ClassDef]
) -> Iterator[ApiEntry]:
    """The entries of a module or a class, also those within `if` and `try`."""
    for node in body:
        if isinstance(node, ast.If | ast.Try):
            for branch in _branches(node):
                yield from _members(branch, prefix, private)
            continue
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            continue
        if node.name.startswith("_"):
            continue
        name = f"{prefix}.{node.name}"
        doc = _docstring(node)
        if doc:
            yield ApiEntry(name, _signature(node), doc)
        if isinstance(node, ast.ClassDef):
            for inherited in _with_private_bases(node, private):
                yield from _members(inherited.body, name, private)


def _with_private_bases(
    node: ast.ClassDef, private: Mapping[str, ast.ClassDef]
) -> Iterator[ast.ClassDef]:
    """The class, then the private classes of its module that it inherits methods from.

    ArgumentParser.add_argument, for one, is written in a private base.
    """
    yield node
    for base in node.bases:
        if isinstance(base, ast.Name) and base.id in private and private[base.id] is not node:
            yield from _with_private_bases(private[base.id], private)


def _branches(node: ast.If | ast.Try) -> Iterator[list[ast.stmt]]:
    yield node.body
    if isinstance(node, ast.Try):
        yield from (handler.body for handler in node.handlers)
        yield node.finalbody
    yield node.orelse


def _docstring(node: ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) -> str:
    """The docstring as Postgres can keep it: no U+0000, no lone surrogates."""
    doc = ast.get_docstring(node) or ""
    return doc.replace("\0", "").encode(errors="ignore").decode().strip()


def _signature(node: ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) -> str:
    """`(path, mode='r') -> int`; a class has that of its __init__, a property has none."""
    if isinstance(node, ast.ClassDef):
        constructors = (
            n for n in node.body if isinstance(n, ast.FunctionDef) and n.name == "__init__"
        )
        constructor = next(constructors, None)
        return "" if constructor is None else f"({_arguments(constructor)})"
    if any(isinstance(d, ast.Name) and d.id == "property" for d in node.decorator_list):
        return ""
    answer = f" -> {ast.unparse(node.returns)}" if node.returns else ""
    return f"({_arguments(node)}){answer}"


def _arguments(node: ast.FunctionDef | ast.AsyncFunctionDef) -> str:
    """The arguments as a caller gives them, without `self` and `cls`."""
    text = ast.unparse(node.args)
    first, _, rest = text.partition(", ")
    return rest if first in {"self", "cls"} else text
