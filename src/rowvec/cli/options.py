"""Options that several commands share, each described once, in rowvec.config."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import NoneType
from typing import Any, TypeVar, get_args

import click
from annotated_types import Ge, Gt, Le
from pydantic.fields import FieldInfo

from rowvec import logs
from rowvec.config import PREFIX, Settings
from rowvec.db.connection import embedded_dsn, resolve_dsn

F = TypeVar("F", bound=Callable[..., Any])

_TYPES: dict[str, click.ParamType[Any]] = {
    "data": click.Path(path_type=Path),
    "cache_dir": click.Path(path_type=Path, file_okay=False),
    "image_folder": click.Path(path_type=Path, file_okay=False),
    "models": click.Path(path_type=Path, dir_okay=False),
    "password_file": click.Path(path_type=Path, dir_okay=False),
    "tls_cert_file": click.Path(path_type=Path, dir_okay=False),
    "tls_key_file": click.Path(path_type=Path, dir_okay=False),
    "ui_role_password_file": click.Path(path_type=Path, dir_okay=False),
    "ui_password_file": click.Path(path_type=Path, dir_okay=False),
    "api_key_file": click.Path(path_type=Path, dir_okay=False),
    "log_format": click.Choice(get_args(logs.Format)),
}


def setting(name: str, *flags: str) -> Callable[[F], F]:
    """A click option for one field of Settings; its help names the variable and the default.

    The value is None where the flag is not given, so that `Settings.build` finds the environment.
    """
    field = Settings.model_fields[name]
    default = field.get_default(call_default_factory=True)
    text = f"{field.description}  [env: {PREFIX}{name.upper()}]"
    if default is not None:
        text += f"  [default: {default}]"
    option_type = _TYPES.get(name)
    if option_type is None:
        option_type = _number(field)
    names = flags or (f"--{name.replace('_', '-')}",)
    if field.annotation is bool:
        return click.option(names[0], name, is_flag=True, default=None, help=text)
    return click.option(*names, name, type=option_type, default=None, help=text)


def _number(field: FieldInfo) -> click.ParamType[Any] | None:
    """A number within the bounds of the field, so that click says which flag is out of them.

    None where the field is no plain number.
    """
    kinds = set(get_args(field.annotation) or (field.annotation,)) - {NoneType}
    if kinds not in ({int}, {float}):
        return None
    bounds: dict[str, Any] = {}
    for each in field.metadata:
        match each:
            case Ge(ge=least):
                bounds["min"] = least
            case Gt(gt=least):
                bounds |= {"min": least, "min_open": True}
            case Le(le=most):
                bounds["max"] = most
    return click.IntRange(**bounds) if kinds == {int} else click.FloatRange(**bounds)


def database_dsn(settings: Settings, *, dsn: str | None, data: Path | None) -> str:
    """The database of the flags --dsn and --data; without either, what `resolve_dsn` finds.

    A flag outdoes the environment: with --data alone, the database of `rowvec up` there is meant.
    """
    return embedded_dsn(settings) if data is not None and dsn is None else resolve_dsn(settings)


embedding_option = click.option(
    "--embedding", metavar="NAME", help="Which embedding [default: the table's default]."
)


def json_flag(function: F) -> F:
    """`--json`, for programs that read the result."""
    return click.option("--json", "as_json", is_flag=True, help="Print JSON for programs.")(
        function
    )
