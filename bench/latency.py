"""p50 and p95 of one short text through SQL, divided by the model alone in this process.

`SELECT rowvec.embed(model, text)` over a warm connection beside `SentenceTransformer.encode` of the
same texts, in alternating blocks; and the same texts again, which the cache answers. Three rounds,
medians.
"""

from __future__ import annotations

import time
from functools import partial

import psycopg
from stage import MODEL, instance, load_model, percentile, report, rounded, seconds, short_texts

ROUNDS, BLOCKS, CALLS = 3, 4, 40

# torch's threads keep the cores for a while after each encode.
SETTLE_SECONDS = 0.2


def main() -> None:
    """Prints a line for texts that are new, and one for texts that are not."""
    model = load_model()
    found: dict[str, list[float]] = {}
    with instance() as dsn, psycopg.connect(dsn, autocommit=True) as connection:
        embed(connection, "the first call loads the model")
        model.encode("the first call loads the model")
        for round_number in range(ROUNDS):
            alone: list[float] = []
            in_sql: list[float] = []
            repeated: list[float] = []
            for block in range(BLOCKS):
                texts = short_texts(CALLS, f"{round_number}-{block}-")
                alone += [seconds(partial(model.encode, text)) for text in texts]
                time.sleep(SETTLE_SECONDS)
                in_sql += [seconds(partial(embed, connection, text)) for text in texts]
                repeated += [seconds(partial(embed, connection, text)) for text in texts]
            for name, times in (("alone", alone), ("sql", in_sql), ("cached", repeated)):
                for percent in (50, 95):
                    milliseconds = 1000 * percentile(times, percent)
                    found.setdefault(f"{name}_p{percent}_ms", []).append(milliseconds)
    figures = {name: rounded(values) for name, values in found.items()}
    ratios = {
        f"ratio_p{percent}": rounded(
            [
                sql / alone
                for sql, alone in zip(
                    found[f"sql_p{percent}_ms"], found[f"alone_p{percent}_ms"], strict=True
                )
            ]
        )
        for percent in (50, 95)
    }
    report("latency", **ratios, **figures, goal_ratio_p50=0.5, goal_cached_p50_ms=0.6)


def embed(connection: psycopg.Connection, text: str) -> object:
    """A vector through SQL."""
    return connection.execute("SELECT rowvec.embed(%s, %s)", (MODEL, text)).fetchone()


if __name__ == "__main__":
    main()
