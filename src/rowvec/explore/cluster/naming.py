"""Names for clusters by a language model, from their words and their most central rows."""

from __future__ import annotations

from dataclasses import replace

from rowvec.ask.chat.model import ChatModel, answer
from rowvec.explore.cluster.run import Cluster

_CHARACTERS = 300
_ANSWER_TOKENS = 120
_NAME_CHARACTERS = 80

_PROMPT = """These texts are the most typical ones of a group of {rows} texts.
Words that set the group apart: {words}.

{texts}

Answer in two lines and nothing else. First line: a name for the group, of at most five words.
Second line: one sentence that says what the texts of the group have in common."""


class Naming:
    """Asks the model about one cluster at a time."""

    def __init__(self, model: ChatModel) -> None:
        self._model = model

    def __call__(self, cluster: Cluster) -> Cluster:
        """The cluster with the model's name and summary; its words keep what they are.

        A model that gives no name leaves the one of the words. Raises RowvecError.
        """
        texts = "\n".join(f"- {' '.join(r.text.split())[:_CHARACTERS]}" for r in cluster.central)
        said = answer(
            self._model,
            _PROMPT.format(rows=cluster.rows, words=", ".join(cluster.words), texts=texts),
            _ANSWER_TOKENS,
        )
        name, summary = parse(said)
        return replace(cluster, name=name or cluster.name, summary=summary or None)


def parse(said: str) -> tuple[str, str]:
    """Name and summary in an answer: its first line and the rest, without labels and quotes."""
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    name, *rest = [_bare(line) for line in lines] or [""]
    return name[:_NAME_CHARACTERS].rstrip(), " ".join(part for part in rest if part)


def _bare(line: str) -> str:
    line = line.strip("*#- ")
    label, colon, after = line.partition(":")
    if colon and label.strip("* ").lower() in {
        "name",
        "first line",
        "second line",
        "summary",
        "sentence",
    }:
        line = after
    return line.strip("*\"\u201c\u201d'` ").rstrip(".")
