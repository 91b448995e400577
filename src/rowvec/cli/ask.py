"""`rowvec ask`: a question answered from the rows of a table, with sources that are checked."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from rowvec.ask.chat.model import ChatModel
from rowvec.ask.citations import Citations, citations
from rowvec.ask.passages import Passage, Question
from rowvec.cli.chat_options import chat_model, chat_options
from rowvec.cli.options import embedding_option, json_flag, setting
from rowvec.cli.output import EXIT_FAILED, print_json, stderr
from rowvec.cli.search import check_question
from rowvec.config import Settings
from rowvec.db.connection import resolve_dsn
from rowvec.db.schema import connect_migrated

_SHOWN_CHARACTERS = 100


@click.command()
@click.argument("source")
@click.argument("question")
@chat_options
@click.option("--context-only", is_flag=True, help="Print the prompt, for another program to ask.")
@click.option(
    "--max-tokens",
    type=click.IntRange(min=1),
    default=2000,
    help="Tokens of the prompt  [default: 2000]",
)
@click.option(
    "--answer-tokens",
    type=click.IntRange(min=1),
    default=500,
    help="Tokens of the answer  [default: 500]",
)
@click.option("-k", type=click.IntRange(min=1), default=20, help="Rows to look at  [default: 20]")
@click.option("--filter", metavar="SQL", help="Condition over the row; $1, $2 ... are the --arg.")
@click.option("--arg", "filter_args", multiple=True, metavar="VALUE", help="A value of --filter.")
@embedding_option
@click.option(
    "--method",
    type=click.Choice(["hybrid", "vector", "text"]),
    default="hybrid",
    help="How rows are found  [default: hybrid]",
)
@click.option("--rerank", metavar="MODEL", help="Rank them again by this model of the worker.")
@click.option(
    "--relevance",
    type=click.FloatRange(0, 1),
    default=0.3,
    help="How near a row must be to match: 0 as what does not belong, 1 the same  [default: 0.3]",
)
@setting("dsn")
@json_flag
def ask(
    *,
    endpoint: str | None,
    model: str | None,
    api_key_file: Path | None,
    local: Path | None,
    context_only: bool,
    answer_tokens: int,
    dsn: str | None,
    as_json: bool,
    **given: Any,
) -> None:
    r"""Answer QUESTION from the rows of SOURCE, by a language model of your own.

    The rows that match become numbered sources of a prompt. Every citation of the answer is checked
    against them. If no row matches, it says so and asks no model; then the exit code is 1.

    \b
    Example:
      rowvec ask notes "what did we decide about backups?" \
        --endpoint http://localhost:11434/v1 --model llama3.2
      rowvec ask notes "what did we decide about backups?" --context-only | llm
    """
    named = {"endpoint": endpoint, "model": model, "api_key_file": api_key_file, "local": local}
    if not context_only and not any(named.values()):
        raise click.UsageError(
            "name a model: --endpoint and --model, or --local; or --context-only"
        )
    check_question(given["question"], given["filter"], given["filter_args"])
    question = Question(**given)
    with connect_migrated(resolve_dsn(Settings.build(dsn=dsn))) as connection:
        passages = question.passages(connection)
        nearest = None if passages else question.nearest(connection)
        prompt = question.prompt(connection, passages)
    if not passages:
        if as_json:
            print_json({"answer": None, "cited": [], "invented": [], "sources": []})
        _tell_nothing(question, nearest)
        raise click.exceptions.Exit(EXIT_FAILED)
    if context_only:
        if as_json:
            print_json({"prompt": prompt, "sources": [asdict(one) for one in passages]})
        else:
            click.echo(prompt)
        return
    chat = chat_model(endpoint=endpoint, model=model, api_key_file=api_key_file, local=local)
    assert chat is not None
    _answer(chat, prompt, answer_tokens, passages, as_json=as_json)


def _tell_nothing(question: Question, nearest: Passage | None) -> None:
    console = stderr()
    console.print(f"No row of {question.source} matches the question.", markup=False)
    if nearest is not None:
        console.print(
            f"The nearest has a relevance of {nearest.relevance:.2f}; what counts as a match is"
            f" --relevance {question.relevance:g}.",
            markup=False,
        )


def _answer(
    chat: ChatModel, prompt: str, max_tokens: int, passages: Sequence[Passage], *, as_json: bool
) -> None:
    said = []
    for piece in chat.stream(prompt, max_tokens):
        said.append(piece)
        if not as_json:
            sys.stdout.write(piece)
            sys.stdout.flush()
    answer = "".join(said).strip()
    checked = citations(answer, len(passages))
    if as_json:
        sources = [asdict(one) for one in passages]
        print_json({"answer": answer, **asdict(checked), "sources": sources})
        return
    click.echo()
    _tell(checked, passages)


def _tell(checked: Citations, passages: Sequence[Passage]) -> None:
    """Sources and warnings, on stderr: the answer alone is the result."""
    console = stderr()
    if checked.cited:
        console.print("\nSources:")
    for number in checked.cited:
        one = passages[number - 1]
        text = " ".join(one.passage.split())
        short = text if len(text) <= _SHOWN_CHARACTERS else text[: _SHOWN_CHARACTERS - 1] + "…"
        console.print(f"  [{number}] key {one.key}: {short}", markup=False)
    if checked.invented:
        numbers = ", ".join(f"[{number}]" for number in checked.invented)
        console.print(f"warning: the answer cites {numbers}, which is no source", markup=False)
    if not checked.cited:
        console.print("warning: the answer cites no source: do not trust it", markup=False)
