"""Options that name a language model, for the commands that ask one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from rowvec.ask.chat.endpoint import EndpointChat
from rowvec.ask.chat.local import LocalChat
from rowvec.ask.chat.model import ChatModel
from rowvec.config import read_secret

F = TypeVar("F", bound=Callable[..., Any])

_OPTIONS = (
    click.option(
        "--endpoint",
        metavar="URL",
        help="Base URL of an endpoint of OpenAI's form, as http://localhost:11434/v1.",
    ),
    click.option("--model", metavar="NAME", help="The endpoint's model."),
    click.option(
        "--api-key-file",
        type=click.Path(path_type=Path, dir_okay=False, exists=True),
        help="File with the endpoint's key.",
    ),
    click.option(
        "--local",
        type=click.Path(path_type=Path, exists=True),
        help="Folder or GGUF file of a model that transformers runs here.",
    ),
)


def chat_options(function: F) -> F:
    """`--endpoint`, `--model`, `--api-key-file` and `--local`."""
    for option in reversed(_OPTIONS):
        function = option(function)
    return function


def chat_model(
    *, endpoint: str | None, model: str | None, api_key_file: Path | None, local: Path | None
) -> ChatModel | None:
    """The language model that the options name; None where they name none."""
    if local is not None:
        if endpoint or model or api_key_file:
            raise click.UsageError("--local goes without --endpoint, --model and --api-key-file")
        return LocalChat(local)
    if endpoint is None and model is None and api_key_file is None:
        return None
    if endpoint is None or model is None:
        raise click.UsageError("--endpoint and --model are given together")
    key = None if api_key_file is None else read_secret(api_key_file)
    return EndpointChat(endpoint, model, key)
