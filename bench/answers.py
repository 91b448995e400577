"""Whether `context` answers what rows answer and refuses what none does, with its defaults.

    .venv/bin/python bench/answers.py [minilm e5 mpnet] [--collections router library ...]

Three narrow collections and questions to them stand in data/answers/. Two broad ones come from
ROWVEC_TEST_MODELS: cranfield, whose own queries are answerable and to which the questions to the
narrow ones are not, and wiki (en.jsonl). One line a model and collection: the share of the
answerable questions whose context holds a right row, and the share of the unanswerable that are
refused. `near` are questions about the subject that no row answers; vectors alone do not tell
them well, and they are printed for what they are.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import tempfile
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql
from quality import Cranfield
from stage import MODEL_FOLDER, MODEL_PACKAGE, ROWVEC, instance, report

QUESTIONS = Path(__file__).parent / "data" / "answers"
NARROW = ("router", "library", "bread")
# A passage at the end of a prompt is cut to what fits.
RECOGNISED_BY = 60


@dataclass
class Collection:
    """Texts by their names; questions with the names of the texts that answer them, and others."""

    rows: dict[str, str]
    answerable: dict[str, set[str]]
    unanswerable: list[str]
    near: list[str] = field(default_factory=list)


def main() -> None:
    """One line a model and collection."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("models", nargs="*", default=["minilm"])
    parser.add_argument("--collections", nargs="*", default=[*NARROW, "cranfield", "wiki"])
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="rowvec-bench-") as folder:
        models = Path(folder) / "data" / "models.toml"
        models.parent.mkdir(0o755)
        models.write_text(
            "".join(
                f'[[model]]\nname = "{name}"\nkind = "sentence-transformers"\n'
                f'path = "{model_folder(name)}"\n'
                for name in given.models
            )
        )
        with instance(Path(folder)) as dsn, psycopg.connect(dsn, autocommit=True) as conn:
            for model in given.models:
                for name in given.collections:
                    measure(conn, dsn, model, name)


def measure(conn: psycopg.Connection, dsn: str, model: str, name: str) -> None:
    """Fills a table, asks everything, and prints the shares."""
    collection = read(name)
    table = f"{name}_{model}"
    conn.execute(
        sql.SQL("CREATE TABLE {} (name text PRIMARY KEY, body text)").format(sql.Identifier(table))
    )
    statement = sql.SQL("COPY {} FROM STDIN").format(sql.Identifier(table))
    with conn.cursor() as cursor, cursor.copy(statement) as copy:
        for row in collection.rows.items():
            copy.write_row(row)
    conn.execute("SELECT rowvec.create_embedding(%s, %s, 'body')", (table, model))
    subprocess.run([ROWVEC, "backfill", table, "--dsn", dsn], check=True, stdout=subprocess.DEVNULL)

    def context(question: str) -> str | None:
        found = conn.execute("SELECT rowvec.context(%s, %s)", (table, question)).fetchone()
        assert found is not None
        answer: str | None = found[0]
        return answer

    def holds(prompt: str | None, names: set[str]) -> bool:
        beginnings = (collection.rows[name][:RECOGNISED_BY] for name in names)
        return prompt is not None and any(beginning in prompt for beginning in beginnings)

    def refused(questions: Iterable[str]) -> float | None:
        return share(context(question) is None for question in questions)

    answered = {q: context(q) for q in collection.answerable}
    report(
        "answers", model=model, collection=name, rows=len(collection.rows),
        right=share(holds(answered[q], names) for q, names in collection.answerable.items()),
        answered=share(prompt is not None for prompt in answered.values()),
        refused=refused(collection.unanswerable),
        refused_near=refused(collection.near),
    )  # fmt: skip


def share(facts: Iterable[bool]) -> float | None:
    """The share of those that are true; None of none."""
    given = list(facts)
    return round(sum(given) / len(given), 3) if given else None


def read(name: str) -> Collection:
    """A collection by its name."""
    match name:
        case "cranfield":
            return cranfield()
        case "wiki":
            return wiki()
        case _:
            told = questions(name)
            return Collection(
                told["rows"],
                {question: {right} for question, right in told["answerable"].items()},
                told["unanswerable"]["far"],
                told["unanswerable"]["near"],
            )


def cranfield() -> Collection:
    """Abstracts of aerodynamics; those of its queries that have a relevant one."""
    known = Cranfield(model_folder("cranfield"))
    rows = {str(document["id"]): document["text"] for document in known.documents}
    return Collection(
        rows,
        {
            query["text"]: right
            for query in known.queries
            if (right := {str(d) for d, gain in known.gains[query["id"]].items() if gain > 0})
        },
        [question for name in NARROW for question in questions(name)["answerable"]],
    )


def wiki() -> Collection:
    """The first lines of articles, by their titles."""
    told = questions("wikipedia")
    lines = (model_folder("wiki") / "en.jsonl").read_text().splitlines()
    articles: list[dict[str, Any]] = [json.loads(line) for line in lines]
    return Collection(
        {article["title"]: article["extract"] for article in articles},
        {question: {title} for question, title in told["answerable"].items()},
        told["unanswerable"]["far"],
    )


def questions(name: str) -> dict[str, Any]:
    """What a file of data/answers says."""
    return tomllib.loads((QUESTIONS / f"{name}.toml").read_text())


def model_folder(name: str) -> Path:
    """Where a model or a collection is."""
    if name == "minilm":
        return Path(str(resources.files(MODEL_PACKAGE))) / MODEL_FOLDER
    folder = Path(os.environ["ROWVEC_TEST_MODELS"]) / name
    return folder / "model" if (folder / "model").is_dir() else folder


if __name__ == "__main__":
    main()
