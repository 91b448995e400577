"""Sixteen sessions that do what they like, while engines are killed: nothing may be left behind.

    .venv/bin/python bench/soak.py --minutes 10

Each session embeds short and long texts, cancels in the middle, leaves without a word, sends what
is no text or names no model. Every ten seconds the engine is killed. Each answer has to be the very
vector that the stand-in model gives, or a clear error. Prints a line every half minute, and at the
end by how much the listener grew since a tenth of the time, and by how many file descriptors,
connections and backends there are more than before the sessions. Exits with 1 where an answer was
wrong.
"""

from __future__ import annotations

import argparse
import collections
import json
import os
import random
import subprocess
import sys
import threading
import time
from typing import Any

import numpy as np
import psutil
import psycopg
from stage import ROWVEC, instance, processes_of, report, root_of

from rowvec.models.families.stand_in import derived_vector

SESSIONS = 16
DIMENSIONS = 64
KILL_SECONDS = 10
SHOW_SECONDS = 30
SETTLE_SECONDS = 60

# A cache that is full within the first minute: what grows after that grows.
SETTINGS = {"ROWVEC_CACHE_BYTES": str(4 << 20), "ROWVEC_SYNC": "false"}

MODELS = f"""
[[model]]
name = "stand-in"
kind = "stand-in"
dimensions = {DIMENSIONS}
refuse = "refuse me"
delay_ms_per_text = 0.2
"""

# What may come instead of a vector: the connection went (08), the text or the model is wrong (22,
# 42501), time or place ran out (53, 57), the engine ended twice (58).
CLEAR = ("08", "22", "42501", "53", "54", "57", "58")

Counts = collections.Counter[str]


class Soak:
    """What all sessions share."""

    def __init__(self, dsn: str, seed: int) -> None:
        self.dsn = dsn
        self.seed = seed
        self.stop = threading.Event()
        self.counts: Counts = collections.Counter()
        self.wrong: list[str] = []

    def session(self, number: int) -> None:
        """One client after another, until it is told to stop."""
        chance = random.Random(f"{self.seed} {number}")  # noqa: S311  # no secret
        while not self.stop.is_set():
            with psycopg.connect(self.dsn, autocommit=True) as connection:
                for _ in range(chance.randrange(1, 40)):
                    if self.stop.is_set():
                        break
                    if not self.act(connection, chance):
                        break

    def act(self, connection: psycopg.Connection, chance: random.Random) -> bool:
        """One call; False where the session is at its end."""
        what = chance.choices(
            ("embed", "batch", "cancel", "leave", "bad", "deadline"), (50, 20, 10, 3, 12, 5)
        )[0]
        texts = [f"{chance.random()} word" * chance.randrange(1, 50) for _ in range(1)]
        kwargs: dict[str, Any] = {}
        if what in ("batch", "cancel", "leave"):
            texts = [f"{chance.random()}" for _ in range(chance.randrange(2, 300))]
        if what == "bad":
            texts = [chance.choice(("refuse me", "x" * (9 << 20)))]
            kwargs = chance.choice(({}, {"colour": "red"}))
        if what == "deadline":
            kwargs = {"timeout_ms": chance.randrange(1, 20)}
        timer = None
        if what in ("cancel", "leave"):
            pid = connection.info.backend_pid
            end = connection.cancel if what == "cancel" else lambda: self.terminate(pid)
            timer = threading.Timer(chance.random() / 10, end)
            timer.start()
        try:
            rows = connection.execute(
                "SELECT v::text FROM rowvec.embed_batch('stand-in', %s, %s) AS v",
                (texts, json.dumps(kwargs)),
            ).fetchall()
        except psycopg.Error as exc:
            self.note_error(what, exc)
        else:
            self.check(what, texts, rows)
        if timer is not None:
            timer.join()
        return not connection.closed and what != "leave"

    def terminate(self, pid: int) -> None:
        """Ends a session of Postgres, as a client does whose machine went."""
        with psycopg.connect(self.dsn, autocommit=True) as connection:
            connection.execute("SELECT pg_terminate_backend(%s)", (pid,))

    def note_error(self, what: str, exc: psycopg.Error) -> None:
        """Counts an error, and keeps one that is not clear."""
        sqlstate = exc.sqlstate or ("08006" if isinstance(exc, psycopg.OperationalError) else "?")
        self.counts[f"{what} {sqlstate}"] += 1
        if not sqlstate.startswith(CLEAR):
            self.wrong.append(f"{what}: {sqlstate} {exc}")

    def check(self, what: str, texts: list[str], rows: list[tuple[str]]) -> None:
        """Counts an answer, and keeps a wrong one."""
        self.counts[f"{what} ok"] += 1
        for text, (written,) in zip(texts, rows, strict=True):
            found = np.array(json.loads(written), dtype=np.float32)
            if not (found == derived_vector(text, DIMENSIONS)).all():
                self.wrong.append(f"{what}: not the vector of its text")


