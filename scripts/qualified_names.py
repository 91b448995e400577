"""Finds names in SQL whose meaning is the search_path's: functions, operators, types, tables.

pglast parses with the grammar of Postgres itself, bodies in PL/pgSQL too. It comes with pgspot,
which is why it was taken.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from pglast import ast, parse_plpgsql, parse_sql
from pglast.enums import A_Expr_Kind
from pglast.parser import scan
from pglast.visitors import Visitor

# How PL/pgSQL's parser reads what stands in a function: RawParseMode.
_EXPRESSION, _ASSIGNMENT = 2, 3
_OPERATORS = {
    "Op", "NOT_EQUALS", "LESS_EQUALS", "GREATER_EQUALS",
    *(f"ASCII_{ord(sign)}" for sign in "=<>+-*/%"),
}  # fmt: skip
# Of a node: where it stands in the text.
_PLACES = {"location", "stmt_location", "stmt_len", "list_start", "list_end"}
_QUALIFIED = re.compile(r"OPERATOR\(\s*\S+\.([^)\s]+)\s*\)")
# What it gives its variables by itself.
_PSEUDO = {"record", "refcursor", "UNKNOWN"}


class _Names(Visitor):
    """Collects what is not qualified in one statement."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self.common: set[str] = set()

    def visit_CommonTableExpr(self, _: Any, node: ast.CommonTableExpr) -> None:  # noqa: N802
        self.common.add(node.ctename)

    def visit_FuncCall(self, _: Any, node: ast.FuncCall) -> None:  # noqa: N802
        if len(node.funcname) == 1:
            self.found.append(f"the function {node.funcname[0].sval}")

    def visit_A_Expr(self, _: Any, node: ast.A_Expr) -> None:  # noqa: N802
        if len(node.name) == 1:
            kind = A_Expr_Kind(node.kind).name.removeprefix("AEXPR_")
            self.found.append(f"the operator {node.name[0].sval} of {kind}")

    def visit_CaseExpr(self, _: Any, node: ast.CaseExpr) -> None:  # noqa: N802
        if node.arg is not None:
            self.found.append("the operator = of CASE x WHEN")

    def visit_JoinExpr(self, _: Any, node: ast.JoinExpr) -> None:  # noqa: N802
        if node.usingClause or node.isNatural:
            self.found.append("the operator = of JOIN USING")

    def visit_SubLink(self, _: Any, node: ast.SubLink) -> None:  # noqa: N802
        if node.testexpr is not None and len(node.operName or ()) < 2:
            self.found.append("the operator of a comparison with a subquery")

    def visit_TypeName(self, _: Any, node: ast.TypeName) -> None:  # noqa: N802
        if len(node.names or ()) == 1 and node.names[0].sval not in _PSEUDO:
            self.found.append(f"the type {node.names[0].sval}")

    def visit_CollateClause(self, _: Any, node: ast.CollateClause) -> None:  # noqa: N802
        if len(node.collname) == 1:
            self.found.append(f"the collation {node.collname[0].sval}")

    def visit_RangeVar(self, _: Any, node: ast.RangeVar) -> None:  # noqa: N802
        if node.schemaname is None:
            self.found.append(f"the table {node.relname}")

    def names(self) -> list[str]:
        return [name for name in self.found if name.removeprefix("the table ") not in self.common]


def in_statements(text: str) -> list[str]:
    """What is not qualified in SQL; raises pglast.parser.ParseError where it is none."""
    tree = parse_sql(text)
    visitor = _Names()
    visitor(tree)
    found = visitor.names()
    # Qualified operators bind alike, whatever they are: 1 - a * b would be (1 - a) * b.
    if _shape(tree) != _shape(parse_sql(_QUALIFIED.sub(r" \1 ", text))):
        found.append("operators that bind otherwise than bare ones: parentheses are missing")
    return found


def in_function(text: str) -> list[str]:
    """What is not qualified in the body of the one function that a file makes.

    Its signature, and a body that is SQL and no string, mean what they meant to `migrate`.
    """
    (created,) = (s.stmt for s in parse_sql(text) if isinstance(s.stmt, ast.CreateFunctionStmt))
    options = {option.defname: option.arg for option in created.options}
    if "as" not in options:
        return []
    if options["language"].sval == "sql":
        return in_statements(options["as"][0].sval)
    found = []
    for kind, node in _nodes(parse_plpgsql(text)):
        if kind == "PLpgSQL_expr":
            found += _in_expression(node["query"], node.get("parseMode", 0))
        # A parameter, which stands on no line, has the type that it had for `migrate`.
        elif kind == "PLpgSQL_var" and "lineno" in node:
            found += in_statements(f"SELECT NULL::{node['datatype']['PLpgSQL_type']['typname']}")
    return found


def in_fragment(text: str) -> list[str]:
    """What is not qualified in a part of a statement, by its words: it cannot be parsed alone."""
    tokens = [(token.name, text[token.start : token.end + 1]) for token in scan(text)]
    found = []
    for (_, before), (name, word), (_, after) in zip(
        [("", ""), *tokens], tokens, [*tokens[1:], ("", "")], strict=False
    ):
        if name == "IDENT" and after == "(" and before not in {".", "AS", "INTO"}:
            found.append(f"the function {word}")
        # What `SET x = excluded.x` has is no operator.
        elif name in _OPERATORS and before not in {".", "("} and after not in {")", "excluded"}:
            found.append(f"the operator {word}")
        elif name in {"DISTINCT", "IN_P", "BETWEEN", "LIKE", "NULLIF"} and before != "(":
            found.append(f"the operator of {word}")
        elif before == "::" and name in {"IDENT", "TEXT_P"} and after != ".":
            found.append(f"the type {word}")
    return found


def pins_its_path(text: str) -> bool:
    """Whether the function that a file makes has a search_path of its own, of Postgres's alone."""
    return "SET search_path = pg_catalog, pg_temp\n" in text


def _nodes(tree: Any) -> Iterator[tuple[str, dict[str, Any]]]:
    if isinstance(tree, list):
        for element in tree:
            yield from _nodes(element)
    elif isinstance(tree, dict):
        for kind, node in tree.items():
            if isinstance(node, dict):
                yield kind, node
            yield from _nodes(node)


def _shape(node: Any) -> Any:
    """What a tree says, whether or not its operators are qualified."""
    if isinstance(node, ast.A_Expr):
        parts = (_shape(part) for part in (node.lexpr, node.rexpr))
        return node.kind, node.name[-1].sval, *parts
    if isinstance(node, ast.Node):
        parts = (_shape(getattr(node, name)) for name in node if name not in _PLACES)
        return type(node).__name__, *parts
    if isinstance(node, tuple):
        return tuple(_shape(part) for part in node)
    return _QUALIFIED.sub(r" \1 ", node) if isinstance(node, str) else node


def _in_expression(query: str, mode: int) -> list[str]:
    if mode >= _ASSIGNMENT:
        query = query.partition(":=")[2] or query.partition("=")[2]
    return in_statements(query if mode == 0 else f"SELECT {query}")