def main() -> None:
    """Runs for so many minutes."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    with instance(None, **SETTINGS) as dsn:
        use_the_stand_in(dsn)
        soak = Soak(dsn, given.seed)
        with psycopg.connect(dsn, autocommit=True) as connection:
            soak.act(connection, random.Random(given.seed))  # noqa: S311  # no secret
        before = settled(dsn, None)
        threads = [threading.Thread(target=soak.session, args=(n,)) for n in range(SESSIONS)]
        for thread in threads:
            thread.start()
        begun = time.monotonic()
        early = watch(soak, begun, begun + given.minutes * 6)
        watch(soak, begun, begun + given.minutes * 60)
        soak.stop.set()
        for thread in threads:
            thread.join()
        after = settled(dsn, before["backends"])
        more = {f"{name}_more": round(after[name] - before[name], 1) for name in after}
        # What a listener under load keeps for later it has after a tenth of the time.
        grown = round(after["listener_megabytes"] - early["listener_megabytes"], 1)
        report(
            "soak", minutes=given.minutes, calls=sum(soak.counts.values()),
            counts=dict(sorted(soak.counts.items())), wrong=len(soak.wrong),
            **(more | {"listener_megabytes_more": grown}),
        )  # fmt: skip
    for each in soak.wrong[:10]:
        print(each, file=sys.stderr)
    sys.exit(1 if soak.wrong else 0)


def use_the_stand_in(dsn: str) -> None:
    """The instance's worker, started anew with the model whose answers are known."""
    root = root_of(dsn)
    (root / "models.toml").write_text(MODELS)
    subprocess.run(
        [ROWVEC, "up", "--data", root],
        env=os.environ | SETTINGS,
        check=True,
        stdout=subprocess.DEVNULL,
    )


def watch(soak: Soak, begun: float, until: float) -> dict[str, float]:
    """Kills engines and prints what there is, until a moment; gives the last of it."""
    shown = time.monotonic()
    now = vitals(soak.dsn)
    while (left := until - time.monotonic()) > 0 and not soak.wrong:
        time.sleep(min(KILL_SECONDS, left))
        kill_engine(soak.dsn)
        soak.counts["engines killed"] += 1
        if time.monotonic() - shown > SHOW_SECONDS or left <= KILL_SECONDS:
            shown = time.monotonic()
            now = vitals(soak.dsn)
            report(
                "soak so far", seconds=round(shown - begun), calls=sum(soak.counts.values()),
                **now,
            )  # fmt: skip
    return now


def kill_engine(dsn: str) -> None:
    """The engine, if there is one at the moment."""
    pid = int((root_of(dsn) / "worker.pid").read_text().split("\n", 1)[0])
    for child in psutil.Process(pid).children():
        child.kill()


def vitals(dsn: str) -> dict[str, float]:
    """What must not grow."""
    pid = int((root_of(dsn) / "worker.pid").read_text().split("\n", 1)[0])
    listener = psutil.Process(pid)
    with psycopg.connect(dsn, autocommit=True) as connection:
        row = connection.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend'"
        ).fetchone()
    assert row is not None
    return {
        "listener_megabytes": round(listener.memory_full_info().uss / 1e6, 1),
        "listener_descriptors": float(listener.num_fds()),
        "listener_connections": float(len(listener.net_connections("unix"))),
        "backends": float(row[0]),
    }


def settled(dsn: str, backends: float | None) -> dict[str, float]:
    """What there is once an engine is up and there are only so many backends again."""
    limit = time.monotonic() + SETTLE_SECONDS
    while True:
        now = vitals(dsn)
        is_quiet = backends is None or now["backends"] <= backends
        if (is_quiet and engine_is_up(dsn)) or time.monotonic() > limit:
            return now
        time.sleep(0.2)


def engine_is_up(dsn: str) -> bool:
    """Whether the listener has an engine."""
    try:
        processes_of(dsn)
    except (ValueError, psutil.Error):
        return False
    return True


if __name__ == "__main__":
    main()
